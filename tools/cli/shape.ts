/** The shape of a memory-mapped table as text: `16384,32` are 16,384 buckets of 32 slots. */
import { UsageError } from './usage.js'

export interface Shape {
  readonly buckets: number
  /** Slots of a bucket, its head included. */
  readonly slots: number
}

/** Reads a shape; throws a {@link UsageError} that says what is wrong. */
export function parseShape(text: string): Shape {
  const [, buckets, slots] = /^\s*([1-9]\d{0,11})\s*,\s*([1-9]\d{0,11})\s*$/.exec(text) ?? []
  if (buckets === undefined || slots === undefined) {
    throw new UsageError('it must be two positive numbers, buckets and slots: 16384,32')
  }
  const shape = { buckets: Number(buckets), slots: Number(slots) }
  if (shape.slots < 2) throw new UsageError('a bucket needs 2 slots or more: slot 0 is its head')
  return shape
}

/**
 * What a workload has asked of the table, call by call, and what it was promised: the oracle of the crash tests.
 *
 * After a crash the table must hold the state behind some prefix of the calls, one that contains everything that was
 * acknowledged as durable. docs/durability.md, How it is tested.
 */

import { after, type Change, type Rules } from '../support/oracle.js'

/** A record of the crash tests: `{ keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', id: 'i32' }) }`. */
export interface CrashRecord {
  readonly key: number
  readonly time: number
  readonly id: number
}

/** One effect of a call. */
export type Effect =
  | { readonly kind: 'put' | 'putIfAbsent'; readonly record: CrashRecord }
  | { readonly kind: 'del'; readonly key: number }
  | { readonly kind: 'delRecord'; readonly record: CrashRecord }
  | { readonly kind: 'delWhere'; readonly id: number }
  | { readonly kind: 'delBefore'; readonly time: number }
  | { readonly kind: 'clearKeys'; readonly gte: number; readonly lt: number }
  | { readonly kind: 'clear' }

/** What is promised of a copy of the table: it is there with at least `from` calls, or it is no table. */
export interface Copy {
  readonly directory: string
  readonly from: number
  /** The metadata that it has at least. */
  readonly meta: number
  /** The call has resolved: a copy that is no table is an error now. */
  done: boolean
}

/** What is promised at one moment: see {@link History}. */
export interface Promised {
  /** How many calls have been made. */
  readonly calls: number
  readonly written: number
  readonly durable: number
  readonly meta: number
  readonly metas: readonly number[]
  readonly copies: readonly Readonly<Copy>[]
}

/** What is promised of the calls so far: how many of them a state after a crash must contain at least. */
export class History {
  readonly calls: (readonly Effect[])[] = []
  readonly copies: Copy[] = []
  /** What metadata were asked for, in order: each is how many calls had been written when they were. */
  readonly metas: number[] = []
  /** The newest that were acknowledged. */
  meta = 0
  /** Calls [0, written) survive the end of the process, calls [0, durable) a power cut. */
  written = 0
  durable = 0
  readonly #rules: Rules<CrashRecord, number>

  /** Of a table in which a put replaces the older records of its key, or is combined with them as {@link COMBINE} says. */
  constructor(made: 'kept' | 'replaced' | 'combined' = 'kept') {
    this.#rules = {
      ...RULES,
      replace: made === 'replaced',
      combine: made === 'combined' ? combined : undefined,
    }
  }

  /** Notes a call that is about to be made; returns how many there are now. */
  note(effects: readonly Effect[]): number {
    return this.calls.push(effects)
  }

  /** The first `count` calls have been acknowledged. */
  acknowledge(count: number, durable: boolean): void {
    this.written = Math.max(this.written, count)
    if (durable) this.durable = Math.max(this.durable, count)
  }

  promised(): Promised {
    const { calls, written, durable, meta, metas, copies } = this
    return {
      calls: calls.length,
      written,
      durable,
      meta,
      metas: [...metas],
      copies: copies.map(copy => ({ ...copy })),
    }
  }

  /** The state behind each prefix, as text: position k is the state behind k calls. */
  states(): string[] {
    let records: readonly CrashRecord[] = []
    const states = [stateText(records)]
    for (const effects of this.calls) {
      for (const effect of effects) records = after(records, changeOf(effect), this.#rules)
      states.push(stateText(records))
    }
    return states
  }
}

/** Of a record that counts twice the sum shows it. */
export const COMBINE = { time: 'sum', id: 'last' } as const

function combined(older: CrashRecord, newer: CrashRecord): CrashRecord {
  return { ...newer, time: Math.min(65_535, older.time + newer.time) }
}

const RULES: Omit<Rules<CrashRecord, number>, 'replace'> = {
  keyOf: ({ key }) => key,
  isSame: (a, b) => recordText(a) === recordText(b),
}

function changeOf(effect: Effect): Change<CrashRecord, number> {
  if (effect.kind === 'delWhere') return { kind: 'delWhere', hides: ({ id }) => id === effect.id }
  if (effect.kind === 'delBefore') return { kind: 'delWhere', hides: ({ time }) => time < effect.time }
  if (effect.kind === 'clearKeys')
    return { kind: 'delWhere', hides: ({ key }) => key >= effect.gte && key < effect.lt }
  return effect
}

export function recordText({ key, time, id }: CrashRecord): string {
  return `${key}:${time}:${id}`
}

/** Records in key order, within a key in insertion order: what a scan of the table gives. */
export function stateText(records: readonly CrashRecord[]): string {
  return records
    .map((record, at) => ({ record, at }))
    .sort((a, b) => a.record.key - b.record.key || a.at - b.at)
    .map(({ record }) => recordText(record))
    .join(' ')
}

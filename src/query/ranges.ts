/**
 * Scans as their users want them: a range with a limit, a direction and a signal, in batches of rows.
 */
import { throwIfAborted } from '../async/abort.js'
import { Turns } from '../async/turns.js'
import { compareRows } from '../records/compare.js'
import type { KeyRange } from '../records/key-range.js'
import type { Operations } from '../records/operations.js'
import type { Pin } from '../state/pins.js'
import type { TableReader } from './reader.js'

export interface ScanOptions {
  readonly range: KeyRange
  readonly reverse: boolean
  /** Rows, or with `distinctKeys` keys, at most. */
  readonly limit: number
  readonly signal: AbortSignal | undefined
  /** Begins one step, if the table is open, and waits for it; `close` of the table waits for it too, and then it rejects. */
  readonly read: <T>(step: () => Promise<T>) => Promise<T>
}

/** Rows [from, to) of `rows`, in ascending order; a reverse scan walks them from the end. */
export interface RowBatch {
  readonly rows: Operations
  readonly from: number
  readonly to: number
}

/** The batches of a scan. Releases the pin at the end, however it ends. */
export async function* batches(
  reader: TableReader,
  pin: Pin,
  options: ScanOptions,
): AsyncGenerator<RowBatch, void> {
  const { range, reverse, signal, read } = options
  let left = options.limit
  try {
    throwIfAborted(signal)
    if (left === 0) return
    const merge = await read(() => reader.scan(pin.view, range, reverse, signal))
    try {
      for (;;) {
        const rows = await read(() => merge.next())
        throwIfAborted(signal)
        if (rows === undefined) return
        const count = Math.min(left, rows.count)
        yield reverse ? { rows, from: rows.count - count, to: rows.count } : { rows, from: 0, to: count }
        left -= count
        if (left === 0) return
      }
    } finally {
      await merge.close()
    }
  } finally {
    await pin.release()
  }
}

/** The rows of a scan one by one: where each stands. The event loop turns between them, whatever is done with them. */
export async function* eachRow(
  reader: TableReader,
  pin: Pin,
  options: ScanOptions,
): AsyncGenerator<{ rows: Operations; row: number }, void> {
  const { reverse, signal } = options
  const turns = new Turns()
  for await (const { rows, from, to } of batches(reader, pin, options)) {
    const step = reverse ? -1 : 1
    const end = reverse ? from - 1 : to
    for (let row = reverse ? to - 1 : from; row !== end; row += step) {
      if (turns.due()) await turns.take()
      throwIfAborted(signal)
      yield { rows, row }
    }
  }
}

/** As {@link eachRow}, the first row of each key alone; the limit counts keys. */
export async function* eachKey(
  reader: TableReader,
  pin: Pin,
  options: ScanOptions,
  keyLaneCount: number,
): AsyncGenerator<{ rows: Operations; row: number }, void> {
  const turns = new Turns()
  let left = options.limit
  // All rows of a key come in one batch, so it is enough to look within it.
  for await (const { rows, from, to } of batches(reader, pin, {
    ...options,
    limit: left === 0 ? 0 : Infinity,
  })) {
    const step = options.reverse ? -1 : 1
    const end = options.reverse ? from - 1 : to
    let previous = -1
    for (let row = options.reverse ? to - 1 : from; row !== end; row += step) {
      if (turns.due()) await turns.take()
      throwIfAborted(options.signal)
      if (previous >= 0 && compareRows(rows.lanes, row, rows.lanes, previous, keyLaneCount) === 0) continue
      previous = row
      yield { rows, row }
      if (--left === 0) return
    }
  }
}

/**
 * How fast a table writes: the counters in the lines of its event log say how much it had written by when.
 *
 * docs/api.md, Wear.
 */
import type { FileSystem } from '../io/file-system.js'
import { outside, refuseExtra, unexpected } from '../options/arguments.js'
import { totalBytes } from './event.js'
import { EventLogReader } from './reader.js'

const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
/** A line comes this long after a write at the latest. */
export const MARK_MS = 10 * 60 * 1000
/** Points that are nearer to each other tell no more than one. */
const POINTS_MS = 60_000

/** What was written in the last hour, or day. */
export interface WrittenSpan {
  /** Bytes handed to write calls. */
  readonly bytes: number
  /** How much of that time is known, in milliseconds: less where the table is younger, or its event log begins later. */
  readonly ms: number
}

/** How fast the table writes. */
export interface Wear {
  readonly lastHour: WrittenSpan
  readonly lastDay: WrittenSpan
  /** The rate of the last day, or of what is known of it; `undefined`: nothing is known. */
  readonly bytesPerDay: number | undefined
}

interface Point {
  readonly timeMs: number
  readonly bytes: number
}

/** How much had been written by when, in the last day. */
export class WrittenHistory {
  /** Oldest first; bytes never fall. */
  #points: Point[] = []

  /** `timeMs`: since 1970. `bytes`: written in the life of the table by then. */
  add(timeMs: number, bytes: number): void {
    const points = this.#points
    // Somebody has set the clock back: what came before has no time any more that can be compared.
    while (points.length > 0 && points.at(-1)!.timeMs > timeMs) points.pop()
    // It is another table's: of one that was in this directory before.
    if (points.length > 0 && points.at(-1)!.bytes > bytes) points.length = 0
    // The last one of a crowd stays, so that what it has written has its time.
    if (points.length > 1 && timeMs - points.at(-2)!.timeMs < POINTS_MS) points.pop()
    points.push({ timeMs, bytes })
    const old = points.findIndex(point => point.timeMs > timeMs - DAY_MS)
    // The newest one before tells what had been written when the day began.
    if (old > 1) points.splice(0, old - 1)
  }

  /** This history, with an older one before it. */
  after(older: WrittenHistory): WrittenHistory {
    const first = this.#points[0]
    const whole = new WrittenHistory()
    for (const { timeMs, bytes } of older.#points)
      if (first === undefined || timeMs < first.timeMs) whole.add(timeMs, bytes)
    for (const { timeMs, bytes } of this.#points) whole.add(timeMs, bytes)
    return whole
  }

  /** How fast the table writes, if it had written `bytes` by now. */
  wear(nowMs: number, bytes: number): Wear {
    const lastHour = this.#since(nowMs, HOUR_MS, bytes)
    const lastDay = this.#since(nowMs, DAY_MS, bytes)
    const bytesPerDay = lastDay.ms === 0 ? undefined : (lastDay.bytes / lastDay.ms) * DAY_MS
    return { lastHour, lastDay, bytesPerDay }
  }

  #since(nowMs: number, ms: number, nowBytes: number): WrittenSpan {
    const known = this.#points.filter(({ timeMs }) => timeMs <= nowMs)
    if (known.length === 0) return { bytes: 0, ms: 0 }
    const [first] = known as [Point, ...Point[]]
    const points = [...known, { timeMs: nowMs, bytes: Math.max(nowBytes, known.at(-1)!.bytes) }]
    const fromMs = Math.max(nowMs - ms, first.timeMs)
    const fromBytes = fromMs === first.timeMs ? first.bytes : bytesAt(points, fromMs)
    return { bytes: Math.round(points.at(-1)!.bytes - fromBytes), ms: nowMs - fromMs }
  }
}

/**
 * How much had been written at that time. Between two lines it was written in the ten minutes before the second one, or
 * that would have come earlier. Requires: the first point is not later.
 */
function bytesAt(points: readonly Point[], timeMs: number): number {
  const next = points.findIndex(point => point.timeMs > timeMs)
  if (next < 0) return points.at(-1)!.bytes
  const [before, after] = [points[next - 1]!, points[next]!]
  const beginMs = Math.max(before.timeMs, after.timeMs - MARK_MS)
  const share = Math.max(0, timeMs - beginMs) / (after.timeMs - beginMs)
  return before.bytes + share * (after.bytes - before.bytes)
}

/**
 * What the event log in the directory tells, until now. One that cannot be read tells nothing. `closedBytes`: what a table
 * had written that nobody has open: if the last line tells of a close, the last manifest came after it.
 */
export async function historyIn(
  fileSystem: FileSystem,
  directory: string,
  nowMs: number,
  closedBytes?: number,
): Promise<WrittenHistory> {
  const history = new WrittenHistory()
  const reader = new EventLogReader(fileSystem, directory)
  try {
    const events = await reader.readNew()
    for (const { time, written } of events) {
      const timeMs = Date.parse(time)
      if (timeMs <= nowMs) history.add(timeMs, totalBytes(written))
    }
    const last = events.at(-1)
    if (last?.event === 'close' && closedBytes !== undefined) history.add(Date.parse(last.time), closedBytes)
  } catch {
    // It is for people, and may be missing.
  } finally {
    await reader.close().catch(() => {})
  }
  return history
}

/**
 * How many days a new device lasts that endures that many bytes written, if this table alone writes to it and goes on as in
 * the last day. `Infinity`: it writes nothing. `undefined`: the rate is not known.
 *
 * Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION` for what is no number of bytes.
 */
export function projectedLifeDays(
  { wear }: { readonly wear: Pick<Wear, 'bytesPerDay'> },
  enduranceBytes: number,
  ...extra: never[]
): number | undefined {
  refuseExtra('projectedLifeDays', extra)
  const expected = 'a number of bytes above 0'
  if (typeof enduranceBytes !== 'number') throw unexpected('enduranceBytes', expected, enduranceBytes)
  if (!(enduranceBytes > 0) || enduranceBytes === Infinity)
    throw outside('enduranceBytes', expected, enduranceBytes)
  const { bytesPerDay } = wear
  return bytesPerDay === undefined ? undefined : enduranceBytes / bytesPerDay
}

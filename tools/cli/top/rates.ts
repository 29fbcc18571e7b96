/** Rates between looks. */
import { totalBytes } from '../../../src/event-log/event.js'
import type { Sample } from './sample.js'

/** How far back records a second look, and bytes a second: these are known when something is sealed, flushed or merged. */
const RECORDS_MS = 10_000
const BYTES_MS = 60_000

/** `undefined`: not known yet. */
export interface Rates {
  readonly recordsPerSecond: number | undefined
  readonly bytesPerSecond: number | undefined
  /** Of one processor. */
  readonly processorShare: number | undefined
}

/** `samples`: oldest first, the last is now. */
export function ratesOf(samples: readonly Sample[]): Rates {
  const now = samples.at(-1)!
  const before = samples.find(({ timeMs }) => timeMs >= now.timeMs - RECORDS_MS)!
  const seconds = (now.timeMs - before.timeMs) / 1000
  const isSame = before.writer?.pid === now.writer?.pid
  const [was, is] = [before.writer?.processorMs, now.writer?.processorMs]
  return {
    recordsPerSecond:
      seconds > 0 ? Math.max(0, now.stats.sequence.next - before.stats.sequence.next) / seconds : undefined,
    bytesPerSecond: bytesPerSecond(now),
    processorShare:
      seconds > 0 && isSame && was !== undefined && is !== undefined
        ? (is - was) / 1000 / seconds
        : undefined,
  }
}

/** From the events of the last minute, and the last one before: what was written since, until now. */
function bytesPerSecond({ timeMs, events, writtenBytes }: Sample): number | undefined {
  const from = timeMs - BYTES_MS
  const before = events.findLast(({ time }) => Date.parse(time) <= from) ?? events[0]
  if (before === undefined) return undefined
  const seconds = (timeMs - Math.max(Date.parse(before.time), from)) / 1000
  return seconds <= 0 ? undefined : Math.max(0, writtenBytes - totalBytes(before.written)) / seconds
}

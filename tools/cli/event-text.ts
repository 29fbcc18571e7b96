/** Events of a table as lines of text, in columns of fixed width: so lines that come later fit those before. */
import { visible } from '../../src/base/describe-value.js'
import { totalBytes, type LoggedEvent } from '../../src/event-log/event.js'
import { formatCount } from './output.js'
import { unitOf } from './words.js'

/** Where the numbers end; the reason, which may be long, comes last. */
const WIDTHS = { inputs: 6, records: 14, bytes: 10, took: 8, files: 6, written: 10, amplification: 13 }
const TIME_WIDTH = '2026-11-29T02:44:12Z'.length
const EVENT_WIDTH = 10

export const EVENT_HEAD = lineOf({
  time: 'time',
  event: 'event',
  inputs: 'inputs',
  records: 'records',
  bytes: 'bytes',
  took: 'took',
  files: 'files',
  written: 'written',
  amplification: 'amplification',
  reason: 'reason',
})

export function eventText(event: LoggedEvent): string {
  const { inputFiles, records, bytes, ms, times, files, put, written, reason = '' } = event
  const total = totalBytes(written)
  return lineOf({
    time: `${event.time.slice(0, 'YYYY-MM-DDTHH:MM:SS'.length)}Z`,
    event: event.event,
    inputs: countText(inputFiles),
    records: countText(records),
    bytes: bytes === undefined ? '' : bytesText(bytes),
    took: ms === undefined ? '' : durationText(ms),
    files: formatCount(files),
    written: bytesText(total),
    amplification: put.bytes === 0 ? '' : (total / put.bytes).toFixed(2),
    // It may be the message of an error, which is told on several lines.
    reason: visible(times === undefined ? reason : `${reason} (${formatCount(times)} times)`.trim()),
  })
}

function lineOf(cells: Readonly<Record<keyof typeof WIDTHS | 'time' | 'event' | 'reason', string>>): string {
  const numbers = Object.entries(WIDTHS).map(([name, width]) =>
    cells[name as keyof typeof WIDTHS].padStart(width),
  )
  const { time, event, reason } = cells
  return [time.padEnd(TIME_WIDTH), event.padEnd(EVENT_WIDTH), ...numbers, reason].join('  ').trimEnd()
}

function countText(count: number | undefined): string {
  return count === undefined ? '' : formatCount(count)
}

/** 12,897,485 as `12.3 MiB`: always one digit behind the point, so that columns are even. */
export function bytesText(bytes: number): string {
  const unit = unitOf(bytes)
  return unit.bytes === 1
    ? `${formatCount(Math.round(bytes))} B`
    : `${(bytes / unit.bytes).toFixed(1)} ${unit.name}`
}

/** 1234 milliseconds as `1.2 s`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = seconds / 60
  if (minutes < 60) return `${minutes.toFixed(1)} min`
  const hours = minutes / 60
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} d`
}

/**
 * A line of the event log: what has happened, and what the table had been given and had written by then, in its life.
 *
 * A line is JSON, ended by `\n`. Nothing depends on it: what cannot be read as a line is skipped. docs/file-format.md,
 * Event log.
 */
import type { DurationStats, LatencyStats } from '../base/latency.js'

/** What may have happened. */
export const EVENT_NAMES = [
  'open',
  'recovery',
  'seal',
  'flush',
  'merge',
  'compact',
  'drop',
  'clear',
  'bulk-load',
  'publish',
  'wait',
  'poisoned',
  'mark',
  'close',
] as const

export type EventName = (typeof EVENT_NAMES)[number]

/** Something that has happened in a table that was open for writing. What makes no sense for an event is left out. */
export interface LoggedEvent {
  /** When it was noted: ISO 8601, UTC, with milliseconds. */
  readonly time: string
  readonly event: EventName
  /** Why, in a word or two; of `poisoned` the message of the failure. */
  readonly reason?: string
  /** Bucket files, or runs, that were read or dropped. */
  readonly inputFiles?: number
  /** Operations that were read, replayed, dropped or loaded. */
  readonly records?: number
  /** Bytes of the bucket files that it has written, of `publish` those that were uploaded. */
  readonly bytes?: number
  /** How long it took, in milliseconds. */
  readonly ms?: number
  /** The line stands for that many events of this kind, the other numbers are their sums; left out for one. */
  readonly times?: number
  /** Of `mark` and `close`, if the table was opened with `latency`: how long things have taken since the open. */
  readonly latency?: LatencyStats
  /** Bucket files of the table afterwards. */
  readonly files: number
  /** What was put in the life of the table. */
  readonly put: { readonly records: number; readonly bytes: number }
  /** Bytes handed to write calls in the life of the table, by purpose. */
  readonly written: WrittenBytes
}

/** Bytes handed to write calls, by purpose. */
export interface WrittenBytes {
  readonly wal: number
  readonly buckets: number
  readonly manifest: number
  /** The event log itself. */
  readonly events: number
}

/** What happened, as the part that tells it knows it. */
export type NotedEvent = Pick<
  LoggedEvent,
  'event' | 'reason' | 'inputFiles' | 'records' | 'bytes' | 'ms' | 'times' | 'latency'
>

/** The table at that moment. */
export type TableTotals = Pick<LoggedEvent, 'files' | 'put' | 'written'>

/** A longer reason is cut: a line is short. */
const REASON_CHARACTERS_MAX = 500
/** No line has fewer bytes. */
export const LINE_BYTES_MIN = 100
/** The most bytes of a line that counts. */
export const LINE_BYTES_MAX = 8192
const LATENCY_KINDS = ['puts', 'commits', 'syncs', 'lookups'] as const
const DURATION_NUMBERS: readonly (keyof DurationStats)[] = [
  'count',
  'minUs',
  'meanUs',
  'maxUs',
  'p50Us',
  'p90Us',
  'p99Us',
  'p999Us',
]
const NUMBERS = ['inputFiles', 'records', 'bytes', 'ms', 'times'] as const

export function totalBytes({ wal, buckets, manifest, events }: WrittenBytes): number {
  return wal + buckets + manifest + events
}

/** Two events of one kind and reason as one. */
export function joined(one: NotedEvent, other: NotedEvent): NotedEvent {
  const sums: Partial<Record<(typeof NUMBERS)[number], number>> = {}
  for (const name of NUMBERS) {
    if (one[name] !== undefined || other[name] !== undefined)
      sums[name] = (one[name] ?? 0) + (other[name] ?? 0)
  }
  return { ...other, ...sums, times: (one.times ?? 1) + (other.times ?? 1) }
}

/** The line, with its end. */
export function eventLine(timeMs: number, noted: NotedEvent, totals: TableTotals): string {
  const { event, reason, inputFiles, records, bytes, ms, times, latency } = noted
  // JSON leaves out what is undefined.
  const line = {
    time: new Date(timeMs).toISOString(),
    event,
    reason: reason?.slice(0, REASON_CHARACTERS_MAX),
    inputFiles,
    records,
    bytes,
    ms: ms === undefined ? undefined : Math.round(ms * 10) / 10,
    times,
    latency: latency && roundedLatency(latency),
    ...totals,
  }
  return `${JSON.stringify(line)}\n`
}

/** Whole tenths are enough. */
function roundedLatency(latency: LatencyStats): object {
  const rounded = (stats: DurationStats): object =>
    Object.fromEntries(DURATION_NUMBERS.map(name => [name, Math.round(stats[name] * 10) / 10]))
  return Object.fromEntries(LATENCY_KINDS.map(kind => [kind, latency[kind] && rounded(latency[kind])]))
}

/** The event of a line; `undefined` for anything else, and for events that this version does not know. */
export function parseEventLine(text: string): LoggedEvent | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const line = fieldsOf(value)
  const put = numbersOf(line?.['put'], ['records', 'bytes'])
  const written = numbersOf(line?.['written'], ['wal', 'buckets', 'manifest', 'events'])
  if (line === undefined || put === undefined || written === undefined) return undefined
  const { time, event, reason, files } = line
  if (typeof time !== 'string' || !isTime(time) || !isEventName(event) || !isNumber(files)) return undefined
  const numbers: Partial<Record<(typeof NUMBERS)[number], number>> = {}
  for (const name of NUMBERS) {
    const number = line[name]
    if (number === undefined) continue
    if (!isNumber(number)) return undefined
    numbers[name] = number
  }
  if (reason !== undefined && typeof reason !== 'string') return undefined
  const latency = latencyOf(line['latency'])
  return {
    time,
    event,
    ...(reason === undefined ? {} : { reason }),
    ...numbers,
    ...(latency === undefined ? {} : { latency }),
    files,
    put,
    written,
  }
}

/** `undefined` where there is none, and for what is none: the rest of the line counts anyway. */
function latencyOf(value: unknown): LatencyStats | undefined {
  const fields = fieldsOf(value)
  const [puts, commits, syncs, lookups] = LATENCY_KINDS.map(kind =>
    numbersOf(fields?.[kind], DURATION_NUMBERS),
  )
  if (puts === undefined || commits === undefined || syncs === undefined || lookups === undefined)
    return undefined
  return { puts, commits, syncs, lookups }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

function numbersOf<N extends string>(value: unknown, names: readonly N[]): Record<N, number> | undefined {
  const fields = fieldsOf(value)
  const numbers: Partial<Record<N, number>> = {}
  for (const name of names) {
    const number = fields?.[name]
    if (!isNumber(number)) return undefined
    numbers[name] = number
  }
  return numbers as Record<N, number>
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text))
}

function isEventName(value: unknown): value is EventName {
  return (EVENT_NAMES as readonly unknown[]).includes(value)
}

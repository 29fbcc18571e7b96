/**
 * How long things take: a histogram for each kind, of a table that was opened with `latency`. Without the option there is no
 * `Latency`, and nobody looks at a clock. docs/api.md, Latency.
 */
import * as perfHooks from 'node:perf_hooks'
import { FlashTableError } from './errors.js'

/** Longer durations count as this. */
const HIGHEST_MS = 1_000_000
const NS_PER_MS = 1e6
const NS_PER_US = 1000
/** Digits that are exact. */
const FIGURES = 3

/** What was measured of one kind, in microseconds. All are 0 before the first one. */
export interface DurationStats {
  readonly count: number
  readonly minUs: number
  readonly meanUs: number
  readonly maxUs: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
}

/** How long things have taken since the open. */
export interface LatencyStats {
  /** Calls that put or delete, each from the call until it resolves. `undefined`: opened with `readOnly`. */
  readonly puts: DurationStats | undefined
  /** Commit groups: a frame is written to the log, and its rows go to the memtable. */
  readonly commits: DurationStats | undefined
  /** Syncs of the log. */
  readonly syncs: DurationStats | undefined
  /** Lookups that had to read pages from the disk, each from the first read to the answer. */
  readonly lookups: DurationStats
}

/** Durations of one kind. */
export class Durations {
  readonly #histogram = newHistogram()

  /** Hot. */
  add(ms: number): void {
    this.#histogram.record(Math.round(Math.min(HIGHEST_MS, Math.max(0, ms)) * NS_PER_MS) || 1)
  }

  read(): DurationStats {
    const histogram = this.#histogram
    const { count } = histogram
    const us = (ns: number): number => (count === 0 ? 0 : ns / NS_PER_US)
    return {
      count,
      minUs: us(histogram.min),
      meanUs: us(histogram.mean),
      maxUs: us(histogram.max),
      p50Us: us(histogram.percentile(50)),
      p90Us: us(histogram.percentile(90)),
      p99Us: us(histogram.percentile(99)),
      p999Us: us(histogram.percentile(99.9)),
    }
  }
}

export class Latency {
  /** Milliseconds from any moment on. */
  readonly now: () => number
  readonly puts = new Durations()
  readonly commits = new Durations()
  readonly syncs = new Durations()
  readonly lookups = new Durations()
  /** When the write call began that is handing its records over right now. */
  calledMs = 0

  constructor(now: () => number) {
    this.now = now
  }

  /** A write call begins: it takes its turn before the event loop turns. */
  begin(): void {
    this.calledMs = this.now()
  }
}

function newHistogram(): perfHooks.RecordableHistogram {
  // Not every runtime that has the module has this function.
  if (typeof perfHooks.createHistogram !== 'function')
    throw new FlashTableError(
      'FLASHTABLE_UNSUPPORTED_RUNTIME',
      'this runtime has no createHistogram of node:perf_hooks; open without the option latency',
    )
  return perfHooks.createHistogram({ highest: HIGHEST_MS * NS_PER_MS, figures: FIGURES })
}

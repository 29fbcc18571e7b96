/**
 * What was put and written in the life of a table, over all of its opens.
 *
 * The parts that write report here while the table is open. Each manifest stores a copy, from which the next open goes
 * on counting. docs/api.md, Statistics.
 */
import type { ManifestCounters } from '../manifest/manifest.js'

export class LifetimeCounters {
  readonly #counters: { -readonly [name in keyof ManifestCounters]: number }
  readonly #recordBytes: number

  /** `stored`: the counters of the manifest that was loaded. `recordBytes`: bytes of one record. */
  constructor(stored: ManifestCounters, recordBytes: number) {
    this.#counters = { ...stored }
    this.#recordBytes = recordBytes
  }

  /** Counts bytes that write calls have transferred to log segments. */
  readonly countLog = (bytes: number): void => {
    this.#counters.walBytes += bytes
  }

  /** Counts bytes that write calls have transferred to bucket files and spills. */
  readonly countBuckets = (bytes: number): void => {
    this.#counters.bucketBytes += bytes
  }

  /** Counts bytes that write calls have transferred to manifests. */
  readonly countManifest = (bytes: number): void => {
    this.#counters.manifestBytes += bytes
  }

  /** Counts bytes that write calls have transferred to the event log. */
  readonly countEvents = (bytes: number): void => {
    this.#counters.eventBytes += bytes
  }

  /** Counts records that were put. */
  countPuts(records: number): void {
    this.#counters.records += records
    this.#counters.recordBytes += records * this.#recordBytes
  }

  /** The counters as a manifest stores them. `morePuts`: records that will count once that manifest is installed. */
  read(morePuts = 0): ManifestCounters {
    const { records, recordBytes } = this.#counters
    return {
      ...this.#counters,
      records: records + morePuts,
      recordBytes: recordBytes + morePuts * this.#recordBytes,
    }
  }
}

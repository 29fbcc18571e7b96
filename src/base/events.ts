/** What happens inside a table, on `node:diagnostics_channel`: no cost without a subscriber. docs/api.md, Events. */
import { channel } from 'node:diagnostics_channel'

/**
 * Why runs become a file: there are enough of them; the log is mostly padding; other tables need the memory; or
 * `compact()` was called.
 */
export type FlushReason = 'full' | 'padded-log' | 'memory-budget' | 'compact'
/** Why bucket files are merged: there are `fanout` in a level, or much in them is hidden. */
export type MergeReason = 'level-full' | 'garbage'

export type TableEvent =
  /**
   * A memtable has become a run in memory (`seal`), runs have become a bucket file (`flush`), bucket files have become one
   * (`merge`, `compact`), or files whose records are all hidden have been dropped (`drop`).
   */
  | {
      readonly kind: 'seal' | 'flush' | 'merge' | 'compact' | 'drop'
      /** Why, where the compactor has decided it: {@link FlushReason}, {@link MergeReason}, `hidden`. */
      readonly reason?: FlushReason | MergeReason | 'hidden'
      readonly inputFiles: number
      readonly operations: number
      readonly bytesWritten: number
      readonly durationMs: number
    }
  /**
   * Puts have waited for a seal, or because flushes and merges are behind (`merge`); or a seal, flush or merge waits, before
   * it is tried again, for space on the disk, or for descriptors, memory or threads (`resources`); or a
   * merge is due, and `writeBudget` does not allow it yet (`budget`).
   */
  | {
      readonly kind: 'wait'
      readonly reason: 'seal' | 'merge' | 'space' | 'resources' | 'budget'
      /** Whether it was tried before, and waits for the same once more. */
      readonly again: boolean
      readonly durationMs: number
    }
  /**
   * The garbage collector has found a snapshot that was not closed, or an iterator that was not ended: the files that
   * it held are released. `sequence`: the sequence number of the state it showed.
   */
  | { readonly kind: 'forgotten'; readonly what: 'snapshot' | 'scan'; readonly sequence: number }
  /** An open has replayed the log; `bytesWritten` if it wrote bucket files from it. */
  | {
      readonly kind: 'recovery'
      /** How the last life has ended. */
      readonly reason: 'after-close' | 'after-crash'
      readonly operations: number
      readonly bytesWritten: number
      readonly durationMs: number
    }

const CHANNELS = {
  seal: channel('flashtable:seal'),
  flush: channel('flashtable:flush'),
  merge: channel('flashtable:compaction'),
  compact: channel('flashtable:compaction'),
  drop: channel('flashtable:compaction'),
  wait: channel('flashtable:wait'),
  forgotten: channel('flashtable:forgotten'),
  recovery: channel('flashtable:recovery'),
} as const

/** Publishes what has happened in the table that was opened as `directory`. */
export function publishEvent(directory: string, event: TableEvent): void {
  const target = CHANNELS[event.kind]
  if (target.hasSubscribers) target.publish({ directory, ...event })
}

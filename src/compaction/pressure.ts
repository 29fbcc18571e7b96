/**
 * When runs are flushed, and how far flushes and merges are behind: pure functions of what there is. docs/internals.md, Runs,
 * Debt.
 */
import type { Run } from '../state/version.js'

/** A log that takes this many times as much as its records, because small syncs have padded it, is not worth keeping, ... */
const PADDED_LOG = 4
/** ... if it is no shorter than this. */
const PADDED_LOG_BYTES_MIN = 2 ** 20
/** There are no more bucket files than this, or twice `fanout`: puts are delayed, so that merges keep up. ... */
const FILES_MAX = 32
/** ... With this share of them puts are free. */
const FILES_FREE = 3 / 4
/** Beyond the runs that are being flushed there may be half as many new ones, and this many. */
const MORE_RUNS = 1

/** Why a flush is due, if one is: enough runs, by number or by records, or a padded log that is better overwritten soon. */
export function dueFlush(
  runs: readonly Pick<Run, 'file' | 'logBytes'>[],
  runsPerFlush: number,
  bufferRecords: number,
  recordBytes: number,
): 'full' | 'padded-log' | undefined {
  if (runs.length >= runsPerFlush) return 'full'
  const records = runs.reduce((sum, { file }) => sum + (file?.entry.records ?? 0), 0)
  // Large batches make large runs.
  if (records >= bufferRecords) return 'full'
  const logBytes = runs.reduce((sum, run) => sum + run.logBytes, 0)
  const padded = Math.max(PADDED_LOG_BYTES_MIN, PADDED_LOG * records * recordBytes)
  return logBytes >= padded ? 'padded-log' : undefined
}

/** With this many runs seals wait for a flush. */
export function runsMax(runsPerFlush: number): number {
  return runsPerFlush + (runsPerFlush >>> 1) + MORE_RUNS
}

/** How far merges are behind: from 0, they keep up, to 1. */
export function debtOfFiles(files: number, fanout: number): number {
  const filesMax = Math.max(FILES_MAX, 2 * fanout) - 1
  return shareOf(files, FILES_FREE * filesMax, filesMax)
}

/** Files beyond those with which puts are free. */
export function filesBeyondFree(files: number, fanout: number): number {
  return Math.max(0, files - Math.floor(FILES_FREE * (Math.max(FILES_MAX, 2 * fanout) - 1)))
}

/** How far flushes are behind, in the same way. */
export function debtOfRuns(runs: number, runsPerFlush: number): number {
  return shareOf(runs, runsPerFlush + 1, runsMax(runsPerFlush))
}

/** Where `n` lies between `from` and `to`: 0 to 1. */
function shareOf(n: number, from: number, to: number): number {
  return n <= from ? 0 : Math.min(1, (n - from) / (to - from))
}

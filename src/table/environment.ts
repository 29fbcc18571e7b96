/**
 * What the table needs from the world: disk, lock, randomness, time, threads. Tests pass their own.
 *
 * docs/internals.md, Seams.
 */
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Latency } from '../base/latency.js'
import type { BlockCache } from '../block-cache/block-cache.js'
import { newExecutor } from '../executor/worker-executor.js'
import type { FileSystem } from '../io/file-system.js'
import { acquireLock } from '../io/lock.js'
import { nodeFileSystem } from '../io/node-file-system.js'
import type { Executor } from '../jobs/job.js'
import type { ResolvedOptions } from '../options/options.js'
import type { BufferBudget } from '../state/buffer-budget.js'

export interface Environment {
  readonly fileSystem: FileSystem
  readonly acquireLock: (
    directory: string,
    options: { timeoutMs: number; signal?: AbortSignal | undefined },
  ) => Promise<{ release(): Promise<void> }>
  readonly newExecutor: () => Executor
  readonly randomBytes: (count: number) => Uint8Array
  /** Resolves after `ms` milliseconds, or when the signal aborts. Does not keep the process alive. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  /** Milliseconds from any moment on: how long a read, or a job, took. */
  readonly now: () => number
  /** Milliseconds since 1970: when something happened. */
  readonly date: () => number
  /** Runs that are flushed together; absent: as many as the size of the buffer makes. */
  readonly runsPerFlush?: number | undefined
  /** Rows of one key that are looked through or merged together; absent: some thousand. */
  readonly keyRows?: number | undefined
  /** Bytes of blocks that a remote reader keeps in memory; absent: 16 MiB. */
  readonly blockBytes?: number | undefined
  /** What all tables together may have in memory; absent: the budget of the process. */
  readonly budget?: BufferBudget | undefined
  /** Where readers of published tables keep blocks, and who closes it; absent: each has a cache of its own. */
  readonly blockCache?: BlockCache | undefined
  /**
   * Called with memory whose last reader has released it, before anything else is put there. The tests fill it with
   * rubbish, so that a read after the release is noticed.
   */
  readonly memoryFreed?: ((memory: Uint8Array) => void) | undefined
}

/** Where it is noted how long things take, if the options ask for it. */
export function latencyOf({ latency }: ResolvedOptions, { now }: Environment): Latency | undefined {
  return latency ? new Latency(now) : undefined
}

/** The real world. */
export const nodeEnvironment: Environment = {
  fileSystem: nodeFileSystem,
  acquireLock: (directory, options) => acquireLock(directory, options),
  newExecutor,
  randomBytes: count => Uint8Array.from(randomBytes(count)),
  now: () => performance.now(),
  date: () => Date.now(),
  wait,
}

/** A timer that is longer fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  let left = ms
  do {
    await sleep(Math.min(left, TIMER_MS_MAX), undefined, { ref: false, signal }).catch(() => {})
    left -= TIMER_MS_MAX
  } while (left > 0 && !signal.aborted)
}

/**
 * The environment of a table on a simulated disk: no lock, jobs on this thread, random bytes and waits without a clock.
 * Memory that nobody reads any more becomes rubbish.
 */
import { createHash } from 'node:crypto'
import { inlineExecutor } from '../../src/executor/inline-executor.js'
import { BufferBudget } from '../../src/state/buffer-budget.js'
import type { Environment } from '../../src/table/environment.js'
import { laterExecutor } from './later-executor.js'
import type { SimulatedFileSystem } from './simulated-file-system.js'

/** What freed memory is filled with. */
const RUBBISH = 0xa5

/** No run takes that long: such a wait ends when it is aborted. */
const ENDLESS_MS = 60_000
const START_MS = Date.UTC(2026, 0, 1)

/** How jobs run: at once, step by step; or later and beside other calls. */
export type JobForm = 'inline' | 'later'

export const JOB_FORMS: readonly JobForm[] = ['inline', 'later']

/** `keyRows`: as in {@link Environment}, of jobs too. */
export function simulatedEnvironment(
  fileSystem: SimulatedFileSystem,
  jobs: JobForm = 'inline',
  keyRows?: number,
): Environment {
  return {
    fileSystem,
    acquireLock: () => Promise.resolve({ release: () => Promise.resolve() }),
    newExecutor: () =>
      jobs === 'inline'
        ? inlineExecutor(fileSystem, keyRows)
        : laterExecutor(fileSystem, fileSystem.calls, keyRows),
    randomBytes: count => bytesOf(fileSystem, count),
    wait: (ms, signal) =>
      ms < ENDLESS_MS
        ? new Promise(resolve => void setImmediate(resolve))
        : new Promise(resolve =>
            signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve()),
          ),
    date: () => START_MS + timeOf(fileSystem.calls),
    now: () => timeOf(fileSystem.calls),
    memoryFreed: spoil,
    keyRows,
    budget: new BufferBudget(Infinity),
  }
}

/** The same in each run: each call takes 30 us, and one of seven 100 us more. So some reads block, and others do not. */
function timeOf(calls: number): number {
  return 0.03 * calls + 0.1 * Math.floor(calls / 7)
}

/** Fills memory that was released with rubbish, so that a read after the release is seen. */
export function spoil(memory: Uint8Array): void {
  memory.fill(RUBBISH)
}

/** The same in each run, and different for each table: by then there are other files, or more calls were made. */
function bytesOf(disk: SimulatedFileSystem, count: number): Uint8Array {
  const now = JSON.stringify([disk.calls, disk.files()])
  return Uint8Array.from(createHash('sha256').update(now).digest().subarray(0, count))
}

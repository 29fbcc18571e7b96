/**
 * One writer a table: the pid file always, and `flock` on top where that can be had.
 *
 * Who can have it takes both, who cannot takes the pid file alone: as all need the pid file, they exclude each other.
 * A process excludes itself as well, by whatever path it opens the table again. The lock is of the real disk: the
 * simulated one of the tests has no processes, and goes with {@link noLock}. docs/durability.md, Locking.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError, diskError } from '../base/errors.js'
import { LOCK_NAME } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { flockTool, loadFlock, type Flock, type HeldFlock } from './flock.js'
import { nodeFileSystem } from './node-file-system.js'
import { PidFile, type LockRecord } from './pid-file.js'
import { processesOf, type ProcessIdentity, type Processes } from './process-identity.js'

/** A lock that is held. */
export interface TableLock {
  /** Gives it up, if it is still ours; a second call does nothing. `FLASHTABLE_IO_ERROR` if LOCK cannot be removed. */
  release(): Promise<void>
}

export interface LockOptions {
  /** How long to wait for another writer; 0: not at all; `Infinity`: without end. */
  readonly timeoutMs: number
  /** Ends the waiting: it rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
}

export type AcquireLock = (directory: string, options: LockOptions) => Promise<TableLock>

/** What the lock is made of; tests put their own here. */
export interface LockParts {
  readonly fileSystem: FileSystem
  readonly processes: Processes
  readonly flock: Flock | undefined
  /** Milliseconds that only go forward. */
  readonly now: () => number
  /** Rejects with whatever when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>
}

const FIRST_WAIT_MS = 5
const LONGEST_WAIT_MS = 100

/** The lock of the real disk. Throws `FLASHTABLE_LOCKED`, `_IO_ERROR`, `_DISK_FULL`. Requires: the directory exists. */
export const acquireLock: AcquireLock = (directory, options) => lockOf(realLockParts())(directory, options)

/** For a table on a simulated disk. */
export const noLock: AcquireLock = () => Promise.resolve({ release: () => Promise.resolve() })

let real: LockParts | undefined

/** @internal What the lock of the real disk is made of. */
export function realLockParts(): LockParts {
  real ??= {
    fileSystem: nodeFileSystem,
    processes: processesOf('/proc'),
    flock: loadFlock() ?? flockTool,
    now: () => performance.now(),
    sleep: (ms, signal) => sleepFor(ms, undefined, signal === undefined ? {} : { signal }),
  }
  return real
}

/** A lock made of these parts. */
export function lockOf(parts: LockParts): AcquireLock {
  return async (directory, { timeoutMs, signal }) => {
    const deadline = parts.now() + timeoutMs
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      throwIfAborted(signal)
      const taken = await take(parts, directory)
      if (taken.lock !== undefined) return taken.lock
      const left = deadline - parts.now()
      if (left <= 0) throw lockedBy(taken.holder, directory, await parts.processes.self())
      await parts.sleep(Math.min(wait, left), signal).catch(() => {})
    }
  }
}

type Taken =
  { readonly lock: TableLock } | { readonly lock?: undefined; readonly holder: LockRecord | undefined }

async function take(parts: LockParts, directory: string): Promise<Taken> {
  const { fileSystem, processes } = parts
  let flock: HeldFlock | 'taken' | undefined
  try {
    flock = await parts.flock?.take(directory)
    const held = typeof flock === 'object'
    const place = (await fileSystem.stamp(directory))?.identity
    const record: LockRecord = {
      ...(await processes.self()),
      token: randomBytes(16).toString('hex'),
      flock: held,
      ...(place === undefined ? {} : { place }),
    }
    const pidFile = new PidFile(fileSystem, directory, record)
    const isAlive = (other: LockRecord): Promise<boolean> => mayLive(processes, other, record)
    const holder = flock === 'taken' ? await pidFile.holder(isAlive) : await pidFile.take(isAlive)
    if (flock === 'taken' || holder !== undefined) {
      giveUp(flock)
      return { holder }
    }
    return { lock: heldLock(pidFile, directory, flock) }
  } catch (error) {
    giveUp(flock)
    throw diskError(error, `cannot lock ${directory}`)
  }
}

/**
 * A holder that had the flock is gone when we have it: whatever its pid says, as a thread may have been terminated in a
 * process that lives. That holds only where both have locked the same directory of the same file system on one machine;
 * another mount of it has other locks.
 *
 * A holder in another pid namespace cannot be seen otherwise. It may live, and two writers would be worse than a LOCK that
 * has to be deleted by hand.
 */
async function mayLive(processes: Processes, holder: LockRecord, own: LockRecord): Promise<boolean> {
  const liveness = await processes.judge(holder)
  if (liveness === 'dead') return false
  if (!own.flock || !holder.flock) return true
  if (holder.place === undefined) return liveness === 'alive'
  return holder.place !== own.place || holder.bootId !== own.bootId || own.bootId === ''
}

function heldLock(pidFile: PidFile, directory: string, flock: HeldFlock | undefined): TableLock {
  let released = false
  return {
    async release() {
      if (released) return
      released = true
      try {
        await pidFile.release()
      } catch (error) {
        throw diskError(error, `cannot unlock ${directory}`)
      } finally {
        giveUp(flock)
      }
    },
  }
}

function giveUp(flock: HeldFlock | 'taken' | undefined): void {
  if (typeof flock === 'object') flock.release()
}

function lockedBy(holder: LockRecord | undefined, directory: string, self: ProcessIdentity): FlashTableError {
  const message = `${directory} is open for writing ${placeOf(holder, directory, self)}`
  return new FlashTableError('FLASHTABLE_LOCKED', message)
}

function placeOf(holder: LockRecord | undefined, directory: string, self: ProcessIdentity): string {
  if (holder === undefined)
    return 'in another process, which is just opening or closing it; try again, or set lockTimeoutMs'
  if (holder.pidNamespace !== self.pidNamespace) {
    return (
      `in process ${holder.pid} of another pid namespace (a container?), which cannot be seen from here; ` +
      `if that has ended, delete ${join(directory, LOCK_NAME)}`
    )
  }
  const what = holder.pid === self.pid ? `process ${holder.pid}, which is this one` : `process ${holder.pid}`
  return `in ${what}; close it there, or wait with lockTimeoutMs`
}

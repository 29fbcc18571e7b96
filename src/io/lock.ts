/**
 * Lets one writer at a time open a table.
 *
 * 1. Take `flock` on the directory, if this system has it. If another writer holds it, go to 4.
 * 2. Take the pid file LOCK: if there is none, or if its holder is dead. If a living writer holds it, go to 4.
 * 3. Both are ours: the table may be opened. `release` removes LOCK and then releases the flock.
 * 4. Release what was taken, wait, and go to 1; after `timeoutMs` throw `FLASHTABLE_LOCKED`, which names the holder.
 *
 * Every writer needs the pid file, so writers with and without `flock` exclude each other. A process also excludes
 * itself, whatever path it opens the table by. docs/durability.md, Locking.
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
  /** Releases the lock if it is still ours; idempotent. Rejects with `FLASHTABLE_IO_ERROR` if LOCK cannot be removed. */
  release(): Promise<void>
}

export interface LockOptions {
  /** How long to wait for another writer: 0 for not at all, `Infinity` for ever. */
  readonly timeoutMs: number
  /** Ends the wait, which rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
}

export type AcquireLock = (directory: string, options: LockOptions) => Promise<TableLock>

/** What the lock needs of the system; tests pass their own. */
export interface LockParts {
  readonly fileSystem: FileSystem
  readonly processes: Processes
  readonly flock: Flock | undefined
  /** A clock in milliseconds that never goes back. */
  readonly now: () => number
  /** Rejects when the signal aborts; the reason is ignored. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>
}

const FIRST_WAIT_MS = 5
const LONGEST_WAIT_MS = 100

/** The lock of the real disk. Throws `FLASHTABLE_LOCKED`, `_IO_ERROR`, `_DISK_FULL`. Requires: the directory exists. */
export const acquireLock: AcquireLock = (directory, options) => lockOf(realLockParts())(directory, options)

let real: LockParts | undefined

/** @internal The parts of the lock of the real disk. */
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

/** The lock made of these parts. */
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
 * Whether the holder may still be writing.
 *
 * If the holder had the flock and we have it now, the holder is gone, even if its process lives: its thread may have
 * been terminated. This is true only if both locked the same directory of the same file system on one machine: another
 * mount has its own locks.
 *
 * Nothing else tells whether a holder in another pid namespace lives. It is taken to live, because two writers would be
 * worse than a LOCK that somebody has to delete by hand.
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
  const message = `${directory} is open for writing ${holderText(holder, directory, self)}`
  return new FlashTableError('FLASHTABLE_LOCKED', message)
}

function holderText(holder: LockRecord | undefined, directory: string, self: ProcessIdentity): string {
  if (holder === undefined)
    return 'in another process, which is just opening or closing it; try again, or set lockTimeoutMs'
  if (holder.pidNamespace !== self.pidNamespace) {
    return (
      `in process ${holder.pid} of another pid namespace (a container?), which cannot be seen from here; ` +
      `if it has ended, delete ${join(directory, LOCK_NAME)}`
    )
  }
  const what = holder.pid === self.pid ? `process ${holder.pid}, which is this one` : `process ${holder.pid}`
  return `in ${what}; close it there, or wait with lockTimeoutMs`
}

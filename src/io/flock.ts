/**
 * `flock` on the table's directory, in addition to the pid file.
 *
 * The system releases it when the process ends, however it ends; Node releases it when a thread is terminated. It works
 * across containers, where a pid does not, and it still holds when somebody deletes the pid file by hand. The directory
 * is locked, not the pid file, because its inode never changes.
 *
 * Node has no call for it. The optional native package fs-ext has one. Without it, on Linux, the program flock(1) of
 * util-linux or busybox takes the lock for us: it belongs to the open file, which we share with the program and keep
 * open. docs/durability.md, Locking.
 */
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import process from 'node:process'
import { isMainThread } from 'node:worker_threads'
import { codeOf } from '../base/errors.js'

export interface Flock {
  /** `undefined` if there is no flock (`ENOTSUP`, no program, ...): then nothing is known and nothing is held. */
  take(directory: string): FlockAnswer | Promise<FlockAnswer>
}

export type FlockAnswer = HeldFlock | 'taken' | undefined

export interface HeldFlock {
  release(): void
}

interface FsExt {
  flockSync(descriptor: number, mode: 'exnb'): void
}

/** `undefined` where fs-ext is not installed, was installed without its build step (it throws when loaded), or in a worker. */
export function loadFlock(load: () => unknown = requireFsExt): Flock | undefined {
  try {
    const fsExt = load()
    return isFsExt(fsExt) ? { take: directory => take(fsExt, directory) } : undefined
  } catch {
    return undefined
  }
}

/**
 * Only in the main thread: fs-ext 2.1.1 aborts the process when a worker loads it a second time. Bundlers do not see
 * this import, because they could not pack it; a bundle finds the package if it is installed beside the program.
 */
function requireFsExt(): unknown {
  if (!isMainThread) return undefined
  const { url } = import.meta as { readonly url?: string }
  for (const place of [url, process.argv[1]]) {
    try {
      if (place !== undefined) return process.getBuiltinModule('node:module').createRequire(place)('fs-ext')
    } catch {
      // It is not installed, or was not built.
    }
  }
  return undefined
}

function isFsExt(loaded: unknown): loaded is FsExt {
  return (
    typeof loaded === 'object' &&
    loaded !== null &&
    typeof (loaded as Partial<FsExt>).flockSync === 'function'
  )
}

function take(fsExt: FsExt, directory: string): FlockAnswer {
  const descriptor = openDirectory(directory)
  try {
    fsExt.flockSync(descriptor, 'exnb')
  } catch (error) {
    fs.closeSync(descriptor)
    const code = codeOf(error)
    return code === 'EAGAIN' || code === 'EWOULDBLOCK' ? 'taken' : undefined
  }
  return heldBy(descriptor)
}

/** By the program flock(1). */
export const flockTool: Flock = { take: directory => takeWith('flock', directory) }

/** `program`: tests pass another one. */
export async function takeWith(program: string, directory: string): Promise<FlockAnswer> {
  const descriptor = openDirectory(directory)
  const code = await exitCodeOf(program, ['-x', '-n', '3'], descriptor)
  // Some runtimes do not pass the descriptor on: then something else may have been locked.
  if (code === 0 && holdsFlock(descriptor)) return heldBy(descriptor)
  fs.closeSync(descriptor)
  return code === CODE_TAKEN ? 'taken' : undefined
}

/** The exit code of flock(1) when somebody else has the lock. */
const CODE_TAKEN = 1
const PROGRAM_TIMEOUT_MS = 5000

/** Runs the program with `descriptor` as its descriptor 3; `undefined` if it cannot be run. */
function exitCodeOf(program: string, args: string[], descriptor: number): Promise<number | undefined> {
  return new Promise(resolve => {
    try {
      const child = spawn(program, args, {
        stdio: ['ignore', 'ignore', 'pipe', descriptor],
        timeout: PROGRAM_TIMEOUT_MS,
      })
      // It prints a message for every failure but a taken lock; busybox has one exit code for both.
      let complained = false
      child.stderr?.once('data', () => (complained = true))
      child.once('error', () => resolve(undefined))
      child.once('close', code => resolve(complained ? undefined : (code ?? undefined)))
    } catch {
      resolve(undefined)
    }
  })
}

/** Whether an exclusive flock belongs to this open file, by proc(5). */
function holdsFlock(descriptor: number): boolean {
  try {
    const info = fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1')
    return /^lock:.*\bFLOCK\b.*\bWRITE\b/m.test(info)
  } catch {
    return false
  }
}

function openDirectory(directory: string): number {
  return fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
}

/** Closing the only descriptor of the open file releases the lock. */
function heldBy(descriptor: number): HeldFlock {
  return { release: () => fs.closeSync(descriptor) }
}

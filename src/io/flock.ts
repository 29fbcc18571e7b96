/**
 * `flock` on the table's directory, through the optional native package fs-ext: on top of the pid file.
 *
 * The system gives it up with the process, however that ends; it sees through containers, which a pid does not; and it
 * still holds when somebody deletes the pid file by hand. The directory is what is locked, as its inode never changes
 * while the pid file's does. docs/durability.md, Locking.
 */
import { closeSync, constants, openSync } from 'node:fs'
import process from 'node:process'
import { isMainThread } from 'node:worker_threads'
import { hasCode } from '../errors.js'

export interface Flock {
  /** `undefined` where this file system has no flock (`ENOTSUP`, ...): then nothing is known and nothing is held. */
  take(directory: string): HeldFlock | 'taken' | undefined
}

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
 * In the main thread only: loaded a second time in the same process, for a worker, fs-ext 2.1.1 aborts the process. No
 * bundler sees what is loaded here, as none could pack it; a bundle finds it beside the program, where it is installed.
 */
function requireFsExt(): unknown {
  if (!isMainThread) return undefined
  const { url } = import.meta as { readonly url?: string }
  for (const place of [url, process.argv[1]]) {
    try {
      if (place !== undefined) return process.getBuiltinModule('node:module').createRequire(place)('fs-ext')
    } catch {
      // It is not there, or is there without its build.
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

function take(fsExt: FsExt, directory: string): HeldFlock | 'taken' | undefined {
  const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsExt.flockSync(descriptor, 'exnb')
  } catch (error) {
    closeSync(descriptor)
    return hasCode(error, 'EAGAIN') || hasCode(error, 'EWOULDBLOCK') ? 'taken' : undefined
  }
  // Closing the only descriptor of the open file gives the lock up.
  return { release: () => closeSync(descriptor) }
}

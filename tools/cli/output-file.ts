/**
 * Where long results go: standard output (`-`), or a file that is there as a whole or not at all.
 *
 * A file is written beside its place, under a name of its own, and renamed when all of it is on the device. If the work
 * fails or is interrupted, what was written is removed. Crash: a file `NAME.PID.partial` is left, never half of NAME.
 */
import type { Stats } from 'node:fs'
import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { diskError, FlashTableError } from '../../src/base/errors.js'
import { closing } from './closing.js'
import { printChunk } from './streams.js'

/** Where a command writes its records. */
export interface Output {
  /** Resolves when more may be written: the one who writes waits for the one who reads. */
  write(chunk: string | Uint8Array): Promise<void>
}

export interface OutputOptions {
  /** A path, or `-` for standard output. */
  readonly path: string
  /** Whether a file that is there is replaced. */
  readonly force?: boolean | undefined
  /** Aborts between two writes, with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Called with the bytes that have been written. */
  readonly onProgress?: ((bytesWritten: number) => void) | undefined
}

/** Standard output takes no more: its reader has seen enough, or it has failed. */
class OutputClosed extends Error {}

/**
 * Runs `work` with an output. Resolves to `undefined` if standard output takes no more: why is told at the end, and a
 * reader that has seen enough is no failure. Rejects with `FLASHTABLE_EXISTS`, and with what `work` rejects with.
 */
export async function withOutput<Result>(
  options: OutputOptions,
  work: (output: Output) => Promise<Result>,
): Promise<Result | undefined> {
  if (options.path !== '-') return intoFile(options, work)
  try {
    return await work(outputTo(chunk => printChunk(chunk, options.signal), options))
  } catch (error) {
    if (error instanceof OutputClosed) return undefined
    throw error
  }
}

async function intoFile<Result>(
  options: OutputOptions,
  work: (output: Output) => Promise<Result>,
): Promise<Result> {
  const found = await stat(options.path).catch(missing)
  // A device or a pipe cannot be replaced, and should not be.
  if (found !== undefined && !found.isFile() && !found.isDirectory())
    return written(options.path, options, work)
  refuseExisting(found, options)
  // Of a link, the file that it names.
  const path = found === undefined ? options.path : await realpath(options.path)
  const partial = `${path}.${process.pid}.partial`
  try {
    const result = await written(partial, options, work)
    refuseExisting(await stat(path).catch(missing), options)
    await rename(partial, path)
    await syncDirectory(dirname(path))
    return result
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {})
    throw error
  }
}

/** The result of `work`, once all that it has written to the file is on the device. */
async function written<Result>(
  path: string,
  options: OutputOptions,
  work: (output: Output) => Promise<Result>,
): Promise<Result> {
  const file = await open(path, 'w').catch((error: unknown) => {
    missing(error)
    throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no directory ${dirname(path)}; make it first`)
  })
  return closing(file, async handle => {
    const info = await handle.stat()
    const write = async (chunk: Uint8Array): Promise<boolean> => {
      await writeAll(handle, chunk, options.path)
      return true
    }
    const result = await work(outputTo(write, options))
    options.signal?.throwIfAborted()
    if (info.isFile()) await handle.sync()
    return result
  })
}

function outputTo(
  write: (chunk: Uint8Array) => Promise<boolean>,
  { signal, onProgress }: OutputOptions,
): Output {
  let bytesWritten = 0
  return {
    async write(chunk) {
      signal?.throwIfAborted()
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (!(await write(bytes))) throw new OutputClosed()
      bytesWritten += bytes.byteLength
      onProgress?.(bytesWritten)
    },
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, path: string): Promise<void> {
  try {
    for (let at = 0; at < chunk.byteLength;) at += (await handle.write(chunk, at)).bytesWritten
  } catch (error) {
    throw diskError(error, `${path} cannot be written`)
  }
}

function refuseExisting(found: Stats | undefined, { path, force }: OutputOptions): void {
  if (found === undefined || (force === true && found.isFile())) return
  const what = found.isFile() ? 'a file; --force replaces it' : 'a directory; give the path of a file'
  throw new FlashTableError('FLASHTABLE_EXISTS', `${path} is ${what}`)
}

function missing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
  throw error
}

async function syncDirectory(path: string): Promise<void> {
  await closing(await open(path, 'r'), directory => directory.sync())
}

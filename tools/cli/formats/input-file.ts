/** A file that is imported, or standard input: its first bytes, and all of them in pieces of one size. */
import type { Stats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { addAbortSignal } from 'node:stream'
import { WrongFileError } from './wrong-file.js'

/** How standard input is named on the command line. */
export const STANDARD = '-'

export interface InputFile {
  /** For messages. */
  readonly path: string
  /** `undefined`: standard input, which is read once, from its start to its end. */
  readonly bytes: number | undefined
  /** The first bytes: `length`, or all there are. They are still there for `pieces`. */
  head(length: number): Promise<Buffer>
  /** All bytes from `start` on, in pieces of `pieceBytes`; the last one may be shorter. Each is a buffer of its own. */
  pieces(pieceBytes: number, start?: number): AsyncGenerator<Buffer<ArrayBuffer>>
  close(): Promise<void>
}

/** A file on disk, which can be read anywhere. */
export interface DiskFile extends InputFile {
  readonly bytes: number
  /** For libraries that read it by themselves. It is closed with the file. */
  readonly handle: FileHandle
  /** Bytes from `start` to `end`. Throws a {@link WrongFileError} if there are fewer. */
  read(start: number, end: number): Promise<Buffer<ArrayBuffer>>
  /** Throws a {@link WrongFileError} if another program has written to it since it was opened. */
  checkUnchanged(): Promise<void>
}

export function isOnDisk(file: InputFile): file is DiskFile {
  return file.bytes !== undefined
}

/** Opens a file; `-` is standard input, for which the signal ends the wait. Throws a {@link WrongFileError} if it is a directory, a pipe or a device. */
export async function openInput(path: string, signal?: AbortSignal): Promise<InputFile> {
  if (path === STANDARD) return new StandardInput(signal)
  // Not by its handle: opening a pipe would wait for a writer.
  checkRegular(path, await stat(path))
  const handle = await open(path, 'r')
  try {
    const info = await handle.stat()
    checkRegular(path, info)
    return new RegularFile(path, info, handle)
  } catch (error) {
    await handle.close()
    throw error
  }
}

function checkRegular(path: string, info: Stats): void {
  if (info.isFile()) return
  const what = info.isDirectory() ? 'a directory' : info.isFIFO() ? 'a pipe' : 'a device or socket'
  throw new WrongFileError(
    `${path} is not a regular file but ${what}: its size would not be known; "-" reads standard input`,
  )
}

class RegularFile implements DiskFile {
  readonly path: string
  readonly bytes: number
  readonly #changedMs: number
  readonly handle: FileHandle

  constructor(path: string, info: Stats, handle: FileHandle) {
    this.path = path
    this.bytes = info.size
    this.#changedMs = info.mtimeMs
    this.handle = handle
  }

  head(length: number): Promise<Buffer> {
    return this.read(0, Math.min(length, this.bytes))
  }

  async *pieces(pieceBytes: number, start = 0): AsyncGenerator<Buffer<ArrayBuffer>> {
    for (let position = start; position < this.bytes; position += pieceBytes)
      yield await this.read(position, Math.min(position + pieceBytes, this.bytes))
    await this.checkUnchanged()
  }

  async read(start: number, end: number): Promise<Buffer<ArrayBuffer>> {
    // Not from the pool: columns are cut from it as words, so it must be aligned.
    const buffer = Buffer.allocUnsafeSlow(end - start)
    for (let done = 0; done < buffer.byteLength;) {
      const { bytesRead } = await this.handle.read(buffer, done, buffer.byteLength - done, start + done)
      if (bytesRead === 0) throw new WrongFileError(`${this.path} became shorter while it was read`)
      done += bytesRead
    }
    return buffer
  }

  /** If another program writes to the file meanwhile, its parts are from different states. */
  async checkUnchanged(): Promise<void> {
    const { size, mtimeMs } = await this.handle.stat()
    if (size === this.bytes && mtimeMs === this.#changedMs) return
    throw new WrongFileError(`${this.path} was written to while it was read; import it when it is complete`)
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}

class StandardInput implements InputFile {
  readonly path = 'standard input'
  readonly bytes = undefined
  readonly #signal: AbortSignal | undefined
  readonly #chunks: AsyncIterator<Buffer>
  /** What was read and not given out. */
  #waiting: Buffer[] = []
  #waitingBytes = 0

  constructor(signal?: AbortSignal) {
    this.#signal = signal
    const stream = signal === undefined ? process.stdin : addAbortSignal(signal, process.stdin)
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  async head(length: number): Promise<Buffer> {
    await this.#fill(length)
    return Buffer.concat(this.#waiting).subarray(0, length)
  }

  async *pieces(pieceBytes: number, start = 0): AsyncGenerator<Buffer<ArrayBuffer>> {
    for (let left = start; left > 0;) {
      const passed = await this.#take(Math.min(left, pieceBytes))
      if (passed.byteLength === 0) return
      left -= passed.byteLength
    }
    for (;;) {
      const piece = await this.#take(pieceBytes)
      if (piece.byteLength > 0) yield piece
      if (piece.byteLength < pieceBytes) return
    }
  }

  async close(): Promise<void> {
    // Else a pipe that is still open would keep the program from ending.
    process.stdin.destroy()
  }

  async #fill(length: number): Promise<void> {
    while (this.#waitingBytes < length) {
      const next = await this.#next()
      if (next.done === true) return
      this.#waiting.push(next.value)
      this.#waitingBytes += next.value.byteLength
    }
  }

  async #next(): Promise<IteratorResult<Buffer>> {
    try {
      return await this.#chunks.next()
    } catch (error) {
      this.#signal?.throwIfAborted()
      throw error
    }
  }

  async #take(length: number): Promise<Buffer<ArrayBuffer>> {
    await this.#fill(length)
    const taken = Buffer.allocUnsafeSlow(Math.min(length, this.#waitingBytes))
    let done = 0
    while (done < taken.byteLength) {
      const [first, ...rest] = this.#waiting
      const part = first!.subarray(0, taken.byteLength - done)
      taken.set(part, done)
      done += part.byteLength
      this.#waiting = part.byteLength < first!.byteLength ? [first!.subarray(part.byteLength), ...rest] : rest
    }
    this.#waitingBytes -= done
    return taken
  }
}

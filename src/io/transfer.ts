/** Reads and writes of a whole buffer over calls that may transfer less than asked (row 27 of the crash cases). */
import type { FileHandle } from './file-system.js'

/** Reads until `buffer` is full or the file ends; resolves to the bytes read. */
export async function readFully(file: FileHandle, buffer: Uint8Array, position: number): Promise<number> {
  let done = 0
  while (done < buffer.byteLength) {
    const count = await file.read(buffer.subarray(done), position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** As {@link readFully}, blocking. */
export function readFullySync(file: FileHandle, buffer: Uint8Array, position: number): number {
  let done = 0
  while (done < buffer.byteLength) {
    const count = file.readSync(buffer.subarray(done), position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** Writes all of `buffer`. On an error part of it may have been written. */
export async function writeFully(file: FileHandle, buffer: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < buffer.byteLength) done += await file.write(buffer.subarray(done), position + done)
}

/** As {@link writeFully}, blocking. */
export function writeFullySync(file: FileHandle, buffer: Uint8Array, position: number): void {
  // Nearly always all at once; a `subarray` costs as much as all the rest here.
  let done = buffer.byteLength === 0 ? 0 : file.writeSync(buffer, position)
  while (done < buffer.byteLength) done += file.writeSync(buffer.subarray(done), position + done)
}

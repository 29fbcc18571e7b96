/**
 * Byte order, in one place: little-endian, 48-bit sequence numbers, word views.
 *
 * Packed columns are read as 32-bit words straight from a page, so the machine must be little-endian too; all that
 * Node 20 supports on Linux and macOS are, but for s390x. docs/file-format.md, Conventions.
 */
import { unsupportedRuntime } from '../base/errors.js'

if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) {
  throw unsupportedRuntime('the machine is big-endian: a table is read as the words that it has on the disk')
}

/** The largest sequence number and count on disk. */
export const U48_MAX = 2 ** 48 - 1

/** The bytes as 32-bit words. Requires: offset and length are multiples of 4. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function readU48(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint16(offset + 4, true) * 2 ** 32
}

export function writeU48(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true)
  view.setUint16(offset + 4, Math.floor(value / 2 ** 32), true)
}

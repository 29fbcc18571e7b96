/**
 * Seeded CRC-32: no frame or page of an older life, another file or another table can pass for one that belongs.
 *
 * The seed comes from the table's random id, the epoch of the writer that made the file, the file's number and the
 * position in it, so a misplaced or stale block fails its own checksum (TigerBeetle, data file). docs/file-format.md,
 * Checksums.
 */
import * as zlib from 'node:zlib'
import { unsupportedRuntime } from '../base/errors.js'
import { defectOf, type Crc32 } from './checksum-test.js'
import { viewOf } from './little-endian.js'

const defect = defectOf(zlib.crc32)
if (defect !== undefined) throw unsupportedRuntime(defect)

/** As of zlib, in a runtime whose one is right. */
export const crc32: Crc32 = zlib.crc32

/** Bytes of a table id. */
export const TABLE_ID_BYTES = 16

/** The seed of all checksums of one file. */
export function fileSeed(tableId: Uint8Array, epoch: number, fileNumber: number): number {
  const bytes = new Uint8Array(TABLE_ID_BYTES + 8 + 8)
  bytes.set(tableId)
  const view = viewOf(bytes)
  view.setBigUint64(TABLE_ID_BYTES, BigInt(epoch), true)
  view.setBigUint64(TABLE_ID_BYTES + 8, BigInt(fileNumber), true)
  return crc32(bytes)
}

/** The seed at a position: the page number in a bucket file, the byte offset / 4 of a frame in a WAL segment. */
export function positionSeed(seed: number, position: number): number {
  return (seed ^ Math.imul(position + 1, 0x9e3779b1)) >>> 0
}

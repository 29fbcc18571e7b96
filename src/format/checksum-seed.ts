/**
 * The way back from a checksum to the seed that it began with: CRC-32 loses nothing, so bytes and checksum tell it.
 *
 * Repair reads files so whose manifest is lost. A seed that was solved proves nothing on its own, since any bytes have one:
 * it is believed once a second checksum agrees. docs/file-format.md, Checksums; docs/durability.md, Repair.
 */
import { fileSeed, positionSeed, TABLE_ID_BYTES } from './checksum.js'

const POLYNOMIAL = 0xedb88320

/** `TABLE[b]`: what byte `b` does to a checksum; `BYTE_OF[t]`: the byte whose entry has `t` as its highest byte. */
const [TABLE, BYTE_OF] = makeTables()

function makeTables(): [Uint32Array, Uint8Array] {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
    return value
  })
  const byteOf = new Uint8Array(256)
  for (const [byte, value] of table.entries()) byteOf[value >>> 24] = byte
  return [table, byteOf]
}

/** The `seed` for which `crc32(bytes[from..to], seed)` is `checksum`. */
export function seedFor(bytes: Uint8Array, from: number, to: number, checksum: number): number {
  let crc = ~checksum
  for (let i = to - 1; i >= from; i--) {
    const byte = BYTE_OF[crc >>> 24]!
    crc = ((crc ^ TABLE[byte]!) << 8) | (byte ^ bytes[i]!)
  }
  return ~crc >>> 0
}

/** The file's seed, of that of a position in it. */
export function fileSeedOf(seed: number, position: number): number {
  return positionSeed(seed, position)
}

/** Epochs below 2 to this power can be told apart from those of another table. */
const EPOCH_BITS = 16
const NO_TABLE = new Uint8Array(TABLE_ID_BYTES)
const ZERO = fileSeed(NO_TABLE, 0, 0)
/** What the bits of an epoch do to a seed, each with another highest bit. */
const EPOCHS = epochBasis()

function epochBasis(): number[] {
  const basis: number[] = []
  for (let bit = 0; bit < EPOCH_BITS; bit++) {
    const vector = reduced((fileSeed(NO_TABLE, 2 ** bit, 0) ^ ZERO) >>> 0, basis)
    if (vector !== 0) basis.push(vector)
  }
  return basis.sort((a, b) => b - a)
}

function reduced(value: number, basis: readonly number[]): number {
  for (const vector of basis) {
    const shorter = (value ^ vector) >>> 0
    if (shorter < value) value = shorter
  }
  return value
}

/**
 * What the seeds of all files of a table have in common, whatever the epoch: of a file with this seed and number.
 *
 * Seeds differ by what epochs and numbers differ (CRC-32 is linear). Those of a segment's older life have another number.
 */
export function seedFamily(seed: number, fileNumber: number): number {
  return reduced((seed ^ fileSeed(NO_TABLE, 0, fileNumber) ^ ZERO) >>> 0, EPOCHS)
}

/** The family of a table's files. */
export function tableFamily(tableId: Uint8Array): number {
  return reduced(fileSeed(tableId, 0, 0), EPOCHS)
}

/**
 * The file of the table that has this seed, of those with a number below `end` and an epoch up to `epoch`; the newest of
 * several. Cost: as many checksums as there are numbers and epochs, for what is done rarely.
 */
export function fileOfSeed(
  seed: number,
  tableId: Uint8Array,
  { epoch, end }: { readonly epoch: number; readonly end: number },
): { readonly number: number; readonly epoch: number } | undefined {
  const epochs = new Map<number, number>()
  for (let other = 0; other <= epoch; other++) epochs.set((fileSeed(NO_TABLE, other, 0) ^ ZERO) >>> 0, other)
  for (let number = end - 1; number >= 0; number--) {
    const found = epochs.get((seed ^ fileSeed(tableId, 0, number)) >>> 0)
    if (found !== undefined) return { number, epoch: found }
  }
  return undefined
}

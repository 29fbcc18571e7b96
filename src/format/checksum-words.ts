/**
 * The CRC-32 of a run of 32-bit words, fast for short ones too.
 *
 * A call of `zlib.crc32` costs 100-150 ns however little it is given; a frame of one record has 28 bytes of header and
 * 16 of payload. So short runs go through tables, four bytes a step ("slicing-by-4", Kounavis & Berry 2005),
 * at 0.8 ns a byte (measured), long ones to zlib. docs/file-format.md, Checksums.
 */
import { crc32 } from './checksum.js'

/** From here on zlib is faster (measured: even at 64 to 96 words). */
const ZLIB_WORDS_MIN = 64

/** The reversed polynomial of CRC-32 (ISO-HDLC), as in zlib. */
const POLYNOMIAL = 0xedb88320

/** `tables[k][b]`: what byte `b` does to a checksum if `k` bytes follow it. */
const [TABLE_0, TABLE_1, TABLE_2, TABLE_3] = makeTables()

function makeTables(): [Uint32Array, Uint32Array, Uint32Array, Uint32Array] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
    return value
  })
  const next = (table: Uint32Array) => table.map(value => (value >>> 8) ^ first[value & 0xff]!)
  const second = next(first)
  const third = next(second)
  return [first, second, third, next(third)]
}

/** `crc32` of the bytes of `words[from]` to before `words[to]`, with the initial value `seed`. Requires: there are some. */
export function crc32Words(words: Uint32Array, from: number, to: number, seed: number): number {
  if (to - from >= ZLIB_WORDS_MIN) {
    return crc32(new Uint8Array(words.buffer, words.byteOffset + from * 4, (to - from) * 4), seed)
  }
  let crc = ~seed
  for (let i = from; i < to; i++) {
    crc ^= words[i]!
    crc =
      TABLE_3[crc & 0xff]! ^
      TABLE_2[(crc >>> 8) & 0xff]! ^
      TABLE_1[(crc >>> 16) & 0xff]! ^
      TABLE_0[crc >>> 24]!
  }
  return ~crc >>> 0
}

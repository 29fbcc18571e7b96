/**
 * A self-test of the runtime's CRC-32, before it is believed: a table that was written with wrong checksums could be read
 * nowhere else, and damage would pass for data. docs/file-format.md, Checksums.
 */

export type Crc32 = (data: Uint8Array | string, seed?: number) => number

/** The check value of CRC-32/ISO-HDLC, and others that zlib's own tests have. */
const KNOWN: readonly (readonly [text: string, checksum: number])[] = [
  ['', 0],
  ['a', 0xe8b7be43],
  ['123456789', 0xcbf43926],
  ['The quick brown fox jumps over the lazy dog', 0x414fa339],
]
/** Around the widths in which implementations go: words, vectors, pages. */
const LENGTHS = [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 255, 1024, 4096]
const OFFSETS = [0, 1, 5]
const SEEDS = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]
const PATTERN_BYTES = 4096 + 8

/** What is wrong with this function, in words; `undefined` where nothing is. Takes less than a millisecond. */
export function defectOf(crc32: Crc32 | undefined): string | undefined {
  if (typeof crc32 !== 'function') return 'there is no zlib.crc32'
  for (const [text, expected] of KNOWN) {
    const found = crc32(bytesOf(text))
    if (found !== expected) return `zlib.crc32 of '${text}' is ${found}, expected is ${expected}`
    const middle = text.length >> 1
    const continued = crc32(bytesOf(text.slice(middle)), crc32(bytesOf(text.slice(0, middle))))
    if (continued !== expected)
      return `zlib.crc32 of '${text}' in two parts is ${continued}, expected is ${expected}`
  }
  const pattern = new Uint8Array(new SharedArrayBuffer(PATTERN_BYTES))
  for (let i = 0; i < PATTERN_BYTES; i++) pattern[i] = (i * 167 + (i >> 8)) & 0xff
  for (const [at, length] of LENGTHS.entries()) {
    const offset = OFFSETS[at % OFFSETS.length]!
    const seed = SEEDS[at % SEEDS.length]!
    const bytes = pattern.subarray(offset, offset + length)
    const found = crc32(bytes, seed)
    const expected = bitByBit(bytes, seed)
    if (found !== expected) {
      return `zlib.crc32 of ${length} bytes at offset ${offset} with seed ${seed} is ${found}, expected is ${expected}`
    }
  }
  return undefined
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0))
}

/** As it is defined: slow, and right everywhere. */
function bitByBit(bytes: Uint8Array, seed: number): number {
  let crc = ~seed
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

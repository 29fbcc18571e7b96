/**
 * A segment of the ring on disk: an index page, and after it the blocks that it names.
 *
 * On disk: words of 32 bits. Magic, checksum of the rest of the page, generation (2 words), number of blocks, bytes of a
 * block; from byte 64 on, for each block, the identity of its object (4 words), its number plus one (0: forgotten), its
 * checksum. A block takes its whole slot, with zeros at the end.
 *
 * Nothing else says what is where, and nothing is synced. A page that is torn, old or damaged names nothing, or it names
 * blocks whose checksums do not match what is there.
 */
import { crc32 } from '../format/checksum.js'
import { wordsOf } from '../format/little-endian.js'
import { BLOCK_BYTES, ID_WORDS } from './cached-object.js'
import type { RingEntry } from './ring-index.js'

/** Blocks of a segment. */
export const SEGMENT_BLOCKS = 32
/** Bytes of the index page: a page of the file system. */
export const INDEX_BYTES = 4096
/** A segment is written by one call. */
export const SEGMENT_BYTES = INDEX_BYTES + SEGMENT_BLOCKS * BLOCK_BYTES

/** "fRNG", and the version of this layout. */
const MAGIC = 0x474e5266
const VERSION = 1
const CHECKED_FROM = 8
const FIRST_ENTRY_WORD = 16
const ENTRY_WORDS = ID_WORDS + 2

/** What an index page says. */
export interface SegmentIndex {
  /** Of two segments, the one with the higher number was written later. */
  readonly generation: number
  /** One for each slot from the first on; `undefined`: forgotten. */
  readonly entries: readonly (RingEntry | undefined)[]
}

/** Where the content of a slot begins in its segment. */
export function slotOffset(slot: number): number {
  return INDEX_BYTES + slot * BLOCK_BYTES
}

/** Fills the page. */
export function writeIndexPage(page: Uint8Array, { generation, entries }: SegmentIndex): void {
  page.fill(0)
  const words = wordsOf(page)
  words[0] = MAGIC
  words[2] = generation % 2 ** 32
  words[3] = Math.floor(generation / 2 ** 32)
  words[4] = entries.length
  words[5] = BLOCK_BYTES
  words[6] = VERSION
  for (const [i, entry] of entries.entries()) {
    if (entry === undefined) continue
    const at = FIRST_ENTRY_WORD + i * ENTRY_WORDS
    words.set(entry.words, at)
    words[at + ID_WORDS] = entry.block + 1
    words[at + ID_WORDS + 1] = entry.checksum
  }
  words[1] = crc32(page.subarray(CHECKED_FROM))
}

/** `undefined`: it is no index page of this layout, or it is damaged. */
export function readIndexPage(page: Uint8Array): SegmentIndex | undefined {
  const words = wordsOf(page)
  if (words[0] !== MAGIC || words[1] !== crc32(page.subarray(CHECKED_FROM))) return undefined
  const [low, high, count] = [words[2]!, words[3]!, words[4]!]
  if (words[5] !== BLOCK_BYTES || words[6] !== VERSION || count > SEGMENT_BLOCKS) return undefined
  const entries = Array.from({ length: count }, (_, i): RingEntry | undefined => {
    const at = FIRST_ENTRY_WORD + i * ENTRY_WORDS
    const block = words[at + ID_WORDS]! - 1
    if (block < 0) return undefined
    return { words: words.slice(at, at + ID_WORDS), block, checksum: words[at + ID_WORDS + 1]! }
  })
  return { generation: low + high * 2 ** 32, entries }
}

/** Parts of a data page that lookups read row by row. Hot: functions of words, without state. docs/file-format.md, Data page. */
import { PUT } from '../records/operations.js'
import { KIND_WORD, directoryWords, lowBitsIn, rowCountIn, type DataPageLayout } from './page-layout.js'

/** Where the rows of the page begin, in bits from its start. */
export function rowsBit(page: DataPageLayout, words: Uint32Array, base: number): number {
  const rows = rowCountIn(words[base + KIND_WORD]!)
  return (page.directoryWord + directoryWords(rows, words[base + page.bucketsWord]! & 0xffff)) * 32
}

/** Where a row begins, in bits from the start of `words`. */
export function rowBit(page: DataPageLayout, words: Uint32Array, base: number, row: number): number {
  return 32 * base + rowsBit(page, words, base) + row * (words[base + page.bucketsWord]! >>> 16)
}

/** Zeros that are left out at the end of each key, counted from the first key of the page. */
export function shiftOf(page: DataPageLayout, words: Uint32Array, base: number): number {
  return words[base + page.widthsWord]! & 0xff
}

/** Bits of packed lane `lane` in a row. */
export function laneWidth(page: DataPageLayout, words: Uint32Array, base: number, lane: number): number {
  const byte = lane + 1
  return (words[base + page.widthsWord + (byte >> 2)]! >>> ((byte & 3) * 8)) & 0xff
}

/** Whether all rows of the page are puts. */
export function hasPutsOnly(page: DataPageLayout, words: Uint32Array, base: number): boolean {
  const lane = page.packedLaneCount - 1
  return laneWidth(page, words, base, lane) === 0 && words[base + page.basesWord + lane] === PUT
}

/** Writes the value lanes of the row that begins at this bit of `words` to row `at` of `lanes`, which begin with the key lanes. */
export function readRowValues(
  page: DataPageLayout,
  words: Uint32Array,
  base: number,
  rowAt: number,
  lanes: readonly Uint32Array[],
  at: number,
): void {
  const { keyLaneCount, packedLaneCount, widthsWord, basesWord } = page
  let bit = rowAt + lowBitsIn(words[base + KIND_WORD]!)
  for (let lane = 0; lane < packedLaneCount - 1; lane++) {
    const byte = lane + 1
    const width = (words[base + widthsWord + (byte >> 2)]! >>> ((byte & 3) * 8)) & 0xff
    let value = words[base + basesWord + lane]!
    if (width > 0) {
      const word = bit >>> 5
      const shift = bit & 31
      const mask = width === 32 ? -1 : (1 << width) - 1
      // Two shifts, as one by 32 would be none at all.
      value += ((words[word]! >>> shift) | ((words[word + 1]! << 1) << (31 - shift))) & mask
      bit += width
    }
    lanes[keyLaneCount + lane]![at] = value
  }
}

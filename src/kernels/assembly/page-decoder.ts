/** Reads a whole data page of puts, with keys of one or two lanes, into columns. The twin: format/data-page-decoder.ts. */
import { basesByte, directoryByte, directoryWords, sampleBits, sampleCount, widthsByte } from './page-layout'

/** `columns`: a pointer for each lane, where its first row goes. Requires: the page has no defect. */
export function decodePage(page: usize, keyLanes: u32, valueLanes: u32, columns: usize): void {
  const rows = <u32>load<u16>(page, 6)
  const buckets = <u32>load<u16>(page + 4 * keyLanes, 8)
  const rowBits = <u32>load<u16>(page + 4 * keyLanes, 10)
  const lowBits = <u32>load<u8>(page, 5)
  const directory = directoryByte(keyLanes, valueLanes)
  const rowsBit = (directory + 4 * directoryWords(rows, buckets)) << 3
  const lows = <usize>load<u32>(columns + 4 * (keyLanes - 1))
  // Keys of one lane are those of two whose high lanes nobody wants: the low ones are put in their place afterwards.
  const highs = <usize>load<u32>(columns)
  const first =
    keyLanes == 2 ? (<u64>load<u32>(page, 8) << 32) | <u64>load<u32>(page, 12) : <u64>load<u32>(page, 8)
  const shift = <u32>load<u8>(page + widthsByte(keyLanes))
  if (buckets == 0) decodeEven(page, directory, first, rows, rowsBit, rowBits, lowBits, shift, highs, lows)
  else {
    const unary = (directory << 3) + sampleCount(buckets) * sampleBits(rows, buckets)
    decodeBuckets(page, unary, first, rows, rowsBit, rowBits, lowBits, shift, highs, lows)
  }
  let position = rowsBit + lowBits
  for (let lane: u32 = 0; lane < valueLanes; lane++) {
    const width = <u32>load<u8>(page + widthsByte(keyLanes) + lane, 1)
    const base = load<u32>(page + basesByte(keyLanes, valueLanes) + 4 * lane)
    decodeLane(page, position, rowBits, width, base, <usize>load<u32>(columns + 4 * (keyLanes + lane)), rows)
    position += width
  }
}

/** Up to 57 bits from bit `position` of the page on. */
@inline
function bitsAt(page: usize, position: u32, mask: u64): u64 {
  return (load<u64>(page + (position >> 3)) >> <u64>(position & 7)) & mask
}

/** Up to 64 bits. */
@inline
function lowAt(page: usize, position: u32, lowBits: u32, mask: u64): u64 {
  if (lowBits <= 57) return bitsAt(page, position, mask)
  return (bitsAt(page, position, 0xffffffff) | (bitsAt(page, position + 32, 0xffffffff) << 32)) & mask
}

@inline
function maskOf(bits: u32): u64 {
  return bits == 0 ? 0 : <u64>-1 >> <u64>(64 - bits)
}

function decodeBuckets(
  page: usize,
  unary: u32,
  first: u64,
  rows: u32,
  rowsBit: u32,
  rowBits: u32,
  lowBits: u32,
  shift: u32,
  highs: usize,
  lows: usize,
): void {
  const mask = maskOf(lowBits)
  const used = shift < 64 ? <u64>-1 : 0
  // The 1s of the unary part, from words of 64 bits.
  let word = load<u64>(page + (unary >> 3)) >> <u64>(unary & 7)
  let at = page + (unary >> 3) + 8
  // The bits of the first word that there are; the others come with the next one.
  let place = <u32>-(unary & 7)
  word <<= <u64>(unary & 7)
  for (let row: u32 = 0, position = rowsBit; row < rows; row++, position += rowBits) {
    while (word == 0) {
      word = load<u64>(at)
      at += 8
      place += 64
    }
    const bucket = place + <u32>ctz<u64>(word) - row
    word &= word - 1
    const offset = (<u64>bucket << <u64>lowBits) | lowAt(page, position, lowBits, mask)
    const key = first + ((offset << <u64>shift) & used)
    store<u32>(highs, <u32>(key >> 32))
    store<u32>(lows, <u32>key)
    highs += 4
    lows += 4
  }
}

function decodeEven(
  page: usize,
  directory: u32,
  first: u64,
  rows: u32,
  rowsBit: u32,
  rowBits: u32,
  lowBits: u32,
  shift: u32,
  highs: usize,
  lows: usize,
): void {
  const mask = maskOf(lowBits)
  const used = shift < 64 ? <u64>-1 : 0
  const distance = load<u64>(page + directory)
  let above: u64 = 0
  for (let row: u32 = 0, position = rowsBit; row < rows; row++, position += rowBits) {
    const offset = above + lowAt(page, position, lowBits, mask)
    const key = first + ((offset << <u64>shift) & used)
    store<u32>(highs, <u32>(key >> 32))
    store<u32>(lows, <u32>key)
    above += distance
    highs += 4
    lows += 4
  }
}

function decodeLane(page: usize, position: u32, rowBits: u32, width: u32, base: u32, out: usize, rows: u32): void {
  const end = out + (<usize>rows << 2)
  if (width == 0) {
    for (; out < end; out += 4) store<u32>(out, base)
    return
  }
  const mask = <u32>maskOf(width)
  for (; out < end; out += 4) {
    const bits = <u32>(load<u64>(page + (position >> 3)) >> <u64>(position & 7))
    store<u32>(out, (bits & mask) + base)
    position += rowBits
  }
}

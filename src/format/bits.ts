/**
 * A stream of unsigned values of fixed bit widths in 32-bit little-endian words, lowest bit first.
 *
 * The packed columns of frames and pages are written and read through it. Hot: the loops work on words and keep the
 * position in plain numbers. docs/file-format.md, Packed columns.
 */

/** Bits needed for `value`, 0 to 32. */
export function bitWidth(value: number): number {
  return 32 - Math.clz32(value)
}

/** Words needed for `bits` bits. */
export function wordsForBits(bits: number): number {
  return Math.ceil(bits / 32)
}

/**
 * Writes `(values[i] - base)` for i in [from, to) at bit `position` of `words`. Returns the next position. What is behind
 * the last value in its word becomes zero.
 *
 * Requires: every difference fits `width` bits. Hot: a word is built in a register and stored once.
 */
export function packLane(
  words: Uint32Array,
  position: number,
  values: Uint32Array,
  from: number,
  to: number,
  base: number,
  width: number,
): number {
  if (width === 0) return position
  // As 32-bit integers, which V8 subtracts faster than numbers.
  const low = base | 0
  let word = Math.floor(position / 32)
  let shift = position % 32
  let held = shift === 0 ? 0 : words[word]! & ((1 << shift) - 1)
  let i = from
  if (width === 32) {
    if (shift === 0) for (; i < to; i++) words[word++] = (values[i]! | 0) - low
    for (const rest = 32 - shift; i < to; i++) {
      const value = ((values[i]! | 0) - low) | 0
      words[word++] = held | (value << shift)
      held = value >>> rest
    }
  } else if (width < 16) {
    // Two at a time.
    const both = 2 * width
    for (; i < to - 1; i += 2) {
      const value = ((values[i]! | 0) - low) | 0 | ((((values[i + 1]! | 0) - low) | 0) << width)
      held |= value << shift
      shift += both
      if (shift < 32) continue
      words[word++] = held
      shift -= 32
      held = value >>> (both - shift)
    }
  }
  for (; i < to; i++) {
    const value = ((values[i]! | 0) - low) | 0
    held |= value << shift
    shift += width
    if (shift < 32) continue
    words[word++] = held
    shift -= 32
    // What did not fit. Nothing is left where the value ended with the word: it has `width` bits.
    held = value >>> (width - shift)
  }
  if (shift > 0) words[word] = held
  return position + (to - from) * width
}

/** Reads `width` bits at bit `position` counted from word `base`. May touch the word after the last bit. */
export function readBits(words: Uint32Array, base: number, position: number, width: number): number {
  if (width === 0) return 0
  const word = base + (position >>> 5)
  const shift = position & 31
  let value = words[word]! >>> shift
  if (shift + width > 32) value |= words[word + 1]! << (32 - shift)
  return width === 32 ? value >>> 0 : value & ((1 << width) - 1)
}

/**
 * Reads `count` values of `width` bits from bit `position` (counted from word `first`), adds `base` to each and puts
 * them at `out[at...]`. Returns the next position.
 */
export function unpackLane(
  words: Uint32Array,
  first: number,
  position: number,
  width: number,
  base: number,
  count: number,
  out: Uint32Array,
  at: number,
): number {
  if (width === 0) {
    out.fill(base, at, at + count)
    return position
  }
  const mask = width === 32 ? 0xffffffff : 2 ** width - 1
  let word = first + Math.floor(position / 32)
  let shift = position % 32
  for (let i = at; i < at + count; i++) {
    let value = words[word]! >>> shift
    if (shift + width > 32) value |= words[word + 1]! << (32 - shift)
    out[i] = (value & mask) + base
    shift += width
    if (shift >= 32) {
      shift -= 32
      word++
    }
  }
  return position + count * width
}

/**
 * As {@link packLane}, with a value every `stride` bits: value i is at bit `position + (i - from) * stride`.
 *
 * Requires: those bits are zero; every difference fits `width` bits.
 */
export function packStrided(
  words: Uint32Array,
  position: number,
  stride: number,
  values: Uint32Array,
  from: number,
  to: number,
  base: number,
  width: number,
): void {
  if (width === 0) return
  for (let i = from, at = position; i < to; i++, at += stride) {
    const value = (values[i]! - base) | 0
    const word = at >>> 5
    const shift = at & 31
    words[word]! |= value << shift
    if (shift + width > 32) words[word + 1]! |= value >>> (32 - shift)
  }
}

/** Reads what {@link packStrided} has written, from bit `position` counted from word `first`, into `out[at...]`. */
export function unpackStrided(
  words: Uint32Array,
  first: number,
  position: number,
  stride: number,
  width: number,
  base: number,
  count: number,
  out: Uint32Array,
  at: number,
): void {
  if (width === 0) {
    out.fill(base, at, at + count)
    return
  }
  const mask = width === 32 ? -1 : (1 << width) - 1
  for (let i = at, bit = position; i < at + count; i++, bit += stride) {
    const word = first + (bit >>> 5)
    const shift = bit & 31
    // Two shifts, as one by 32 would be none at all. May touch the word after the last bit.
    out[i] = (((words[word]! >>> shift) | ((words[word + 1]! << 1) << (31 - shift))) & mask) + base
  }
}

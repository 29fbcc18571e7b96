/** Copies values of one width between places where they stand at equal distances: packed records and columns. */

/** Where values stand: value i begins at `offset + i * stride` of the bytes. */
export interface Strided {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly offset: number
  readonly stride: number
}

type Words = Uint8Array | Uint16Array | Uint32Array

/**
 * Copies `rows` values of `width` bytes. Their bits stay as they are: through a number, those of a NaN could change.
 *
 * Hot: it moves words of 4 or 2 bytes where all places allow that, which is ten times as fast as a DataView.
 */
export function copyStrided(from: Strided, to: Strided, width: number, rows: number): void {
  const word = wordOf(width, startOf(from), from.stride, startOf(to), to.stride)
  const source = wordsOf(from, word)
  const target = wordsOf(to, word)
  const words = width / word
  const sourceStep = from.stride / word
  const targetStep = to.stride / word
  let read = 0
  let write = 0
  if (words === 1) {
    for (let row = 0; row < rows; row++, read += sourceStep, write += targetStep)
      target[write] = source[read]!
  } else if (words === 2) {
    for (let row = 0; row < rows; row++, read += sourceStep, write += targetStep) {
      target[write] = source[read]!
      target[write + 1] = source[read + 1]!
    }
  } else {
    for (let row = 0; row < rows; row++, read += sourceStep, write += targetStep)
      for (let at = 0; at < words; at++) target[write + at] = source[read + at]!
  }
}

function startOf({ bytes, offset }: Strided): number {
  return bytes.byteOffset + offset
}

/** The widest word, in bytes, that divides all of these. */
function wordOf(...numbers: readonly number[]): 1 | 2 | 4 {
  const all = numbers.reduce((bits, number) => bits | number, 0)
  return all % 4 === 0 ? 4 : all % 2 === 0 ? 2 : 1
}

function wordsOf(place: Strided, word: 1 | 2 | 4): Words {
  const { bytes, offset } = place
  const Words = word === 4 ? Uint32Array : word === 2 ? Uint16Array : Uint8Array
  return new Words(bytes.buffer, startOf(place), Math.floor((bytes.byteLength - offset) / word))
}

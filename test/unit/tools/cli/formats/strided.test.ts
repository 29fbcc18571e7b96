/** Every way to move words against the simple way, byte by byte. */
import { expect, test } from 'vitest'
import { copyStrided, type Strided } from '../../../../../tools/cli/formats/strided.js'
import { randomBytes } from 'node:crypto'

/** The twin. */
function copySimply(from: Strided, to: Strided, width: number, rows: number): void {
  for (let row = 0; row < rows; row++)
    for (let at = 0; at < width; at++)
      to.bytes[to.offset + row * to.stride + at] = from.bytes[from.offset + row * from.stride + at]!
}

const ROWS = 5

test.each([1, 2, 3, 4, 5, 8, 12, 20])('values of %i bytes', width => {
  for (const [start, offset, gap] of [0, 1, 2, 4, 6].flatMap(start =>
    [0, 1, 2, 4, 7].flatMap(offset => [0, 1, 2, 4, 9].map(gap => [start, offset, gap] as const)),
  )) {
    const stride = width + gap
    const bytes = new Uint8Array(randomBytes(start + offset + ROWS * stride))
    const records = { bytes: bytes.subarray(start), offset, stride }
    const column = (): Strided => ({ bytes: new Uint8Array(ROWS * width), offset: 0, stride: width })
    const [found, expected] = [column(), column()]
    copyStrided(records, found, width, ROWS)
    copySimply(records, expected, width, ROWS)
    expect(found.bytes).toEqual(expected.bytes)
    const [back, same] = [bytes.slice(), bytes.slice()]
    const random = { ...column(), bytes: new Uint8Array(randomBytes(ROWS * width)) }
    copyStrided(random, { bytes: back.subarray(start), offset, stride }, width, ROWS)
    copySimply(random, { bytes: same.subarray(start), offset, stride }, width, ROWS)
    expect(back).toEqual(same)
  }
})

import { expect, test } from 'vitest'
import { gatherRows, mergeHits } from '../../../src/partitions/part-columns.js'

const query = (...rows: number[]) => Uint32Array.from(rows)

test('hits of partitions become those of one table: in query order, then by partition', async () => {
  const merged = await mergeHits(
    4,
    [
      {
        rows: query(1, 3),
        columns: {
          query: query(0, 0, 1),
          key: Uint16Array.of(5, 6, 7),
          tag: Uint8Array.of(1, 2, 3, 4, 5, 6),
        },
      },
      { rows: query(0, 1), columns: { query: query(1), key: Uint16Array.of(9), tag: Uint8Array.of(7, 8) } },
      { rows: query(2), columns: { query: query(), key: new Uint16Array(), tag: new Uint8Array() } },
    ],
    { key: new Uint16Array(), tag: new Uint8Array() },
  )
  expect(merged).toEqual({
    query: query(1, 1, 1, 3),
    key: Uint16Array.of(5, 6, 9, 7),
    tag: Uint8Array.of(1, 2, 3, 4, 7, 8, 5, 6),
  })
  expect(await mergeHits(2, [], { key: new BigUint64Array() })).toEqual({
    query: query(),
    key: new BigUint64Array(),
  })
})

test('more hits than a slice are merged as few are', async () => {
  const count = 200_000
  const rows = Uint32Array.from({ length: count }, (_, i) => i)
  const even = rows.filter(row => row % 2 === 0)
  const odd = rows.filter(row => row % 2 === 1)
  const part = (own: Uint32Array) => ({
    rows: own,
    columns: { query: Uint32Array.from(own, (_, i) => i), id: Float64Array.from(own) },
  })
  const { query: found, id } = await mergeHits(count, [part(even), part(odd)], { id: new Float64Array() })
  expect(found).toEqual(rows)
  expect(id).toEqual(Float64Array.from(rows))
})

test('a NaN keeps its bits, and columns their class', () => {
  const bits = Uint32Array.of(0x7f800001, 0xffc00001, 0x3f800000)
  const floats = new Float32Array(bits.buffer)
  const gathered = gatherRows(floats, 1, query(2, 0, 1))
  expect(gathered).toBeInstanceOf(Float32Array)
  expect(new Uint32Array(gathered.buffer)).toEqual(Uint32Array.of(0x3f800000, 0x7f800001, 0xffc00001))
  const bytes = Buffer.from([0, 1, 2, 3, 4, 5, 6, 7])
  const part = gatherRows(bytes.subarray(2), 2, query(1, 2))
  expect(part).toEqual(Uint8Array.of(4, 5, 6, 7))
  expect(part.constructor).toBe(Uint8Array)
  const wide = gatherRows(BigInt64Array.of(-(2n ** 63n), -1n, 2n ** 40n), 1, query(2, 0))
  expect(wide).toEqual(BigInt64Array.of(2n ** 40n, -(2n ** 63n)))
})

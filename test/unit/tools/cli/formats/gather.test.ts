import { expect, test } from 'vitest'
import { gatherRows } from '../../../../../tools/cli/formats/gather.js'

const FIELDS = [
  { name: 'key', type: 'u32', byteLength: 4 },
  { name: 'digest', type: 'bytes', byteLength: 3 },
] as const

/** Rows from a number on: the key is the row, the digest its lowest byte three times. */
function rows(from: number, count: number) {
  const key = Uint32Array.from({ length: count }, (_, row) => from + row)
  return {
    key,
    digest: Uint8Array.from({ length: count * 3 }, (_, at) => (from + Math.floor(at / 3)) & 0xff),
  }
}

async function* batches(...counts: number[]) {
  let from = 0
  for (const count of counts) {
    yield rows(from, count)
    from += count
  }
}

test('without a number of rows the batches are passed on', async () => {
  const found: number[] = []
  for await (const { rows: count } of gatherRows(batches(3, 5), FIELDS, undefined)) found.push(count)
  expect(found).toEqual([3, 5])
})

test.each([
  [[], []],
  [[3], [3]],
  [[10], [4, 4, 2]],
  [
    [1, 2, 1, 4],
    [4, 4],
  ],
  [
    [3, 0, 9, 1],
    [4, 4, 4, 1],
  ],
])('batches of %j rows become %j', async (counts, expected) => {
  const found: { columns: object; rows: number }[] = []
  for await (const batch of gatherRows(batches(...counts), FIELDS, 4)) found.push(batch)
  expect(found.map(({ rows }) => rows)).toEqual(expected)
  // Later batches have left the earlier ones alone.
  let from = 0
  for (const { columns, rows: count } of found) {
    expect(columns).toEqual(rows(from, count))
    from += count
  }
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StoredFieldType } from '../../../../../src/encoding/stored-schema.js'
import { bytes, FlashTable } from '../../../../../src/index.js'
import type { AnyTable } from '../../../../../tools/cli/records.js'
import { countKeys, type CountOptions, type KeyCounts } from '../../../../../tools/cli/report/key-counts.js'

let directory: string
let names = 0
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-keys-'))
})
afterAll(() => rm(directory, { recursive: true }))

/** Key i has `recordsOf(i)` records. */
async function count(
  keys: number,
  recordsOf: (key: number) => number,
  options: Partial<CountOptions> = {},
): Promise<KeyCounts> {
  const path = join(directory, `${names++}`)
  const table = await FlashTable.open(path, { keyEncoding: 'u32', valueEncoding: 'u16' })
  const key = Array.from({ length: keys }, (_, i) => Array<number>(recordsOf(i)).fill(i)).flat()
  await table.putColumns({ key: Uint32Array.from(key), value: new Uint16Array(key.length) })
  const counted = await countKeys(table as unknown as AnyTable, {
    key: { type: 'u32' } as StoredFieldType,
    records: key.length,
    places: [],
    signal: new AbortController().signal,
    onProgress: () => {},
    ...options,
  })
  await table.close()
  return counted
}

describe('records a key', () => {
  test('are counted, in groups of powers of two', async () => {
    const counted = await count(10, key => key)
    expect(counted).toEqual({
      how: 'all',
      places: 0,
      keys: 9,
      records: 45,
      groups: [
        { least: 1, most: 1, keys: 1, records: 1 },
        { least: 2, most: 2, keys: 1, records: 2 },
        { least: 3, most: 4, keys: 2, records: 7 },
        { least: 5, most: 8, keys: 4, records: 26 },
        { least: 9, most: 16, keys: 1, records: 9 },
      ],
      fullest: { key: '9', records: 9, isAtLeast: false },
    })
  })

  test('of a large table are a sample from places, of whole keys alone', async () => {
    const counted = await count(20_000, () => 3, { countedMax: 50_000, places: [99, 9999, 19_990] })
    // Of 1000 records at a place 333 keys are whole; after the last place there are 9 keys.
    expect(counted).toMatchObject({ how: 'sample', places: 3, keys: 675, records: 2025 })
    expect(counted.groups).toEqual([{ least: 3, most: 4, keys: 675, records: 2025 }])
  })

  test('of a key that fills a place are told as a least number', async () => {
    const counted = await count(3, key => (key === 1 ? 5000 : 1), { countedMax: 10, places: [0] })
    expect(counted).toMatchObject({ keys: 1, fullest: { key: '1', records: 1000, isAtLeast: true } })
  })

  test('without places are those of the first keys', async () => {
    const counted = await count(100, () => 2, { countedMax: 50 })
    expect(counted).toMatchObject({ how: 'begin', keys: 24, records: 48 })
  })

  test('of an empty table are none', async () => {
    expect(await count(0, () => 0)).toMatchObject({ keys: 0, groups: [], fullest: undefined })
  })

  test('of keys that are bytes are told in hexadecimal digits', async () => {
    const table = await FlashTable.open(join(directory, 'bytes'), { keyEncoding: bytes(3) })
    await table.put(Uint8Array.of(1, 2, 255))
    const counted = await countKeys(table as unknown as AnyTable, {
      key: { type: 'bytes', bytes: 3 },
      records: 1,
      places: [],
      signal: new AbortController().signal,
      onProgress: () => {},
    })
    await table.close()
    expect(counted).toMatchObject({ keys: 1, fullest: { key: '0102ff' } })
  })
})

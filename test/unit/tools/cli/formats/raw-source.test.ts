import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RawSource } from '../../../../../tools/cli/formats/raw-source.js'
import { WrongFileError } from '../../../../../tools/cli/formats/wrong-file.js'
import { parseSchema } from '../../../../../tools/cli/schema.js'
import { openRaw } from '../../../../support/open-raw.js'
import type { Shape } from '../../../../../tools/cli/shape.js'
import { UsageError } from '../../../../../tools/cli/usage.js'
import {
  MEMMAP_SHAPE,
  readFingerprintBytes,
  readFingerprints,
  readMemmapTable,
} from '../../../../../tools/demo/fixtures.js'

const FINGERPRINT = parseSchema('key:u64,time:u16,flags:u16,id:i32')
const [BUCKETS, SLOTS] = MEMMAP_SHAPE

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-record-file-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

let files = 0
async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(directory, `${files++}.bin`)
  await writeFile(path, bytes)
  return path
}

/** All records of a file, as rows. */
async function rowsOf(file: RawSource, pieceBytes?: number): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = []
  try {
    for await (const { columns, rows: count } of file.batches([], pieceBytes)) {
      for (let row = 0; row < count; row++)
        rows.push(Object.fromEntries([...columns].map(([name, column]) => [name, column[row]])))
    }
  } finally {
    await file.close()
  }
  return rows
}

/** As `toEqual`, in a hundredth of its time. */
function sameColumn(found: ArrayBufferView, expected: ArrayBufferView): boolean {
  return (
    found.constructor === expected.constructor &&
    Buffer.from(found.buffer, found.byteOffset, found.byteLength).equals(
      Buffer.from(expected.buffer, expected.byteOffset, expected.byteLength),
    )
  )
}

/** A memory-mapped table of `{ key: u8, flags: u8 }`: one pair a slot. */
function smallTable(...slots: [key: number, flags: number][]): Uint8Array {
  return Uint8Array.from(slots.flat())
}

describe('a file of packed records', () => {
  test('gives all fingerprints in their order', async () => {
    const file = await openRaw(await fileOf(readFingerprintBytes()), FINGERPRINT)
    const expected = readFingerprints()
    let at = 0
    for await (const { columns, rows } of file.batches([])) {
      for (const name of ['key', 'time', 'flags', 'id'] as const) {
        expect(sameColumn(columns.get(name) as Uint8Array, expected[name].slice(at, at + rows))).toBe(true)
      }
      at += rows
    }
    await file.close()
    expect(at).toBe(140_287)
  })

  test('gives every type its value, whatever the pieces', async () => {
    const names = 'a:u8,b:i8,c:u16,d:i16,e:u32,f:i32,g:u64,h:i64,i:f32,j:f64,key:u8'
    const record = new DataView(new ArrayBuffer(43))
    record.setUint8(0, 255)
    record.setInt8(1, -128)
    record.setUint16(2, 65_534, true)
    record.setInt16(4, -32_768, true)
    record.setUint32(6, 4_294_967_295, true)
    record.setInt32(10, -2_147_483_648, true)
    record.setBigUint64(14, 2n ** 64n - 2n, true)
    record.setBigInt64(22, -(2n ** 63n), true)
    record.setFloat32(30, 1.5, true)
    record.setFloat64(34, -1e300, true)
    record.setUint8(42, 7)
    const bytes = new Uint8Array(record.buffer)
    const path = await fileOf(Buffer.concat([bytes, bytes, bytes]))
    const integers = { a: 255, b: -128, c: 65_534, d: -32_768, e: 4_294_967_295, f: -2_147_483_648 }
    const row = { ...integers, g: 2n ** 64n - 2n, h: -(2n ** 63n), i: 1.5, j: -1e300, key: 7 }
    for (const pieceBytes of [1, 43, 85, 86, 1000]) {
      const file = await openRaw(path, parseSchema(names))
      expect(await rowsOf(file, pieceBytes)).toEqual([row, row, row])
    }
  })

  test('keeps the bits of a float that is not a number', async () => {
    const path = await fileOf(Uint8Array.of(1, 0x01, 0x02, 0xa0, 0x7f))
    const file = await openRaw(path, parseSchema('key:u8,x:f32'))
    for await (const { columns } of file.batches([])) {
      expect(new Uint32Array((columns.get('x') as Uint8Array).buffer)).toEqual(Uint32Array.of(0x7fa0_0201))
    }
    await file.close()
  })

  test('gives fields of bytes as one column of all their bytes', async () => {
    const path = await fileOf(Uint8Array.of(1, 2, 3, 9, 4, 5, 6, 8))
    const file = await openRaw(path, parseSchema('key:bytes(3),n:u8'))
    for await (const { columns, rows } of file.batches([])) {
      expect(rows).toBe(2)
      expect(Object.fromEntries(columns)).toEqual({
        key: Uint8Array.of(1, 2, 3, 4, 5, 6),
        n: Uint8Array.of(9, 8),
      })
    }
    await file.close()
  })

  test('gives no records where it is empty', async () => {
    const file = await openRaw(await fileOf(new Uint8Array()), FINGERPRINT)
    expect(await rowsOf(file)).toEqual([])
  })

  test('is refused where its size is not a multiple of the record', async () => {
    const path = await fileOf(new Uint8Array(33))
    await expect(openRaw(path, FINGERPRINT)).rejects.toThrow(
      `${path} does not fit: expected a multiple of 16 bytes (one record), found 33 bytes`,
    )
  })

  test('is refused where it is a directory', async () => {
    await expect(openRaw(directory, FINGERPRINT)).rejects.toThrow('is not a regular file')
  })

  test('fails, and does not hang, where it is cut while it is read', async () => {
    const path = await fileOf(new Uint8Array(64))
    const file = await openRaw(path, FINGERPRINT)
    const chunks = file.batches([], 32)
    expect((await chunks.next()).done).toBe(false)
    await truncate(path, 40)
    await expect(chunks.next()).rejects.toThrow('became shorter')
    await file.close()
  })
})

describe('a memory-mapped table', () => {
  test('gives the 140,235 records in use, those of a bucket in their order', async () => {
    const path = await fileOf(readMemmapTable())
    const file = await openRaw(path, FINGERPRINT, { buckets: BUCKETS, slots: SLOTS })
    const records = readFingerprints()
    const timesOfKey = (keys: ArrayLike<unknown>, times: ArrayLike<unknown>, key: bigint) =>
      Array.from(keys, (found, row) => (found === key ? times[row] : undefined)).filter(
        time => time !== undefined,
      )
    let count = 0
    for await (const { columns, rows } of file.batches([])) {
      count += rows
      expect((columns.get('flags') as Uint16Array).every(flags => flags === 1)).toBe(true)
      // A key has all its records in one bucket: in the order in which they were inserted.
      const key = columns.get('key')![rows - 1] as bigint
      expect(timesOfKey(columns.get('key')!, columns.get('time')!, key)).toEqual(
        timesOfKey(records.key, records.time, key),
      )
    }
    await file.close()
    expect(count).toBe(140_235)
  })

  const slots: [number, number][] = [
    ...([
      [9, 1],
      [1, 1],
      [2, 3],
      [3, 0],
    ] as [number, number][]),
    ...([
      [8, 0],
      [4, 0],
      [5, 1],
      [6, 2],
    ] as [number, number][]),
    ...([
      [7, 255],
      [0, 1],
      [0, 0],
      [0, 255],
    ] as [number, number][]),
  ]

  test('has no record in slot 0 of a bucket, even where the flags of the head say so', async () => {
    const path = await fileOf(smallTable(...slots))
    for (const pieceBytes of [1, 2, 6, 10, 1000]) {
      const file = await openRaw(path, parseSchema('key:u8,flags:u8'), { buckets: 3, slots: 4 })
      expect((await rowsOf(file, pieceBytes)).map(row => row['key'])).toEqual([1, 2, 5, 0, 0])
    }
  })

  test.each<[Shape, string]>([
    [{ buckets: 3, slots: 5 }, 'expected 30 bytes (3 buckets of 5 slots of 2 bytes), found 24 bytes'],
    [{ buckets: 2, slots: 4 }, 'expected 16 bytes (2 buckets of 4 slots of 2 bytes), found 24 bytes'],
  ])('is refused where its size is not that of the shape: %j', async (shape, message) => {
    const path = await fileOf(smallTable(...slots))
    const opened = openRaw(path, parseSchema('key:u8,flags:u8'), shape)
    await expect(opened).rejects.toThrow(WrongFileError)
    await expect(opened).rejects.toThrow(message)
  })

  test.each(['key:u8,other:u8', 'key:u8,flags:f32', 'key:u8,flags:bytes(1)'])(
    'needs an integer field named flags: %s',
    async schema => {
      const opened = openRaw('nowhere', parseSchema(schema), { buckets: 3, slots: 4 })
      await expect(opened).rejects.toThrow(UsageError)
    },
  )
})

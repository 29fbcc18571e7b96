/** tools/cli/dump: what is read is what was written, bit by bit, and whatever is wrong in a dump is told. */
import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import type { StoredSchema } from '../../../../src/encoding/stored-schema.js'
import { dumpFormat, endLine, headerLine } from '../../../../tools/cli/dump/header.js'
import { DumpReader } from '../../../../tools/cli/dump/read-dump.js'
import type { RowColumns } from '../../../../tools/cli/rows/row-format.js'
import { Random } from '../../../support/random.js'

const SCHEMA: StoredSchema = {
  key: { type: 'u64' },
  value: {
    type: 'struct',
    fields: [
      { name: 'a', type: 'u8' },
      { name: 'b', type: 'u16' },
      { name: 'c', type: 'u32' },
      { name: 'd', type: 'i8' },
      { name: 'e', type: 'i16' },
      { name: 'f', type: 'i32' },
      { name: 'g', type: 'i64' },
      { name: 'h', type: 'f32' },
      { name: 'i', type: 'f64' },
      { name: 'j', type: 'bytes', bytes: 3 },
      { name: 'k', type: 'fixed', encoding: 'utf8', bytes: 2 },
      { name: 'l', type: 'custom', encoding: 'mine', bytes: 1 },
    ],
  },
}
const KEYS: StoredSchema = { key: { type: 'u16' }, value: null }
const TABLE = {
  duplicates: 'keep',
  combine: undefined,
  pageBytes: 4096,
  mode: 0o640,
  meta: { a: 'b\u009b' },
} as const

function dumpOf(schema: StoredSchema, columns: RowColumns, rows: number): string {
  const records = Buffer.concat([...dumpFormat(schema).chunks(columns, 0, rows)]).toString()
  const text = headerLine(TABLE, schema, rows) + records
  return text + endLine(rows, crc32(text))
}

/** The last line made to fit what is before it. */
function withEnd(text: string, records: number): string {
  return text + endLine(records, crc32(text))
}

/** All batches of a text that comes in chunks of this size. */
async function read(text: string, chunkBytes = 1 << 20): Promise<RowColumns[]> {
  const bytes = Buffer.from(text)
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
  }
  const reader = new DumpReader('x.dump', chunks())
  const batches: RowColumns[] = []
  for await (const { columns } of reader.batches(await reader.header())) batches.push(columns)
  return batches
}

/** Bytes of each column, one batch after the other. */
function bitsOf(batches: readonly RowColumns[]): Record<string, string> {
  const names = Object.keys(batches[0] ?? {})
  return Object.fromEntries(
    names.map(name => [
      name,
      Buffer.concat(
        batches.map(({ [name]: column }) =>
          Buffer.from(column!.buffer, column!.byteOffset, column!.byteLength),
        ),
      ).toString('hex'),
    ]),
  )
}

test('every bit of every type is read again, NaN of all kinds too, in chunks of any size', async () => {
  const rows = 20_000
  const random = new Random(20_261_128)
  const bits = (bytes: number): ArrayBuffer =>
    Uint32Array.from({ length: Math.ceil((rows * bytes) / 4) }, () => random.next()).buffer
  const special = [0, 0x8000_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 1]
  const floats = Uint32Array.from({ length: rows }, (_, i) => special[i] ?? random.next())
  const high = [0, 0x8000_0000, 0x7ff0_0000, 0xfff0_0000, 0x7ff8_0000, 0xfff8_0000, 0x7ff0_0000]
  const doubles = Uint32Array.from({ length: 2 * rows }, (_, i) => {
    const row = i >> 1
    if (row >= high.length) return random.next()
    return i % 2 === 1 ? high[row]! : row === 6 ? 1 : 0
  })
  const keys = new BigUint64Array(bits(8))
  const longs = new BigInt64Array(bits(8))
  keys.set([0n, 2n ** 64n - 1n, 2n ** 63n, 10n ** 19n, 10n ** 10n, 2n ** 32n])
  longs.set([0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 32n), 10n ** 18n])
  const columns: RowColumns = {
    key: keys,
    a: new Uint8Array(bits(1)),
    b: new Uint16Array(bits(2)),
    c: new Uint32Array(bits(4)),
    d: new Int8Array(bits(1)),
    e: new Int16Array(bits(2)),
    f: new Int32Array(bits(4)),
    g: longs,
    h: new Float32Array(floats.buffer),
    i: new Float64Array(doubles.buffer),
    j: new Uint8Array(bits(3)),
    k: new Uint8Array(bits(2)),
    l: new Uint8Array(bits(1)),
  }
  const text = dumpOf(SCHEMA, columns, rows)
  for (const chunkBytes of [1 << 20, 65_536, 1000]) {
    const found = await read(text, chunkBytes)
    expect(found.length).toBeGreaterThan(1)
    expect(bitsOf(found)).toEqual(bitsOf([columns]))
  }
})

test('every place may be the end of a chunk', async () => {
  const text = dumpOf(KEYS, { key: Uint16Array.of(1, 20, 300) }, 3)
  for (let chunkBytes = 1; chunkBytes <= text.length; chunkBytes++)
    expect(bitsOf(await read(text, chunkBytes))).toEqual({ key: '010014002c01' })
  expect(await read(dumpOf(KEYS, {}, 0))).toEqual([])
})

test('a dump that is cut anywhere, or has one bit changed anywhere, is refused', async () => {
  const text = dumpOf(KEYS, { key: Uint16Array.of(1, 20, 300) }, 3)
  const passed: string[] = []
  for (let at = 0; at < text.length; at++) {
    const cut = text.slice(0, at)
    const other = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1)
    for (const damaged of [cut, other]) {
      const error = await read(damaged).catch((error: unknown) => error as { code?: string })
      if ((error as { code?: string }).code !== 'WRONG_FILE') passed.push(damaged)
    }
  }
  expect(passed).toEqual([])
})

test.each([
  ['70000', 'line 3, column 1: expected field "key", which is u16'],
  ['-1', 'line 3, column 1: expected field "key"'],
  ['', 'line 3, column 1'],
  ['7x', 'line 3, column 1'],
  ['7,', 'line 3, column 1'],
  ['7 ', 'line 3, column 1'],
  ['7\r', 'line 3, column 1'],
  ['{"records":2}', 'line 3: no end mark'],
])('a wrong line is told with its place: %j', async (line, says) => {
  const [header, first, second] = dumpOf(KEYS, { key: Uint16Array.of(1, 2) }, 2).split('\n')
  expect(second).toBe('2')
  const text = withEnd(`${header}\n${first}\n${line}\n`, 2)
  await expect(read(text)).rejects.toMatchObject({
    code: 'WRONG_FILE',
    message: expect.stringContaining(says) as string,
  })
})

test.each([
  ['u8', '256'],
  ['i8', '128'],
  ['i8', '-129'],
  ['u32', '4294967296'],
  ['u32', '99999999999'],
  ['i32', '--1'],
  ['u64', '18446744073709551616'],
  ['u64', '99999999999999999999'],
  ['u64', '100000000000000000000'],
  ['u64', '-1'],
  ['i64', '9223372036854775808'],
  ['i64', '-9223372036854775809'],
  ['i64', '-'],
  ['f32', '0.1'],
  ['f32', '1e39'],
  ['f64', ''],
  ['f64', '1.5.2'],
  ['f64', 'NaN:7ff00000'],
  ['f64', 'NaN:3ff0000000000000'],
  ['f64', 'nan'],
] as const)('%s is not %j', async (type, text) => {
  const schema: StoredSchema = { key: { type: 'u8' }, value: { type } }
  const start = headerLine(TABLE, schema, 1)
  const reading = read(withEnd(`${start}1,${text}\n`, 1))
  await expect(reading).rejects.toThrow(`line 2, column 3: expected field "value", which is ${type}`)
})

test('counts that do not fit, another format and what follows the end mark are refused', async () => {
  const start = headerLine(TABLE, KEYS, 2)
  const more = dumpOf(KEYS, { key: Uint16Array.of(1) }, 1)
  const wrong = [
    [withEnd(`${start}1\n`, 1), 'has 1 records, its last line tells 1, its first 2'],
    [withEnd(`${start}1\n2\n`, 3), 'has 2 records, its last line tells 3, its first 2'],
    [`${more}\n`, 'after the end mark'],
    [more + more, 'after the end mark'],
    ['key,time\n1,2\n', 'is no dump'],
    ['x'.repeat(3 << 20), 'is no dump'],
    [start.replace('"version":1', '"version":9'), 'version 9, this program reads version 1'],
    [start.replace('u16', 'u17'), 'schema.key'],
    [start.replace('"pageBytes":4096', '"pageBytes":"x"'), 'damaged first line'],
  ] as const
  for (const [text, says] of wrong) {
    const reading = read(text, 65_536)
    await expect(reading).rejects.toMatchObject({
      code: 'WRONG_FILE',
      message: expect.stringContaining(says) as string,
    })
  }
})

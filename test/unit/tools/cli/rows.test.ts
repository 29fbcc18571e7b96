/** tools/cli/rows: columns as text. Every value is read again from it, bit by bit. */
import { expect, test } from 'vitest'
import type { StoredFieldType } from '../../../../src/encoding/stored-schema.js'
import { writeSigned64, writeUnsigned, writeUnsigned64 } from '../../../../tools/cli/rows/digits.js'
import {
  csvFormat,
  jsonFormat,
  jsonLinesFormat,
  tableFormat,
  type RowColumns,
  type RowField,
  type RowFormat,
} from '../../../../tools/cli/rows/row-format.js'
import { Random } from '../../../support/random.js'

const U64_EDGES = [
  0n,
  1n,
  9n,
  10n,
  999_999_999n,
  10n ** 9n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
]
const EDGES = [
  ...U64_EDGES,
  2n ** 63n - 1n,
  2n ** 63n,
  10n ** 18n - 1n,
  10n ** 18n,
  10n ** 19n,
  2n ** 64n - 1n,
]

function textOf(format: RowFormat, columns: RowColumns, rows: number): string {
  return format.head + Buffer.concat([...format.chunks(columns, 0, rows)]).toString()
}

test('digits are those of BigInt, at every edge and of random numbers of all widths', () => {
  const random = new Random(20_261_128)
  const randoms = Array.from({ length: 20_000 }, () => {
    const value = (BigInt(random.next()) << 32n) | BigInt(random.next())
    return BigInt.asUintN(random.between(1, 64), value)
  })
  const bytes = Buffer.alloc(32)
  const wrong: bigint[] = []
  for (const value of [...EDGES, ...EDGES.map(edge => edge + 1n), ...randoms].map(n =>
    BigInt.asUintN(64, n),
  )) {
    const [low, high] = [Number(value & 0xffffffffn), Number(value >> 32n)]
    const texts = [
      [String(value), bytes.toString('latin1', 0, writeUnsigned64(bytes, 0, low, high))],
      [String(BigInt.asIntN(64, value)), bytes.toString('latin1', 0, writeSigned64(bytes, 0, low, high))],
      [String(low), bytes.toString('latin1', 0, writeUnsigned(bytes, 0, low))],
    ]
    if (texts.some(([expected, found]) => expected !== found)) wrong.push(value)
  }
  expect(wrong).toEqual([])
})

const FIELDS: readonly RowField[] = [
  { name: 'key', type: 'u64' },
  { name: 'small', type: 'i8' },
  { name: 'wide', type: 'i32' },
  { name: 'ratio', type: 'f64' },
  { name: 'digest', type: 'bytes', bytes: 2 },
  { name: 'word', type: 'fixed', encoding: 'utf8', bytes: 3 },
  { name: 'json', type: 'fixed', encoding: 'json', bytes: 7 },
]
const COLUMNS: RowColumns = {
  key: BigUint64Array.of(2n ** 64n - 1n, 7n),
  small: Int8Array.of(-128, 0),
  wide: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  ratio: Float64Array.of(-0, NaN),
  digest: Uint8Array.of(0, 255, 16, 1),
  word: new Uint8Array(Buffer.from('a,"é\n')),
  json: new Uint8Array(Buffer.from('{"a":1}"b\u202e"\n')),
}

test('CSV quotes what needs quotes, and has bytes as hexadecimal digits', () => {
  expect(textOf(csvFormat(FIELDS), COLUMNS, 2)).toBe(
    'key,small,wide,ratio,digest,word,json\n' +
      '18446744073709551615,-128,-2147483648,-0,00ff,"a,""","{""a"":1}"\n' +
      '7,0,2147483647,NaN,1001,"é\n","""b\u202e""\n"\n',
  )
})

test('JSON lines are valid JSON: 64-bit integers and numbers that JSON does not have are strings', () => {
  const [first, second, end] = textOf(jsonLinesFormat(FIELDS), COLUMNS, 2).split('\n')
  expect(first).toBe(
    '{"key":"18446744073709551615","small":-128,"wide":-2147483648,"ratio":-0,"digest":"00ff","word":"a,\\"","json":{"a":1}}',
  )
  expect(JSON.parse(second!)).toMatchObject({ key: '7', ratio: 'NaN', word: 'é\n', json: 'b\u202e' })
  expect(second).not.toContain('\u202e')
  expect(end).toBe('')
  expect(textOf(jsonLinesFormat(FIELDS, { bigints: 'number' }), COLUMNS, 1)).toContain(
    '{"key":18446744073709551615,',
  )
})

test('a JSON object has all records, in however many chunks they come', () => {
  const format = jsonFormat(FIELDS, { directory: 'a"b\u009b' })
  const chunks = [0, 1].flatMap(row => [...format.chunks(COLUMNS, row, row + 1)])
  const text = format.head + Buffer.concat(chunks).toString() + format.tail
  const lines = textOf(jsonLinesFormat(FIELDS), COLUMNS, 2).trimEnd().split('\n')
  const records = lines.map(line => JSON.parse(line) as unknown)
  expect(JSON.parse(text)).toEqual({ directory: 'a"b\u009b', records })
  const empty = jsonFormat(FIELDS, { directory: 'x' })
  expect(JSON.parse(empty.head + empty.tail)).toEqual({ directory: 'x', records: [] })
  expect(text).not.toContain('\u009b')
})

test('a table keeps each record on its line', () => {
  const lines = textOf(tableFormat(FIELDS), COLUMNS, 2).split('\n')
  expect(lines[0]).toBe('key\tsmall\twide\tratio\tdigest\tword\tjson')
  expect(lines[2]).toBe('7\t0\t2147483647\tNaN\t1001\t"é\\n"\t"\\"b\\u202e\\"\\n"')
  expect(lines).toHaveLength(4)
})

test('floats read as the same number', () => {
  const random = new Random(7)
  const bits = Uint32Array.from({ length: 4096 }, () => random.next())
  for (const [type, column] of [
    ['f32', new Float32Array(bits.buffer)],
    ['f64', new Float64Array(bits.buffer)],
  ] as const) {
    const rows = textOf(csvFormat([{ name: 'value', type }]), { value: column }, column.length)
      .trim()
      .split('\n')
    expect(rows.slice(1).map(Number)).toEqual([...column])
  }
})

test('text is cut into chunks of whole records, however wide and many they are', () => {
  const type: StoredFieldType = { type: 'fixed', encoding: 'utf8', bytes: 1000 }
  const values = new Uint8Array(1000 * 300).fill(27)
  const chunks = [...jsonLinesFormat([{ name: 'value', ...type }]).chunks({ value: values }, 10, 300)]
  expect(chunks.length).toBeGreaterThan(10)
  const record = { value: '\u001b'.repeat(1000) }
  const lines = chunks.flatMap(chunk => chunk.toString().split('\n').slice(0, -1))
  expect(lines).toHaveLength(290)
  for (const line of lines) expect(JSON.parse(line)).toEqual(record)
})

/** What fits is converted, and what does not is marked, never changed until it fits. */
import { describe, expect, test } from 'vitest'
import {
  COLUMN_OF,
  type SourceColumn,
  type SourceField,
  type TargetType,
} from '../../../src/exchange/columns.js'
import { convertColumn, typeRange } from '../../../src/exchange/convert.js'
import { SCALAR_NAMES, type ScalarName } from '../../../src/encoding/stored-schema.js'

const UNTOLD: SourceField = { name: 'x', type: undefined, byteLength: 0 }
const targetOf = (type: ScalarName): TargetType => ({ type, byteLength: COLUMN_OF[type].BYTES_PER_ELEMENT })

function convert(values: SourceColumn, to: TargetType, from = UNTOLD, rows = values.length) {
  const marked: number[] = []
  const column = convertColumn(values, rows, from, to, row => marked.push(row))
  return { column, marked }
}

test.each(SCALAR_NAMES)('a column of %s stays itself', type => {
  const column = new COLUMN_OF[type](3)
  const from = { name: 'x', ...targetOf(type) }
  expect(convert(column, targetOf(type), from).column).toBe(column)
})

/** The least and the greatest of each integer type. */
const BOUNDS = SCALAR_NAMES.filter(name => !name.startsWith('f')).map(name => {
  const bits = BigInt(name.slice(1))
  const least = name.startsWith('i') ? -(1n << (bits - 1n)) : 0n
  return [name, least, least + (1n << bits) - 1n] as const
})

describe.each(BOUNDS)('%s', (type, least, greatest) => {
  const exact = (value: bigint): boolean => Number.isSafeInteger(Number(value))
  const values = [least, greatest, 1n]

  test('takes its least and greatest number as text and as bigint, and not one beyond', () => {
    for (const form of [String, (value: bigint): unknown => value, (value: bigint) => ` ${value} `]) {
      const { column, marked } = convert(
        [...values, least - 1n, greatest + 1n].map(value => form(value)),
        targetOf(type),
      )
      expect([...column].slice(0, 3).map(BigInt)).toEqual(values)
      expect(marked).toEqual([3, 4])
    }
  })

  test('takes what numbers can tell', () => {
    const numbers = values.filter(exact).map(Number)
    expect([...convert(numbers, targetOf(type)).column].map(Number)).toEqual(numbers)
    expect(convert([true, false, '0x1'], targetOf(type)).marked).toEqual([])
    expect(convert([1.5, NaN, Infinity, 2 ** 70], targetOf(type)).marked).toEqual([0, 1, 2, 3])
  })

  test('marks what is no number, or missing', () => {
    const wrong = ['', ' ', 'x', '1.5', '1e400', null, undefined, {}, new Uint8Array(8), '--1', '1 2']
    expect(convert(wrong, targetOf(type)).marked).toEqual(wrong.map((_, row) => row))
  })
})

test('numbers of narrower and of wider columns are compared after they are stored', () => {
  expect(convert(Int32Array.of(1, -1, 300), targetOf('u8'))).toMatchObject({ marked: [1, 2] })
  expect(convert(BigInt64Array.of(1n, -1n), targetOf('u64'))).toMatchObject({ marked: [1] })
  expect(convert(BigUint64Array.of(1n, 2n ** 63n), targetOf('i64'))).toMatchObject({ marked: [1] })
  expect(convert(Float64Array.of(1, 1.5), targetOf('u16'))).toMatchObject({ marked: [1] })
})

test('floats', () => {
  const texts = ['-0', '1.5', 'NaN', 'nan', 'inf', '-Infinity', '0x10', '1e-45']
  const { column, marked } = convert(texts, targetOf('f64'))
  expect(marked).toEqual([])
  expect([...column]).toEqual([-0, 1.5, NaN, NaN, Infinity, -Infinity, 16, 1e-45])
  expect(convert(['', 'x', null, 'NaN1', 2n ** 60n + 1n], targetOf('f64')).marked).toEqual([0, 1, 2, 3, 4])
  // Rounded to the type, but not to infinity.
  expect(convert([0.1, 1e39, Infinity], targetOf('f32'))).toMatchObject({ marked: [1] })
})

test('bytes', () => {
  const to = { type: 'bytes', byteLength: 2 } as const
  const { column, marked } = convert([Uint8Array.of(1, 2), 'a0Ff', '0x0102'], to)
  expect({ column, marked }).toEqual({ column: Uint8Array.of(1, 2, 0xa0, 0xff, 1, 2), marked: [] })
  expect(convert([Uint8Array.of(1), 'a0f', 'a0fg', null, 7, 'a0ff00'], to).marked).toEqual([0, 1, 2, 3, 4, 5])
  const wide: SourceField = { name: 'x', type: 'bytes', byteLength: 4 }
  expect(convert(new Uint8Array(8), to, wide, 2).marked).toEqual([0, 1])
})

test('the range of a type is told as people write it', () => {
  expect(typeRange(targetOf('i8'))).toBe('i8, an integer from -128 to 127')
  expect(typeRange(targetOf('u64'))).toBe(`u64, an integer from 0 to ${2n ** 64n - 1n}`)
  expect(typeRange({ type: 'bytes', byteLength: 3 })).toBe('bytes(3), in text 6 hexadecimal digits')
})

/**
 * The types of value fields with their arbitrary values and the extremes of each, for tests of encodings.
 */
import fc from 'fast-check'
import { bytes, fixed } from '../../src/encoding/encodings.js'
import type { FieldEncoding } from '../../src/encoding/types.js'

export interface FieldCase {
  readonly name: string
  readonly encoding: FieldEncoding
  readonly byteLength: number
  /** The class of its columns. */
  readonly Column: {
    new (length: number): ArrayBufferView & { readonly length: number }
    readonly name: string
  }
  readonly values: fc.Arbitrary<unknown>
  /** Values that must be among those tried. */
  readonly extremes: readonly unknown[]
}

const integer = (bits: number, signed: boolean, Column: FieldCase['Column']): FieldCase => {
  const min = signed ? -(2 ** (bits - 1)) : 0
  const max = min + 2 ** bits - 1
  const name = `${signed ? 'i' : 'u'}${bits}` as 'u8'
  return {
    name,
    encoding: name,
    byteLength: bits / 8,
    Column,
    values: fc.integer({ min, max }),
    extremes: [min, max, 0, 1, max - 1, min + 1],
  }
}

const U64_MAX = 2n ** 64n - 1n
const I64_MIN = -(2n ** 63n)

const uint8Array = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })

const byteString = (length: number): FieldCase => ({
  name: `bytes(${length})`,
  encoding: bytes(length),
  byteLength: length,
  Column: Uint8Array,
  values: uint8Array(length),
  extremes: [
    new Uint8Array(length),
    new Uint8Array(length).fill(255),
    Uint8Array.from({ length }, (_, i) => i),
  ],
})

/** Every scalar, byte strings around the width of a lane, and encodings of level-transcoder. */
export const FIELD_CASES: readonly FieldCase[] = [
  integer(8, false, Uint8Array),
  integer(16, false, Uint16Array),
  integer(32, false, Uint32Array),
  integer(8, true, Int8Array),
  integer(16, true, Int16Array),
  integer(32, true, Int32Array),
  {
    name: 'u64',
    encoding: 'u64',
    byteLength: 8,
    Column: BigUint64Array,
    values: fc.bigInt({ min: 0n, max: U64_MAX }),
    extremes: [0n, 1n, U64_MAX, 2n ** 32n, 2n ** 32n - 1n, 2n ** 63n],
  },
  {
    name: 'i64',
    encoding: 'i64',
    byteLength: 8,
    Column: BigInt64Array,
    values: fc.bigInt({ min: I64_MIN, max: -I64_MIN - 1n }),
    extremes: [0n, -1n, I64_MIN, -I64_MIN - 1n, 2n ** 32n, -(2n ** 32n)],
  },
  {
    name: 'f32',
    encoding: 'f32',
    byteLength: 4,
    Column: Float32Array,
    values: fc.float(),
    extremes: [0, -0, NaN, Infinity, -Infinity, 2 ** -149, Math.fround(3.4028234663852886e38)],
  },
  {
    name: 'f64',
    encoding: 'f64',
    byteLength: 8,
    Column: Float64Array,
    values: fc.double(),
    extremes: [0, -0, NaN, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE],
  },
  ...[1, 2, 3, 4, 5, 7, 8, 20, 32].map(byteString),
  {
    name: "fixed('hex', 5)",
    encoding: fixed('hex', 5),
    byteLength: 5,
    Column: Uint8Array,
    values: uint8Array(5).map(value => Buffer.from(value).toString('hex')),
    extremes: ['0000000000', 'ffffffffff'],
  },
  {
    name: "fixed('utf8', 3)",
    encoding: fixed('utf8', 3),
    byteLength: 3,
    Column: Uint8Array,
    values: fc.constantFrom('abc', 'aä', '€', '\0\0\0'),
    extremes: [],
  },
]

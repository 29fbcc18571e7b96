/**
 * Rows of lanes for the tests of everything below `encoding/`: made in shapes that reach the corners of the codecs,
 * turned into columns and back.
 *
 * A key here is one big integer, which the code under test never sees as such: a twin that adds and compares keys in
 * this form shares nothing with the code.
 */
import fc from 'fast-check'
import type { LaneColumn } from '../../src/records/lane-columns.js'
import { DELETE_KEY, OperationBuffer, PUT, type Operations } from '../../src/records/operations.js'
import { recordLayout, type RecordLayout } from '../../src/records/record-layout.js'
import { Random } from './random.js'

/** One operation. */
export interface Row {
  readonly key: bigint
  readonly values: readonly number[]
  readonly kind: number
}

/** This many lanes of four bytes each. */
export function wideLayout(keyLanes: number, valueLanes: number): RecordLayout {
  return recordLayout(Array<number>(keyLanes).fill(4), Array<number>(valueLanes).fill(4))
}

/** The lanes of a key, first lane first. */
export function keyLanesOf(key: bigint, laneCount: number): Uint32Array {
  const lanes = new Uint32Array(laneCount)
  for (let lane = laneCount - 1, rest = key; lane >= 0; lane--, rest >>= 32n) {
    lanes[lane] = Number(rest & 0xffffffffn)
  }
  return lanes
}

/** The key in row `row` of columns. */
export function keyOf(lanes: readonly LaneColumn[], row: number, keyLaneCount: number): bigint {
  let key = 0n
  for (let lane = 0; lane < keyLaneCount; lane++) key = (key << 32n) | BigInt(lanes[lane]![row]!)
  return key
}

/** Columns of the rows; without a column of kinds where all are puts, unless `withKinds` asks for one. */
export function columnsOf(
  layout: RecordLayout,
  rows: readonly Row[],
  withKinds = rows.some(row => row.kind !== PUT),
): OperationBuffer {
  const { keyLaneCount } = layout
  const columns = new OperationBuffer(layout, Math.max(1, rows.length))
  if (withKinds) columns.ensureKinds()
  columns.count = rows.length
  rows.forEach(({ key, values, kind }, row) => {
    keyLanesOf(key, keyLaneCount).forEach((value, lane) => (columns.lanes[lane]![row] = value))
    values.forEach((value, lane) => (columns.lanes[keyLaneCount + lane]![row] = value))
    if (columns.kinds !== undefined) columns.kinds[row] = kind
  })
  return columns
}

/** Rows [from, to) of columns, with no values where the key is deleted: those mean nothing. */
export function rowsOf(
  layout: RecordLayout,
  columns: Operations,
  from = 0,
  to: number = columns.count,
): Row[] {
  return Array.from({ length: to - from }, (_, i) => {
    const row = from + i
    const kind = columns.kinds?.[row] ?? PUT
    const lanes = kind === DELETE_KEY ? [] : columns.lanes.slice(layout.keyLaneCount)
    return {
      key: keyOf(columns.lanes, row, layout.keyLaneCount),
      values: lanes.map(lane => lane[row]!),
      kind,
    }
  })
}

/** The rows, with no values where the key is deleted. */
export function meaningOf(rows: readonly Row[]): Row[] {
  return rows.map(({ key, values, kind }) => ({ key, values: kind === DELETE_KEY ? [] : values, kind }))
}

/** How the keys of a made-up table are spread. */
export const KEY_SHAPES = ['random', 'dense', 'carry', 'duplicates', 'equal', 'extreme'] as const
export type KeyShape = (typeof KEY_SHAPES)[number]

/** How the values of a lane are spread. */
export const VALUE_SHAPES = ['constant', 'narrow', 'wide', 'extreme'] as const
export type ValueShape = (typeof VALUE_SHAPES)[number]

export interface RowShape {
  readonly keyLanes: number
  readonly valueLanes: number
  readonly rows: number
  readonly keys: KeyShape
  /** A shape a value lane. */
  readonly values: readonly ValueShape[]
  /** Kinds to choose from. */
  readonly kinds: readonly number[]
  readonly seed: number
}

/** Rows in order of their keys. */
export function sortedRowsOf(shape: RowShape): Row[] {
  const random = new Random(shape.seed)
  const keys = keysOf(shape, random).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const bases = shape.values.map(() => random.next())
  return keys.map(key => ({
    key,
    values: shape.values.map((values, lane) => valueOf(values, bases[lane]!, random)),
    kind: random.pick(shape.kinds),
  }))
}

function keysOf({ keyLanes, rows, keys: shape }: RowShape, random: Random): bigint[] {
  const greatest = 2n ** BigInt(32 * keyLanes) - 1n
  const anyKey = (): bigint => {
    let key = 0n
    for (let lane = 0; lane < keyLanes; lane++) key = (key << 32n) | BigInt(random.next())
    return key
  }
  const made: (() => bigint)[] = []
  if (shape === 'random') made.push(anyKey)
  if (shape === 'equal') {
    const key = anyKey()
    made.push(() => key)
  }
  if (shape === 'duplicates') {
    // A few keys, each over many rows, one of them over most.
    const pool = Array.from({ length: 8 }, anyKey)
    made.push(() => pool[Math.min(random.below(8), random.below(8))]!)
  }
  if (shape === 'dense') {
    const base = anyKey() >> 1n
    made.push(() => base + BigInt(random.below(rows * 2)))
  }
  if (shape === 'carry') {
    // Around a multiple of 2^32 (of 2^64, ...), so that deltas carry from lane to lane.
    const multiple = (anyKey() >> BigInt(32 * keyLanes - 16)) << BigInt(32 * random.below(keyLanes))
    const around = multiple < 2n ** 20n ? 2n ** 20n : multiple
    made.push(() => around + BigInt(random.below(1000) - 500))
  }
  if (shape === 'extreme') made.push(() => random.pick([0n, 1n, greatest - 1n, greatest, anyKey()]))
  return Array.from({ length: rows }, () => {
    const key = random.pick(made)()
    return key > greatest ? greatest : key
  })
}

function valueOf(shape: ValueShape, base: number, random: Random): number {
  switch (shape) {
    case 'constant':
      return base
    case 'narrow':
      return Math.min(0xffffffff, base + random.below(100))
    case 'wide':
      return random.next()
    case 'extreme':
      return random.pick([0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff])
  }
}

export interface ShapeLimits {
  readonly rowsMax: number
  readonly keyLanesMin?: number
  readonly keyLanesMax?: number
  readonly kinds?: readonly (readonly number[])[]
}

/** Shapes of any key, 0 to 6 value lanes and all kinds; they shrink to fewer rows and lanes. */
export function shapes(limits: ShapeLimits): fc.Arbitrary<RowShape> {
  const { rowsMax, keyLanesMin = 1, keyLanesMax = 8 } = limits
  const kinds = limits.kinds ?? [[PUT], [PUT, DELETE_KEY], [DELETE_KEY], [0, 0, 0, 0, 1, 2], [2]]
  return fc
    .record({
      keyLanes: fc.integer({ min: keyLanesMin, max: keyLanesMax }),
      rows: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: rowsMax })),
      keys: fc.constantFrom(...KEY_SHAPES),
      values: fc.array(fc.constantFrom(...VALUE_SHAPES), { maxLength: 6 }),
      kinds: fc.constantFrom(...kinds),
      seed: fc.nat(0xffffffff),
    })
    .map(shape => ({ ...shape, valueLanes: shape.values.length }))
}

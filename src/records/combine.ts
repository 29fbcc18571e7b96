/**
 * Combines two records of one key into one, field by field, as the table was created to: docs/api.md, Combining.
 *
 * Associative, so it does not matter which neighbours in age are combined first; but for sums of floats, and of signed
 * integers that have overflowed on the way. Hot: nothing is allocated for a record.
 */
import type { CombineOperator } from '../options/options.js'
import type { CombineRule, RecordLayout } from './record-layout.js'

type Lanes = readonly Uint32Array[]

/** Writes a field of the two records, the older one first, combined. All three rows may be the same. */
type Write = (older: Lanes, o: number, newer: Lanes, n: number, into: Lanes, at: number) => void

const TWO_32 = 2 ** 32
const U32_MAX = TWO_32 - 1
const SIGN_BIT = 0x80000000
/** What a sum that is no number becomes, whatever the machine makes of it. */
const NAN_32 = 0x7fc00000
const NAN_64 = 0x7ff80000

/** The bits of two floats as words, the low one first. */
const cell = new ArrayBuffer(16)
const words = new Uint32Array(cell)
const doubles = new Float64Array(cell)
const singles = new Float32Array(cell)

export class Combiner {
  readonly #fields: readonly Write[]

  private constructor(rules: readonly CombineRule[], { laneBytes }: RecordLayout) {
    this.#fields = rules.map(rule => writeOf(rule, laneBytes[rule.lane]!))
  }

  /** `undefined`: the table does not combine. */
  static of(layout: RecordLayout): Combiner | undefined {
    return layout.combine === undefined ? undefined : new Combiner(layout.combine, layout)
  }

  /** Writes the fields of both records, combined, into row `at` of `into`, which may be one of the two. */
  combine(older: Lanes, o: number, newer: Lanes, n: number, into: Lanes, at: number): void {
    const fields = this.#fields
    for (let field = 0; field < fields.length; field++) fields[field]!(older, o, newer, n, into, at)
  }

  /** For i below `pairs`, in this order: row `newer[i]` takes in row `older[i]`. Field by field. */
  combineEach(lanes: Lanes, older: Uint32Array, newer: Uint32Array, pairs: number): void {
    for (const write of this.#fields)
      for (let i = 0; i < pairs; i++) write(lanes, older[i]!, lanes, newer[i]!, lanes, newer[i]!)
  }
}

function writeOf(rule: CombineRule, bytes: number): Write {
  const { operator, lane, laneCount, number } = rule
  if (operator === 'first')
    return (older, o, _newer, _n, into, at) => copy(older, o, into, at, lane, laneCount)
  if (operator === 'last')
    return (_older, _o, newer, n, into, at) => copy(newer, n, into, at, lane, laneCount)
  if (number === 'float') return floatWrite(operator, lane, laneCount)
  const isSigned = number === 'signed'
  if (operator === 'sum') return laneCount === 1 ? smallSum(lane, bytes, isSigned) : longSum(lane, isSigned)
  if (operator === 'or' || operator === 'and') return bitsWrite(operator, lane, laneCount, bytes, isSigned)
  return extremeWrite(operator, lane, laneCount)
}

function copy(from: Lanes, row: number, into: Lanes, at: number, lane: number, laneCount: number): void {
  for (let i = lane; i < lane + laneCount; i++) into[i]![at] = from[i]![row]!
}

/** Of up to 32 bits; a lane is the number plus a bias. */
function smallSum(lane: number, bytes: number, isSigned: boolean): Write {
  const most = 2 ** (8 * bytes) - 1
  const bias = isSigned ? 2 ** (8 * bytes - 1) : 0
  return (older, o, newer, n, into, at) => {
    const sum = older[lane]![o]! + newer[lane]![n]! - bias
    into[lane]![at] = sum < 0 ? 0 : sum > most ? most : sum
  }
}

/** Of 64 bits. */
function longSum(lane: number, isSigned: boolean): Write {
  const bias = isSigned ? SIGN_BIT : 0
  return (older, o, newer, n, into, at) => {
    const low = older[lane + 1]![o]! + newer[lane + 1]![n]!
    const high = older[lane]![o]! + newer[lane]![n]! + (low > U32_MAX ? 1 : 0) - bias
    const fits = high >= 0 && high <= U32_MAX
    into[lane]![at] = fits ? high : high < 0 ? 0 : U32_MAX
    // A store keeps the low 32 bits.
    into[lane + 1]![at] = fits ? low : high < 0 ? 0 : U32_MAX
  }
}

/** The bits of the numbers themselves, without their bias. */
function bitsWrite(
  operator: 'or' | 'and',
  lane: number,
  laneCount: number,
  bytes: number,
  isSigned: boolean,
): Write {
  return (older, o, newer, n, into, at) => {
    for (let i = lane; i < lane + laneCount; i++) {
      const flip = isSigned && i === lane ? 2 ** (8 * bytes - 1) : 0
      const a = older[i]![o]! ^ flip
      const b = newer[i]![n]! ^ flip
      into[i]![at] = (operator === 'or' ? a | b : a & b) ^ flip
    }
  }
}

/** Lanes of integers are ordered as the integers are. */
function extremeWrite(operator: 'min' | 'max', lane: number, laneCount: number): Write {
  const isMin = operator === 'min'
  return (older, o, newer, n, into, at) => {
    let order = older[lane]![o]! - newer[lane]![n]!
    if (order === 0 && laneCount === 2) order = older[lane + 1]![o]! - newer[lane + 1]![n]!
    if (isMin ? order <= 0 : order >= 0) copy(older, o, into, at, lane, laneCount)
    else copy(newer, n, into, at, lane, laneCount)
  }
}

function floatWrite(operator: CombineOperator, lane: number, laneCount: number): Write {
  const isDouble = laneCount === 2
  const read = (lanes: Lanes, row: number): number => {
    words[0] = lanes[lane + laneCount - 1]![row]!
    if (!isDouble) return singles[0]!
    words[1] = lanes[lane]![row]!
    return doubles[0]!
  }
  if (operator === 'sum')
    return (older, o, newer, n, into, at) => {
      const sum = read(older, o) + read(newer, n)
      if (isDouble) doubles[0] = sum
      else singles[0] = sum
      const isNumber = !Number.isNaN(sum)
      if (isDouble) {
        into[lane]![at] = isNumber ? words[1]! : NAN_64
        into[lane + 1]![at] = isNumber ? words[0]! : 0
      } else into[lane]![at] = isNumber ? words[0]! : NAN_32
    }
  const isMin = operator === 'min'
  return (older, o, newer, n, into, at) => {
    const a = read(older, o)
    const b = read(newer, n)
    const takesOlder = Number.isNaN(b) || isBefore(isMin ? a : b, isMin ? b : a) || Object.is(a, b)
    if (takesOlder && !(Number.isNaN(a) && !Number.isNaN(b))) copy(older, o, into, at, lane, laneCount)
    else copy(newer, n, into, at, lane, laneCount)
  }
}

/** -0 lies before 0. */
function isBefore(a: number, b: number): boolean {
  return a < b || (a === b && Object.is(a, -0) && !Object.is(b, -0))
}

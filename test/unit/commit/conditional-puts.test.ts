/** Which conditional puts of a group are put: compared with a plain twin that does one operation after the other. */
import { describe, expect, test } from 'vitest'
import { decideConditionalPuts, type Presence } from '../../../src/commit/conditional-puts.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  PUT,
  PUT_IF_ABSENT,
} from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { Random } from '../../support/random.js'

const LAYOUT = recordLayout([4, 4], [4])

type Row = readonly [kind: number, key: number, value: number]

/** The records of each key, oldest first. */
type Records = Map<number, number[]>

function bufferOf(rows: readonly Row[]): OperationBuffer {
  const buffer = new OperationBuffer(LAYOUT)
  for (const [kind, key, value] of rows) buffer.appendRecord(kind, Uint32Array.of(key >> 2, key & 3, value))
  return buffer
}

function rowsOf({ lanes, kinds, count }: OperationBuffer): Row[] {
  return Array.from({ length: count }, (_, row) => [
    kinds === undefined ? PUT : kinds[row]!,
    lanes[0]![row]! * 4 + lanes[1]![row]!,
    lanes[2]![row]!,
  ])
}

/** A table with these records; `waits`: it answers later. */
function presenceOf(records: Records, waits: boolean): Presence & { asked: number } {
  const presence = {
    asked: 0,
    hasEach: ([high, low]: readonly Uint32Array[]) => {
      presence.asked += high!.length
      const has = Uint8Array.from(high!, (lane, i) =>
        (records.get(lane * 4 + low![i]!) ?? []).length > 0 ? 1 : 0,
      )
      return waits ? Promise.resolve(has) : has
    },
    recordsOf: (key: Uint32Array) => {
      const number = key[0]! * 4 + key[1]!
      return Promise.resolve(bufferOf((records.get(number) ?? []).map(value => [PUT, number, value])))
    },
  }
  return presence
}

/** Does the operations one by one. Returns for each whether it stays. */
function twin(records: Records, rows: readonly Row[], replace: boolean): number[] {
  return rows.map(([kind, key, value]) => {
    const before = records.get(key) ?? []
    if (kind === PUT_IF_ABSENT && before.length > 0) return 0
    if (kind === DELETE_KEY) records.set(key, [])
    else if (kind === DELETE_RECORD)
      records.set(
        key,
        before.filter(other => other !== value),
      )
    else records.set(key, replace ? [value] : [...before, value])
    return 1
  })
}

describe.each([
  ['keep', false],
  ['replace', true],
])('with duplicates: %s', (_, replace) => {
  test('each is decided as if one operation came after the other', async () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed)
      const keys = random.pick([1, 3, 12])
      const records: Records = new Map()
      for (let key = 0; key < keys; key++) {
        const count = random.below(replace ? 2 : 3)
        records.set(
          key,
          Array.from({ length: count }, () => random.below(3)),
        )
      }
      const rows = Array.from({ length: random.between(1, 30) }, (): Row => {
        const kind = random.pick([PUT, PUT_IF_ABSENT, PUT_IF_ABSENT, DELETE_KEY, DELETE_RECORD])
        return [kind, random.below(keys), random.below(3)]
      })
      const presence = presenceOf(new Map(records), random.chance(0.3))
      const group = bufferOf(rows)
      const keep = await decideConditionalPuts(group, { layout: LAYOUT, replace, presence })
      const expected = twin(records, rows, replace)
      expect([...keep], `seed ${seed}`).toEqual(expected)
      const left = rows.filter((_, row) => expected[row] === 1)
      const kindOf = (kind: number) => (kind === PUT_IF_ABSENT ? PUT : kind)
      expect(rowsOf(group)).toEqual(left.map(([kind, key, value]) => [kindOf(kind), key, value]))
    }
  })
})

test('the table is asked once for each key, and the answer comes at once where it can', () => {
  const presence = presenceOf(new Map([[2, [9]]]), false)
  const group = bufferOf([2, 3, 3, 2, 4].map((key, i): Row => [PUT_IF_ABSENT, key, i]))
  const keep = decideConditionalPuts(group, { layout: LAYOUT, replace: false, presence })
  expect(keep).toEqual(Uint8Array.of(0, 1, 0, 0, 1))
  expect(presence.asked).toBe(3)
  expect(group.kinds).toBeUndefined()
})

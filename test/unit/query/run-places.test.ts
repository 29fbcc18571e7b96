import { expect, test } from 'vitest'
import { RunPlaces } from '../../../src/query/run-places.js'
import { sortedOrder } from '../../../src/sort/sort.js'
import { Random } from '../../support/random.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Math.floor(Math.random() * 1e6))

test.each([1, 100, 4095, 4096, 20_000])(`a key has its place in a run of %i rows (seed ${SEED})`, rows => {
  const random = new Random(SEED)
  const places = new RunPlaces()
  // The more rows to a key, the more samples are equal.
  for (const keys of [1, 7, 300, 100_000]) {
    const lanes = [0, 1].map(() =>
      Uint32Array.from({ length: rows }, () => 5 + random.below(Math.ceil(keys ** 0.5))),
    )
    const run = sortedOrder(lanes, 2, 0, rows)
    const inOrder = Array.from(run, row => lanes[0]![row]! * 1e6 + lanes[1]![row]!)
    for (let i = 0; i < 200; i++) {
      const key = Uint32Array.from([0, 1], () => 4 + random.below(Math.ceil(keys ** 0.5) + 2))
      const number = key[0]! * 1e6 + key[1]!
      const below = inOrder.filter(other => other < number).length
      const upTo = inOrder.filter(other => other <= number).length
      expect([places.placeOf(lanes, run, key, false), places.placeOf(lanes, run, key, true)]).toEqual([
        below,
        upTo,
      ])
    }
  }
})

import { expect, test } from 'vitest'
import { findNear } from '../../../src/query/near.js'
import type { TableReader } from '../../../src/query/reader.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import type { View } from '../../../src/state/table-state.js'
import { clockByLooks } from '../../support/clock.js'

const QUERIES = 200_000

test.each([
  ['looked up one by one', 1n],
  ['scanned', 1n << 40n],
])('the event loop turns while the reach of many keys is computed, before they are %s', async (_, within) => {
  clockByLooks(0.1)
  const layout = recordLayout([4, 4], [])
  const keys = Array.from({ length: layout.keyLaneCount }, () => new Uint32Array(QUERIES))
  keys.at(-1)!.forEach((_, query, lane) => (lane[query] = query))
  let retained = 0
  const version = {
    retain: () => void retained++,
    release: async () => void retained--,
  }
  // What is asked of the table, and when: nothing is found in it.
  const asked: { turns: number; retained: number }[] = []
  let turns = 0
  const ask = (): void => void asked.push({ turns, retained })
  const reader = {
    // Not simple: each goes the general way.
    findNearby: async (_: View, [lane]: Uint32Array[]) => ({
      rows: new OperationBuffer(layout),
      ends: new Uint32Array(lane!.length),
      general: Array.from({ length: lane!.length }, (_, query) => query),
    }),
    findMany: async (_: View, [lane]: Uint32Array[]) => {
      ask()
      return {
        rows: new OperationBuffer(layout),
        ends: new Uint32Array(lane!.length),
      }
    },
    scan: async () => {
      ask()
      return { next: async () => undefined, close: async () => {} }
    },
  }
  let runs = true
  const count = (): void => {
    turns++
    if (runs) setImmediate(count)
  }
  setImmediate(count)
  const view = { version } as unknown as View
  const { query } = await findNear(reader as unknown as TableReader, layout, view, keys, within)
  runs = false
  expect(query.length).toBe(0)
  expect(asked.length).toBe(1)
  // The view is held from the call on.
  expect(asked[0]!.retained).toBe(1)
  expect(asked[0]!.turns).toBeGreaterThan(2)
  expect(retained).toBe(0)
})

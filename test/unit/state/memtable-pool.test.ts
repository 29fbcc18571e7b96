import { expect, test } from 'vitest'
import { recordLayout } from '../../../src/records/record-layout.js'
import { MemtablePool } from '../../../src/state/memtable-pool.js'
import { Version } from '../../../src/state/version.js'

const OPTIONS = { layout: recordLayout([4, 4], []), memtableRecords: 100 }

/** Lets timers that are due run. */
async function turn(): Promise<void> {
  await new Promise(resolve => void setTimeout(resolve, 1))
  await new Promise(resolve => void setImmediate(resolve))
}

/** A memtable comes and goes. */
async function live(pool: MemtablePool): Promise<void> {
  await new Version({ stored: [], runs: [], sealed: [], active: pool.make(0) }, pool.refCounts).release()
}

test('memory that is kept for the next memtable is given back when none comes for a while', async () => {
  const pool = new MemtablePool(OPTIONS, 1, 0)
  await live(pool)
  expect(pool.spareBytes).toBeGreaterThan(0)
  for (let turns = 0; turns < 1000 && pool.spareBytes > 0; turns++) await turn()
  expect(pool.spareBytes).toBe(0)
})

test('what was reserved for a seal stays until that has it', async () => {
  const pool = new MemtablePool(OPTIONS, 1, 0)
  await live(pool)
  pool.reserve()
  for (let turns = 0; turns < 5; turns++) await turn()
  expect(pool.spareBytes).toBeGreaterThan(0)
})

test('a pool that is closed keeps no memory, not even what comes back later', async () => {
  const pool = new MemtablePool(OPTIONS, 1)
  const late = new Version({ stored: [], runs: [], sealed: [], active: pool.make(0) }, pool.refCounts)
  await live(pool)
  expect(pool.spareBytes).toBeGreaterThan(0)
  pool.close()
  expect(pool.spareBytes).toBe(0)
  await late.release()
  expect(pool.spareBytes).toBe(0)
})

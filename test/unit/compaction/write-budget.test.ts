import { describe, expect, test } from 'vitest'
import { WriteBudget } from '../../../src/compaction/write-budget.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR

function newBudget(bytesPerDay: number, usedBytes = 0) {
  const world = { ms: 5000, bytes: 1_000_000 }
  const budget = new WriteBudget({
    bytesPerDay,
    usedBytes,
    now: () => world.ms,
    writtenBytes: () => world.bytes,
  })
  return { world, budget }
}

describe('a budget of 2400 bytes a day', () => {
  test('lets the bytes of a day be written at once, and then waits', () => {
    const { world, budget } = newBudget(2400)
    expect([budget.usedBytes, budget.waitMs]).toEqual([0, 0])
    world.bytes += 2399
    expect([budget.usedBytes, budget.waitMs]).toEqual([2399, 0])
    world.bytes += 101
    expect([budget.usedBytes, budget.waitMs]).toEqual([2500, HOUR])
    world.ms += HOUR
    expect(budget.usedBytes).toBe(2400)
    world.ms += 60_000
    expect(budget.waitMs).toBe(0)
  })

  test('drains evenly, and saves up no more than a day', () => {
    const { world, budget } = newBudget(2400, 2400)
    world.ms += HOUR
    expect(budget.usedBytes).toBe(2300)
    world.ms += 10 * DAY
    expect(budget.usedBytes).toBe(0)
    world.bytes += 2400
    expect(budget.waitMs).toBeGreaterThan(0)
  })

  test('is not renewed by an open: what the last day took is taken', () => {
    const { world, budget } = newBudget(2400, 4800)
    expect(budget.waitMs).toBe(DAY)
    world.ms += DAY + 1
    expect(budget.waitMs).toBe(0)
  })

  test('counts what does not wait for it, too', () => {
    const { world, budget } = newBudget(2400)
    world.bytes += 24_000
    expect(budget.waitMs).toBe(9 * DAY)
  })
})

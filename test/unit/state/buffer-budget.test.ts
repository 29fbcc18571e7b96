/** Tables share a budget: the one that has most in memory flushes early, and nobody else. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { BufferBudget, bufferBytesFor } from '../../../src/state/buffer-budget.js'
import { until } from '../../support/until.js'

function newTables(bytesMax: number, count: number) {
  const budget = new BufferBudget(bytesMax)
  const asked: number[] = []
  const owners = Array.from({ length: count }, (_, i) => ({ flushEarly: () => void asked.push(i) }))
  const accounts = owners.map(owner => budget.join(owner))
  return { budget, asked, owners, set: (i: number, bytes: number) => accounts[i]!.set(bytes) }
}

/** A table that is forgotten with 70 bytes. */
function join(budget: BufferBudget) {
  const share = budget.join({ flushEarly: () => {} })
  share.set(70)
  return share
}

describe('the budget of what waits in memory', () => {
  test('asks nobody while there is room', () => {
    const { budget, asked, set } = newTables(100, 3)
    set(0, 50)
    set(1, 50)
    expect([budget.bytes, asked]).toEqual([100, []])
    set(0, 10)
    set(2, 40)
    expect([budget.bytes, asked]).toEqual([100, []])
  })

  test('asks the table that has most, once, until it has flushed', () => {
    const { budget, asked, set } = newTables(100, 3)
    set(0, 60)
    set(1, 30)
    set(2, 20)
    expect(asked).toEqual([0])
    set(2, 25)
    set(0, 65)
    expect(asked).toEqual([0])
    set(0, 0)
    expect(budget.bytes).toBe(55)
    set(0, 70)
    expect(asked).toEqual([0, 0])
  })

  test('asks one more where that is not enough', () => {
    const { asked, set } = newTables(100, 4)
    set(0, 60)
    set(1, 50)
    expect(asked).toEqual([0])
    set(2, 40)
    expect(asked).toEqual([0])
    set(3, 30)
    expect(asked).toEqual([0, 1])
  })

  test('forgets a table that is closed', () => {
    const { budget, asked, set } = newTables(100, 2)
    set(0, 90)
    set(0, 0)
    set(1, 100)
    expect([budget.bytes, asked]).toEqual([100, []])
  })

  test('does not hold a table that nobody else holds', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const budget = new BufferBudget(100)
    const forgotten = new WeakRef(join(budget))
    expect(budget.bytes).toBe(70)
    await until('the table is collected', () => {
      collect()
      return forgotten.deref() === undefined && budget.bytes === 0
    })
  })

  test('is an eighth of the memory, and 256 MiB at least', () => {
    expect([bufferBytesFor(0), bufferBytesFor(2 ** 34)]).toEqual([2 ** 28, 2 ** 31])
  })
})

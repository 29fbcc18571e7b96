import { describe, expect, test } from 'vitest'
import { Turns, type Loop } from '../../../src/async/turns.js'
import { sortedInTurns } from '../../../src/sort/sort-in-turns.js'
import { sortedOrder } from '../../../src/sort/sort.js'
import { Random } from '../../support/random.js'

/** A loop whose clock goes on by what the steps cost. */
class SteppedLoop implements Loop {
  ms = 0
  turns = 0
  /** The longest time between two turns. */
  longestMs = 0
  #sliceStart = 0

  now(): number {
    return this.ms
  }

  sliceStartMs(): number {
    return this.#sliceStart
  }

  async turn(): Promise<void> {
    this.turns++
    this.longestMs = Math.max(this.longestMs, this.ms - this.#sliceStart)
    this.#sliceStart = this.ms
  }
}

describe('long work', () => {
  test.each([
    ['short steps', () => 0.0005],
    ['long steps', () => 1.5],
    ['steps that become long', (step: number) => (step < 5000 ? 0.001 : 0.2)],
  ])('lets the event loop turn at least every 10 ms, whatever its steps take: %s', async (_, cost) => {
    const loop = new SteppedLoop()
    const turns = new Turns(loop)
    for (let step = 0; step < 20_000; step++) {
      if (turns.due()) await turns.take()
      loop.ms += cost(step)
    }
    expect(loop.turns).toBeGreaterThan(0)
    expect(loop.longestMs).toBeLessThan(10)
  })

  test('of two pieces goes on by turns: neither waits for the end of the other', async () => {
    const order: string[] = []
    const piece = async (name: string): Promise<void> => {
      const turns = new Turns()
      for (let step = 0; step < 3; step++) {
        await turns.take()
        order.push(name)
      }
    }
    await Promise.all([piece('a'), piece('b')])
    expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b'])
  })
})

test('many rows sorted in turns have the order that they have when they are sorted at once', async () => {
  const random = new Random(7)
  for (const rows of [100, 600_000]) {
    const lanes = [0, 1].map(() => Uint32Array.from({ length: rows }, () => random.below(1000)))
    const loop = new SteppedLoop()
    const sorted = await sortedInTurns(lanes, 2, rows, new Turns(loop))
    expect(
      Buffer.compare(Buffer.from(sorted.buffer), Buffer.from(sortedOrder(lanes, 2, 0, rows).buffer)),
    ).toBe(0)
  }
})

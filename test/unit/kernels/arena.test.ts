import { expect, test } from 'vitest'
import { Arena } from '../../../src/kernels/arena.js'

const BYTES = 2 ** 16

test('blocks of an arena do not overlap, and there is a gap behind each', () => {
  const arena = new Arena(BYTES)
  const blocks = [1, 256, 257, 4096, 5000, 3].map(bytes => ({ at: arena.take(bytes), bytes }))
  let end = 0
  for (const { at, bytes } of blocks) {
    expect(at % 64).toBe(0)
    expect(at).toBeGreaterThan(end)
    end = at + bytes + 64
  }
  expect(end).toBeLessThanOrEqual(BYTES)
})

test('an arena gives out again what it got back, to the same size and the sizes near it', () => {
  const arena = new Arena(BYTES)
  const [first, second] = [arena.take(1000), arena.take(1000)]
  arena.giveBack(first, 1000)
  expect(arena.take(2000)).not.toBe(first)
  expect(arena.take(600)).toBe(first)
  arena.giveBack(second, 1000)
  arena.giveBack(first, 600)
  expect(new Set([arena.take(1024), arena.take(1024)])).toEqual(new Set([first, second]))
})

test('an arena that is full says so, and goes on with what is given back', () => {
  const arena = new Arena(BYTES)
  const taken: number[] = []
  for (let at = arena.take(8000); at !== 0; at = arena.take(8000)) taken.push(at)
  expect(taken.length).toBe(7)
  expect(arena.take(100_000)).toBe(0)
  arena.giveBack(taken[3]!, 8000)
  expect(arena.take(8192)).toBe(taken[3])
  arena.clear()
  expect(arena.take(8000)).toBe(taken[0])
})

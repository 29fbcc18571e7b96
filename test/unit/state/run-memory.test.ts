/** Blocks of runs: what one gives back the next one gets, and what nobody needs goes back to the system. */
import { describe, expect, test } from 'vitest'
import { BLOCK_BYTES, RunMemory } from '../../../src/state/run-memory.js'
import { until } from '../../support/until.js'

describe('the memory of runs', () => {
  test('comes in blocks that hold the bytes, and is used again', () => {
    const memory = new RunMemory()
    const first = memory.take(3 * BLOCK_BYTES - 5, 4096)
    expect([first.blocks.length, first.blockBytes, first.bytes]).toEqual([3, BLOCK_BYTES, 0])
    expect(first.blocks.every(block => block.byteLength > BLOCK_BYTES)).toBe(true)
    memory.giveBack(first)
    expect(memory.spareBytes).toBe(3 * BLOCK_BYTES)
    const second = memory.take(2 * BLOCK_BYTES, 4096)
    expect(second.blocks.every(block => first.blocks.includes(block))).toBe(true)
    expect(memory.spareBytes).toBe(BLOCK_BYTES)
    expect(memory.take(2 * BLOCK_BYTES, 4096).blocks.length).toBe(2)
    expect(memory.spareBytes).toBe(0)
  })

  test('of a small run is one small block of whole pages, which is not kept', () => {
    const memory = new RunMemory()
    const small = memory.take(70_000, 65_536)
    expect([small.blocks.length, small.blockBytes]).toEqual([1, 131_072])
    memory.giveBack(small)
    expect(memory.spareBytes).toBe(0)
  })

  test('goes back to the system when nobody has needed it for a while', async () => {
    const memory = new RunMemory(5)
    memory.giveBack(memory.take(BLOCK_BYTES, 4096))
    expect(memory.spareBytes).toBe(BLOCK_BYTES)
    await until(
      'the spare block is freed',
      () => memory.spareBytes,
      bytes => bytes === 0,
    )
  })
})

/** A file in memory is read and written as one on a disk, whatever blocks it has. */
import { expect, test } from 'vitest'
import { MemoryFile } from '../../../src/io/memory-file.js'
import { Random } from '../../support/random.js'

test('a file in memory holds what was written, in the blocks that it was given and in more', async () => {
  const random = new Random(7)
  for (let round = 0; round < 50; round++) {
    const blockBytes = 2 ** random.between(4, 9)
    const given = Array.from({ length: random.below(4) }, () => new SharedArrayBuffer(blockBytes + 4))
    const file = new MemoryFile('/memory', { blocks: given, blockBytes, bytes: 0 })
    const expected: number[] = []
    for (let i = 0; i < 20; i++) {
      const bytes = Uint8Array.from({ length: random.below(700) }, () => random.below(256))
      expect(await file.write(bytes, expected.length)).toBe(bytes.length)
      expected.push(...bytes)
    }
    expect(await file.size()).toBe(expected.length)
    // Another thread sees the same through what is posted to it.
    const { memory } = file
    expect(memory.blocks.length).toBe(Math.ceil(expected.length / blockBytes))
    given.slice(0, memory.blocks.length).forEach((block, i) => expect(memory.blocks[i]).toBe(block))
    const other = new MemoryFile('/memory', memory)
    for (let i = 0; i < 20; i++) {
      const at = random.below(expected.length + 10)
      const into = new Uint8Array(random.below(900))
      const count = await other.read(into, at)
      expect(count).toBe(Math.max(0, Math.min(into.length, expected.length - at)))
      expect([...into.subarray(0, count)]).toEqual(expected.slice(at, at + count))
    }
  }
})

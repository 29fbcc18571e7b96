/** The index of the ring against a map, and index pages against what they were made of. */
import { expect, test } from 'vitest'
import { cachedObject } from '../../../src/block-cache/cached-object.js'
import { RingIndex } from '../../../src/block-cache/ring-index.js'
import { INDEX_BYTES, readIndexPage, writeIndexPage } from '../../../src/block-cache/ring-segment.js'
import { Random } from '../../support/random.js'

const objects = Array.from({ length: 8 }, (_, i) => cachedObject('test://store', `e/${i}`))

test('finds what was set, and nothing that was removed', () => {
  const random = new Random(5)
  const slots = 100
  const index = new RingIndex(slots)
  const model = new Map<string, number>()
  const at = new Map<number, string>()
  for (let step = 0; step < 20_000; step++) {
    const { words, name } = random.pick(objects)
    const block = random.below(40)
    const id = `${name} ${block}`
    expect(index.find(words, block)).toBe(model.get(id) ?? -1)
    const slot = random.below(slots)
    const other = at.get(slot)
    if (other !== undefined) {
      index.remove(slot)
      at.delete(slot)
      model.delete(other)
    } else if (!model.has(id)) {
      index.set(slot, { words, block, checksum: step })
      expect(index.get(slot)).toEqual({ words, block, checksum: step })
      expect(index.isHit(slot)).toBe(false)
      if (random.chance(0.5)) index.hit(slot)
      at.set(slot, id)
      model.set(id, slot)
    }
    expect(index.count).toBe(model.size)
  }
})

test('counts what was used in a segment', () => {
  const index = new RingIndex(64)
  for (let slot = 0; slot < 64; slot++)
    index.set(slot, { words: objects[0]!.words, block: slot, checksum: 0 })
  for (const slot of [0, 31, 32, 63]) index.hit(slot)
  expect([index.countHits(0, 32), index.countHits(32, 32)]).toEqual([2, 2])
  index.clearHits(0, 32)
  expect([index.countHits(0, 32), index.countHits(32, 32)]).toEqual([0, 2])
})

test('an index page says what was written, also with a forgotten block and a high generation', () => {
  const entries = [
    { words: objects[0]!.words, block: 0, checksum: 2 ** 32 - 1 },
    undefined,
    { words: objects[1]!.words, block: 2 ** 31, checksum: 0 },
  ]
  const page = new Uint8Array(INDEX_BYTES).fill(7)
  writeIndexPage(page, { generation: 2 ** 40 + 5, entries })
  expect(readIndexPage(page)).toEqual({ generation: 2 ** 40 + 5, entries })
  expect(readIndexPage(new Uint8Array(INDEX_BYTES))).toBeUndefined()
})

import { expect, test } from 'vitest'
import { sharedCacheBytes, sharedPageCache } from '../../../src/bucket-file/shared-page-cache.js'

const MIB = 2 ** 20

test('tables with pages of one size share a cache, others have another', () => {
  const cache = sharedPageCache(4096)
  expect(sharedPageCache(4096)).toBe(cache)
  expect(sharedPageCache(8192)).not.toBe(cache)
  expect(cache.pageWords).toBe(1024)
})

test('the cache takes nothing before a page comes in, and may take an eighth of the available memory', () => {
  const before = process.memoryUsage().arrayBuffers
  const cache = sharedPageCache(16_384)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB)
  expect(cache.usedBytes).toBe(0)
  expect(cache.bytes).toBeGreaterThanOrEqual(64 * MIB)
  expect([0, 512 * MIB, 8 * 1024 * MIB, 2 ** 40].map(sharedCacheBytes)).toEqual([
    64 * MIB,
    64 * MIB,
    1024 * MIB,
    4096 * MIB,
  ])
})

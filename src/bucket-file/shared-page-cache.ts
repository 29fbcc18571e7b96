/**
 * The page cache that all tables of the process share which were not given `cacheBytes`: so a hundred open tables hold no
 * more than one. There is one for each page size. docs/internals.md, Page cache.
 */
import { freemem } from 'node:os'
import process from 'node:process'
import { PageCache } from './page-cache.js'

/** A cache never gets less, nor more: half of what a cache can address. */
const BYTES_MIN = 2 ** 26
const BYTES_MAX = 2 ** 32
/** Of the memory that is available when the first table is opened. */
const SHARE = 1 / 8

/** Once no table has it any more, its memory goes back. */
const shared = new Map<number, WeakRef<PageCache>>()

export function sharedPageCache(pageBytes: number): PageCache {
  const existing = shared.get(pageBytes)?.deref()
  if (existing !== undefined) return existing
  const cache = new PageCache(sharedCacheBytes(availableBytes()), pageBytes)
  shared.set(pageBytes, new WeakRef(cache))
  return cache
}

/** The budget where this much memory is available. */
export function sharedCacheBytes(available: number): number {
  return Math.max(BYTES_MIN, Math.min(BYTES_MAX, Math.floor(available * SHARE)))
}

/** What the process may still take, limits of its container included. */
function availableBytes(): number {
  const { availableMemory } = process as { availableMemory?: () => number }
  return availableMemory?.() ?? freemem()
}

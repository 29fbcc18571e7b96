import { expect, test } from 'vitest'
import { probe } from '../../../src/remote/probe.js'
import { SimulatedStore, StoredObjects } from '../../support/simulated-store.js'

const randomHex = (bytes: number): string => 'a'.repeat(2 * bytes)

test('a store that does what it must passes, and nothing is left there', async () => {
  const store = new SimulatedStore()
  await probe(store, randomHex)
  expect(store.stored.pointers.size).toBe(0)
  expect(Object.values(store.counts).reduce((sum, count) => sum + count)).toBeLessThanOrEqual(16)
})

/** Stores that take a condition and do something else. */
const BAD: Readonly<Record<string, (objects: StoredObjects) => StoredObjects['swap']>> = {
  '8 of 8 who created': objects => (key, bytes) => replace(objects, key, bytes),
  'it creates an object again': objects => {
    let created = 0
    const swap = objects.swap.bind(objects)
    return (key, bytes, expected) =>
      expected === undefined && ++created > 8 ? replace(objects, key, bytes) : swap(key, bytes, expected)
  },
  'refuses to replace': objects => {
    const swap = objects.swap.bind(objects)
    return (key, bytes, expected) => (expected === undefined ? swap(key, bytes, expected) : undefined)
  },
  'it replaces an object that has changed meanwhile; ': objects => {
    const swap = objects.swap.bind(objects)
    return (key, bytes, expected) =>
      expected === undefined ? swap(key, bytes, expected) : replace(objects, key, bytes)
  },
  'and denies it': objects => {
    const swap = objects.swap.bind(objects)
    return (key, bytes, expected) => {
      const version = swap(key, bytes, expected)
      if (version === undefined && expected !== undefined) replace(objects, key, bytes)
      return version
    }
  },
  'it lets nobody create': () => () => undefined,
}

function replace(objects: StoredObjects, key: string, bytes: Uint8Array): string {
  const version = `r${objects.calls}`
  objects.pointers.set(key, { bytes: Uint8Array.from(bytes), version })
  return version
}

test.each(Object.keys(BAD))('a store is refused: %s', async reason => {
  const objects = new StoredObjects()
  objects.swap = BAD[reason]!(objects)
  await expect(probe(new SimulatedStore(objects), randomHex)).rejects.toMatchObject({
    code: 'FLASHTABLE_UNSUPPORTED_STORE',
    message: expect.stringContaining(reason) as string,
  })
})

test('a store is not refused because it takes a request that is over for one that is under way', async () => {
  const objects = new StoredObjects()
  const swap = objects.swap.bind(objects)
  let refusals = 0
  objects.swap = (key, bytes, expected) =>
    expected !== undefined && refusals++ < 2 ? undefined : swap(key, bytes, expected)
  await probe(new SimulatedStore(objects), randomHex)
  expect(refusals).toBeGreaterThan(2)
})

test('a store that cannot be reached is not refused for that', async () => {
  const store = new SimulatedStore()
  store.faultOf = () => 'before'
  await expect(probe(store, randomHex)).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
})

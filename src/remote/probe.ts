/**
 * Whether a store does what a published table rests on: of all who create or replace a pointer, one wins. Some stores
 * take the conditions of a request and ignore them. docs/decisions/publish.md.
 */
import { Buffer } from 'node:buffer'
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError } from '../base/errors.js'
import type { ObjectStore, StoreCall } from '../store/object-store.js'

const RACERS = 8
const REPLACE_ATTEMPTS = 5

/**
 * Tries it on a pointer of its own, which is removed. Rejects with `FLASHTABLE_UNSUPPORTED_STORE`, `_UNAVAILABLE`. Cost:
 * some fifteen small requests.
 */
export async function probe(
  store: ObjectStore,
  randomHex: (bytes: number) => string,
  { signal }: StoreCall = {},
): Promise<void> {
  const refuse = (reason: string): FlashTableError =>
    new FlashTableError(
      'FLASHTABLE_UNSUPPORTED_STORE',
      `the store ${store.url} cannot hold a table: ${reason}; two writers would overwrite each other. ` +
        'Use a store with conditional writes',
    )
  const key = `probe-${randomHex(8)}`
  const swap = (text: string, expected: string | undefined): Promise<string | undefined> =>
    store.swap(key, Buffer.from(text), expected, { signal })
  try {
    await raceToCreate()
    const created = await store.load(key, { signal })
    if (created === undefined) throw refuse('an object that it has stored is not there')
    if ((await swap('again', undefined)) !== undefined)
      throw refuse('it creates an object again that is there')
    const replaced = await replace(created.version)
    const loaded = await store.load(key, { signal })
    if (replaced === undefined || loaded?.version !== replaced || textOf(loaded.bytes) !== 'replaced')
      throw refuse('it refuses to replace an object that has not changed')
    if ((await swap('stale', created.version)) !== undefined)
      throw refuse('it replaces an object that has changed meanwhile')
    if (textOf((await store.load(key, { signal }))?.bytes) !== 'replaced')
      throw refuse('it replaces an object that has changed meanwhile, and denies it')
  } finally {
    await store.delete(key, {}).catch(() => {})
  }

  /** A store may take a request that is over for one that is still under way, and refuse the next one. */
  async function replace(expected: string): Promise<string | undefined> {
    let replaced: string | undefined
    for (let attempt = 0; attempt < REPLACE_ATTEMPTS && replaced === undefined; attempt++)
      replaced = await swap('replaced', expected)
    return replaced
  }

  /** Of some that create it at the same time one wins; the others are refused, or get no answer. */
  async function raceToCreate(): Promise<void> {
    const racers = Array.from({ length: RACERS }, (_, racer) => swap(String(racer), undefined))
    const results = await Promise.allSettled(racers)
    throwIfAborted(signal)
    const winners = results.flatMap((result, racer) =>
      result.status === 'fulfilled' && result.value !== undefined ? [String(racer)] : [],
    )
    const failed = results.find(result => result.status === 'rejected')
    if (failed?.status === 'rejected' && winners.length === 0) throw failed.reason
    if (winners.length > 1)
      throw refuse(
        `${winners.length} of ${RACERS} who created one object at the same time were told that they had`,
      )
    const stored = textOf((await store.load(key, { signal }))?.bytes)
    if (winners.length === 1 && stored !== winners[0])
      throw refuse('of some who created one object at the same time it named the wrong one')
    if (winners.length === 0) throw refuse('it lets nobody create an object')
  }
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString()
}

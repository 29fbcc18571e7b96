/** How replicas end with their table, where the store does not answer. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlashTable } from '../../src/flash-table.js'
import { directoryStore } from '../../src/store/directory.js'
import type { ObjectStore, StoreCall } from '../../src/store/object-store.js'
import { nodeEnvironment } from '../../src/table/environment.js'

type SetTable = FlashTable<'u32', undefined>

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-ends-'))
})
afterEach(() => rm(root, { recursive: true }))

/** A table whose waits are short. */
function openTable(): Promise<SetTable> {
  return FlashTable.openIn(
    join(root, 'table'),
    { keyEncoding: 'u32' },
    { ...nodeEnvironment, wait: (ms, signal) => nodeEnvironment.wait(ms / 500, signal) },
  ) as unknown as Promise<SetTable>
}

/** A store whose reads of the manifest end only when they are aborted, once `hangs` is set; `waits` counts them. */
function newStore(): ObjectStore & { hangs: boolean; waits: number } {
  const inner = directoryStore(join(root, 'store'))
  const load = inner.load.bind(inner)
  return Object.assign(inner, {
    hangs: false,
    waits: 0,
    load(this: { hangs: boolean; waits: number }, key: string, call: StoreCall = {}) {
      if (!this.hangs) return load(key, call)
      this.waits++
      return new Promise<never>((_, reject) => {
        const { signal } = call
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      })
    },
  })
}

test('the close of a table waits 5 seconds at most for a replica that is being closed', async () => {
  const [store, table] = [newStore(), await openTable()]
  const replica = await table.replicate(store, { interval: '1h' })
  await table.put(1)
  store.hangs = true
  // Its publish then looks what has become of the manifest.
  store.swap = () => Promise.resolve(undefined)
  const closing = replica.close().catch((error: unknown) => error)
  await expect.poll(() => store.waits, { interval: 1 }).toBe(1)
  await table.close()
  expect(await closing).toMatchObject({ name: 'AbortError' })
  expect(replica.status().ended).toBe(true)
})

test('the close of a table gives up a replica that has only begun', async () => {
  const [store, table] = [newStore(), await openTable()]
  store.hangs = true
  const beginning = table.replicate(store)
  await expect.poll(() => store.waits, { interval: 1 }).toBe(1)
  const closing = table.close()
  await expect(beginning).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
  await closing
})

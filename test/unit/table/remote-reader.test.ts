/** A reader of a published table ends at once, also where the store gives no answer. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FlashTable } from '../../../src/flash-table.js'
import { directoryStore, type ObjectStore } from '../../../src/index.js'
import { nodeEnvironment } from '../../../src/table/environment.js'
import { nextTurn } from '../../../src/async/turns.js'

let root = ''
let store: ObjectStore

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-reader-'))
  store = directoryStore(join(root, 'store'))
  const table = await FlashTable.open(join(root, 'table'), { keyEncoding: 'u32' })
  await table.putColumns({ key: Uint32Array.from({ length: 100_000 }, (_, at) => at * 7) })
  await table.publish(store)
  await table.close()
})

afterAll(() => rm(root, { recursive: true }))

/** The store, which answers no `get` after the first `answers`; `asked` resolves at the first that it does not answer. */
function silentAfter(answers: number): { readonly silent: ObjectStore; readonly asked: Promise<void> } {
  let tellAsked!: () => void
  const asked = new Promise<void>(resolve => (tellAsked = resolve))
  let gets = 0
  const silent: ObjectStore = {
    url: store.url,
    get(key, options) {
      if (gets++ < answers) return store.get(key, options)
      tellAsked()
      return new Promise((_, reject) => {
        const { signal } = options!
        signal!.addEventListener('abort', () => reject(signal!.reason as Error))
      })
    },
    load: (key, options) => store.load(key, options),
    put: () => Promise.reject(new Error('it only reads')),
    swap: () => Promise.reject(new Error('it only reads')),
    list: (prefix, options) => store.list(prefix, options),
    delete: () => Promise.reject(new Error('it only reads')),
    abortUploads: () => Promise.reject(new Error('it only reads')),
    now: options => store.now(options),
    below: path => store.below(path),
    close: () => Promise.resolve(),
  }
  return { silent, asked }
}

test('the signal ends an open', async () => {
  const { silent, asked } = silentAfter(0)
  const controller = new AbortController()
  const opening = FlashTable.openRemote(silent, { signal: controller.signal })
  await asked
  const reason = new Error('no more')
  controller.abort(reason)
  await expect(opening).rejects.toBe(reason)
})

test('close ends lookups and scans that are under way', async () => {
  // The footer and the first keys of pages.
  const { silent, asked } = silentAfter(1)
  const table = (await FlashTable.openRemote(silent, {
    keyEncoding: 'u32',
    filterBytes: 0,
    refreshInterval: Infinity,
  })) as FlashTable<'u32'>
  const lookups = Promise.allSettled([table.has(7), table.keys().next()])
  await asked
  await table.close()
  for (const result of await lookups)
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'FLASHTABLE_NOT_OPEN' } })
})

test('close ends a refresh that is under way', async () => {
  let tellAsked!: () => void
  const asked = new Promise<void>(resolve => (tellAsked = resolve))
  let loads = 0
  const { silent } = silentAfter(Infinity)
  const table = await FlashTable.openRemote(
    {
      ...silent,
      load(key, options) {
        if (loads++ === 0) return store.load(key, options)
        tellAsked()
        return new Promise((_, reject) => {
          const { signal } = options!
          signal!.addEventListener('abort', () => reject(signal!.reason as Error))
        })
      },
    },
    { refreshInterval: Infinity },
  )
  const refreshed = table.refresh().catch((error: unknown) => error)
  await asked
  await table.close()
  expect(await refreshed).toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
})

test('a lookup moves on, also if a refresh was under way that had not seen the newer version', async () => {
  const moving = directoryStore(join(root, 'moving'))
  const table = await FlashTable.open(join(root, 'moving-table'), { keyEncoding: 'u32' })
  await table.putColumns({ key: Uint32Array.from({ length: 10_000 }, (_, at) => at) })
  await table.compact()
  await table.publish(moving, { retention: 0 })
  let held: Promise<void> | undefined
  const late: ObjectStore = {
    ...silentAfter(0).silent,
    async get(key, options) {
      const bytes = await moving.get(key, options)
      if (bytes === undefined) tellGone()
      return bytes
    },
    async load(key, options) {
      const content = await moving.load(key, options)
      tellLoaded()
      await held
      return content
    },
  }
  let tellLoaded = (): void => {}
  let tellGone!: () => void
  const gone = new Promise<void>(resolve => (tellGone = resolve))
  const reader = await FlashTable.openRemoteIn(
    late,
    { filterBytes: 0, cacheBytes: 0, refreshInterval: Infinity },
    { ...nodeEnvironment, blockBytes: 0 },
  )
  const loaded = new Promise<void>(resolve => (tellLoaded = resolve))
  let goOn!: () => void
  held = new Promise(resolve => (goOn = resolve))
  const refreshed = reader.refresh()
  await loaded
  await table.put(10_000)
  await table.compact()
  await table.publish(moving, { retention: 0 })
  const found = reader.has(5000)
  await gone
  // The lookup waits for the refresh that is under way.
  await nextTurn()
  held = undefined
  goOn()
  expect(await found).toBe(true)
  await refreshed
  expect((await reader.stats()).remote!.version).toBe(2)
  await reader.close()
  await table.close()
})

test('a store that gives an older manifest than before takes no reader back', async () => {
  const moving = directoryStore(join(root, 'stale'))
  const table = await FlashTable.open(join(root, 'stale-table'), { keyEncoding: 'u32' })
  await table.publish(moving)
  const old = await moving.load('MANIFEST')
  await table.put(1)
  const { version } = await table.publish(moving)
  let isStale = false
  const stale: ObjectStore = {
    ...silentAfter(0).silent,
    get: (key, options) => moving.get(key, options),
    load: (key, options) => (isStale ? Promise.resolve(old) : moving.load(key, options)),
  }
  const reader = (await FlashTable.openRemote(stale, { refreshInterval: Infinity })) as FlashTable<'u32'>
  isStale = true
  await expect(reader.refresh()).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
  expect(await reader.has(1)).toBe(true)
  expect((await reader.stats()).remote).toMatchObject({
    version,
    failure: expect.stringContaining('an older MANIFEST') as string,
  })
  isStale = false
  await reader.refresh()
  expect((await reader.stats()).remote!.failure).toBeUndefined()
  await reader.close()
  await table.close()
})

test('a store of the user may reject with errors of its own', async () => {
  const failure = new TypeError('fetch failed')
  let isDown = false
  const failing: ObjectStore = {
    ...silentAfter(0).silent,
    get: (key, options) => (isDown ? Promise.reject(failure) : store.get(key, options)),
    load: (key, options) => (isDown ? Promise.reject(failure) : store.load(key, options)),
  }
  const options = { filterBytes: 0, cacheBytes: 0, refreshInterval: Infinity }
  const environment = { ...nodeEnvironment, blockBytes: 0 }
  const reader = await FlashTable.openRemoteIn(failing, options, environment)
  isDown = true
  const told = {
    code: 'FLASHTABLE_UNAVAILABLE',
    cause: failure,
    message: expect.stringMatching(/^the store file:.* cannot read .*: fetch failed; try again$/) as string,
  }
  await expect(reader.has(7)).rejects.toMatchObject(told)
  await expect(reader.keys().next()).rejects.toMatchObject(told)
  await expect(reader.refresh()).rejects.toMatchObject(told)
  await expect(FlashTable.openRemoteIn(failing, options, environment)).rejects.toMatchObject(told)
  await reader.close()
})

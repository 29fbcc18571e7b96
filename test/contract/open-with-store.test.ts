/** A table that is opened with a store: it is restored, kept there, and moves to another machine by a takeover. */
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { directoryStore, FlashTable, publishedTable } from '../../src/index.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'

const OPTIONS = { keyEncoding: 'u32', valueEncoding: 'u32' } as const
type Table = FlashTable<'u32', 'u32'>

let root: string
let opened: Table[]
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-store-'))
  opened = []
})
afterEach(async () => {
  await Promise.allSettled(opened.map(table => table.close()))
  await rm(root, { recursive: true })
})

const newStore = () => directoryStore(join(root, 'store'))

async function open(name: string, options: object = {}): Promise<Table> {
  const table = await FlashTable.open(join(root, name), { ...OPTIONS, remote: newStore(), ...options })
  opened.push(table)
  return table
}

test('it is published at once, and again when it is closed; an empty directory is filled by a takeover', async () => {
  const first = await open('a')
  expect((await publishedTable(newStore())).versions).toHaveLength(1)
  expect(first.replica!.status()).toMatchObject({ version: 1, lagRecords: 0, ended: false })
  await first.put(1, 10)
  await first.replica!.sync()
  await first.put(2, 20)
  await first.close()
  // What a restore has left that was cut off, and an empty directory, are in the way of nobody.
  await mkdir(join(root, 'b.restoring', 'table'), { recursive: true })
  await writeFile(join(root, 'b.restoring', 'table', '000001.bucket'), 'half')
  await mkdir(join(root, 'b'))
  const second = await open('b', { takeOver: true })
  expect([await second.get(1), await second.get(2)]).toEqual([10, 20])
  expect((await readdir(root)).toSorted()).toEqual(['a', 'b', 'store'])
  await second.put(3, 30)
  await second.close()
  // It goes on where it was, without a takeover.
  const again = await open('b')
  expect(await again.count()).toBe(3)
  const plain = await FlashTable.open(join(root, 'plain'), OPTIONS)
  opened.push(plain)
  expect(plain.replica).toBeUndefined()
})

test('nobody takes over by accident, and then nothing is left open or made', async () => {
  const first = await open('a')
  await first.put(1, 10)
  await first.close()
  await expect(open('b')).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
  expect((await readdir(root)).toSorted()).toEqual(['a', 'store'])
  const other = await FlashTable.open(join(root, 'other'), OPTIONS)
  await other.put(5, 5)
  await other.close()
  await expect(open('other', { takeOver: true })).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
  // It is not locked.
  await (await FlashTable.open(join(root, 'other'), OPTIONS)).close()
})

test('of many opens at once one restores, and the others find the table', async () => {
  const first = await open('a')
  await first.put(1, 10)
  await first.close()
  const locked = { code: 'FLASHTABLE_LOCKED' }
  const opens = await Promise.allSettled([1, 2, 3, 4].map(() => open('b', { takeOver: true })))
  const refused = opens.filter(({ status }) => status === 'rejected')
  expect(refused).toMatchObject([1, 2, 3].map(() => ({ reason: locked })))
  const waiting = open('b', { lockTimeoutMs: 60_000 })
  await opened.at(-1)!.close()
  expect(await (await waiting).get(1)).toBe(10)
  await (await waiting).close()
  await rm(join(root, 'b'), { recursive: true })
  // Those that wait for the restore, too.
  const all = await Promise.all(
    [1, 2, 3].map(async () => {
      const table = await open('b', { takeOver: true, lockTimeoutMs: 60_000 })
      const value = await table.get(1)
      await table.close()
      return value
    }),
  )
  expect(all).toEqual([10, 10, 10])
  expect((await readdir(root)).toSorted()).toEqual(['a', 'b', 'store'])
})

test('a writer that still lives and publishes is replaced: what it has acknowledged is there', async () => {
  const first = await open('a')
  for (let key = 0; key < 20; key++) await first.put(key, 1)
  await first.replica!.sync()
  const store = newStore()
  const get = store.get.bind(store)
  const outcomes: unknown[] = []
  // While what is published is fetched.
  store.get = async (...args) => {
    await first.put(100 + outcomes.length, 1)
    outcomes.push(await first.replica!.sync().catch((error: { code: unknown }) => error.code))
    return get(...args)
  }
  const second = await open('b', { remote: store, takeOver: true })
  expect(outcomes).not.toEqual([])
  expect(new Set(outcomes)).toEqual(new Set(['FLASHTABLE_FENCED']))
  expect(await second.count()).toBe(20)
  await second.put(1000, 1)
  await second.replica!.sync()
  await second.close()
  expect(await (await open('b')).count()).toBe(21)
})

test('a directory with something else in it, a link, and a table of other records, are left alone', async () => {
  const first = await open('a')
  await mkdir(join(root, 'b'))
  await writeFile(join(root, 'b', 'mine'), 'x')
  await expect(open('b', { takeOver: true })).rejects.toMatchObject({
    code: 'FLASHTABLE_EXISTS',
    message: expect.stringContaining('there is something in it') as string,
  })
  await mkdir(join(root, 'c'))
  await symlink(join(root, 'c'), join(root, 'd'))
  await expect(open('d', { takeOver: true })).rejects.toMatchObject({
    code: 'FLASHTABLE_IO_ERROR',
    message: expect.stringContaining('a mount point, a link or a file') as string,
  })
  expect((await readdir(root)).toSorted()).toEqual(['a', 'b', 'c', 'd', 'store'])
  expect(await readdir(join(root, 'b'))).toEqual(['mine'])
  // A table of other records, too.
  for (const wrong of [{ keyEncoding: 'u64' }, { duplicates: 'replace' }])
    await expect(open('e', { takeOver: true, ...wrong })).rejects.toMatchObject({
      code: 'FLASHTABLE_SCHEMA_MISMATCH',
      message: expect.stringContaining(newStore().url) as string,
    })
  expect((await readdir(root)).toSorted()).toEqual(['a', 'b', 'c', 'd', 'store'])
  // Nobody was stopped by that.
  await first.put(1, 10)
  await first.replica!.sync()
})

test('a writer that was replaced puts nothing more', async () => {
  const first = await open('a')
  await first.put(1, 10)
  await first.replica!.sync()
  const second = await open('b', { takeOver: true })
  await first.put(2, 20)
  await expect(first.replica!.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
  const refused = {
    code: 'FLASHTABLE_POISONED',
    cause: expect.objectContaining({ code: 'FLASHTABLE_FENCED' }) as unknown,
  }
  const stopped = await first.put(3, 30).catch((error: Error) => error.message)
  expect(stopped).toContain(`is in ${join(root, 'a')} alone: move that directory away and restore it anew`)
  expect(stopped).not.toContain('open it again')
  for (const write of [first.put(3, 30), first.del(1), first.batch([{ type: 'del', key: 1 }]), first.sync()])
    await expect(write).rejects.toMatchObject(refused)
  expect(first.replica!.status()).toMatchObject({ ended: true })
  expect((await first.stats()).poisoned).toMatch(/taken over/)
  // Reads go on.
  expect([await first.get(1), await first.get(2)]).toEqual([10, 20])
  expect([await second.get(1), await second.get(2)]).toEqual([10, undefined])
  await second.put(4, 40)
  await second.replica!.sync()
  await first.close().catch(() => {})
  await expect(open('a', { takeOver: true })).rejects.toMatchObject({
    code: 'FLASHTABLE_FENCED',
    message: expect.stringContaining('move that directory away') as string,
  })
  // As it was told.
  await rename(join(root, 'a'), join(root, 'away'))
  await second.close()
  expect(await (await open('a', { takeOver: true })).get(4)).toBe(40)
})

test('it is published at the interval that is given, and versions stay for the retention that is', async () => {
  const waits: number[] = []
  const environment: Environment = {
    ...nodeEnvironment,
    wait: (ms, signal) => {
      waits.push(ms)
      return nodeEnvironment.wait(ms, signal)
    },
  }
  const options = { ...OPTIONS, remote: newStore(), interval: '7m', retention: '7d' }
  const table = await FlashTable.openIn(join(root, 'a'), options, environment)
  expect(waits).toContain(7 * 60_000)
  expect((await publishedTable(newStore())).retentionMs).toBe(7 * 86_400_000)
  await table.close()
})

test('while the store is away puts go on, and when it is back they get there', async () => {
  const [store, away] = [join(root, 'store'), join(root, 'away')]
  const table = await open('a', { interval: '1h' })
  await table.put(1, 10)
  // As a disk that is not mounted.
  await rename(store, away)
  await mkdir(store)
  await expect(table.replica!.sync()).rejects.toMatchObject({
    code: 'FLASHTABLE_NOT_FOUND',
    message: expect.stringContaining('is gone: check that the right disk or bucket is there') as string,
  })
  expect(table.replica!.status()).toMatchObject({ ended: false, lagRecords: 1 })
  await table.put(2, 20)
  await rm(store, { recursive: true })
  await rename(away, store)
  await table.replica!.sync()
  expect(table.replica!.status()).toMatchObject({ failure: undefined, lagRecords: 0 })
  const reader = await FlashTable.openRemote(newStore())
  expect(await reader.count()).toBe(2)
  await reader.close()
})

test.each([
  [{ remote: {} }, 'expected a store'],
  [{ remote: 's3://bucket/prints' }, 'expected a store'],
  [{ remote: undefined, takeOver: true }, "'takeOver' is for"],
  [{ remote: undefined, interval: '5s' }, "'interval' is for"],
  [{ remote: undefined, retention: '7d' }, "'retention' is for"],
  [{ takeOver: 1 }, 'true or false'],
  [{ interval: 'soon' }, 'interval: expected milliseconds'],
  [{ interval: 1 }, '10 milliseconds or more'],
  [{ retention: '7' }, 'retention: expected milliseconds'],
  [{ readOnly: true }, 'openRemote'],
  [{ errorIfExists: true }, 'errorIfExists'],
])('%j is refused before anything is made', async (options, message) => {
  await expect(open('a', options)).rejects.toMatchObject({
    code: 'FLASHTABLE_INVALID_OPTION',
    message: expect.stringContaining(message) as string,
  })
  expect(await readdir(root)).toEqual([])
})

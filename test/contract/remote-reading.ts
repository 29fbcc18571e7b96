/** Published tables read where they are, as a user sees them, whatever the store: run by the tests of each of them. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/flash-table.js'
import { collectGarbage, struct, type ObjectStore, type RemoteOptions } from '../../src/index.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { inWaves } from '../support/waves.js'

const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', id: 'i32' }),
  bufferBytes: 262_144,
} as const
type Table = Awaited<ReturnType<typeof openTable>>

function openTable(directory: string) {
  return FlashTable.open(directory, OPTIONS)
}

const made: string[] = []
const opened: FlashTable[] = []

afterEach(async () => {
  for (const table of opened.splice(0)) await table.close().catch(() => {})
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

async function newTable(): Promise<Table> {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-remote-'))
  made.push(directory)
  const table = await openTable(join(directory, 'table'))
  opened.push(table as unknown as FlashTable)
  return table
}

/** `blockBytes`: of memory for blocks; the whole of these small tables would be there. */
async function openReader(
  store: ObjectStore,
  options: RemoteOptions = {},
  blockBytes?: number,
): Promise<Table> {
  const given = { refreshInterval: Infinity, ...options }
  const reader = await FlashTable.openRemoteIn(store, given, { ...nodeEnvironment, blockBytes })
  opened.push(reader)
  return reader as unknown as Table
}

/** Key `7 * i` has the record `i`; each tenth key another one. */
async function put(table: Table, first: number, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, at) => first + at)
  await table.putColumns({
    key: BigUint64Array.from(rows, row => BigInt(7 * (row % 10 === 9 ? row - 1 : row))),
    time: Uint16Array.from(rows, row => row % 1000),
    id: Int32Array.from(rows),
  })
}

const bigint = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)

/** What all kinds of reads say. */
async function answers(table: Table): Promise<string> {
  const keys = BigUint64Array.from({ length: 300 }, (_, at) => BigInt(at * 35))
  const some: unknown[] = []
  for (const key of keys.subarray(0, 60)) {
    some.push(await table.get(key), await table.getAll(key), await table.count(key), await table.has(key))
  }
  const scans: unknown[] = []
  for await (const entry of table.entries({ gte: 1000n, lt: 3000n, reverse: true })) scans.push(entry)
  for await (const key of table.keys({ limit: 5 })) scans.push(key)
  let [rows, sum] = [0, 0]
  for await (const { id } of table.scanColumns()) {
    rows += id.length
    for (const value of id) sum += value
  }
  return JSON.stringify(
    [
      some,
      scans,
      [rows, sum],
      await table.getMany(keys),
      await table.getColumns(keys),
      await table.getColumns(keys.subarray(0, 3), { within: 100n }),
      await table.count(),
      await table.count({ where: { time: { lt: 10 } } }),
      [await table.first({ gt: 500n }), await table.last(), await table.first({ gt: 2n ** 60n })],
    ],
    bigint,
  )
}

/** `newStore`: an empty one. */
export function describeRemoteReading(name: string, newStore: () => Promise<ObjectStore>): void {
  describe(`published tables are read where they are, ${name}`, () => {
    test('every kind of read says what it says of the table itself', async () => {
      const [store, table] = [await newStore(), await newTable()]
      for (let first = 0; first < 20_000; first += 5000) {
        await put(table, first, 5000)
        await table.publish(store)
      }
      await table.delWhere({ time: { gte: 900 } })
      await table.clear({ gte: 700n, lt: 1400n })
      await table.del(21n)
      await table.setMeta({ of: 'the test' })
      await table.publish(store)
      const reader = await openReader(store)
      expect(await answers(reader)).toBe(await answers(table))
      expect(reader.readOnly).toBe(true)
      expect(reader.location).toBe(store.url)
      expect(reader.meta).toEqual({ of: 'the test' })
      expect(reader.keyEncoding).toBe('u64')
      const { remote, records, files } = await reader.stats()
      expect(remote).toMatchObject({ url: store.url, version: 5, failure: undefined })
      expect([records, files.length]).toEqual([
        (await table.stats()).records,
        (await table.stats()).files.length,
      ])
      expect(remote!.requests).toBeGreaterThan(0)
    })

    test('a reader moves on when it is told to, and keeps what it has read', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 5000)
      await table.publish(store)
      const reader = await openReader(store)
      await answers(reader)
      await put(table, 5000, 10)
      const snapshot = await reader.snapshot()
      const { version } = await table.publish(store)
      expect(await reader.get(7n * 5000n)).toBeUndefined()
      await reader.refresh({ atLeast: version })
      expect(await reader.get(7n * 5000n)).toMatchObject({ id: 5000 })
      expect(await reader.get(7n * 5000n, { snapshot })).toBeUndefined()
      await snapshot.close()
      expect(await answers(reader)).toBe(await answers(table))
      const { requests } = (await reader.stats()).remote!
      await reader.refresh()
      await answers(reader)
      expect((await reader.stats()).remote!.requests).toBe(requests)
      await expect(reader.refresh({ atLeast: version + 1 })).rejects.toMatchObject({
        code: 'FLASHTABLE_UNAVAILABLE',
      })
    })

    test('it moves on at the interval, without a request for a file that it has', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 1000)
      await table.publish(store)
      const reader = await openReader(store, { refreshInterval: 20 })
      await put(table, 1000, 1)
      const { version } = await table.publish(store)
      await expect.poll(async () => (await reader.stats()).remote!.version).toBe(version)
      expect(await reader.get(7000n)).toMatchObject({ id: 1000 })
    })

    test('one version by number, name or time stays open', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 100)
      await table.publish(store, { name: 'first' })
      await put(table, 100, 100)
      await table.publish(store)
      for (const choice of [{ version: 1 }, { name: 'first' }]) {
        const reader = await openReader(store, { ...choice, refreshInterval: 20 })
        await reader.refresh()
        expect(await reader.count()).toBe(100)
        expect((await reader.stats()).remote!.version).toBe(1)
        await expect(reader.refresh({ atLeast: 2 })).rejects.toMatchObject({
          code: 'FLASHTABLE_INVALID_OPTION',
        })
      }
      await expect(FlashTable.openRemote(store, { version: 9 })).rejects.toMatchObject({
        code: 'FLASHTABLE_NOT_FOUND',
      })
      await expect(FlashTable.openRemote(store, { version: 1, name: 'first' })).rejects.toMatchObject({
        code: 'FLASHTABLE_INVALID_OPTION',
      })
    })

    test('it stays open when its name is given to another version, a newer one is of its time, or it is forgotten', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 100)
      await table.publish(store, { name: 'good', retention: 0 })
      const later = new Date(Date.now() + 3_600_000)
      const readers: Table[] = []
      for (const choice of [{ version: 1 }, { name: 'good' }, { at: later }])
        readers.push(await openReader(store, choice))
      await put(table, 100, 100)
      await table.publish(store, { name: 'good', retention: 0 })
      await put(table, 200, 100)
      await table.publish(store, { retention: 0 })
      for (const reader of readers) {
        const { requests } = (await reader.stats()).remote!
        await reader.refresh()
        expect((await reader.stats()).remote).toMatchObject({ version: 1, requests, failure: undefined })
        expect(await reader.count()).toBe(100)
      }
    })

    test('what a reader needs and is gone: a lookup moves on, a snapshot and a scan are told', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 15_000)
      await table.publish(store, { retention: 0 })
      const reader = await openReader(store, { filterBytes: 0, cacheBytes: 0 }, 0)
      const snapshot = await reader.snapshot()
      const scan = reader.keys()
      expect(await scan.next()).toMatchObject({ value: 0n })
      await table.compact()
      await put(table, 15_000, 10)
      await table.compact()
      await table.publish(store, { retention: 0 })
      await collectGarbage(store)
      const expired = { code: 'FLASHTABLE_SNAPSHOT_EXPIRED' }
      await expect(reader.get(7n * 14_000n, { snapshot })).rejects.toMatchObject(expired)
      await expect(
        (async () => {
          for await (const _ of scan);
        })(),
      ).rejects.toMatchObject(expired)
      expect(await reader.get(7n * 15_000n)).toMatchObject({ id: 15_000 })
      expect((await reader.stats()).remote!.version).toBe(2)
      expect(await answers(reader)).toBe(await answers(table))
    })

    test('a lookup asks several files at once', async () => {
      const [store, table] = [await newStore(), await newTable()]
      // A file of each; the key of row 0 is in the first and in the third one.
      for (let first = 0; first < 4; first++) {
        await put(table, first, 1)
        await put(table, 30_000 + first, 1)
        if (first === 2) await put(table, 0, 1)
        await table.publish(store)
      }
      const { store: waiting, waves } = inWaves(store)
      const askedBy = async (look: (reader: Table) => Promise<unknown>): Promise<number[]> => {
        const reader = await openReader(waiting, { filterBytes: 0, cacheBytes: 0 }, 0)
        waves.length = 0
        await look(reader)
        return [...waves]
      }
      expect(await askedBy(reader => reader.get(0n))).toEqual([1])
      expect(await askedBy(reader => reader.getAll(0n))).toEqual([2])
      // All are needed; for the newest record, or none, those with half of what is left.
      expect(await askedBy(reader => reader.getAll(7n * 30_000n))).toEqual([4])
      expect(await askedBy(reader => reader.get(7n * 30_000n))).toEqual([2, 1, 1])
      expect(await askedBy(reader => reader.has(7n * 29_000n))).toEqual([2, 1, 1])
    })

    test('blocks on disk answer a reader that begins again; a damaged cache is no answer', async () => {
      const [store, table] = [await newStore(), await newTable()]
      for (const first of [0, 15_000]) await put(table, first, 15_000)
      await table.publish(store)
      const cacheDirectory = join(table.location, '..', 'cache')
      const cold = { cacheDirectory, cacheDiskBytes: 2 ** 24, filterBytes: 0, cacheBytes: 0 }
      const said = await answers(table)
      const first = await openReader(store, cold, 0)
      for (let row = 0; row < 30_000; row += 300) await first.get(BigInt(7 * row))
      expect(await answers(first)).toBe(said)
      const { requests, disk } = (await first.stats()).remote!
      expect(disk!.off).toBeUndefined()
      expect(disk!.newBytes).toBeGreaterThan(0)
      await first.close()
      const second = await openReader(store, cold, 0)
      for (let row = 0; row < 30_000; row += 300) await second.get(BigInt(7 * row))
      expect((await second.stats()).remote!.requests).toBeLessThan(requests / 2)
      expect((await second.stats()).remote!.diskHits).toBeGreaterThan(0)
      await second.close()
      const files = await readdir(cacheDirectory, { recursive: true, withFileTypes: true })
      for (const file of files.filter(entry => entry.isFile())) {
        const path = join(file.parentPath, file.name)
        const bytes = await readFile(path)
        for (let at = 0; at < bytes.byteLength; at += 1000) bytes[at]! ^= 0x55
        await writeFile(path, bytes)
      }
      const third = await openReader(store, cold, 0)
      expect(await answers(third)).toBe(said)
      await third.close()
    })

    test('it only reads', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 100)
      await table.publish(store)
      const reader = await openReader(store)
      const refused = { code: 'FLASHTABLE_READ_ONLY' }
      await expect(reader.put(1n, { time: 1, id: 1 })).rejects.toMatchObject(refused)
      await expect(reader.del(1n)).rejects.toMatchObject(refused)
      await expect(reader.compact()).rejects.toMatchObject(refused)
      await expect(reader.publish(store)).rejects.toMatchObject(refused)
      await expect(reader.checkpoint('/never')).rejects.toMatchObject(refused)
      await expect(table.refresh()).rejects.toMatchObject(refused)
    })

    test('an empty store has no table, and an empty table is one', async () => {
      const store = await newStore()
      await expect(FlashTable.openRemote(store)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
      const table = await newTable()
      await table.publish(store)
      const reader = await openReader(store)
      expect(await reader.count()).toBe(0)
      await put(table, 0, 10)
      await table.publish(store)
      await reader.refresh()
      expect(await reader.count()).toBe(10)
      await expect(
        FlashTable.openRemote(store, { keyEncoding: 'u32', valueEncoding: 'u8' }),
      ).rejects.toMatchObject({ code: 'FLASHTABLE_SCHEMA_MISMATCH' })
    })

    test('a blocking read answers from what is cached, and says so where it cannot', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 5000)
      await table.publish(store)
      const reader = await openReader(store, { filterBytes: 0, cacheBytes: 2 ** 22 }, 0)
      expect(() => reader.getSync(7n * 4000n)).toThrowError(
        expect.objectContaining({ code: 'FLASHTABLE_UNAVAILABLE' }),
      )
      await reader.get(7n * 4000n)
      expect(reader.getSync(7n * 4000n)).toMatchObject({ id: 4000 })
    })
  })
}

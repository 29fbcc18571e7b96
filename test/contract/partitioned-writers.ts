/** Several processes with one table of partitions, as users see them, whatever the store: run by the tests of each of them. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  FlashTable,
  PartitionedTable,
  struct,
  type ObjectStore,
  type PartitionedOptions,
} from '../../src/index.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { thrownBy } from '../support/thrown-by.js'

const ENCODINGS = { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', id: 'i32' }) } as const
const SMALL = { bufferBytes: 65_536, walBytes: 65_536 } as const
export type Prints = Awaited<ReturnType<typeof openPrints>>

const roots: string[] = []
const opened: { close(): Promise<void> }[] = []

async function newRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'flashtable-partitions-'))
  roots.push(root)
  return root
}

async function openPrints(store: ObjectStore, options: PartitionedOptions) {
  const table = await PartitionedTable.open(store, {
    ...ENCODINGS,
    ...SMALL,
    refreshInterval: Infinity,
    ...options,
  })
  opened.push(table)
  return table
}

/** Keys in all partitions. */
const keyOf = (row: number): bigint => BigInt.asUintN(64, BigInt(row) * 0x9e37_79b9_7f4a_7c15n)

export function columnsOf(first: number, count: number) {
  const rows = Array.from({ length: count }, (_, at) => first + at)
  return {
    key: BigUint64Array.from(rows, keyOf),
    time: Uint16Array.from(rows, row => row % 1000),
    id: Int32Array.from(rows),
  }
}

/** Puts the rows of the partitions that the table writes; returns how many these are. */
export async function putOwn(table: Prints, first: number, count: number): Promise<number> {
  let own = 0
  for (const { partition, rows, columns } of table.splitColumns(columnsOf(first, count))) {
    if (!table.written.includes(partition)) continue
    await table.putColumns(columns)
    own += rows.length
  }
  return own
}

/** Of the rows up to `count`, those of partitions that are written. */
function ownRows(table: Prints, count: number): number[] {
  return Array.from({ length: count }, (_, row) => row).filter(row =>
    table.written.includes(table.partitionOf(keyOf(row))),
  )
}

const code = (name: string, message?: string | RegExp) => ({
  code: `FLASHTABLE_${name}`,
  ...(message === undefined ? {} : { message: expect.stringMatching(message) as string }),
})

/** `newStore`: a new place; what it gives opens it, each time by a store of its own. */
export function describePartitions(name: string, newStore: () => Promise<() => ObjectStore>): void {
  describe(`partitions, ${name}`, () => {
    afterEach(async () => {
      await Promise.allSettled(opened.splice(0).map(table => table.close()))
      for (const root of roots.splice(0)) await rm(root, { recursive: true })
    })

    test('each process writes its own, all read all, and a partition moves by a takeover', async () => {
      const [store, root] = [await newStore(), await newRoot()]
      const a = await openPrints(store(), { partitions: 4, write: [1, 0], directory: join(root, 'a') })
      const b = await openPrints(store(), { partitions: 4, write: [2, 3], directory: join(root, 'b') })
      expect([a.written, a.partitions, b.written]).toEqual([[0, 1], 4, [2, 3]])
      expect(a.locations[0]).toBe(join(root, 'a', 'p-00'))
      expect(a.locations[3]).toMatch(/\/p\/03$/)
      await Promise.all([putOwn(a, 0, 4000), putOwn(b, 0, 4000)])
      const [versionsA, versionsB] = [(await a.publish()).versions, (await b.publish()).versions]
      expect([versionsA.slice(2), versionsB.slice(0, 2)]).toEqual([
        [0, 0],
        [0, 0],
      ])

      // A third process has only the store.
      const cacheDirectory = join(root, 'cache')
      const reader = await openPrints(store(), { cacheDirectory })
      await reader.refresh({ atLeast: versionsA })
      await reader.refresh({ atLeast: versionsB })
      expect(await reader.count()).toBe(4000)
      const some = [17, 3999, 4000, 250]
      expect(await reader.getMany(some.map(keyOf))).toEqual([
        { time: 17, id: 17 },
        { time: 999, id: 3999 },
        undefined,
        { time: 250, id: 250 },
      ])
      const ids: number[] = []
      let last = -1n
      for await (const [key, { id }] of reader.entries()) {
        expect(key > last).toBe(true)
        last = key
        ids.push(id)
      }
      expect(ids.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 4000 }, (_, row) => row))
      // The partitions share one cache, in memory and on disk.
      const caches = (await reader.stats()).partitions.map(({ table }) => table!.remote!)
      expect(new Set(caches.map(({ memoryBytes }) => memoryBytes)).size).toBe(1)
      expect(new Set(caches.map(({ disk }) => disk!.directory)).size).toBe(1)
      expect(caches[0]!.memoryBytes).toBeGreaterThan(0)
      const other = await openPrints(store(), { cacheDirectory })
      await other.close()
      const rings = async (): Promise<string[]> =>
        (await readdir(cacheDirectory)).filter(name => /^ring-\d$/.test(name)).toSorted()
      expect(await rings()).toEqual(['ring-0', 'ring-1'])
      // What is closed has given its ring back.
      await (await openPrints(store(), { cacheDirectory })).close()
      expect(await rings()).toEqual(['ring-0', 'ring-1'])
      // Writers read what others have published.
      expect(await a.count()).toBe(4000)

      // What a process does not write it refuses, all of it, before anything is written.
      const foreign = ownRows(b, 100)[0]!
      await expect(a.put(keyOf(foreign), { time: 0, id: 0 })).rejects.toMatchObject(
        code('READ_ONLY', /put: partition 0[23] is not written/),
      )
      await expect(a.putColumns(columnsOf(4000, 50))).rejects.toMatchObject(
        code('READ_ONLY', 'partition 0[23]'),
      )
      const own = ownRows(a, 100)[0]!
      const mixed = [own, foreign].map(row => ({ type: 'del', key: keyOf(row) }) as const)
      await expect(a.batch(mixed)).rejects.toMatchObject(code('READ_ONLY'))
      await expect(a.del(keyOf(foreign))).rejects.toMatchObject(code('READ_ONLY'))
      await expect(reader.put(1n, { time: 0, id: 0 })).rejects.toMatchObject(code('READ_ONLY'))
      for (const call of [reader.publish(), reader.sync(), reader.compact(), reader.delWhere({ id: 1 })])
        await expect(call).rejects.toMatchObject(code('READ_ONLY', 'writes no partition'))
      expect(await a.count()).toBe(4000)

      // What is deleted by value is deleted where it is written.
      await a.delWhere({ time: { lt: 100 } })
      const kept = 4000 - ownRows(a, 4000).filter(row => row % 1000 < 100).length
      await reader.refresh({ atLeast: (await a.publish()).versions })
      expect(await reader.count()).toBe(kept)

      // Nobody goes on with a partition of another one by accident.
      const elsewhere = { write: [3], directory: join(root, 'c') }
      await expect(openPrints(store(), elsewhere)).rejects.toMatchObject(
        code('FENCED', /^partition 03: .*takeOver: true/),
      )
      expect(existsSync(join(root, 'c', 'p-03'))).toBe(false)
      const c = await openPrints(store(), { ...elsewhere, takeOver: true })
      const moved = await putOwn(c, 4000, 1000)
      expect(moved).toBeGreaterThan(0)
      await reader.refresh({ atLeast: (await c.publish()).versions })
      expect(await reader.count()).toBe(kept + moved)

      // The process that wrote it before learns it, and its other partition goes on.
      const [lost] = ownRows(c, 10_000)
      const two = ownRows(b, 10_000).find(row => b.partitionOf(keyOf(row)) === 2)!
      await b.put(keyOf(lost!), { time: 5, id: -5 })
      await b.put(keyOf(two), { time: 6, id: -6 })
      await expect(b.publish()).rejects.toMatchObject(code('FENCED', '^partition 03: '))
      for (const write of [
        () => b.put(keyOf(lost!), { time: 5, id: -5 }),
        () => b.putColumns(columnsOf(0, 0)).then(() => b.delWhere({ id: -5 })),
        () => b.batch([{ type: 'del', key: keyOf(lost!) }]),
      ])
        await expect(write()).rejects.toMatchObject(code('FENCED'))
      await b.put(keyOf(two), { time: 7, id: -7 })
      await reader.refresh()
      expect(await reader.getAll(keyOf(two))).toContainEqual({ time: 6, id: -6 })
      expect(await reader.getAll(keyOf(lost!))).not.toContainEqual({ time: 5, id: -5 })
      await c.close()

      // The same process goes on where it was, without a takeover.
      const again = await openPrints(store(), { write: [3], directory: join(root, 'c') })
      expect(await again.count()).toBe(kept + moved + 1)
      await expect(openPrints(store(), { write: [3], directory: join(root, 'b') })).rejects.toMatchObject(
        code('LOCKED', '^partition 03: '),
      )
      await b.close()
      await expect(
        openPrints(store(), { write: [3], directory: join(root, 'b'), takeOver: true }),
      ).rejects.toMatchObject(code('FENCED', '^partition 03: .*restore it anew'))
    })

    test('a replica that begins after a takeover tells of it, and nothing more can be put', async () => {
      const [storeOf, root] = [await newStore(), await newRoot()]
      const writer = await openPrints(storeOf(), { partitions: 4, write: 'all', directory: join(root, 'a') })
      await openPrints(storeOf(), { write: [2], directory: join(root, 'b'), takeOver: true })
      const fenced = {
        code: 'FLASHTABLE_FENCED',
        message: expect.stringMatching(/^partition 02: /) as string,
      }
      await expect(writer.replicate()).rejects.toMatchObject(fenced)
      const key = columnsOf(0, 100).key.find(key => writer.partitionOf(key) === 2)!
      await expect(writer.put(key, { time: 1, id: 1 })).rejects.toMatchObject(fenced)
      await expect(writer.putColumns(columnsOf(0, 100))).rejects.toMatchObject(fenced)
      expect(await writer.count()).toBe(0)
    })

    test('what is written is kept a few seconds behind, until a partition is taken over', async () => {
      const [storeOf, root] = [await newStore(), await newRoot()]
      const writer = await openPrints(storeOf(), { partitions: 4, write: 'all', directory: join(root, 'a') })
      const replica = await writer.replicate({ interval: 20 })
      await expect(writer.replicate({ interval: 'soon' })).rejects.toMatchObject({
        code: 'FLASHTABLE_INVALID_OPTION',
      })
      await expect(writer.replicate()).rejects.toMatchObject({
        code: 'FLASHTABLE_LOCKED',
        message: expect.stringMatching(/^partition 0\d: .* already/) as string,
      })
      await writer.putColumns(columnsOf(0, 500))
      await replica.sync()
      const reader = await openPrints(storeOf(), {})
      expect(await reader.count()).toBe(500)
      expect((await writer.stats()).files).toBe(0)
      await writer.putColumns(columnsOf(500, 100))
      await expect.poll(() => replica.status().lagRecords).toBe(0)
      await reader.refresh()
      expect(await reader.count()).toBe(600)
      const { partitions, ...rest } = replica.status()
      expect(rest).toEqual({ lagRecords: 0, lagMs: 0, failure: undefined, ended: false })
      expect(partitions.map(({ partition }) => partition)).toEqual([0, 1, 2, 3])
      const other = await openPrints(storeOf(), { write: [2], directory: join(root, 'b'), takeOver: true })
      expect(await other.count()).toBe(600)
      await writer.putColumns(columnsOf(600, 100)).catch(() => {})
      await expect(replica.sync()).rejects.toMatchObject({
        code: 'FLASHTABLE_FENCED',
        message: expect.stringMatching(/^partition 02: /) as string,
      })
      expect(replica.status()).toMatchObject({
        ended: true,
        failure: expect.stringMatching(/^partition 02: /) as string,
      })
      const inPartition = (partition: number): bigint =>
        columnsOf(700, 100).key.find(key => writer.partitionOf(key) === partition)!
      await expect(writer.put(inPartition(2), { time: 1, id: 1 })).rejects.toMatchObject({
        code: 'FLASHTABLE_POISONED',
      })
      // Before anything is put: else each try would put what is for the others once more.
      const before = await writer.count()
      const rows = columnsOf(700, 100)
      await expect(writer.putColumns(rows)).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
      await expect(
        writer.batch([2, 3].map(at => ({ type: 'put', key: inPartition(at), value: { time: 1, id: 1 } }))),
      ).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
      expect(await writer.count()).toBe(before)
      await writer.put(inPartition(3), { time: 1, id: 1 })
      await replica.close()
      await reader.refresh()
      expect(await reader.has(inPartition(3))).toBe(true)
      await expect(reader.replicate()).rejects.toMatchObject({ code: 'FLASHTABLE_READ_ONLY' })
    })

    test('a partition that nobody has published is empty, and is looked for again', async () => {
      const [store, root] = [await newStore(), await newRoot()]
      await expect(openPrints(store(), {})).rejects.toMatchObject(code('NOT_FOUND'))
      const a = await openPrints(store(), { partitions: 2, write: [0], directory: join(root, 'a') })
      await putOwn(a, 0, 100)
      let now = 0
      const environment = { ...nodeEnvironment, now: () => now }
      const reader = await PartitionedTable.openIn(store(), { refreshInterval: '1h' }, environment)
      opened.push(reader)
      const [missing] = Array.from({ length: 100 }, (_, row) => keyOf(row)).filter(
        key => reader.partitionOf(key) === 1,
      )
      expect(await reader.get(missing)).toBeUndefined()
      expect(await reader.getColumns([missing!])).toEqual({
        query: new Uint32Array(),
        time: new Uint16Array(),
        id: new Int32Array(),
      })
      const asked = await openPrints(store(), {})
      expect(await asked.has(missing!)).toBe(false)
      const snapshot = await reader.snapshot()
      await expect(reader.refresh({ atLeast: [0, 1] })).rejects.toMatchObject(
        code('UNAVAILABLE', '^partition 01: nothing is published'),
      )
      expect((await reader.stats()).partitions[1]!.table).toBeUndefined()
      const b = await openPrints(store(), { write: [1], directory: join(root, 'b') })
      await putOwn(b, 0, 100)
      await b.publish()
      expect(await reader.get(missing)).toBeUndefined()
      now += 3_600_000
      expect(await reader.get(missing)).toMatchObject({ time: expect.any(Number) as number })
      expect(await reader.get(missing, { snapshot })).toBeUndefined()
      await snapshot.close()
      await expect(reader.get(missing, { snapshot })).rejects.toMatchObject(code('SNAPSHOT_CLOSED'))
      expect(await asked.has(missing!)).toBe(false)
      await asked.refresh()
      expect(await asked.has(missing!)).toBe(true)
      await a.publish()
      await expect(reader.refresh({ atLeast: [99, 0] })).rejects.toMatchObject(
        code('UNAVAILABLE', '^partition 00: '),
      )
      expect(await reader.count()).toBe(100)
    })

    test('what is in the directory and not published is published later; a takeover restores the newest', async () => {
      const [store, root] = [await newStore(), await newRoot()]
      const home = { write: 'all', directory: join(root, 'home') } as const
      const before = await openPrints(store(), { ...home, partitions: 2 })
      await before.putColumns(columnsOf(0, 1000))
      await before.publish({ name: 'first', retention: '1d' })
      await before.putColumns(columnsOf(1000, 1000))
      await before.close()
      const after = await openPrints(store(), home)
      expect(await after.count()).toBe(2000)
      await after.close()
      // What a restore has left that was cut off is in the way of nobody.
      const away = join(root, 'away')
      await mkdir(join(away, 'p-01.restoring', 'table'), { recursive: true })
      await mkdir(join(away, 'p-00'))
      await writeFile(join(away, 'p-01.restoring', 'table', '000001.bucket'), 'half')
      const copy = await openPrints(store(), { write: 'all', directory: away, takeOver: true })
      expect(await copy.count()).toBe(2000)
      expect((await readdir(away)).toSorted()).toEqual(['PARTITIONS.1', 'p-00', 'p-01'])
      const first = await FlashTable.openRemote(store().below('p/01'), { name: 'first' })
      opened.push(first)
      expect(await first.count()).toBe(columnsOf(0, 1000).key.filter(key => key >> 63n === 1n).length)
    })
  })

  describe(`PARTITIONS, ${name}`, () => {
    afterEach(async () => {
      await Promise.allSettled(opened.splice(0).map(table => table.close()))
      for (const root of roots.splice(0)) await rm(root, { recursive: true })
    })

    test('is created once, by one of those who try at the same time', async () => {
      const [store, root] = [await newStore(), await newRoot()]
      const opens = await Promise.allSettled(
        [0, 1, 2, 3].map(number =>
          openPrints(store(), { partitions: 4, write: [number], directory: join(root, `${number}`) }),
        ),
      )
      expect(opens.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'fulfilled'))
      const other = { partitions: 8, write: [7], directory: join(root, 'other') }
      await expect(openPrints(store(), other)).rejects.toMatchObject(
        code('SCHEMA_MISMATCH', 'created with 4 partitions, but partitions 8'),
      )
    })

    test('other encodings, divisions and options than those of its creation are refused', async () => {
      const [store, root] = [await newStore(), await newRoot()]
      const boundaries = [2n ** 62n, 2n ** 63n]
      const home = { write: [0], directory: join(root, 'a') }
      const table = await PartitionedTable.open(store(), {
        ...ENCODINGS,
        ...SMALL,
        ...home,
        boundaries,
        duplicates: 'replace',
      })
      expect([table.partitions, table.duplicates]).toEqual([3, 'replace'])
      expect([2n ** 62n - 1n, 2n ** 62n, 2n ** 63n].map(key => table.partitionOf(key))).toEqual([0, 1, 2])
      await table.close()
      for (const [options, message] of [
        [{ partitions: 2 }, '2 boundaries, but partitions 2'],
        [{ ...ENCODINGS, boundaries: [1n, 2n] }, '4000000000000000, 8000000000000000, but other boundaries'],
        [{ keyEncoding: 'u32', valueEncoding: ENCODINGS.valueEncoding }, 'another keyEncoding'],
        [{ keyEncoding: 'u64' }, 'another valueEncoding'],
        [{ duplicates: 'keep' }, 'duplicates replace, but duplicates keep'],
        [{ combine: { time: 'sum', id: 'last' } }, 'without combine'],
        [{ pageBytes: 8192 }, 'pageBytes 4096, but pageBytes 8192'],
      ] as const)
        await expect(PartitionedTable.open(store(), options as object)).rejects.toMatchObject(
          code('SCHEMA_MISMATCH', `PARTITIONS: .*${message}`),
        )
      const same = await PartitionedTable.open(store(), {
        ...ENCODINGS,
        boundaries: BigUint64Array.from(boundaries),
      })
      opened.push(same)
      const bare = await PartitionedTable.open(store())
      opened.push(bare)
      expect([bare.keyEncoding, bare.partitions]).toEqual(['u64', 3])
      expect(String(thrownBy(() => bare.partitionOf('x')))).toMatch(/the key/)
    })
  })
}

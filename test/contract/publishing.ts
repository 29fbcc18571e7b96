/** Publish and restore as a user sees them, whatever the store: run by the tests of each of them. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  FlashTable,
  collectGarbage,
  probeStore,
  publishedTable,
  struct,
  verifyPublished,
  verifyTable,
  type ObjectStore,
} from '../../src/index.js'

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

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-publish-'))
  made.push(directory)
  return directory
}

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

async function put(table: Table, first: number, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, at) => first + at)
  await table.putColumns({
    key: BigUint64Array.from(numbers, number => BigInt(number * 7919)),
    time: Uint16Array.from(numbers, number => number % 1000),
    id: Int32Array.from(numbers),
  })
}

/** How many of the records from 0 on the table in the directory has: all of a prefix, and nothing else. */
export async function prefixOf(directory: string): Promise<number> {
  const table = await FlashTable.open(directory, { ...OPTIONS, readOnly: true })
  const { key, id } = await allColumns(table)
  const order = [...id].toSorted((a, b) => a - b)
  expect(order).toEqual(order.map((_, at) => at))
  for (let row = 0; row < id.length; row++) expect(key[row]).toBe(BigInt(id[row]! * 7919))
  await table.close()
  return id.length
}

async function allColumns(table: Table): Promise<{ key: bigint[]; id: number[] }> {
  const columns: { key: bigint[]; id: number[] } = { key: [], id: [] }
  for await (const { key, id } of table.scanColumns()) {
    columns.key.push(...key)
    columns.id.push(...id)
  }
  return columns
}

/** `newStore`: an empty one. */
export function describePublishing(name: string, newStore: () => Promise<ObjectStore>): void {
  describe(`publish and restore, ${name}`, () => {
    test('a table is restored elsewhere, by its newest version, a number, a time or a name', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      await probeStore(store)
      const table = await openTable(join(home, 'table'))
      const times: Date[] = []
      for (const [version, options] of [
        [1, {}],
        [2, { name: 'before cleanup', expires: '30d' }],
        [3, { retention: '7d' }],
      ] as const) {
        await put(table, (version - 1) * 10_000, 10_000)
        expect(await table.publish(store, options)).toMatchObject({ version, sequence: version * 10_000 })
        times.push((await publishedTable(store)).versions.at(-1)!.at)
      }
      const { versions, retentionMs, writer, epoch } = await publishedTable(store)
      expect(versions.map(({ version, records }) => [version, records])).toEqual([
        [1, 10_000],
        [2, 20_000],
        [3, 30_000],
      ])
      expect(versions[1]!.names).toEqual([
        { name: 'before cleanup', expires: new Date(versions[1]!.names[0]!.expires!) },
      ])
      expect({ retentionMs, epoch }).toEqual({ retentionMs: 7 * 86_400_000, epoch: 1 })
      expect(writer).toContain(join(home, 'table'))
      expect(times.map(Number)).toEqual(times.map(Number).toSorted((a, b) => a - b))
      for (const [at, choice, count] of [
        ['newest', {}, 30_000],
        ['number', { version: 1 }, 10_000],
        ['name', { name: 'before cleanup' }, 20_000],
        ['time', { at: times[2]! }, 30_000],
      ] as const) {
        const copy = join(home, 'deep', at)
        const result = await FlashTable.restore(store, copy, { ...choice, verify: true })
        expect(result.sequence).toBe(count)
        expect(await prefixOf(copy)).toBe(count)
        expect((await verifyTable(copy)).problems).toEqual([])
      }
      await table.close()
      await store.close()
    })

    test('a restore needs a new directory, and leaves nothing of one that fails', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      await expect(FlashTable.restore(store, join(home, 'copy'))).rejects.toMatchObject({
        code: 'FLASHTABLE_NOT_FOUND',
      })
      const table = await openTable(join(home, 'table'))
      await put(table, 0, 10_000)
      await table.publish(store)
      await expect(FlashTable.restore(store, join(home, 'table'))).rejects.toMatchObject({
        code: 'FLASHTABLE_EXISTS',
      })
      for (const choice of [{ version: 9 }, { name: 'x' }, { at: new Date(0) }])
        await expect(FlashTable.restore(store, join(home, 'copy'), choice)).rejects.toMatchObject({
          code: 'FLASHTABLE_NOT_FOUND',
        })
      const controller = new AbortController()
      const abort = (): void => controller.abort(new Error('enough'))
      await expect(
        FlashTable.restore(store, join(home, 'a/b/copy'), { signal: controller.signal, onProgress: abort }),
      ).rejects.toThrow('enough')
      expect(await readdir(home)).toEqual(['table'])
      await table.close()
      await store.close()
    })

    test('another table is refused, and a copy goes on only if it is told to take over', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      const table = await openTable(join(home, 'table'))
      await put(table, 0, 1000)
      await table.publish(store)
      const stranger = await openTable(join(home, 'stranger'))
      await expect(stranger.publish(store, { takeOver: true })).rejects.toMatchObject({
        code: 'FLASHTABLE_EXISTS',
      })
      await stranger.close()
      await FlashTable.restore(store, join(home, 'copy'))
      const copy = await openTable(join(home, 'copy'))
      await put(copy, 1000, 1000)
      await expect(copy.publish(store)).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
      expect(await copy.publish(store, { takeOver: true })).toMatchObject({ version: 2, sequence: 2000 })
      await put(table, 1000, 10)
      for (const takeOver of [false, true])
        await expect(table.publish(store, { takeOver })).rejects.toMatchObject({
          code: 'FLASHTABLE_FENCED',
        })
      // The table itself goes on.
      await table.put(1n, { time: 1, id: 1 })
      await table.close()
      await copy.close()
      await FlashTable.restore(store, join(home, 'last'))
      expect(await prefixOf(join(home, 'last'))).toBe(2000)
      await store.close()
    })

    test('versions are forgotten, and what they alone had is removed, but for names', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      const table = await openTable(join(home, 'table'))
      for (let version = 1; version <= 4; version++) {
        await put(table, (version - 1) * 2000, 2000)
        await table.compact()
        await table.publish(store, version === 2 ? { name: 'kept' } : {})
      }
      expect((await publishedTable(store)).files).toBe(4)
      const garbage = await collectGarbage(store, { retention: 0, dryRun: true })
      expect(garbage).toMatchObject({ versions: [1, 3], files: 2 })
      expect((await publishedTable(store)).files).toBe(4)
      expect(await collectGarbage(store, { retention: 0 })).toEqual(garbage)
      const { versions, files } = await publishedTable(store)
      expect([versions.map(({ version }) => version), files]).toEqual([[2, 4], 2])
      await FlashTable.restore(store, join(home, 'copy'), { name: 'kept' })
      await expect(collectGarbage(store, { forget: ['kept', 'lost'] })).rejects.toMatchObject({
        code: 'FLASHTABLE_NOT_FOUND',
        message: expect.stringContaining('does not have a version named "lost"') as string,
      })
      await expect(collectGarbage(store, { forget: 'kept' as never })).rejects.toMatchObject({
        code: 'FLASHTABLE_INVALID_OPTION',
      })
      // The name goes at once; its version when its time is over.
      expect(await collectGarbage(store, { forget: ['kept'], retention: '1h' })).toMatchObject({
        versions: [],
      })
      expect((await publishedTable(store)).versions.map(({ names }) => names.length)).toEqual([0, 0])
      expect(await collectGarbage(store, { retention: 0 })).toMatchObject({ versions: [2], files: 1 })
      expect(await prefixOf(join(home, 'copy'))).toBe(4000)
      // The writer goes on beside that.
      await put(table, 8000, 10)
      expect((await table.publish(store)).sequence).toBe(8010)
      await table.close()
      await store.close()
    })

    test('the last version of each day is kept for as many days as was asked for', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      const table = await openTable(join(home, 'table'))
      let now = Date.parse('2026-11-20T12:00:00Z')
      const dated = new Proxy(store, {
        get(target, name) {
          if (name === 'now') return () => Promise.resolve(now)
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
      const keep = { daily: 2 }
      for (let day = 0; day < 4; day++, now += 12 * 3_600_000) {
        await put(table, 2 * day * 100, 100)
        await table.publish(dated, { keep, retention: 0 })
        now += 12 * 3_600_000 - 1
        const replica = await table.replicate(dated, { keep, retention: 0, interval: '1d' })
        await put(table, (2 * day + 1) * 100, 100)
        await replica.close()
        now++
      }
      const { versions } = await publishedTable(store)
      expect(
        versions.map(({ version, sequence, names }) => [version, sequence, names.map(({ name }) => name)]),
      ).toEqual([
        [4, 400, ['daily-2026-11-21']],
        [6, 600, ['daily-2026-11-22']],
        [8, 800, []],
      ])
      await FlashTable.restore(store, join(home, 'copy'), { name: 'daily-2026-11-21' })
      expect(await prefixOf(join(home, 'copy'))).toBe(400)
      for (const [wrong, message] of [
        [7, /option 'keep': expected an object of hourly, daily and weekly/],
        [{ dayly: 7 }, /hourly, daily and weekly.*found 'dayly'|found "dayly"/],
        [{ daily: 0 }, /option 'keep.daily': expected an integer from 1 to 10000, found 0/],
        [{ daily: '7' }, /option 'keep.daily': expected a number/],
      ] as const)
        await expect(table.publish(store, { keep: wrong as never })).rejects.toMatchObject({
          code: 'FLASHTABLE_INVALID_OPTION',
          message: expect.stringMatching(message) as string,
        })
      await table.close()
      await store.close()
    })

    test('tables in stores below are other tables: nothing of one is garbage of another', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      // The second one among the names where a table has its files.
      const stores = [store.below('p/0a'), store.below('east'), store]
      for (const [at, one] of stores.entries()) {
        const table = await openTable(join(home, `${at}`))
        await put(table, 0, 1000 + at)
        expect(await table.publish(one)).toMatchObject({ version: 1 })
        await table.close()
      }
      // Whatever earlier writers have left is garbage now.
      await FlashTable.restore(store, join(home, 'copy'))
      const copy = await openTable(join(home, 'copy'))
      await put(copy, 1002, 10)
      await copy.publish(store, { takeOver: true })
      await copy.close()
      expect(await collectGarbage(store, { retention: 0 })).toMatchObject({ versions: [1] })
      for (const [at, one] of stores.entries()) {
        const { problems, records } = await verifyPublished(one)
        expect(problems).toEqual([])
        expect(records).toBe(one === store ? 1012 : 1000 + at)
      }
    })

    test('a publish that is aborted in the middle is made again, and what it left is removed', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      const table = await openTable(join(home, 'table'))
      await put(table, 0, 1000)
      await table.publish(store)
      for (let first = 1000; first < 61_000; first += 6000) await put(table, first, 6000)
      const controller = new AbortController()
      let calls = 0
      const onProgress = (): void => {
        if (++calls > 2) controller.abort(new Error('enough'))
      }
      await expect(table.publish(store, { signal: controller.signal, onProgress })).rejects.toThrow('enough')
      expect((await publishedTable(store)).versions).toHaveLength(1)
      expect((await table.publish(store)).sequence).toBe(61_000)
      const { files } = await publishedTable(store)
      const keys: string[] = []
      for await (const { key } of store.list('e')) keys.push(key)
      expect(keys).toHaveLength(files)
      await FlashTable.restore(store, join(home, 'copy'), { verify: true })
      expect(await prefixOf(join(home, 'copy'))).toBe(61_000)
      await table.close()
      await store.close()
    })

    test('what a writer forgets and deletes while it is verified is no damage', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      const table = await openTable(join(home, 'table'))
      let rows = 0
      const publishAnew = async (): Promise<void> => {
        await put(table, rows, 1000)
        rows += 1000
        await table.compact()
        await table.publish(store, { retention: 0 })
      }
      await publishAnew()
      // The writer publishes between the look at the manifest and the list; or between the list and the pages.
      let publishes = 0
      const once = async (): Promise<void> => {
        if (publishes++ === 0) await publishAnew()
      }
      const whole = withGet(store, (...args) => store.get(...args))
      const list: ObjectStore['list'] = async function* (...args) {
        await once()
        yield* store.list(...args)
      }
      expect(await verifyPublished({ ...whole, list })).toMatchObject({
        version: 2,
        problems: [],
        records: 2000,
      })
      publishes = 0
      const slow = withGet(store, async (...args) => {
        await once()
        return store.get(...args)
      })
      expect(await verifyPublished(slow)).toMatchObject({ version: 3, problems: [], records: 3000 })
      // Each time again: it does not say that what it has not seen is sound.
      const busy = withGet(store, async (...args) => {
        await publishAnew()
        return store.get(...args)
      })
      await expect(verifyPublished(busy)).rejects.toMatchObject({ code: 'FLASHTABLE_SNAPSHOT_EXPIRED' })
      await table.close()
      await store.close()
    })

    test('every page can be verified where it is; damage is told, by its object', async () => {
      const [store, home] = [await newStore(), await newDirectory()]
      await expect(verifyPublished(store)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
      const table = await openTable(join(home, 'table'))
      await put(table, 0, 15_000)
      await table.compact()
      await table.publish(store)
      const seen: number[] = []
      const sound = await verifyPublished(store, { onProgress: ({ done, total }) => seen.push(done / total) })
      expect(sound).toMatchObject({ version: 1, problems: [], files: 1, records: 15_000 })
      expect(seen.at(-1)).toBe(1)
      await expect(verifyPublished(damaged(store, 5000))).resolves.toMatchObject({
        problems: [{ file: expect.stringContaining(`${store.url}/e0`) as string, offset: 4096 }],
      })
      await expect(FlashTable.restore(damaged(store, 5000), join(home, 'copy'))).resolves.toBeDefined()
      await expect(
        FlashTable.restore(damaged(store, 5000), join(home, 'checked'), { verify: true }),
      ).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION', offset: 4096 })
      // A store that fails says nothing about the table.
      const failing = withGet(store, () =>
        Promise.reject(Object.assign(new Error('gone'), { code: 'FLASHTABLE_UNAVAILABLE' })),
      )
      await expect(verifyPublished(failing)).rejects.toThrow('gone')
      for await (const { key } of store.list('e')) await store.delete(key)
      await expect(verifyPublished(store)).resolves.toMatchObject({
        problems: [{ message: 'the manifest names this object, and it is missing' }],
      })
      await expect(FlashTable.restore(store, join(home, 'gone'))).rejects.toMatchObject({
        code: 'FLASHTABLE_CORRUPTION',
      })
      expect((await readdir(home)).toSorted()).toEqual(['copy', 'table'])
      await table.close()
      await store.close()
    })
  })
}

/** The store, with one byte of its objects changed. */
function damaged(store: ObjectStore, at: number): ObjectStore {
  return withGet(store, async (key, options = {}) => {
    const bytes = await store.get(key, options)
    const place = at - (options.range?.start ?? 0)
    if (bytes !== undefined && place >= 0 && place < bytes.byteLength) bytes[place]! ^= 1
    return bytes
  })
}

/** The store, with another way to read objects. */
function withGet(store: ObjectStore, get: ObjectStore['get']): ObjectStore {
  return {
    url: store.url,
    get,
    put: (...args) => store.put(...args),
    load: (...args) => store.load(...args),
    swap: (...args) => store.swap(...args),
    list: (...args) => store.list(...args),
    delete: (...args) => store.delete(...args),
    abortUploads: (...args) => store.abortUploads(...args),
    below: path => store.below(path),
    now: (...args) => store.now(...args),
    close: () => Promise.resolve(),
  }
}

/** Replicas as a user sees them, whatever the store: run by the tests of each of them. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { FlashTable, publishedTable, struct, verifyPublished, type ObjectStore } from '../../src/index.js'

const OPTIONS = { keyEncoding: 'u32', valueEncoding: struct({ time: 'u16', id: 'i32' }) } as const
type Table = Awaited<ReturnType<typeof openTable>>

function openTable(directory: string, options: object = {}) {
  return FlashTable.open(directory, { ...OPTIONS, ...options })
}

const made: string[] = []
const opened: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const table of opened.splice(0).toReversed()) await table.close().catch(() => {})
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

async function newTable(options: object = {}): Promise<Table> {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-replica-'))
  made.push(directory)
  const table = await openTable(join(directory, 'table'), options)
  opened.push(table)
  return table
}

async function put(table: Table, first: number, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, at) => first + at)
  await table.putColumns({
    key: Uint32Array.from(rows, row => row * 3),
    time: Uint16Array.from(rows, row => row % 1000),
    id: Int32Array.from(rows),
  })
}

async function entriesOf(table: Table): Promise<unknown[]> {
  const entries: unknown[] = []
  for await (const entry of table.entries()) entries.push(entry)
  return entries
}

/** What is published, as a reader and a restored copy see it: they must agree. */
async function publishedEntries(store: ObjectStore, version?: number): Promise<unknown[]> {
  const reader = (await FlashTable.openRemote(store, {
    version,
    refreshInterval: Infinity,
  })) as unknown as Table
  const seen = await entriesOf(reader)
  await reader.close()
  const home = await mkdtemp(join(tmpdir(), 'flashtable-replica-'))
  made.push(home)
  await FlashTable.restore(store, join(home, 'copy'), { version, verify: true })
  const copy = (await FlashTable.open(join(home, 'copy'))) as unknown as Table
  expect(await entriesOf(copy)).toEqual(seen)
  await copy.close()
  return seen
}

/** The same store, with the calls that it got, and a failure of all of them. */
function watched(inner: ObjectStore): { store: ObjectStore; calls: string[]; fail: { reason?: Error } } {
  const calls: string[] = []
  const fail: { reason?: Error } = {}
  const store = new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function' || name === 'close') return value
      return (...given: unknown[]): unknown => {
        calls.push(String(name))
        if (fail.reason !== undefined) return Promise.reject(fail.reason)
        return Reflect.apply(value, target, given)
      }
    },
  })
  return { store, calls, fail }
}

const unavailable = (): Error =>
  Object.assign(new Error('the store is not there'), { code: 'FLASHTABLE_UNAVAILABLE' })

/** `newStore`: an empty one. */
export function describeReplicating(name: string, newStore: () => Promise<ObjectStore>): void {
  describe(`replicas, ${name}`, () => {
    test('after sync everything put before is in the store, and nothing was flushed for it', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await using replica = await table.replicate(store, { interval: '1h' })
      expect(await publishedEntries(store)).toEqual([])
      const states: unknown[][] = []
      for (let round = 0; round < 12; round++) {
        await put(table, round * 100, 100)
        if (round === 3) await table.del(30)
        if (round === 5) await table.delWhere({ time: { lt: 20 } })
        if (round === 7) await table.clear({ gte: 600, lt: 900 })
        if (round === 9) await table.delRecord(3000, { time: 0, id: 1000 })
        await replica.sync()
        states.push(await entriesOf(table))
        const { version, sequence, lagRecords, lagMs, failure, ended } = replica.status()
        expect({ version, sequence, lagRecords, lagMs, failure, ended }).toEqual({
          version: round + 2,
          sequence: (await table.stats()).sequence.next,
          lagRecords: 0,
          lagMs: 0,
          failure: undefined,
          ended: false,
        })
      }
      expect((await table.stats()).files).toEqual([])
      expect(await publishedEntries(store)).toEqual(states.at(-1))
      for (const round of [0, 4, 6, 8])
        expect(await publishedEntries(store, round + 2)).toEqual(states[round])
      // Many small files become few.
      expect((await publishedTable(store)).versions.at(-1)!.files).toBeLessThan(10)
      expect((await verifyPublished(store)).problems).toEqual([])
    })

    test.for([
      ['keep', {}],
      ['replace', { duplicates: 'replace' }],
      ['combine', { combine: { time: 'max', id: 'sum' } }],
    ] as const)('beside seals, flushes and merges: %s', async ([, options]) => {
      const [store, table] = [
        await newStore(),
        await newTable({ ...options, bufferBytes: 16_384, fanout: 2 }),
      ]
      await using replica = await table.replicate(store, { interval: '1h' })
      for (let round = 0; round < 25; round++) {
        // Keys come again.
        await put(table, (round % 7) * 150, 300)
        if (round % 5 === 2) await table.del(round * 30)
        if (round % 6 === 4 && !('combine' in options)) await table.delWhere({ id: { gte: 100, lt: 120 } })
        if (round === 20) await table.compact()
        await replica.sync()
        if (round % 8 === 0) expect(await publishedEntries(store)).toEqual(await entriesOf(table))
      }
      expect((await table.stats()).files.length).toBeGreaterThan(0)
      expect(await publishedEntries(store)).toEqual(await entriesOf(table))
      expect((await verifyPublished(store)).problems).toEqual([])
    })

    test('it publishes at the interval, and sends nothing while nothing is put', async () => {
      const { store, calls } = watched(await newStore())
      const table = await newTable()
      await using replica = await table.replicate(store, { interval: 20 })
      await put(table, 0, 10)
      await expect.poll(() => replica.status().lagRecords).toBe(0)
      const before = calls.length
      // As the interval does: each looks whether there is something new.
      for (let look = 0; look < 20; look++) await replica.sync()
      expect(calls.slice(before)).toEqual([])
      await put(table, 10, 10)
      await replica.sync()
      // One upload, and one swap; and what the version before had and this one does not.
      const sent = calls.slice(before)
      expect(sent.filter(name => name === 'swap')).toHaveLength(1)
      expect(sent.filter(name => name === 'put')).toHaveLength(1)
      expect(sent.filter(name => ['list', 'load', 'get'].includes(name))).toEqual([])
    })

    test('a store that fails is told, and tried again; puts go on', async () => {
      const { store, fail } = watched(await newStore())
      const table = await newTable()
      await using replica = await table.replicate(store, { interval: 20 })
      fail.reason = unavailable()
      await put(table, 0, 10)
      await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
      await expect.poll(() => replica.status().failure).toMatch(/not there/)
      expect(replica.status()).toMatchObject({ lagRecords: 10, ended: false })
      expect(replica.status().lagMs).toBeGreaterThan(0)
      await put(table, 10, 10)
      delete fail.reason
      await expect.poll(() => replica.status().lagRecords).toBe(0)
      expect(replica.status().failure).toBeUndefined()
      expect(await publishedEntries(store)).toEqual(await entriesOf(table))
      const first = newTable()
      fail.reason = unavailable()
      await expect((await first).replicate(store)).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
      delete fail.reason
    })

    test('a copy takes over, with a replica of its own; the first one ends, and its table goes on', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await using replica = await table.replicate(store, { interval: '1h' })
      await put(table, 0, 100)
      await replica.sync()
      const copyAt = join(table.location, '..', 'copy')
      await FlashTable.restore(store, copyAt)
      const copy = await openTable(copyAt)
      opened.push(copy)
      await expect(copy.replicate(store)).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
      await using other = await copy.replicate(store, { takeOver: true, interval: '1h' })
      await put(table, 100, 5)
      await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
      expect(replica.status()).toMatchObject({ ended: true, lagRecords: 5 })
      await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
      expect(await table.count()).toBe(105)
      await put(copy, 100, 7)
      await other.sync()
      expect(await publishedEntries(store)).toEqual(await entriesOf(copy))
    })

    test('a close publishes what is new, of the replica and of the table; then nothing is sent', async () => {
      const { store, calls } = watched(await newStore())
      const table = await newTable()
      const replica = await table.replicate(store, { interval: '1h' })
      await put(table, 0, 10)
      await replica.close()
      expect(await publishedEntries(store)).toHaveLength(10)
      await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
      expect(replica.status().ended).toBe(true)
      const again = await table.replicate(store, { interval: '1h' })
      await put(table, 10, 10)
      await table.close()
      expect(again.status()).toMatchObject({ ended: true, lagRecords: 0, failure: undefined })
      const before = calls.length
      expect(await publishedEntries(store)).toHaveLength(20)
      expect(calls.slice(before).filter(name => name === 'swap')).toEqual([])
    })

    test('a table in another process is replicated beside its writer', async () => {
      const [store, table] = [await newStore(), await newTable({ bufferBytes: 32_768, fanout: 2 })]
      await put(table, 0, 50)
      const reader = await FlashTable.open(table.location, { readOnly: true })
      opened.push(reader)
      const replica = await reader.replicate(store, { interval: 20 })
      for (let round = 1; round <= 30; round++) {
        await put(table, round * 300, 300)
        if (round % 7 === 0) await table.delWhere({ time: { lt: round } })
      }
      await table.sync()
      const { next } = (await table.stats()).sequence
      await expect.poll(() => replica.status().sequence).toBe(next)
      expect(await publishedEntries(store)).toEqual(await entriesOf(table))
      // The writer closes and opens again.
      await table.close()
      const later = await openTable(table.location)
      opened.push(later)
      await put(later, 20_000, 20)
      await replica.sync()
      expect(await publishedEntries(store)).toEqual(await entriesOf(later))
      expect((await verifyPublished(store)).problems).toEqual([])
      expect((await readdir(table.location)).includes('REMOTE')).toBe(true)
    })

    test('syncs at the same time share a publish; a signal ends the call alone', async () => {
      const { store, calls } = watched(await newStore())
      const table = await newTable()
      await using replica = await table.replicate(store, { interval: '1h' })
      await put(table, 0, 10)
      const before = calls.length
      await Promise.all(Array.from({ length: 20 }, () => replica.sync()))
      expect(calls.slice(before).filter(name => name === 'swap').length).toBeLessThanOrEqual(2)
      await put(table, 10, 10)
      const controller = new AbortController()
      const aborted = replica.sync({ signal: controller.signal })
      controller.abort(new Error('enough'))
      await expect(aborted).rejects.toThrow('enough')
      await replica.sync()
      expect(replica.status().lagRecords).toBe(0)
    })

    test('of a directory, one open publishes at a time', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 10)
      await table.publish(store)
      const reader = await FlashTable.open(table.location, { readOnly: true })
      opened.push(reader)
      await expect(reader.replicate(store)).rejects.toMatchObject({
        code: 'FLASHTABLE_LOCKED',
        message: expect.stringContaining('published by another process or another open') as string,
      })
      await table.close()
      const replica = await reader.replicate(store, { interval: '1h' })
      const later = await openTable(table.location)
      opened.push(later)
      await expect(later.publish(store)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      await put(later, 10, 10)
      await later.sync()
      await replica.sync()
      expect(await publishedEntries(store)).toHaveLength(20)
      await reader.close()
      await put(later, 20, 10)
      await later.publish(store)
      expect(await publishedEntries(store)).toHaveLength(30)
    })

    test('a table has one replica in a store at a time', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await put(table, 0, 10)
      const refused = { code: 'FLASHTABLE_LOCKED', message: expect.stringContaining('already') as string }
      const beginning = table.replicate(store, { interval: '1h' })
      await expect(table.replicate(store)).rejects.toMatchObject(refused)
      const replica = await beginning
      await expect(table.replicate(store)).rejects.toMatchObject(refused)
      await put(table, 10, 10)
      await replica.sync()
      await replica.close()
      const next = await table.replicate(store, { interval: '1h' })
      await put(table, 20, 10)
      await next.sync()
      expect(await publishedEntries(store)).toHaveLength(30)
    })

    test('sync has what puts, deletes and clears before it do, also if they still run', async () => {
      const [store, table] = [await newStore(), await newTable()]
      await using replica = await table.replicate(store, { interval: '1h' })
      for (let round = 0; round < 20; round++) {
        const running = put(table, round * 10, 10)
        await replica.sync()
        expect(replica.status().sequence).toBe((round + 1) * 10)
        await running
      }
      const [deleted, cleared] = [table.del(0), table.clear({ gte: 300 })]
      await replica.sync()
      expect(await publishedEntries(store)).toHaveLength(99)
      await Promise.all([deleted, cleared])
      // All of it: of records in memory, of such in files, and of both.
      for (const round of [0, 1, 2]) {
        if (round > 0) {
          await put(table, 0, 10)
          await table.compact()
        }
        if (round !== 1) await put(table, 0, 10)
        await replica.sync()
        expect(await publishedEntries(store)).not.toHaveLength(0)
        const emptied = table.clear()
        await replica.sync()
        expect(await publishedEntries(store)).toHaveLength(0)
        await emptied
      }
    })

    test('wrong options are refused, and what is published cannot be replicated', async () => {
      const [store, table] = [await newStore(), await newTable()]
      const wrong = { code: 'FLASHTABLE_INVALID_OPTION' }
      await expect(table.replicate(store, { interval: 'soon' })).rejects.toMatchObject(wrong)
      await expect(table.replicate(store, { interval: 0 })).rejects.toMatchObject(wrong)
      await expect(table.replicate(store, { every: 5 } as never)).rejects.toMatchObject(wrong)
      await expect(table.replicate('s3://x' as never)).rejects.toMatchObject(wrong)
      await expect(table.replicate(store, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow(
        'no',
      )
      await table.publish(store)
      const reader = await FlashTable.openRemote(store)
      opened.push(reader)
      await expect(reader.replicate(store)).rejects.toMatchObject({ code: 'FLASHTABLE_READ_ONLY' })
    })
  })
}

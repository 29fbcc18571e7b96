/** What goes wrong in a table with partitions, and what it refuses: errors name the partition, and nothing is half done. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  directoryStore,
  FlashTableError,
  PartitionedSnapshot,
  PartitionedTable,
  publishedTable,
  struct,
  type ObjectStore,
} from '../../src/index.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { checkedText } from '../../src/format/checked-text.js'
import { thrownBy } from '../support/thrown-by.js'
import { collect } from '../support/tables.js'
import { programFile } from '../support/programs.js'

const OPTIONS = {
  keyEncoding: 'u16',
  valueEncoding: struct({ n: 'u32' }),
  partitions: 4,
  bufferBytes: 16_384,
  walBytes: 16_384,
  refreshInterval: Infinity,
} as const

let root: string
let opened: { close(): Promise<void> }[]
beforeEach(async () => {
  root = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'flashtable-partitions-'))
  opened = []
})
afterEach(async () => {
  await Promise.allSettled(opened.map(table => table.close()))
  await rm(root, { recursive: true })
})

type Table = PartitionedTable<'u16', typeof OPTIONS.valueEncoding>

const newStore = (): ObjectStore => directoryStore(join(root, 'store'))

async function open(options: object = {}, store = newStore()) {
  const given = { ...OPTIONS, directory: join(root, 'writer'), write: 'all', ...options } as typeof OPTIONS
  // A swap that fails is tried again after a while.
  const environment = { ...nodeEnvironment, wait: () => Promise.resolve() }
  const table = (await PartitionedTable.openIn(store, given, environment)) as unknown as Table
  opened.push(table)
  return table
}

const reader = () => open({ directory: undefined, write: undefined })

/** Rows `n` with the key `step * n`. */
const columns = (count: number, step = 1) => ({
  key: Uint16Array.from({ length: count }, (_, n) => n * step),
  n: Uint32Array.from({ length: count }, (_, n) => n),
})

const code = (name: string, message = '') => ({
  code: `FLASHTABLE_${name}`,
  message: expect.stringMatching(message) as string,
})

/** The store, with the parts of it that the table will use for these partitions. */
function storeWithParts(...names: readonly string[]): { store: ObjectStore; parts: readonly ObjectStore[] } {
  const store = newStore()
  const below = store.below.bind(store)
  const parts = names.map(name => below(`p/${name}`))
  store.below = path => parts[names.findIndex(name => path === `p/${name}`)] ?? below(path)
  return { store, parts }
}

function unavailable(): Promise<never> {
  return Promise.reject(new FlashTableError('FLASHTABLE_UNAVAILABLE', 'the line is cut'))
}

describe('a batch', () => {
  test('with one bad row puts nothing', async () => {
    const table = await open()
    const good = { type: 'put', key: 1, value: { n: 1 } } as const
    for (const bad of [
      { type: 'put', key: 65_536, value: { n: 1 } },
      { type: 'put', key: 65_535, value: { n: -1 } },
      { type: 'drop', key: 1 },
      null,
    ])
      await expect(table.batch([good, bad as never])).rejects.toMatchObject({
        code: expect.stringMatching('INVALID') as string,
      })
    const wrong = { ...columns(4), n: new Uint32Array(3) }
    await expect(table.putColumns(wrong)).rejects.toMatchObject(code('INVALID_VALUE'))
    expect(thrownBy(() => table.splitColumns(wrong))).toMatchObject(code('INVALID_VALUE'))
    // One partition has too many rows, the others not.
    const many = columns(6000, 10)
    many.key.fill(40_000, 3000)
    await expect(table.putColumns(many)).rejects.toMatchObject(code('INVALID_VALUE', 'for partition 2'))
    const operations = [...many.key].map(key => ({ type: 'put', key, value: { n: 0 } }) as const)
    await expect(table.batch(operations)).rejects.toMatchObject(code('INVALID_VALUE', 'for partition 2'))
    await expect(table.delWhere({ m: 1 } as never)).rejects.toMatchObject(code('INVALID_VALUE'))
    expect(await table.count()).toBe(0)
  })

  test('is put in each partition, and ifAbsent tells of each row', async () => {
    const table = await open()
    await table.put(65_535, { n: 9 })
    const key = Uint16Array.of(65_535, 0, 30_000, 0, 65_535, 20_000)
    const were = await table.putColumns({ key, n: new Uint32Array(6) }, { ifAbsent: true, sync: true })
    expect(were).toEqual(Uint8Array.of(0, 1, 1, 0, 0, 1))
    expect(await table.putColumns(columns(0), { ifAbsent: true, sync: true })).toEqual(new Uint8Array())
    expect(await table.putColumns(columns(0))).toBeUndefined()
    expect(await table.putIfAbsent(20_000, { n: 1 })).toBe(false)
    await table.batch([], { sync: true })
    expect(await table.count()).toBe(4)
  })
})

describe('a failure in one partition', () => {
  test('names it, and the others are published', async () => {
    const { store, parts } = storeWithParts('00', '01', '02', '03', '04')
    const table = await open({ partitions: 8 }, store)
    await table.putColumns(columns(6000, 10))
    for (const part of parts) part.swap = unavailable
    await expect(table.publish()).rejects.toMatchObject(
      code('UNAVAILABLE', '^partition 0[0-4]: the line is cut'),
    )
    const recordsOf = async (): Promise<number[]> =>
      Promise.all(
        table.locations.map(async (_, number) => {
          const { versions } = await publishedTable(newStore().below(`p/0${number}`))
          return versions.at(-1)!.records
        }),
      )
    const all = table.locations.map((_, number) => {
      return columns(6000, 10).key.filter(key => key >> 13 === number).length
    })
    expect(await recordsOf()).toEqual(all.map((count, number) => (number <= 4 ? 0 : count)))
    for (const part of parts) Reflect.deleteProperty(part, 'swap')
    await table.publish()
    expect(await recordsOf()).toEqual(all)
  })

  test('names it where a partition is opened, and nothing stays open', async () => {
    const { store, parts } = storeWithParts('02')
    parts[0]!.load = unavailable
    await expect(open({}, store)).rejects.toMatchObject(code('UNAVAILABLE', '^partition 02: '))
    // They are not locked any more.
    await open()
  })

  test('of damage names it, for lookups and scans; the others are read', async () => {
    const table = await open()
    await table.putColumns(columns(6000, 10))
    await table.publish()
    await table.close()
    const folder = join(root, 'store', 'p', '01')
    const [epoch] = (await readdir(folder)).filter(name => name.startsWith('e'))
    const [file] = await readdir(join(folder, epoch!))
    const path = join(folder, epoch!, file!)
    const bytes = await readFile(path)
    bytes.fill(0x55, 0, 4096)
    await writeFile(path, bytes)
    const other = await reader()
    await expect(other.getAll(16_390)).rejects.toMatchObject(code('CORRUPTION', '^partition 01: '))
    await expect(collect(other.entries())).rejects.toMatchObject(code('CORRUPTION', '^partition 01: '))
    await expect(other.getColumns(columns(6000, 10).key)).rejects.toMatchObject(
      code('CORRUPTION', '^partition 01: '),
    )
    expect(await other.getMany([0, 60_000])).toEqual([{ n: 0 }, undefined])
  })
})

describe('PARTITIONS', () => {
  test('an answer that is lost is not missed, and a request that is lost leaves nothing', async () => {
    const store = newStore()
    const swap = store.swap.bind(store)
    store.swap = unavailable
    await expect(open({}, store)).rejects.toMatchObject(code('UNAVAILABLE'))
    await expect(reader()).rejects.toMatchObject(code('NOT_FOUND'))
    store.swap = async (...args) => {
      await swap(...args)
      return unavailable()
    }
    const table = await open({}, store)
    expect(table.partitions).toBe(4)
  })

  test.each([
    ['CORRUPTION', { kind: 'remote', version: 1 }, {}],
    ['UNSUPPORTED_FORMAT', { kind: 'partitions', version: 2 }, {}],
    ['CORRUPTION', { kind: 'partitions', version: 1 }, { partitions: 3 }],
    ['CORRUPTION', { kind: 'partitions', version: 1 }, { schema: { key: { type: 'i8' }, value: null } }],
    ['CORRUPTION', { kind: 'partitions', version: 1 }, { schema: { key: 1 } }],
    ['CORRUPTION', { kind: 'partitions', version: 1 }, { partitions: 2, boundaries: ['00ff00'] }],
    ['CORRUPTION', { kind: 'partitions', version: 1 }, { duplicates: { m: 'sum' } }],
  ] as const)('that is hostile is %s: %j %j', async (name, format, change) => {
    const object = {
      lineage: '0'.repeat(32),
      partitions: 4,
      schema: { key: { type: 'u16' }, value: { type: 'struct', fields: [{ name: 'n', type: 'u32' }] } },
      duplicates: 'keep',
      pageBytes: 4096,
    }
    await newStore().swap('PARTITIONS', checkedText(format, { ...object, ...change }), undefined)
    await expect(PartitionedTable.open(newStore())).rejects.toMatchObject(code(name, 'PARTITIONS'))
    await expect(open()).rejects.toMatchObject(code(name))
    expect(await readdir(root)).toEqual(['store'])
  })

  test('that is gone is not made anew by chance, but by a takeover, and what is in the directory is published again', async () => {
    const [home, away] = [join(root, 'store'), join(root, 'away')]
    const table = await open()
    await table.putColumns(columns(400, 100))
    await table.publish()
    await table.close()
    // As a disk that is not mounted.
    await rename(home, away)
    for (const options of [{}, { write: [1] }, { partitions: undefined }])
      await expect(open(options)).rejects.toMatchObject(code('NOT_FOUND', 'check that the right disk'))
    expect((await readdir(root)).toSorted()).toEqual(['away', 'writer'])
    await rename(away, home)
    await (await open()).close()
    await rm(home, { recursive: true })
    const again = await open({ takeOver: true })
    expect(await again.count()).toBe(400)
    expect(await (await reader()).count()).toBe(400)
  })

  test('a directory with partitions of another table is refused', async () => {
    await (await open()).close()
    const other = directoryStore(join(root, 'other'))
    await (await open({ directory: join(root, 'writer-2') }, other)).close()
    await expect(open({}, other)).rejects.toMatchObject(code('EXISTS', 'partitions of another table'))
  })
})

describe('options and arguments', () => {
  const directory = (): string => join(root, 'writer')
  test.each([
    [{ partitions: 3 }, 'power of two'],
    [{ partitions: 131_072 }, 'power of two'],
    [{ partitions: '4' }, 'power of two'],
    [{ partitions: undefined }, "'partitions': needed"],
    [{ boundaries: [1] }, 'exclude each other'],
    [{ partitions: undefined, boundaries: [2, 1] }, 'ascending'],
    [{ partitions: undefined, boundaries: [2, 2] }, 'ascending'],
    [{ partitions: undefined, boundaries: [] }, '1 to 65535 keys'],
    [
      { partitions: undefined, keyEncoding: undefined, valueEncoding: undefined, boundaries: [1] },
      'keyEncoding: needed',
    ],
    [{ write: [4] }, 'numbers from 0 to 3'],
    [{ write: [0, 0] }, 'different numbers'],
    [{ write: [0.5] }, 'different numbers'],
    [{ write: 'some' }, 'different numbers'],
    [{ write: 1 }, 'different numbers'],
    [{ directory: undefined }, "'directory': needed"],
    [{ write: [] }, "'directory' is for"],
    [{ write: [], directory: undefined, takeOver: true }, "'takeOver' is for"],
    [{ takeOver: 1 }, 'true or false'],
    [{ keyEncoding: 'i8' }, 'keyEncoding'],
    [{ bufferBytes: 1 }, 'bufferBytes'],
    [{ refreshInterval: 'soon' }, 'refreshInterval'],
    [{ cacheDiskBytes: 2 ** 30 }, 'cacheDirectory'],
    [{ readOnly: true }, 'no option'],
    [{ cacheBytes: 1 }, 'no option'],
    [{ duplicates: 'keep', combine: { n: 'sum' } }, 'exclude each other'],
  ])('%j is refused before anything is made', async (options, message) => {
    const given = { directory: directory(), ...options }
    await expect(open(given)).rejects.toMatchObject(code('INVALID_OPTION', message))
    // A number that is too large is known by PARTITIONS alone.
    if (message !== 'numbers from 0 to 3') expect(await readdir(root)).toEqual([])
  })

  test('of the wrong kind are refused by every call', async () => {
    const table = (await open()) as unknown as Record<string, (...args: unknown[]) => unknown>
    const before = await (table as unknown as PartitionedTable).count()
    const junk: readonly (readonly [string, ...unknown[]])[] = [
      ['get', 1, { limit: 1 }],
      ['get', 1, {}, 5],
      ['getAll', 1, { limit: -2 }],
      ['getMany', 5],
      ['getColumns', [1], { within: -1 }],
      ['has', 'x'],
      ['count', { gt: 1, gte: 1 }],
      ['count', { limit: 5 }],
      ['count', 1, { snapshot: {} }],
      ['first', { reverse: true }],
      ['last', { prefix: new Uint8Array(1) }],
      ['put', 1, { n: 1 }, { sinc: true }],
      ['put', 1, { n: 1 }, { sync: true }, 7],
      ['putIfAbsent', 1, { n: 1 }, { sync: 1 }],
      ['del', 1, 2],
      ['delRecord', 1],
      ['delWhere', {}],
      ['delWhere', { n: 1 }, { sync: 1 }],
      ['batch', 5],
      ['batch', [], { sync: 1 }],
      ['putColumns', {}],
      ['putColumns', columns(1), { sync: 1 }],
      ['snapshot', 1],
      ['sync', 1],
      ['compact', { onProgress: 1 }],
      ['publish', newStore()],
      ['publish', { takeOver: true }],
      ['publish', { expires: '1d' }],
      ['replicate', newStore()],
      ['replicate', { takeOver: true }],
      ['replicate', { interval: 'soon' }],
      ['refresh', { atLeast: 5 }],
      ['refresh', { atLeast: [1] }],
      ['refresh', { atLeast: [1, 1, 1, -1] }],
      ['stats', 1],
      ['close', 1],
    ]
    const invalid = { code: expect.stringMatching(/^FLASHTABLE_INVALID_/) as string }
    for (const [call, ...args] of junk)
      await expect(Promise.resolve(table[call]!(...args)), call).rejects.toMatchObject(invalid)
    for (const call of ['entries', 'keys', 'values', 'scanColumns'])
      for (const range of [{ limit: -2 }, { gt: -1 }, { where: { m: 1 } }, 5])
        await expect(collect(table[call]!(range) as AsyncIterable<unknown>), call).rejects.toMatchObject(
          invalid,
        )
    for (const act of [
      () => table['partitionOf']!(-1),
      () => table['partitionOf']!(1, 1),
      () => table['splitColumns']!([]),
    ])
      expect(thrownBy(act)).toMatchObject(invalid)
    expect(await (table as unknown as PartitionedTable).count()).toBe(before)
  })

  test('a closed table, and snapshots of others', async () => {
    const table = await open()
    await table.put(1, { n: 1 })
    const [one, other] = [await table.snapshot(), await reader()]
    await expect(other.get(1, { snapshot: one })).rejects.toMatchObject(
      code('SNAPSHOT_CLOSED', 'another table'),
    )
    expect(PartitionedSnapshot.is(one)).toBe(true)
    expect(JSON.stringify(one)).toContain('"status":"open"')
    await one.close()
    await one.close()
    expect(JSON.stringify(one)).toContain('"status":"closed"')
    await expect(table.count({ snapshot: one })).rejects.toMatchObject(code('SNAPSHOT_CLOSED', 'closed'))
    expect((await table.stats()).partitions.map(({ table }) => table!.pins)).toEqual([0, 0, 0, 0])
    const scan = table.entries()
    await scan.next()
    const closing = table.close()
    expect(table.status).toBe('closing')
    await closing
    expect(table.status).toBe('closed')
    for (const call of [
      table.get(1),
      table.put(1, { n: 1 }),
      table.count(),
      table.publish(),
      table.refresh(),
      table.stats(),
    ])
      await expect(call).rejects.toMatchObject(code('NOT_OPEN'))
    await expect(scan.next()).rejects.toMatchObject(code('NOT_OPEN'))
    expect(thrownBy(() => table.splitColumns(columns(1)))).toMatchObject(code('NOT_OPEN'))
    await table.close()
  })
})

test('a scan shows what is written here as it was when it began, and gives its pins back', async () => {
  const table = await open()
  await table.putColumns(columns(6, 12_000))
  const scan = table.keys()
  expect((await scan.next()).value).toBe(0)
  await table.put(65_535, { n: 7 })
  await table.del(60_000)
  expect(await collect(scan)).toEqual([12_000, 24_000, 36_000, 48_000, 60_000])
  expect(await collect(table.keys({ limit: 2, reverse: true }))).toEqual([65_535, 48_000])
  const ended = table.entries()
  await ended.next()
  await ended.return()
  await expect(collect(table.entries({ signal: AbortSignal.abort('enough') }))).rejects.toBe('enough')
  const { partitions, records, recordsPut } = await table.stats()
  expect(partitions.map(({ table }) => table!.pins)).toEqual([0, 0, 0, 0])
  expect([recordsPut, records]).toEqual([7, 7])
})

test('processes write different partitions at the same time, and another one reads them', async () => {
  const run = promisify(execFile)
  const url = join(root, 'processes')
  const count = 20_000
  const program = await programFile('partition-process.ts')
  const outputs = await Promise.all(
    ['0,2,4', '1,3', '5,6,7'].map((numbers, i) =>
      run(process.execPath, [program, url, join(root, `${i}`), numbers, String(count)]),
    ),
  )
  const vectors = outputs.map(({ stdout }) => JSON.parse(stdout) as number[])
  const table = await PartitionedTable.open(directoryStore(url))
  opened.push(table)
  for (const atLeast of vectors) await table.refresh({ atLeast })
  const { value, query } = (await table.getColumns(
    Uint32Array.from({ length: count }, (_, row) => Math.imul(row, 0x9e37_79b1)),
  )) as unknown as { value: Uint32Array; query: Uint32Array }
  expect(value).toEqual(query)
  expect(value).toEqual(Uint32Array.from({ length: count }, (_, row) => row))
  expect(await table.count()).toBe(count)
})

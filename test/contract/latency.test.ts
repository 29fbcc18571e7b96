/** `latency`: how long puts, commits, syncs and lookups take, by a clock that only a simulated disk moves. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable, readEventLog, struct, type DurationStats } from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem, type Call } from '../support/simulated-file-system.js'

const DIRECTORY = '/t'
const VALUE = struct({ id: 'u32' })
const OPTIONS = { keyEncoding: 'u64', valueEncoding: VALUE, syncIntervalMs: Infinity } as const
const RECORDS = 3000

/** Milliseconds that the calls of the disk take. All else takes no time. */
const WRITE_MS = 2
const SYNC_MS = 5
const READ_MS = 3

type Table = FlashTable<'u64', typeof VALUE>

/** A disk, and the clock that its log and bucket files move. */
class SlowDisk {
  readonly disk = new SimulatedFileSystem()
  ms = 1000
  looks = 0

  constructor() {
    this.disk.onCall = call => {
      this.ms += msOf(call)
    }
  }

  async open(options: object = {}): Promise<Table> {
    return (await FlashTable.openIn(
      DIRECTORY,
      { ...OPTIONS, ...options },
      this.#environment(),
    )) as unknown as Table
  }

  /** A table whose records are all in one bucket file: none is in memory. */
  async load(): Promise<void> {
    const numbers = Array.from({ length: RECORDS }, (_, i) => i)
    const columns = { key: BigUint64Array.from(numbers, keyOf), id: Uint32Array.from(numbers) }
    await (await FlashTable.bulkLoadIn(DIRECTORY, OPTIONS, [columns], this.#environment())).close()
  }

  #environment() {
    const now = (): number => {
      this.looks++
      return this.ms
    }
    return { ...simulatedEnvironment(this.disk), now }
  }
}

function msOf({ op, path }: Call): number {
  if (op === 'write' && path.endsWith('.wal')) return WRITE_MS
  if (op === 'sync' && path.endsWith('.wal')) return SYNC_MS
  return op === 'read' && path.endsWith('.bucket') ? READ_MS : 0
}

function keyOf(number: number): bigint {
  return BigInt(number) * 6_000_000_000_000_000n
}

/** That many, and all took this long. */
function durations(count: number, ms: number): object {
  const near = expect.closeTo(ms * 1000, -1) as number
  return {
    count,
    minUs: near,
    meanUs: near,
    maxUs: near,
    p50Us: near,
    p90Us: near,
    p99Us: near,
    p999Us: near,
  }
}

const NONE = { count: 0, minUs: 0, meanUs: 0, maxUs: 0, p50Us: 0, p90Us: 0, p99Us: 0, p999Us: 0 }

describe('of writes', () => {
  test('a put takes as long as its frame is written, with sync until that is on the device', async () => {
    const slow = new SlowDisk()
    const table = await slow.open({ latency: true })
    for (let key = 0n; key < 10n; key++) await table.put(key, { id: 1 })
    await table.putColumns({ key: new BigUint64Array(2000), id: new Uint32Array(2000) })
    await table.batch([{ type: 'del', key: 3n }])
    expect((await table.stats()).latency).toEqual({
      puts: durations(12, WRITE_MS),
      commits: durations(12, WRITE_MS),
      syncs: NONE,
      lookups: NONE,
    })
    await table.put(1n, { id: 1 }, { sync: true })
    const { puts, commits, syncs } = (await table.stats()).latency!
    expect(puts).toMatchObject({ count: 13, p90Us: expect.closeTo(WRITE_MS * 1000, -1) as number })
    expect(puts!.maxUs).toBeCloseTo((WRITE_MS + SYNC_MS) * 1000, -1)
    expect(commits).toEqual(durations(13, WRITE_MS))
    expect(syncs).toEqual(durations(1, SYNC_MS))
    await table.close()
  })

  test('calls of one group are counted each from its own beginning, the group once', async () => {
    const slow = new SlowDisk()
    const table = await slow.open({ latency: true })
    const first = table.put(1n, { id: 1 })
    slow.ms += 4
    await Promise.all([first, table.put(2n, { id: 1 }), table.put(3n, { id: 1 }, { sync: true })])
    const { puts, commits, syncs } = (await table.stats()).latency!
    expect(commits).toEqual(durations(1, WRITE_MS))
    expect(syncs).toEqual(durations(1, SYNC_MS))
    expect(puts!.count).toBe(3)
    expect(puts!.minUs).toBeCloseTo(WRITE_MS * 1000, -1)
    expect(puts!.p50Us).toBeCloseTo((WRITE_MS + 4) * 1000, -1)
    expect(puts!.maxUs).toBeCloseTo((WRITE_MS + SYNC_MS) * 1000, -1)
    await table.close()
  })

  test('a group that waits for another begins when its turn comes, its call when it is made', async () => {
    const slow = new SlowDisk()
    const table = await slow.open({ latency: true })
    await table.put(1n, { id: 1 })
    const columns = { key: new BigUint64Array(2000), id: new Uint32Array(2000) }
    await Promise.all([table.putColumns(columns), table.put(2n, { id: 1 })])
    const { puts, commits } = (await table.stats()).latency!
    expect(commits).toEqual(durations(3, WRITE_MS))
    expect(puts!.count).toBe(3)
    expect(puts!.maxUs).toBeCloseTo(2 * WRITE_MS * 1000, -1)
    await table.close()
  })

  test('a conditional put that puts nothing is a put, and no commit; one that fails is neither', async () => {
    const slow = new SlowDisk()
    const table = await slow.open({ latency: true })
    await table.put(1n, { id: 1 })
    expect(await table.putIfAbsent(1n, { id: 2 })).toBe(false)
    slow.disk.failAt(({ op }) => op === 'write', 'ENOSPC')
    await expect(table.put(2n, { id: 1 })).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
    const { puts, commits } = (await table.stats()).latency!
    expect(puts!.count).toBe(2)
    expect(puts!.minUs).toBeLessThan(1)
    expect(commits).toEqual(durations(1, WRITE_MS))
    await table.close()
  })
})

describe('of lookups', () => {
  const LOOKUPS: readonly (readonly [string, (table: Table, key: bigint) => unknown])[] = [
    ['get', (table, key) => table.get(key)],
    ['getSync', (table, key) => table.getSync(key)],
    ['getAll', (table, key) => table.getAll(key)],
    ['getAllSync', (table, key) => table.getAllSync(key)],
    ['getMany', (table, key) => table.getMany([key])],
    ['getColumns', (table, key) => table.getColumns([key])],
    ['has', (table, key) => table.has(key)],
    ['count', (table, key) => table.count(key)],
    ['first', (table, key) => table.first({ gte: key })],
    ['lastSync', (table, key) => table.lastSync({ lte: key })],
  ]

  test.each(LOOKUPS)('%s counts where it reads a page, for as long as that takes', async (_, lookUp) => {
    const slow = new SlowDisk()
    await slow.load()
    const table = await slow.open({ latency: true })
    const before = (await table.stats()).pageReads
    const startMs = slow.ms
    const key = keyOf(RECORDS >> 1)
    await lookUp(table, key)
    const { latency, pageReads } = await table.stats()
    expect(pageReads - before).toBeGreaterThan(0)
    expect(latency!.lookups).toEqual(durations(1, slow.ms - startMs))
    // From memory now.
    await lookUp(table, key)
    expect((await table.stats()).latency!.lookups.count).toBe(1)
    await table.close()
  })

  test('one that fails does not count, and the next one counts for itself', async () => {
    const slow = new SlowDisk()
    await slow.load()
    const table = await slow.open({ latency: true })
    slow.disk.failAt(({ op }) => op === 'read', 'EIO')
    expect(() => table.getSync(keyOf(1))).toThrow('cannot be read')
    slow.ms += 1000
    expect(table.getSync(keyOf(1))).toEqual({ id: 1 })
    const { count, maxUs } = (await table.stats()).latency!.lookups
    expect(count).toBe(1)
    expect(maxUs).toBeLessThan(1_000_000)
    await table.close()
  })

  test('a reader has those of its lookups alone, also after a refresh', async () => {
    const slow = new SlowDisk()
    await slow.load()
    const reader = await slow.open({ latency: true, readOnly: true })
    reader.getSync(keyOf(5))
    const { latency } = await reader.stats()
    expect(latency).toMatchObject({ puts: undefined, commits: undefined, syncs: undefined })
    expect(latency!.lookups.count).toBe(1)
    await reader.refresh()
    // The page of the first one is in memory still.
    reader.getSync(keyOf(RECORDS - 1))
    const { count, minUs } = (await reader.stats()).latency!.lookups
    expect(count).toBe(2)
    expect(minUs).toBeGreaterThan(READ_MS * 990)
    await reader.close()
  })
})

describe('without the option', () => {
  test('there are none, and neither puts nor lookups in memory look at the clock', async () => {
    const slow = new SlowDisk()
    const table = await slow.open()
    const before = slow.looks
    for (let key = 0n; key < 10n; key++) await table.put(key, { id: 1 })
    await table.putColumns({ key: new BigUint64Array(2000), id: new Uint32Array(2000) }, { sync: true })
    for (let key = 0n; key < 10n; key++) expect(await table.get(key)).toEqual({ id: key === 0n ? 0 : 1 })
    expect(slow.looks).toBe(before)
    const stats = await table.stats()
    expect(stats.latency).toBe(undefined)
    expect(JSON.parse(JSON.stringify(stats))).not.toHaveProperty('latency')
    await table.close()
  })

  test('it is true or false', async () => {
    const slow = new SlowDisk()
    for (const latency of [1, 'true', null, {}])
      await expect(slow.open({ latency })).rejects.toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    const table = await slow.open({ latency: false })
    expect((await table.stats()).latency).toBe(undefined)
    await table.close()
  })
})

test('the numbers are those of a distribution', async () => {
  const slow = new SlowDisk()
  const table = await slow.open({ latency: true })
  let ms = 0
  slow.disk.onCall = ({ op, path }) => {
    if (op === 'write' && path.endsWith('.wal')) slow.ms += ms
  }
  // 1, 2 ... 1000 ms.
  for (ms = 1; ms <= 1000; ms++) await table.put(1n, { id: ms })
  const { puts } = (await table.stats()).latency!
  const wanted = { minUs: 1, meanUs: 500.5, maxUs: 1000, p50Us: 500, p90Us: 900, p99Us: 990, p999Us: 999 }
  expect(puts!.count).toBe(1000)
  for (const [name, ms] of Object.entries(wanted)) {
    const found = puts![name as keyof DurationStats] / 1000
    expect(Math.abs(found - ms), `${name}: ${found}`).toBeLessThan(0.0015 * ms)
  }
  await table.close()
})

test('the event log keeps what was measured at the close', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-latency-log-'))
  try {
    const table = await FlashTable.open(directory, { keyEncoding: 'u32', latency: true })
    await table.put(1, undefined, { sync: true })
    const { latency } = await table.stats()
    await table.close()
    const events = await collect(readEventLog(directory))
    expect(events.map(({ event }) => event)).toEqual(['open', 'close'])
    expect(events[0]!.latency).toBeUndefined()
    const told = events[1]!.latency!
    expect(told.puts!.count).toBe(1)
    expect(told.puts!.maxUs).toBeCloseTo(latency!.puts!.maxUs, 0)
    expect(told.syncs!.count).toBeGreaterThanOrEqual(1)
    expect(told.lookups.count).toBe(0)
  } finally {
    await rm(directory, { recursive: true })
  }
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Merges give the space of deleted records back: files with much garbage are merged, and then nothing more. */
import { describe, expect, test } from 'vitest'
import type { TableStats } from '../../src/index.js'
import { MEMTABLE_RECORDS, columnsOf, openOn, type CrashTable } from '../crash/table.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import {
  collect,
  fingerprint,
  fingerprintColumns,
  imageOf,
  isSame,
  settled,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables()

/** No level is ever full: what is merged is merged for what is hidden. 1024 records to a memtable. */
const NO_LEVELS = { ...SMALL, bufferBytes: 16_384, walBytes: 65_536, fanout: 64, eventLog: false } as const
const QUIET_TURNS = 30
const OTHERS = 1_000_000

async function filled(records: number, options: object = {}): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...NO_LEVELS, ...options })
  await put(table, 0, records)
  return table
}

/** Records `from` to `to`, in batches of a memtable; `key` gives their keys. */
async function put(table: FingerprintTable, from: number, to: number, key = spreadKey): Promise<void> {
  for (let first = from; first < to; first += 250) {
    await table.putColumns(fingerprintColumns(first, Math.min(to, first + 250), key))
  }
}

/** Seals what has been put so far, by other records, which no delete means. */
async function pushOut(table: FingerprintTable): Promise<void> {
  await put(table, OTHERS, OTHERS + 2000)
}

/** Hides 4 of 7 records. */
async function deleteMost(table: FingerprintTable): Promise<void> {
  for (const flags of [0, 1, 2, 3]) await table.delWhere({ flags })
}

/** Waits until nothing is written any more. */
async function quiet(table: FingerprintTable): Promise<TableStats> {
  let stats = await settled(table, NO_LEVELS.fanout)
  for (let turn = 0; turn < QUIET_TURNS; turn++) {
    const now = await settled(table, NO_LEVELS.fanout)
    if (!isSame(now, stats)) turn = 0
    stats = now
  }
  return stats
}

const bytesOf = ({ files }: TableStats): number => files.reduce((sum, { bytes }) => sum + bytes, 0)

/** The table is left alone: not a byte is written, not by a reopen either, but for the manifest. */
async function expectIdle(table: FingerprintTable): Promise<void> {
  const image = await imageOf(table.location)
  const before = await quiet(table)
  expect(await imageOf(table.location)).toEqual(image)
  const again = await tables.reopen(table, NO_LEVELS)
  const after = await quiet(again)
  expect(after.bytesWritten.buckets).toBe(before.bytesWritten.buckets)
  expect(after.files).toEqual(before.files)
}

describe('a delete of much that is in files', () => {
  test('by delWhere gives the space back with the next seals, without compact()', async () => {
    const table = await filled(10_500)
    const before = await quiet(table)
    expect(before.files.length).toBeGreaterThan(9)
    await deleteMost(table)
    expect((await quiet(table)).files).toEqual(before.files)
    await pushOut(table)
    const after = await quiet(table)
    const left = after.files.slice(0, before.files.length)
    expect(left.map(({ level }) => level)).toEqual(before.files.map(({ level }) => level))
    for (const [i, { records, dataBytes }] of left.entries()) {
      expect(records / before.files[i]!.records).toBeCloseTo(3 / 7, 1)
      expect(dataBytes).toBeLessThan(0.7 * before.files[i]!.dataBytes)
    }
    expect(await collect(table.keys())).toHaveLength(4500 + 2000)
    await expectIdle(table)
  })

  test('is merged away under a snapshot, which still sees what it saw', async () => {
    const table = await filled(3000)
    await using snapshot = table.snapshot()
    await deleteMost(table)
    const before = await quiet(table)
    await pushOut(table)
    const after = await quiet(table)
    expect(after.files[0]!.records).toBeLessThan(0.5 * before.files[0]!.records)
    expect(await collect(table.keys({ snapshot }))).toHaveLength(3000)
    expect((await collect(table.keys())).length).toBeLessThan(3500)
  })

  test('by del gives the space back, and the deletes go with it', async () => {
    const table = await filled(6000)
    for (let n = 0; n < 3000; n += 250) {
      await table.batch(
        Array.from({ length: 250 }, (_, i) => ({ type: 'del', key: spreadKey(n + i) }) as const),
      )
    }
    await pushOut(table)
    const { files, records } = await quiet(table)
    expect(files.reduce((sum, file) => sum + file.records, 0)).toBeLessThan(5000)
    expect(records).toBeLessThan(5500)
    expect(await collect(table.keys())).toHaveLength(5000)
    await expectIdle(table)
  })

  test('of everything leaves nothing, not the delete either', async () => {
    const table = await filled(5000)
    for (const flags of [0, 1, 2, 3, 4, 5, 6]) await table.delWhere({ flags })
    await pushOut(table)
    const { records, recordsAreExact } = await quiet(table)
    expect({ records, recordsAreExact }).toEqual({ records: 2000, recordsAreExact: true })
    await expectIdle(table)
  })

  test('that turns out to be little merges nothing', async () => {
    const table = await filled(5000)
    const before = await quiet(table)
    for (const flags of [1, 2]) await table.delWhere({ flags })
    await pushOut(table)
    const { files } = await quiet(table)
    expect(files.slice(0, before.files.length)).toEqual(before.files)
    await expectIdle(table)
  })
})

test('records that others have replaced give their space back', async () => {
  const table = await filled(3000, { duplicates: 'replace' })
  const before = await quiet(table)
  for (let round = 1; round <= 4; round++) {
    await put(table, 10_000 * round, 10_000 * round + 3000, n => spreadKey(n % 10_000))
    expect(bytesOf(await quiet(table))).toBeLessThan(1.7 * bytesOf(before))
  }
  expect(await collect(table.keys())).toHaveLength(3000)
  expect(await table.get(spreadKey(2999))).toEqual(fingerprint(42_999))
  await expectIdle(table)
})

describe('while files are looked at for what is hidden', () => {
  /** A table with a file and, in memory, a delete of `ids` / 5 of its records. Three files fill a level. */
  async function looking(ids: number): Promise<Looking> {
    const disk = new SimulatedFileSystem()
    disk.writeFile('/tables/.keep', new Uint8Array(0))
    const table = await openOn(disk, { fanout: 3 })
    await putRecords(table, MEMTABLE_RECORDS + 10)
    await waitFor(table, ({ files }) => files.length === 1)
    for (let id = 0; id < ids; id++) await table.delWhere({ id })
    let release!: () => void
    const held = new Promise<void>(resolve => (release = resolve))
    const begun = new Promise<void>(resolve => {
      disk.onCall = ({ op, path, position }) => {
        if (op !== 'read' || position !== 0 || !path.endsWith('.bucket')) return undefined
        disk.onCall = undefined
        resolve()
        return held
      }
    })
    await putRecords(table, MEMTABLE_RECORDS)
    await begun
    return { disk, table, release }
  }

  test('a seal that ends is not overlooked', async () => {
    const { table, release } = await looking(1)
    await putRecords(table, MEMTABLE_RECORDS)
    await waitFor(table, ({ files, memtable }) => files.length === 3 && memtable.sealed === 0)
    release()
    await waitFor(table, ({ files }) => files.length === 1)
    await table.close()
  })

  test('clear(), compact() and close() go on', async () => {
    for (const end of ['clear', 'compact', 'close'] as const) {
      const { table, release } = await looking(2)
      const ended = table[end]()
      release()
      await ended
      if (end !== 'close') expect((await table.stats()).files.length).toBe(end === 'clear' ? 0 : 1)
      await table.close()
    }
  })

  test('the disk fills up: the merge waits, and is done when there is room', async () => {
    const { disk, table, release } = await looking(3)
    const before = (await table.stats()).files[0]!
    disk.capacityBytes = 0
    release()
    await waitFor(table, ({ waitingForSpace }) => waitingForSpace)
    expect((await table.stats()).files[0]).toEqual(before)
    disk.capacityBytes = Infinity
    await waitFor(table, ({ files }) => files[0]!.records < 0.5 * before.records)
    await table.close()
  })
})

interface Looking {
  readonly disk: SimulatedFileSystem
  readonly table: CrashTable
  /** Lets the first read of a data page go on. */
  readonly release: () => void
}

async function waitFor(table: CrashTable, reached: (stats: TableStats) => boolean): Promise<void> {
  await until('the statistics are as expected', () => table.stats(), reached)
}

/** Fills memtables: a record has an id from 0 to 4. */
async function putRecords(table: CrashTable, count: number): Promise<void> {
  for (let i = 0; i < count; i += 10) {
    const records = Array.from({ length: Math.min(10, count - i) }, (_, n) => ({
      key: i + n,
      time: i,
      id: n % 5,
    }))
    await table.putColumns(columnsOf(records))
  }
}

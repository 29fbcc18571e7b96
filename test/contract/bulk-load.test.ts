/** `FlashTable.bulkLoad`: the records of a source, in one file, without the log; all or nothing. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable, type TableOptions } from '../../src/index.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
} from '../support/tables.js'

const tables = testTables()
const OPTIONS = { ...FINGERPRINT, ...SMALL, memtableBytes: 16_384 } as const

/** Fingerprints `from` to `to` in stretches of `step`. */
async function* source(to: number, step: number, keyOf = spreadKey) {
  for (let from = 0; from < to; from += step) yield fingerprintColumns(from, Math.min(to, from + step), keyOf)
}

/** Loads into a fresh directory; the table is closed when the test ends. */
async function load(columns: Parameters<typeof loadInto>[1], options: TableOptions = {}) {
  return loadInto(tables.path(), columns, options)
}

async function loadInto(path: string, columns: ReturnType<typeof source>, options: TableOptions = {}) {
  const loaded = await FlashTable.bulkLoad(path, { ...OPTIONS, ...options }, columns)
  await loaded.close()
  return tables.open(path, { ...OPTIONS, ...options })
}

async function bucketFiles(path: string): Promise<string[]> {
  return (await readdir(path)).filter(name => name.endsWith('.bucket'))
}

describe('bulkLoad', () => {
  test.each([
    [0, 100],
    [1, 100],
    [1000, 1000],
    [1024, 100],
    [10_000, 300],
    [10_000, 10_000],
  ])(
    'puts %i records, in stretches of %i, into one file, in the order of the source',
    async (records, step) => {
      const keyOf = (number: number): bigint => spreadKey(number % 700)
      const table = await load(source(records, step, keyOf))
      const keys = Array.from({ length: 701 }, (_, i) => spreadKey(i))
      for (const [i, key] of keys.entries()) {
        const expected: number[] = []
        if (i < 700) for (let n = i; n < records; n += 700) expected.push(n)
        expect(await table.getAll(key)).toEqual(expected.map(fingerprint))
      }
      const stats = await table.stats()
      expect(stats).toMatchObject({
        records,
        recordsAreExact: true,
        recordsPut: records,
        recordBytesPut: records * 16,
        bytesWritten: { wal: 0 },
      })
      expect(stats.files).toHaveLength(records === 0 ? 0 : 1)
      expect(await bucketFiles(table.location)).toEqual(stats.files.map(({ name }) => name))
      const size = stats.files[0]?.bytes ?? 0
      // Once where it fits the memtable; else as runs, too, each with pages of its own for filter, fences and footer.
      const runs = records <= 1024 ? 0 : Math.ceil(records / 1024)
      expect(stats.bytesWritten.buckets).toBeLessThanOrEqual(runs === 0 ? size : 2 * size + runs * 6 * 4096)
    },
  )

  test('takes a plain iterable, and gives the open table', async () => {
    const columns = [fingerprintColumns(0, 10, spreadKey), fingerprintColumns(10, 20, spreadKey)]
    const table = await FlashTable.bulkLoad(tables.path(), OPTIONS, columns)
    try {
      expect(await collect(table.keys())).toHaveLength(20)
      await table.put(1n, fingerprint(1))
      await table.del(spreadKey(3))
      expect(await collect(table.keys())).toHaveLength(20)
    } finally {
      await table.close()
    }
  })

  test("keeps the newest record of a key with duplicates: 'replace'", async () => {
    const table = await load(
      source(5000, 250, n => BigInt(n % 100)),
      { duplicates: 'replace' },
    )
    expect(await table.stats()).toMatchObject({ records: 100, recordsAreExact: true })
    expect(await collect(table.values())).toEqual(
      Array.from({ length: 100 }, (_, i) => fingerprint(4900 + i)),
    )
  })

  test('goes on as any table: puts, merges, reopening', async () => {
    let table = await load(source(5000, 500))
    for (let from = 5000; from < 12_000; from += 500) {
      await table.putColumns(fingerprintColumns(from, from + 500, spreadKey))
    }
    await table.close()
    table = await tables.open(table.location, OPTIONS)
    await table.compact()
    expect(await collect(table.keys())).toHaveLength(12_000)
    expect(await table.get(spreadKey(4999))).toEqual(fingerprint(4999))
    expect((await table.stats()).files).toHaveLength(1)
  })

  test('that fails leaves an empty table and no file, whatever failed', async () => {
    const thrown = new Error('no more')
    async function* failing(end: 'throw' | 'wrong', records: number) {
      yield* source(records, 300)
      if (end === 'throw') throw thrown
      yield { ...fingerprintColumns(0, 5, spreadKey), id: new Int32Array(4) }
    }
    const controller = new AbortController()
    async function* aborted() {
      yield* source(3000, 300)
      controller.abort(thrown)
      yield* source(300, 300)
    }
    const failures: [AsyncGenerator<ReturnType<typeof fingerprintColumns>>, object, unknown][] = [
      [failing('throw', 100), {}, thrown],
      [failing('throw', 5000), {}, thrown],
      [failing('wrong', 5000), {}, expect.objectContaining({ code: 'FLASHTABLE_INVALID_VALUE' })],
      [aborted(), { signal: controller.signal }, thrown],
    ]
    for (const [columns, options, reason] of failures) {
      const path = tables.path()
      const failed = await FlashTable.bulkLoad(path, { ...OPTIONS, ...options }, columns).catch(
        (e: unknown) => e,
      )
      expect(failed).toEqual(reason)
      expect(await bucketFiles(path)).toEqual([])
      const table = await loadInto(path, source(10, 10))
      expect(await collect(table.keys())).toHaveLength(10)
    }
  })

  test('makes new tables alone: one that has been written to is refused, and stays as it was', async () => {
    const table = await load(source(1000, 100))
    await table.close()
    await expect(FlashTable.bulkLoad(table.location, OPTIONS, source(10, 10))).rejects.toMatchObject({
      code: 'FLASHTABLE_EXISTS',
    })
    const again = await tables.open(table.location, OPTIONS)
    expect(await collect(again.keys())).toHaveLength(1000)
    await expect(FlashTable.bulkLoad(table.location, OPTIONS, source(10, 10))).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
    })
  })

  test('refuses what open refuses, and asks nothing of its source then', async () => {
    const path = join(tables.path(), 'x')
    let asked = false
    async function* watched() {
      asked = true
      yield fingerprintColumns(0, 1, spreadKey)
    }
    await expect(
      FlashTable.bulkLoad(path, { ...OPTIONS, readOnly: true } as never, watched() as never),
    ).rejects.toMatchObject({ name: 'FlashTableError' })
    await expect(FlashTable.bulkLoad(path, { ...OPTIONS, fanout: 0 }, watched())).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
    expect(asked).toBe(false)
  })
})

/** `FlashTable.bulkLoad`: the records of a source, in one file, without the log; all or nothing. */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  bytes,
  FlashTable,
  struct,
  verifyTable,
  type LoadOptions,
  type TableOptions,
} from '../../src/index.js'
import { Random } from '../support/random.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  type FingerprintTable,
  SMALL,
  spreadKey,
  testTables,
} from '../support/tables.js'

const tables = testTables()
const OPTIONS = { ...FINGERPRINT, ...SMALL, bufferBytes: 16_384 } as const
const MEMTABLE_RECORDS = 1024
/** What may wait in memory: nothing, two memtables, all. */
const MEMORIES = [0, 2 * 16_384, 2 ** 30]

/** Fingerprints `from` to `to` in stretches of `step`. */
async function* source(to: number, step: number, keyOf = spreadKey) {
  for (let from = 0; from < to; from += step) yield fingerprintColumns(from, Math.min(to, from + step), keyOf)
}

/** Loads into a fresh directory; the table is closed when the test ends. */
async function load(columns: Parameters<typeof loadInto>[1], options: TableOptions & LoadOptions = {}) {
  return loadInto(tables.path(), columns, options)
}

async function loadInto(
  path: string,
  columns: ReturnType<typeof source>,
  { memoryBytes, ...options }: TableOptions & LoadOptions = {},
) {
  const loaded = await FlashTable.bulkLoad(path, { ...OPTIONS, ...options, memoryBytes }, columns)
  await loaded.close()
  return tables.open(path, { ...OPTIONS, ...options })
}

/** Names of the files with records in them, but for the log. */
async function recordFiles(path: string): Promise<string[]> {
  return (await readdir(path)).filter(name => /\.(bucket|spill)$/.test(name))
}

describe('bulkLoad', () => {
  test.each([100, 10_000])('of %d records tells how far the file is, up to all of them', async records => {
    const told: { done: number; total: number }[] = []
    const onProgress = (progress: { done: number; total: number }): void => void told.push({ ...progress })
    const path = tables.path()
    const table = await FlashTable.bulkLoad(path, { ...OPTIONS, onProgress }, source(records, 500))
    await table.close()
    if (records > MEMTABLE_RECORDS) expect(told.at(-1)).toEqual({ done: records, total: records })
    for (const [i, { done, total }] of told.entries()) {
      expect(total).toBe(records)
      expect(done).toBeGreaterThanOrEqual(told[i - 1]?.done ?? 0)
    }
  })

  test('rejects with what onProgress throws, and leaves the table empty', async () => {
    const path = tables.path()
    const failure = new Error('the callback is broken')
    const onProgress = (): void => {
      throw failure
    }
    const loading = FlashTable.bulkLoad(path, { ...OPTIONS, onProgress }, source(10_000, 500))
    await expect(loading).rejects.toBe(failure)
    const table = await tables.open(path)
    expect((await table.stats()).records).toBe(0)
    expect(await recordFiles(path)).toEqual([])
  })

  test.each(
    [
      [0, 100],
      [1, 100],
      [1000, 1000],
      [1024, 100],
      [10_000, 300],
      [10_000, 10_000],
    ].flatMap(([records, step]) => MEMORIES.map(memoryBytes => [records!, step!, memoryBytes] as const)),
  )(
    'puts %i records, in stretches of %i, with %i bytes of memory, into one file, in the order of the source',
    async (records, step, memoryBytes) => {
      const keyOf = (number: number): bigint => spreadKey(number % 700)
      const table = await load(source(records, step, keyOf), { memoryBytes })
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
      expect(await recordFiles(table.location)).toEqual(stats.files.map(({ name }) => name))
      const size = stats.files[0]?.bytes ?? 0
      // Once what fits the memory; the rest waits on the disk before.
      const inMemory = Math.max(MEMTABLE_RECORDS, memoryBytes / 16)
      const twice = Math.max(0, records - inMemory) / Math.max(1, records)
      expect(stats.bytesWritten.buckets).toBeLessThanOrEqual((1 + twice) * size)
      if (twice > 0) expect(stats.bytesWritten.buckets).toBeGreaterThan(size)
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

  test.each<[string, (number: number) => bigint]>([
    ['ascending', n => BigInt(n) * 1000n],
    ['descending', n => 2n ** 60n - BigInt(n)],
    ['all in one place but one', n => (n === 777 ? 2n ** 63n : BigInt(n % 50))],
    [
      'in another place from memtable to memtable',
      n => (BigInt(n >> 10) << 40n) + (spreadKey(n) % 2n ** 30n),
    ],
    ['in two lanes that both differ little', n => (BigInt(n % 3) << 32n) + BigInt(n % 7)],
  ])('takes keys however they are spread: %s', async (_, keyOf) => {
    const records = 8000
    const expected = Array.from({ length: records }, (_, n) => ({ key: keyOf(n), n })).sort((a, b) =>
      a.key < b.key ? -1 : a.key > b.key ? 1 : a.n - b.n,
    )
    for (const memoryBytes of MEMORIES) {
      const table = await load(source(records, 500, keyOf), { memoryBytes })
      const found = await collect(table.entries())
      expect(found).toEqual(expected.map(({ key, n }) => [key, fingerprint(n)]))
      expect((await table.stats()).files).toHaveLength(1)
    }
  })

  test('takes the whole range of every field, and keys of several lanes', async () => {
    const options = {
      ...SMALL,
      bufferBytes: 16_384,
      keyEncoding: bytes(12),
      valueEncoding: struct({ a: 'i64', b: 'u8' }),
    } as const
    const rows = 3000
    const keyOf = (row: number): Uint8Array => {
      const key = new Uint8Array(12).fill(row % 2 === 0 ? 0 : 255)
      new DataView(key.buffer).setUint32(8, Math.imul(row, 0x9e3779b1) >>> 0)
      return key
    }
    function* columns() {
      for (let from = 0; from < rows; from += 100) {
        const key = new Uint8Array(12 * 100)
        const a = new BigInt64Array(100)
        const b = new Uint8Array(100)
        for (let i = 0; i < 100; i++) {
          key.set(keyOf(from + i), 12 * i)
          a[i] = i % 2 === 0 ? -(2n ** 63n) : 2n ** 63n - 1n
          b[i] = from + i
        }
        yield { key, a, b }
      }
    }
    for (const memoryBytes of MEMORIES) {
      const path = tables.path()
      await (await FlashTable.bulkLoad(path, { ...options, memoryBytes }, columns())).close()
      const table = await tables.open(path, options)
      for (let row = 0; row < rows; row++) {
        const a = row % 2 === 0 ? -(2n ** 63n) : 2n ** 63n - 1n
        expect(await table.getAll(keyOf(row))).toEqual([{ a, b: row % 256 }])
      }
    }
  })

  test.each([1, 2, 5, 6, 9])('takes sets of random keys of %i bytes, which do not pack', async width => {
    const options = { ...SMALL, bufferBytes: 16_384, keyEncoding: bytes(width) } as const
    const rows = 20_000
    const random = new Random(width)
    const keys = Uint8Array.from({ length: rows * width }, () => random.below(256))
    const texts = (column: Uint8Array): string[] =>
      Array.from({ length: column.length / width }, (_, row) =>
        Buffer.from(column.subarray(row * width, (row + 1) * width)).toString('hex'),
      )
    for (const memoryBytes of MEMORIES) {
      const table = await FlashTable.bulkLoad(tables.path(), { ...options, memoryBytes }, [{ key: keys }])
      try {
        const found: string[] = []
        for await (const { key } of table.scanColumns()) found.push(...texts(key))
        const expected = texts(keys).sort()
        expect(found.findIndex((key, i) => key !== expected[i])).toBe(-1)
        expect(found).toHaveLength(rows)
      } finally {
        await table.close()
      }
    }
  })

  test('that a crash has ended leaves nothing that stays: the next open removes what was set aside', async () => {
    const table = await load(source(10, 10))
    await table.close()
    await writeFile(join(table.location, '000099.spill'), 'records that nobody asks for')
    const again = await tables.open(table.location, OPTIONS)
    expect(await collect(again.keys())).toHaveLength(10)
    expect(await recordFiles(table.location)).toHaveLength(1)
  })

  test.each(MEMORIES)(
    "keeps the newest record of a key with duplicates: 'replace', with %i bytes",
    async memoryBytes => {
      const table = await load(
        source(5000, 250, n => BigInt(n % 100)),
        { duplicates: 'replace', memoryBytes },
      )
      expect(await table.stats()).toMatchObject({ records: 100, recordsAreExact: true })
      expect(await collect(table.values())).toEqual(
        Array.from({ length: 100 }, (_, i) => fingerprint(4900 + i)),
      )
    },
  )

  test.each([100, 5000])(
    'of %i records goes on as any table, at once: puts, merges, reopening',
    async loaded => {
      const { bufferBytes, fanout } = OPTIONS
      let table = await FlashTable.bulkLoad(tables.path(), OPTIONS, source(loaded, 500))
      try {
        expect(await table.get(spreadKey(loaded - 1))).toEqual(fingerprint(loaded - 1))
        expect(await table.get(2n)).toBeUndefined()
        const before = await table.stats()
        expect(before).toMatchObject({ records: loaded, sequence: { next: loaded, synced: loaded } })
        for (let from = loaded; from < 12_000; from += 500) {
          await table.putColumns(fingerprintColumns(from, Math.min(12_000, from + 500), spreadKey))
        }
        await table.del(spreadKey(7))
        await table.sync()
        expect(await collect(table.keys())).toHaveLength(11_999)
      } finally {
        await table.close()
      }
      table = await tables.open(table.location, { ...FINGERPRINT, ...SMALL, bufferBytes, fanout })
      expect(await collect(table.keys())).toHaveLength(11_999)
      await table.compact()
      expect(await collect(table.keys())).toHaveLength(11_999)
      expect(await table.get(spreadKey(4999))).toEqual(fingerprint(4999))
      expect((await table.stats()).files).toHaveLength(1)
    },
  )

  test('has its filter at once, the same that an open reads', async () => {
    const table = await FlashTable.bulkLoad(tables.path(), OPTIONS, source(5000, 500))
    for (let n = 0; n < 2000; n++) expect(await table.get(spreadKey(5000 + n))).toBeUndefined()
    const { pageReads } = await table.stats()
    await table.close()
    const again = await tables.open(table.location, OPTIONS)
    for (let n = 0; n < 2000; n++) expect(await again.get(spreadKey(5000 + n))).toBeUndefined()
    expect(await again.stats()).toMatchObject({ pageReads })
    // One in a hundred misses reads a page.
    expect(pageReads).toBeLessThan(60)
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
      [failing('throw', 5000), { memoryBytes: 20_000 }, thrown],
      [failing('wrong', 5000), {}, expect.objectContaining({ code: 'FLASHTABLE_INVALID_VALUE' })],
      [aborted(), { signal: controller.signal }, thrown],
    ]
    for (const [columns, options, reason] of failures) {
      const path = tables.path()
      const failed = await FlashTable.bulkLoad(path, { ...OPTIONS, ...options }, columns).catch(
        (e: unknown) => e,
      )
      expect(failed).toEqual(reason)
      expect(await recordFiles(path)).toEqual([])
      const table = await loadInto(path, source(10, 10))
      expect(await collect(table.keys())).toHaveLength(10)
    }
  })

  describe('into a table that was cleared', () => {
    /** A table that had 3,000 records, in files and in the log. */
    async function cleared(options: TableOptions = {}): Promise<string> {
      const table = await tables.open(tables.path(), { ...OPTIONS, ...options })
      for (let from = 0; from < 3000; from += 500)
        await table.putColumns(fingerprintColumns(from, from + 500, spreadKey))
      await table.delWhere({ flags: 1 })
      await table.clear()
      await table.close()
      return table.location
    }

    test.each(MEMORIES)(
      'has the new records alone, with %i bytes; numbers and counters go on',
      async memoryBytes => {
        const location = await cleared()
        const columns = source(2500, 300, n => spreadKey(n + 2900))
        const loaded = await FlashTable.bulkLoad(location, { ...OPTIONS, memoryBytes }, columns)
        expect(await loaded.stats()).toMatchObject({
          records: 2500,
          recordsAreExact: true,
          recordsPut: 5500,
          sequence: { next: 5501, synced: 5501 },
        })
        expect((await loaded.stats()).files).toHaveLength(1)
        expect(await loaded.get(spreadKey(2950))).toEqual(fingerprint(50))
        expect(await loaded.get(spreadKey(2899))).toBeUndefined()
        await loaded.put(1n, fingerprint(1))
        await loaded.del(spreadKey(2950))
        await loaded.close()
        const again = await tables.open(location, OPTIONS)
        expect(await collect(again.keys())).toHaveLength(2500)
        await again.compact()
        expect(await collect(again.keys())).toHaveLength(2500)
        expect((await verifyTable(location)).problems).toEqual([])
      },
    )

    test('keeps encodings, pages and the kind of table; others are refused', async () => {
      const location = await cleared({ duplicates: 'replace', pageBytes: 8192 })
      const other = { keyEncoding: 'u32', valueEncoding: FINGERPRINT.valueEncoding } as const
      await expect(FlashTable.bulkLoad(location, other as never, source(10, 10))).rejects.toMatchObject({
        code: 'FLASHTABLE_SCHEMA_MISMATCH',
      })
      const loaded = await FlashTable.bulkLoad(
        location,
        OPTIONS,
        source(3000, 300, n => BigInt(n % 7)),
      )
      expect([loaded.duplicates, loaded.pageBytes]).toEqual(['replace', 8192])
      expect(await collect(loaded.values())).toEqual(
        [2996, 2997, 2998, 2999, 2993, 2994, 2995].toSorted((a, b) => (a % 7) - (b % 7)).map(fingerprint),
      )
      await loaded.close()
    })

    test('leaves it empty if the source fails, and may be done again', async () => {
      const location = await cleared()
      const failing = async function* () {
        yield* source(2000, 500)
        throw new Error('no more')
      }
      await expect(FlashTable.bulkLoad(location, OPTIONS, failing())).rejects.toThrow('no more')
      expect(await recordFiles(location)).toEqual([])
      const loaded = await FlashTable.bulkLoad(location, OPTIONS, source(10, 10))
      expect(await collect(loaded.keys())).toHaveLength(10)
      await loaded.close()
    })

    test('leaves a reader and its snapshot what they had, until it refreshes', async () => {
      const table = await load(source(1000, 100))
      const reader = await tables.open(table.location, { ...OPTIONS, readOnly: true })
      const snapshot = reader.snapshot()
      const before = await collect(reader.entries())
      await table.clear()
      await table.close()
      await (await FlashTable.bulkLoad(table.location, OPTIONS, source(20, 10))).close()
      expect(await collect(reader.entries())).toEqual(before)
      await reader.refresh()
      expect(await collect(reader.keys())).toHaveLength(20)
      expect(await collect(reader.entries({ snapshot }))).toEqual(before)
      await snapshot.close()
    })
  })

  test.each<[string, (table: FingerprintTable) => Promise<void>]>([
    ['a record in the log', table => table.put(1n, fingerprint(1))],
    ['a delete of a key alone', table => table.del(1n)],
    ['a cleared range alone', table => table.clear({ gte: 1n })],
    [
      'records that are all deleted',
      async table => {
        await table.putColumns(fingerprintColumns(0, 200, spreadKey))
        await table.delWhere({ flags: { gte: 0 } })
      },
    ],
  ])('refuses a table with %s, and takes it once it is cleared', async (_, write) => {
    const table = await tables.fingerprints()
    await write(table)
    await table.close()
    await expect(FlashTable.bulkLoad(table.location, OPTIONS, source(10, 10))).rejects.toMatchObject({
      code: 'FLASHTABLE_EXISTS',
      message: expect.stringMatching(/needs an empty table: .* clear\(\) the table first/) as string,
    })
    const again = await tables.open(table.location, OPTIONS)
    expect(await again.has(spreadKey(5))).toBe(false)
    await again.clear()
    await again.close()
    const loaded = await FlashTable.bulkLoad(table.location, OPTIONS, source(10, 10))
    expect(await collect(loaded.keys())).toHaveLength(10)
    await loaded.close()
  })

  test('refuses a table with records, which stays as it was', async () => {
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
    for (const memoryBytes of [-1, 0.5, Infinity, '1', null]) {
      const refused = FlashTable.bulkLoad(path, { ...OPTIONS, memoryBytes } as never, watched() as never)
      await expect(refused).rejects.toMatchObject({
        code: 'FLASHTABLE_INVALID_OPTION',
        message: expect.stringContaining("'memoryBytes'") as string,
      })
    }
    expect(asked).toBe(false)
    const inherited = Object.create({ ...OPTIONS, memoryBytes: -1 }) as typeof OPTIONS
    await expect(FlashTable.bulkLoad(path, inherited, watched())).rejects.toThrow("'memoryBytes'")
    // It is no option of `open`.
    await expect(FlashTable.open(path, { ...OPTIONS, memoryBytes: 0 } as never)).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  })
})

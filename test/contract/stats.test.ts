/** `stats()`: counts and sizes that agree with the records and the files, over the whole life of the table. */
import { cp, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fixed, struct } from '../../src/index.js'
import {
  fingerprint,
  fingerprintColumns,
  settled,
  sizesOf,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables()

/** What stats() says of the disk is what lies there. */
async function expectTrueSizes(table: FingerprintTable): Promise<void> {
  const stats = await settled(table)
  const sizes = await sizesOf(table.location)
  const { blocks } = await stat(table.location)
  const paths = [...sizes.keys()].map(name => join(table.location, name))
  const allocated = await Promise.all(paths.map(async path => (await stat(path)).blocks))
  expect(stats.bytesOnDisk).toBe(512 * allocated.reduce((sum, count) => sum + count, blocks))
  for (const { name, bytes, dataBytes } of stats.files) {
    expect(sizes.get(name)).toBe(bytes)
    expect(dataBytes).toBeLessThan(bytes)
    expect(dataBytes % 4096).toBe(0)
  }
  expect(stats.dataBytesOnDisk).toBe(stats.files.reduce((sum, { dataBytes }) => sum + dataBytes, 0))
  expect(stats.levels.reduce((sum, count) => sum + count, 0)).toBe(stats.files.length)
}

describe('stats', () => {
  test('says what the table is: schema, duplicates, page size, least and greatest key', async () => {
    const table = await tables.fingerprints({ ...SMALL, duplicates: 'replace', pageBytes: 8192 })
    expect(await table.stats()).toMatchObject({
      schema: {
        key: { type: 'u64' },
        value: {
          type: 'struct',
          fields: [
            { name: 'time', type: 'u16' },
            { name: 'flags', type: 'u16' },
            { name: 'id', type: 'i32' },
          ],
        },
      },
      duplicates: 'replace',
      pageBytes: 8192,
      leastKey: undefined,
      greatestKey: undefined,
    })
  })

  test('knows the least and the greatest key, wherever they are', async () => {
    const table = await tables.fingerprints({ ...SMALL, fanout: 64 })
    const expectBounds = async (least: bigint, greatest: bigint): Promise<void> => {
      expect(await table.stats()).toMatchObject({ leastKey: least, greatestKey: greatest })
    }
    await table.put(500n, fingerprint(1))
    await expectBounds(500n, 500n)
    await table.put(2n ** 32n, fingerprint(2))
    await table.put(2n ** 32n + 1n, fingerprint(2))
    await table.put(2n ** 32n - 1n, fingerprint(2))
    await expectBounds(500n, 2n ** 32n + 1n)
    // A delete is no record.
    await table.del(2n ** 60n)
    await expectBounds(500n, 2n ** 32n + 1n)
    await table.compact()
    await expectBounds(500n, 2n ** 32n + 1n)
    await table.put(7n, fingerprint(3))
    for (let from = 0; from < 1000; from += 250) {
      await table.putColumns(fingerprintColumns(from, from + 250, i => BigInt(1000 + i)))
    }
    await expectBounds(7n, 2n ** 32n + 1n)
    const reader = await tables.open(table.location, { readOnly: true })
    expect(await reader.stats()).toMatchObject({ leastKey: 7n, greatestKey: 2n ** 32n + 1n })
    expect(JSON.parse(JSON.stringify(await table.stats()))).toMatchObject({
      leastKey: '7',
      greatestKey: '4294967297',
      pageBytes: 4096,
    })
  })

  test('gives a key whose encoding only its program knows as bytes', async () => {
    const encoding = {
      name: 'reversed',
      format: 'view',
      encode: (text: string) => Buffer.from([...text].toReversed().join('')),
      decode: (bytes: Uint8Array) => [...Buffer.from(bytes).toString()].toReversed().join(''),
    } as const
    const options = {
      keyEncoding: fixed(encoding, 2),
      valueEncoding: struct({ big: 'i64', small: 'u8' }),
    } as const
    const table = await tables.open(tables.path(), options)
    await table.put('ab', { big: 1n, small: 2 })
    expect(await table.stats()).toMatchObject({ leastKey: 'ab' })
    const reader = await tables.open(table.location, { readOnly: true })
    expect((await reader.stats()).leastKey).toEqual(new Uint8Array(Buffer.from('ba')))
    expect(JSON.parse(JSON.stringify(await reader.stats()))).toMatchObject({ leastKey: '6261' })
  })

  test('counts as put what only the log has, for a reader and after an unclean end', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 2 ** 16, walBytes: 2 ** 17 })
    await table.putColumns(fingerprintColumns(0, 300, spreadKey))
    await table.put(1n, fingerprint(1))
    await table.del(1n)
    const { recordsPut, recordBytesPut, records } = await table.stats()
    expect(recordsPut).toBe(301)
    const reader = await tables.open(table.location, { readOnly: true })
    const read = await reader.stats()
    expect(read).toMatchObject({ records, recordsPut, recordBytesPut })
    expect(read.writeAmplification).toBeGreaterThan(0)
    // As after kill -9.
    const copy = tables.path()
    await cp(table.location, copy, { recursive: true, filter: path => !path.endsWith('LOCK') })
    const offline = await tables.open(copy, { readOnly: true })
    expect(await offline.stats()).toMatchObject({ records, recordsPut, recordBytesPut })
    const recovered = await tables.open(copy)
    expect(await recovered.stats()).toMatchObject({ recordsPut, recordBytesPut })
  })

  test('are those of one moment, whatever is put while they are taken', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 2 ** 20, walBytes: 2 ** 21 })
    await table.put(100n, fingerprint(1))
    const taken = table.stats()
    await table.put(1n, fingerprint(1))
    await table.del(100n)
    await table.compact()
    expect(await taken).toMatchObject({
      records: 1,
      recordsAreExact: true,
      recordsPut: 1,
      leastKey: 100n,
      greatestKey: 100n,
      files: [],
      memtable: { operations: 1 },
      sequence: { next: 1 },
    })
  })

  test('looks at no row of a memtable twice, and lets the event loop turn meanwhile', async () => {
    const table = await tables.fingerprints({ bufferBytes: 2 ** 24, syncIntervalMs: Infinity })
    for (let from = 0; from < 600_000; from += 100_000) {
      await table.putColumns(fingerprintColumns(from, from + 100_000, spreadKey))
    }
    let turns = 0
    const count = (): void => {
      turns++
      timer = setImmediate(count)
    }
    let timer = setImmediate(count)
    const { greatestKey } = await table.stats()
    const turnsOfFirst = turns
    clearImmediate(timer)
    expect(turnsOfFirst).toBeGreaterThanOrEqual(4)
    expect(greatestKey).toBe((await table.stats()).greatestKey)
  })

  test('tells what is in memory, by what it is', async () => {
    const table = await tables.fingerprints({ ...SMALL, fanout: 64 })
    const before = (await table.stats()).memory
    expect(before).toMatchObject({
      memtables: 0,
      spare: 0,
      filters: 0,
      fences: 0,
      cacheUsed: 0,
      cache: 65_536,
    })
    for (let from = 0; from < 1000; from += 250) {
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    }
    const { memory, memtable } = await settled(table, 64)
    expect(memory.memtables).toBe(memtable.operations * 16)
    expect(memory.spare).toBe(256 * 16)
    expect(memory.fences).toBeGreaterThan(0)
    // Pages of a filter come in when they are asked.
    expect([memory.filters, memory.cacheUsed]).toEqual([0, 0])
    await table.get(spreadKey(1))
    const after = await table.stats()
    // A page of data, but that a filter lets one key of a hundred through; and of each file that was asked the filter.
    expect(after.pageReads).toBeGreaterThan(1)
    expect(after.memory.cacheUsed).toBe(4096 * after.pageReads)
    expect(after.memory.filters).toBeGreaterThanOrEqual(4096)
    expect(after.memory.filters).toBeLessThan(after.memory.cacheUsed)
  })

  test('counts records exactly as long as nothing was deleted, wherever they are', async () => {
    const table = await tables.fingerprints()
    for (let records = 250; records <= 5000; records += 250) {
      await table.putColumns(fingerprintColumns(records - 250, records, spreadKey))
      expect(await table.stats()).toMatchObject({
        records,
        recordsAreExact: true,
        recordsPut: records,
        recordBytesPut: records * 16,
      })
    }
    await table.compact()
    expect(await table.stats()).toMatchObject({ records: 5000, recordsAreExact: true, recordsPut: 5000 })
    const again = await tables.reopen(table)
    expect(await again.stats()).toMatchObject({ records: 5000, recordsAreExact: true, recordsPut: 5000 })
  })

  test('says that its count is not exact while a delete has not been merged away', async () => {
    const table = await tables.fingerprints()
    await table.putColumns(fingerprintColumns(0, 250, spreadKey))
    for (const remove of [
      () => table.del(spreadKey(1)),
      () => table.delRecord(spreadKey(2), fingerprint(2)),
      () => table.delWhere({ id: fingerprint(3).id }),
    ]) {
      await remove()
      expect((await table.stats()).recordsAreExact).toBe(false)
      await table.compact()
      expect((await table.stats()).recordsAreExact).toBe(true)
    }
    expect(await table.stats()).toMatchObject({ records: 247, recordsPut: 250 })
  })

  test('knows the sizes of all files on disk', async () => {
    const table = await tables.fingerprints()
    await expectTrueSizes(table)
    for (let from = 0; from < 6000; from += 250) {
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
      if (from % 2000 === 0) await expectTrueSizes(table)
    }
    await table.delWhere({ flags: 1 })
    await table.compact()
    await expectTrueSizes(table)
    const again = await tables.reopen(table)
    await again.put(1n, fingerprint(1))
    await expectTrueSizes(again)
  })

  test('adds up what was written by purpose, over the whole life of the table', async () => {
    let table = await tables.fingerprints()
    let last = await table.stats()
    expect(last.bytesWritten).toMatchObject({ wal: 0, buckets: 0 })
    expect(last.writeAmplification).toBe(0)
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 6; i++)
        await table.putColumns(fingerprintColumns(i * 100, i * 100 + 100, spreadKey))
      if (round === 3) await table.compact()
      const { bytesWritten, writeAmplification, recordBytesPut, recordsPut } = await settled(table)
      expect(recordsPut).toBe((round + 1) * 600)
      expect(recordBytesPut).toBe((round + 1) * 9600)
      expect(bytesWritten.wal - last.bytesWritten.wal).toBeGreaterThan(600 * 6)
      expect(bytesWritten.buckets).toBeGreaterThan(last.bytesWritten.buckets)
      expect(bytesWritten.manifest).toBeGreaterThan(last.bytesWritten.manifest)
      const written = Object.values(bytesWritten).reduce((sum, bytes) => sum + bytes)
      expect(writeAmplification).toBeCloseTo(written / recordBytesPut, 10)
      table = await tables.reopen(table)
      last = await table.stats()
      // Closing and opening write a manifest each, and the rest of a page of the log.
      expect(last.bytesWritten.buckets).toBe(bytesWritten.buckets)
      expect(last.bytesWritten.wal).toBe(bytesWritten.wal)
      expect(last.bytesWritten.manifest).toBeGreaterThan(bytesWritten.manifest)
      expect(last).toMatchObject({ recordsPut, recordBytesPut })
    }
  })

  test('counts every byte handed to the files', async () => {
    // Nothing is sealed, merged or recycled, and no sync begins a page: what was written is what lies there.
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 2 ** 20, walBytes: 2 ** 20 })
    for (let from = 0; from < 3000; from += 300) {
      await table.putColumns(fingerprintColumns(from, from + 300, spreadKey))
    }
    const sizes = await sizesOf(table.location)
    const log = [...sizes].filter(([name]) => name.endsWith('.wal')).map(([, size]) => size)
    const { bytesWritten } = await table.stats()
    expect(bytesWritten.wal).toBe(log.reduce((sum, size) => sum + size, 0))
    expect(bytesWritten.manifest).toBe(sizes.get('MANIFEST'))
    await table.compact()
    const file = (await table.stats()).files[0]!
    expect((await table.stats()).bytesWritten.buckets).toBe(file.bytes)
  })

  test('does not write more than the records are, many times over', async () => {
    const table = await tables.fingerprints({
      ...SMALL,
      bufferBytes: 2 ** 18,
      walBytes: 2 ** 19,
      fanout: 8,
    })
    for (let from = 0; from < 100_000; from += 1000) {
      await table.putColumns(fingerprintColumns(from, from + 1000, spreadKey))
    }
    await settled(table, 8)
    expect((await table.stats()).writeAmplification).toBeLessThan(2.3)
  })

  test('tells of memtables, pins, page reads and memory', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    expect((await table.stats()).memtable).toEqual({ operations: 1, capacity: 256, sealed: 0 })
    const snapshot = table.snapshot()
    expect((await table.stats()).pins).toBe(1)
    await snapshot.close()
    await table.compact()
    const before = await table.stats()
    expect(before).toMatchObject({
      poisoned: undefined,
      pins: 0,
      pageReads: 0,
      memtable: { operations: 0 },
      waitingForSpace: false,
    })
    expect(before.memory.fences).toBeGreaterThan(0)
    await table.get(1n)
    table.getSync(1n)
    // A page of the filter and one of data.
    expect((await table.stats()).pageReads).toBe(2)
    await table.get(2n ** 63n)
    expect((await table.stats()).waits.count).toBe(0)
  })

  test('of a table opened for reading are those of its state', async () => {
    // Nothing is merged meanwhile: a level may have more files than there are.
    const table = await tables.fingerprints({ ...SMALL, fanout: 64 })
    for (let from = 0; from < 1000; from += 250)
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    await settled(table, 64)
    const reader = await tables.open(table.location, { readOnly: true })
    const { records, files, levels, bytesOnDisk } = await table.stats()
    expect(await reader.stats()).toMatchObject({ records, files, levels, bytesOnDisk })
  })
})

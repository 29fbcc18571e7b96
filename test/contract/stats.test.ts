/** `stats()`: counts and sizes that agree with the records and the files, over the whole life of the table. */
import { describe, expect, test } from 'vitest'
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

/** What stats() says of the disk is what lies there; the lock holds no data. */
async function expectTrueSizes(table: FingerprintTable): Promise<void> {
  const stats = await settled(table)
  const sizes = await sizesOf(table.location)
  sizes.delete('LOCK')
  expect(stats.bytesOnDisk).toBe([...sizes.values()].reduce((sum, size) => sum + size, 0))
  for (const { name, bytes, dataBytes } of stats.files) {
    expect(sizes.get(name)).toBe(bytes)
    expect(dataBytes).toBeLessThan(bytes)
    expect(dataBytes % 4096).toBe(0)
  }
  expect(stats.dataBytesOnDisk).toBe(stats.files.reduce((sum, { dataBytes }) => sum + dataBytes, 0))
  expect(stats.levels.reduce((sum, count) => sum + count, 0)).toBe(stats.files.length)
}

describe('stats', () => {
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
      const written = bytesWritten.wal + bytesWritten.buckets + bytesWritten.manifest
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
    // Nothing is sealed, merged or recycled: what was written is what lies there, and the manifests before this one.
    const table = await tables.fingerprints({ ...SMALL, memtableBytes: 2 ** 20, walBytes: 2 ** 20 })
    for (let from = 0; from < 3000; from += 300) {
      await table.putColumns(fingerprintColumns(from, from + 300, spreadKey), { sync: true })
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
      memtableBytes: 2 ** 18,
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
      pins: 0,
      pageReads: 0,
      memtable: { operations: 0 },
      waitingForSpace: false,
    })
    expect(before.residentBytes).toBeGreaterThan(0)
    await table.get(1n)
    table.getSync(1n)
    expect((await table.stats()).pageReads).toBe(1)
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

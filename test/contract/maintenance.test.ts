/** `sync`, `compact`, and what happens in the background: seals, merges, recycled log segments. */
import { readdir } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  collect,
  fingerprint,
  fingerprintColumns,
  settled,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables({ onDisk: true })

async function filled(records: number, options: object = {}): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...SMALL, ...options })
  for (let from = 0; from < records; from += 250) {
    await table.putColumns(fingerprintColumns(from, Math.min(records, from + 250), spreadKey))
  }
  return table
}

describe('sync', () => {
  test('covers everything put before it, however many call it at once', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 65_536 })
    for (let i = 0; i < 300; i++) void table.put(spreadKey(i), fingerprint(i))
    const syncs = [table.sync(), table.sync()]
    void table.put(0n, fingerprint(0))
    await Promise.all([...syncs, table.sync()])
    const { sequence } = await table.stats()
    expect(sequence).toEqual({ next: 301, synced: 301 })
    await table.sync()
  })

  test('where nothing was put resolves, and writes nothing to the log', async () => {
    const table = await tables.fingerprints()
    await table.sync()
    const again = await tables.reopen(table)
    await again.sync()
    expect((await again.stats()).bytesWritten.wal).toBe(0)
  })

  test('starts by itself within syncIntervalMs of a write, and never where that is Infinity', async () => {
    const never = await tables.fingerprints({ ...SMALL, syncIntervalMs: Infinity })
    await never.put(1n, fingerprint(1))
    for (const syncIntervalMs of [0, 1]) {
      const table = await tables.fingerprints({ ...SMALL, syncIntervalMs })
      for (let i = 1; i <= 3; i++) {
        await table.put(1n, fingerprint(i))
        await until(
          'the put is synced',
          () => table.stats(),
          ({ sequence }) => sequence.synced >= i,
        )
      }
    }
    expect((await never.stats()).sequence.synced).toBe(0)
  })
})

describe('compact', () => {
  test('merges memtables and files into one file, and puts go on meanwhile', async () => {
    const table = await filled(3000)
    const compaction = { ended: false }
    let put = 0
    const putOn = async (): Promise<void> => {
      for (let i = 0; i < 400 || !compaction.ended; i++, put++) await table.put(1n, fingerprint(i))
    }
    const compact = table.compact().finally(() => (compaction.ended = true))
    await Promise.all([compact, putOn()])
    expect(await table.count(1n)).toBe(put)
    await table.compact()
    const { files, memtable, records, levels } = await table.stats()
    expect(files).toHaveLength(1)
    expect(files[0]!.records).toBe(3000 + put)
    expect({ operations: memtable.operations, sealed: memtable.sealed }).toEqual({ operations: 0, sealed: 0 })
    expect({ records, levels: levels.filter(count => count > 0) }).toEqual({
      records: 3000 + put,
      levels: [1],
    })
    expect(await collect(table.keys({ gt: 1n }))).toHaveLength(3000)
  })

  test('of what is compact already, and of nothing, writes nothing', async () => {
    const empty = await tables.fingerprints()
    await empty.compact()
    expect(await empty.stats()).toMatchObject({ files: [], bytesWritten: { buckets: 0 } })
    const table = await filled(1000)
    await table.compact()
    const before = await table.stats()
    await table.compact()
    expect((await table.stats()).bytesWritten).toEqual(before.bytesWritten)
  })

  test('may be called many times at once', async () => {
    const table = await filled(2000)
    await Promise.all([table.compact(), table.compact(), table.compact(), table.put(1n, fingerprint(1))])
    expect(await collect(table.keys())).toHaveLength(2001)
    expect((await table.stats()).files.length).toBeLessThanOrEqual(2)
  })

  test('may be called 30 times at once without a warning of a leak', async () => {
    const table = await filled(500)
    const warnings: string[] = []
    const onWarning = ({ name }: Error): void => void warnings.push(name)
    process.on('warning', onWarning)
    try {
      await Promise.all(Array.from({ length: 30 }, () => table.compact()))
      await new Promise(resolve => void setImmediate(resolve))
    } finally {
      process.off('warning', onWarning)
    }
    expect(warnings).toEqual([])
  })

  test('tells how far it is, in rising numbers up to the end', async () => {
    const table = await filled(5000, { bufferBytes: 65_536 })
    const told: { done: number; total: number }[] = []
    await table.compact({ onProgress: progress => told.push(progress) })
    expect(told.length).toBeGreaterThan(0)
    expect(told.at(-1)).toEqual({ done: 5000, total: 5000 })
    for (const [i, { done, total }] of told.entries()) {
      expect(done).toBeGreaterThanOrEqual(i === 0 ? 0 : told[i - 1]!.done)
      expect(done).toBeLessThanOrEqual(total)
    }
  })

  test('that is aborted rejects with the reason and leaves the table as it was, without orphans', async () => {
    const table = await filled(20_000, { bufferBytes: 65_536, fanout: 64 })
    const reason = new Error('enough')
    await expect(table.compact({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const compact = table.compact({ signal: controller.signal })
    setImmediate(() => controller.abort(reason))
    await expect(compact).rejects.toBe(reason)
    const { files } = await settled(table, 64)
    expect(files.length).toBeGreaterThan(1)
    const onDisk = (await readdir(table.location)).filter(name => name.endsWith('.bucket'))
    expect(onDisk.sort()).toEqual(files.map(({ name }) => name).sort())
    await table.put(1n, fingerprint(1))
    await table.compact()
    expect((await table.stats()).files).toHaveLength(1)
    expect(await collect(table.keys())).toHaveLength(20_001)
  })
})

describe('a table by itself', () => {
  test('seals the memtable that an aborted compact() has taken', async () => {
    const table = await filled(200)
    const controller = new AbortController()
    const compact = table.compact({ signal: controller.signal })
    await until(
      'a memtable is sealed',
      () => table.stats(),
      ({ memtable }) => memtable.sealed > 0,
    )
    controller.abort()
    await expect(compact).rejects.toMatchObject({ name: 'AbortError' })
    expect((await settled(table)).files).toHaveLength(1)
  })

  test('seals, merges level by level, recycles log segments, and removes what it has merged', async () => {
    const table = await filled(20_000)
    const { files, levels, bytesWritten, memtable } = await settled(table)
    expect(memtable.capacity).toBe(256)
    expect(levels.length).toBeGreaterThanOrEqual(3)
    for (const [i, { level }] of files.entries()) {
      if (i > 0) expect(level).toBeLessThanOrEqual(files[i - 1]!.level)
    }
    // 80 memtables in levels of less than fanout files each.
    expect(files.length).toBeLessThan(20)
    expect(await collect(table.keys())).toHaveLength(20_000)
    // What a merge has replaced is removed a moment after it counts; close() waits for that.
    await table.close()
    const names = await readdir(table.location)
    const segments = names.filter(name => name.endsWith('.wal'))
    // The active one and two spares, into which all others were written.
    expect(segments).toHaveLength(3)
    expect(bytesWritten.wal).toBeGreaterThan(15 * SMALL.walBytes)
    expect(names.filter(name => name.endsWith('.bucket')).length).toBeLessThanOrEqual(files.length)
  })

  test('seals when its log is full, though its memtable is not', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 2 ** 20 })
    // A frame for each put: half of it is header.
    for (let i = 0; i < 7500; i++) await table.put(spreadKey(i), fingerprint(i))
    const { files, memtable } = await table.stats()
    expect(files.length).toBeGreaterThan(2)
    expect(files.every(({ records }) => records < memtable.capacity / 10)).toBe(true)
    expect(await collect(table.keys())).toHaveLength(7500)
    const again = await tables.reopen(table)
    expect(await collect(again.keys())).toHaveLength(7500)
  })

  test('takes a batch whose frame is larger than its log', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 2 ** 20, walBytes: 4096 })
    for (let from = 0; from < 40_000; from += 10_000) {
      await table.putColumns(fingerprintColumns(from, from + 10_000, spreadKey))
    }
    const again = await tables.reopen(table)
    expect(await collect(again.keys())).toHaveLength(40_000)
    expect(await again.get(spreadKey(39_999))).toEqual(fingerprint(39_999))
  })
})

/** `meta` and `setMeta`: a small JSON object beside the records, never ahead of them. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable, repairTable, verifyTable } from '../../src/index.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import {
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
} from '../support/tables.js'

const tables = testTables()
const OPTIONS = { ...FINGERPRINT, ...SMALL }
const META = { upTo: 17, names: { 'Blue in Green': [42, null, 'é'] } }

describe('meta', () => {
  test('is an empty object at first, and then what was given last: a frozen copy of it, all of it', async () => {
    const table = await tables.fingerprints()
    expect(table.meta).toEqual({})
    const given = { a: 1, list: [{ b: 2 }] }
    const setting = table.setMeta(given)
    given.list[0]!.b = 3
    expect(table.meta).toEqual({})
    await setting
    expect(table.meta).toEqual({ a: 1, list: [{ b: 2 }] })
    expect(() => Object.assign(table.meta, { a: 2 })).toThrow(TypeError)
    expect(Object.isFrozen((table.meta['list'] as object[])[0])).toBe(true)
    await table.setMeta({ c: 3 })
    expect(table.meta).toEqual({ c: 3 })
    await table.close()
    expect(table.meta).toEqual({ c: 3 })
  })

  test('outlasts seals, merges, a range that is cleared, clear, compact and a reopening; a checkpoint has its own', async () => {
    let table = await tables.fingerprints()
    await table.setMeta(META)
    for (let from = 0; from < 3000; from += 250)
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    await table.clear({ gte: 5n })
    await table.compact()
    await table.clear()
    expect(table.meta).toEqual(META)
    table = await tables.reopen(table)
    expect(table.meta).toEqual(META)
    await table.put(1n, fingerprint(1))
    const copy = tables.path()
    await table.checkpoint(copy)
    const opened = await tables.open(copy, OPTIONS)
    expect(opened.meta).toEqual(META)
    await opened.setMeta({})
    expect(table.meta).toEqual(META)
  })

  test('stays what it was in a table that is loaded', async () => {
    const path = tables.path()
    const table = await tables.open(path, OPTIONS)
    await table.setMeta(META)
    await table.close()
    const loaded = await FlashTable.bulkLoad(path, OPTIONS, [fingerprintColumns(0, 10, spreadKey)])
    expect(loaded.meta).toEqual(META)
    await loaded.close()
    expect((await tables.open(path, OPTIONS)).meta).toEqual(META)
  })

  test('is that of its open for a reader, until it refreshes; its checkpoint has what it shows', async () => {
    const table = await tables.fingerprints()
    await table.setMeta({ upTo: 1 })
    const reader = await tables.open(table.location, { readOnly: true })
    await table.setMeta({ upTo: 2 })
    expect(reader.meta).toEqual({ upTo: 1 })
    const copy = tables.path()
    await reader.checkpoint(copy)
    expect((await tables.open(copy, OPTIONS)).meta).toEqual({ upTo: 1 })
    await reader.refresh()
    expect(reader.meta).toEqual({ upTo: 2 })
    await expect(reader.setMeta({})).rejects.toMatchObject({ code: 'FLASHTABLE_READ_ONLY' })
  })

  test('is saved by repair if the manifest can be read', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    await table.setMeta(META)
    await table.close()
    expect((await verifyTable(table.location)).problems).toEqual([])
    for (const expected of [META, {}]) {
      const into = tables.path()
      await repairTable(table.location, into, FINGERPRINT)
      const saved = await tables.open(into)
      expect(saved.meta).toEqual(expected)
      expect(await saved.get(1n)).toEqual(fingerprint(1))
      await rm(join(table.location, 'MANIFEST'), { force: true })
    }
  })
})

describe('setMeta', () => {
  test('syncs what was put before the call, and has a turn among the writes', async () => {
    const table = await tables.fingerprints()
    void table.putColumns(fingerprintColumns(0, 50, spreadKey))
    const calls = [
      table.setMeta({ upTo: 50 }),
      table.clear(),
      table.setMeta({ upTo: 0 }),
      table.put(1n, fingerprint(1)),
    ]
    await calls[0]
    const { sequence } = await table.stats()
    expect(sequence.synced).toBeGreaterThanOrEqual(50)
    await Promise.all(calls)
    expect(table.meta).toEqual({ upTo: 0 })
    expect((await table.stats()).records).toBe(1)
  })

  test('counts as bytes of the manifest, and changes no other figure', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1), { sync: true })
    const { bytesWritten, ...before } = await table.stats()
    await table.setMeta({ text: 'x'.repeat(10_000) })
    const { bytesWritten: written, ...after } = await table.stats()
    expect(written.manifest - bytesWritten.manifest).toBeGreaterThan(10_000)
    expect(written).toMatchObject({ wal: bytesWritten.wal, buckets: bytesWritten.buckets })
    expect(after).toMatchObject({
      records: before.records,
      sequence: before.sequence,
      recordsPut: before.recordsPut,
    })
  })

  test('takes an object of 64 KiB, and refuses more, or no JSON; then all is as it was', async () => {
    const table = await tables.fingerprints()
    const text = 'é'.repeat(32_000)
    await table.setMeta({ text })
    for (const wrong of [
      { text: text + text },
      { a: undefined },
      { a: 1n },
      [],
      null,
      undefined,
      'upTo',
      new Map(),
    ]) {
      await expect(table.setMeta(wrong as never)).rejects.toMatchObject({ code: 'FLASHTABLE_INVALID_VALUE' })
    }
    await expect(table.setMeta({}, { sync: true } as never)).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
    expect(table.meta).toEqual({ text })
    expect((await tables.reopen(table)).meta).toEqual({ text })
  })

  test('rejects after close, also if the object closes the table', async () => {
    const table = await tables.fingerprints()
    const closing = Object.defineProperty({}, 'a', { enumerable: true, get: () => (void table.close(), 1) })
    await expect(table.setMeta(closing as never)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
    await expect(table.setMeta({})).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
  })

  test('on a full disk keeps the old object, and may be called again', async () => {
    let isFull = false
    const fileSystem: typeof nodeFileSystem = {
      ...nodeFileSystem,
      open(path, mode) {
        if (isFull && mode === 'create') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
        return nodeFileSystem.open(path, mode)
      },
    }
    const table = await FlashTable.openIn(tables.path(), OPTIONS, { ...nodeEnvironment, fileSystem })
    await table.setMeta({ upTo: 1 })
    isFull = true
    await expect(table.setMeta({ upTo: 2 })).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
    expect(table.meta).toEqual({ upTo: 1 })
    isFull = false
    await table.setMeta({ upTo: 2 })
    expect(table.meta).toEqual({ upTo: 2 })
    await table.close()
  })
})

/** `FlashTable.open`: what it creates, what it opens again, and what it refuses. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bytes, FlashTable, struct } from '../../src/index.js'
import { allSealed } from '../support/all-sealed.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  imageOf,
  SMALL,
  spreadKey,
  testTables,
} from '../support/tables.js'

const tables = testTables()

/** A closed table with one record. */
async function closedTable(options: object = {}): Promise<string> {
  const table = await tables.open(tables.path(), { ...FINGERPRINT, ...options })
  await table.put(1n, fingerprint(1))
  await table.close()
  return table.location
}

describe('open', () => {
  test('creates directories and an empty table', async () => {
    const path = join(tables.path(), 'deeper', 'still')
    const table = await tables.open(path, FINGERPRINT)
    expect(table.location).toBe(path)
    expect(isAbsolute(table.location)).toBe(true)
    expect(await readdir(path)).toContain('MANIFEST')
    expect(await collect(table.entries())).toEqual([])
    expect(await table.stats()).toMatchObject({ records: 0, recordsAreExact: true, files: [] })
  })

  test('creates a table in an empty directory that is there', async () => {
    const path = tables.path()
    await mkdir(path)
    const table = await tables.open(path, FINGERPRINT)
    await table.put(1n, fingerprint(1))
    expect(await table.get(1n)).toEqual(fingerprint(1))
  })

  test('leaves files that are not of the table alone', async () => {
    const path = tables.path()
    await mkdir(path)
    await writeFile(join(path, 'notes.txt'), 'mine')
    await writeFile(join(path, '12.wal'), 'mine too')
    await (await tables.open(path, FINGERPRINT)).close()
    await (await tables.open(path)).close()
    expect(await readdir(path)).toEqual(expect.arrayContaining(['notes.txt', '12.wal']))
  })

  test('opens an existing table with its encodings, and without them', async () => {
    const path = await closedTable()
    const typed = await tables.open(path, FINGERPRINT)
    expect(await typed.get(1n)).toEqual(fingerprint(1))
    await typed.close()
    const untyped = await tables.open(path)
    expect(await untyped.get(1n)).toEqual(fingerprint(1))
    await untyped.put(2n, fingerprint(2))
    expect(await untyped.get(2)).toEqual(fingerprint(2))
  })

  test.each([
    ['another key encoding', { ...FINGERPRINT, keyEncoding: 'u32' }],
    ['a key of bytes of the same width', { ...FINGERPRINT, keyEncoding: bytes(8) }],
    ['no value encoding', { keyEncoding: 'u64' }],
    [
      'another type of field',
      { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'u32' }) },
    ],
    [
      'another name of a field',
      { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', flag: 'u16', id: 'i32' }) },
    ],
    [
      'another order of fields',
      { keyEncoding: 'u64', valueEncoding: struct({ flags: 'u16', time: 'u16', id: 'i32' }) },
    ],
    [
      'a field more',
      { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32', x: 'u8' }) },
    ],
    ['a value that is no struct', { keyEncoding: 'u64', valueEncoding: bytes(8) }],
    ["duplicates: 'replace'", { duplicates: 'replace' }],
    ['another page size', { pageBytes: 8192 }],
    ['another mode', { mode: 0o640 }],
  ])('refuses %s than those of the table, and changes nothing', async (_, options) => {
    const path = await closedTable()
    const before = await imageOf(path)
    await expect(FlashTable.open(path, options as object)).rejects.toMatchObject({
      name: 'FlashTableError',
      code: 'FLASHTABLE_SCHEMA_MISMATCH',
    })
    expect(withoutLock(await imageOf(path))).toEqual(withoutLock(before))
    const table = await tables.open(path, FINGERPRINT)
    expect(await table.get(1n)).toEqual(fingerprint(1))
  })

  test('takes stored options from the table where they are left out', async () => {
    const path = await closedTable({ duplicates: 'replace', pageBytes: 16_384 })
    const table = await tables.open(path, FINGERPRINT)
    await table.put(1n, fingerprint(2))
    expect(await table.getAll(1n)).toEqual([fingerprint(2)])
    await table.close()
    const again = await tables.open(path, { ...FINGERPRINT, duplicates: 'replace', pageBytes: 16_384 })
    expect(await again.count(1n)).toBe(1)
  })

  test.each([4096, 8192, 16_384, 32_768, 65_536])('makes a table of pages of %i bytes', async pageBytes => {
    const table = await tables.fingerprints({ ...SMALL, pageBytes })
    for (let i = 0; i < 1500; i++) void table.put(spreadKey(i), fingerprint(i))
    await table.sync()
    await table.compact()
    const { files } = await table.stats()
    expect(files).toHaveLength(1)
    expect(files[0]!.bytes % pageBytes).toBe(0)
    const again = await tables.reopen(table)
    for (let i = 0; i < 1500; i++) expect(await again.getAll(spreadKey(i))).toEqual([fingerprint(i)])
  })

  test('needs a key encoding to create a table', async () => {
    const path = tables.path()
    await expect(FlashTable.open(path)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_OPTION',
      message: expect.stringContaining('keyEncoding') as string,
    })
    const table = await tables.open(path, FINGERPRINT)
    expect(await table.count(1n)).toBe(0)
  })

  test('refuses a value encoding without a key encoding', async () => {
    const path = await closedTable()
    await expect(
      FlashTable.open(path, { valueEncoding: FINGERPRINT.valueEncoding } as object),
    ).rejects.toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_OPTION' })
  })

  test('finds nothing with createIfMissing false, and makes nothing', async () => {
    const path = tables.path()
    const options = { ...FINGERPRINT, createIfMissing: false }
    await expect(FlashTable.open(path, options)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
    expect(existsSync(path)).toBe(false)
    await mkdir(path)
    await expect(FlashTable.open(path, options)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
    expect(await readdir(path)).toEqual([])
    await (await tables.open(path, FINGERPRINT)).close()
    await (await tables.open(path, options)).close()
  })

  test('refuses a table that is there with errorIfExists', async () => {
    const path = tables.path()
    const options = { ...FINGERPRINT, errorIfExists: true }
    await (await tables.open(path, options)).close()
    await expect(FlashTable.open(path, options)).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
    await (await tables.open(path)).close()
  })

  test.each([
    ['an unknown name', { cacheSize: 1 }, 'TypeError', "'cacheSize'"],
    ['a wrong type', { bufferBytes: '1' }, 'TypeError', "'bufferBytes'"],
    ['a number out of bounds', { fanout: 1 }, 'RangeError', "'fanout'"],
    ['a page size that is no power of two', { pageBytes: 5000 }, 'RangeError', "'pageBytes'"],
    ['an unknown kind of duplicates', { duplicates: 'drop' }, 'TypeError', "'duplicates'"],
    ['a signal that is none', { signal: {} }, 'TypeError', "'signal'"],
    ['a key encoding that is none', { keyEncoding: 'u128' }, 'TypeError', 'keyEncoding'],
    ['a signed key', { keyEncoding: 'i32' }, 'TypeError', 'keyEncoding'],
    ['a key that is too long', { keyEncoding: bytes(33) }, 'RangeError', 'keyEncoding'],
    ['a width that is left out', { valueEncoding: 'utf8' }, 'TypeError', "fixed('utf8', n)"],
    ['readOnly with createIfMissing', { readOnly: true, createIfMissing: true }, 'TypeError', "'readOnly'"],
  ])('refuses %s, and makes nothing', async (_, options, name, text) => {
    const path = tables.path()
    await expect(FlashTable.open(path, { ...FINGERPRINT, ...options } as object)).rejects.toMatchObject({
      name,
      code: 'FLASHTABLE_INVALID_OPTION',
      message: expect.stringContaining(text) as string,
    })
    expect(existsSync(join(path, 'MANIFEST'))).toBe(false)
  })

  test.each([
    ['an empty text', ''],
    ['a number', 7],
    ['nothing', undefined],
  ])('refuses %s as location', async (_, location) => {
    await expect(FlashTable.open(location as string, FINGERPRINT)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  })

  test('says that a location is a file', async () => {
    const path = tables.path()
    await writeFile(path, 'text')
    await expect(FlashTable.open(path, FINGERPRINT)).rejects.toMatchObject({
      name: 'FlashTableError',
      code: 'FLASHTABLE_IO_ERROR',
      message: expect.stringContaining(path) as string,
    })
  })

  test('rejects with the reason of a signal that has aborted, and makes nothing', async () => {
    const path = tables.path()
    const reason = new Error('enough')
    await expect(FlashTable.open(path, { ...FINGERPRINT, signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    )
    expect(existsSync(path)).toBe(false)
  })

  test('makes no new table beside files of one whose manifest is gone', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    await table.close()
    await rename(join(table.location, 'MANIFEST'), join(table.location, 'manifest-of-old'))
    await expect(FlashTable.open(table.location, FINGERPRINT)).rejects.toMatchObject({
      code: 'FLASHTABLE_CORRUPTION',
      message: expect.stringContaining('.wal') as string,
    })
    await rename(join(table.location, 'manifest-of-old'), join(table.location, 'MANIFEST'))
    const again = await tables.open(table.location, FINGERPRINT)
    expect(await again.get(1n)).toEqual(fingerprint(1))
  })

  test('keeps what was put under other sizes of memtable, log, cache and fanout', async () => {
    let table = await tables.fingerprints(SMALL)
    const sizes = [
      { bufferBytes: 65_536, fanout: 2 },
      { bufferBytes: 1024, walBytes: 4096, cacheBytes: 0, fanout: 64 },
      { filterBitsPerRecord: 0 },
      { ...SMALL, filterBitsPerRecord: 32, syncIntervalMs: 0 },
    ]
    for (const [i, options] of sizes.entries()) {
      for (let n = 0; n < 700; n++) void table.put(spreadKey(n % 100), fingerprint(i * 700 + n))
      table = await tables.reopen(table, options)
      for (let key = 0; key < 100; key++) {
        const expected = Array.from({ length: 7 * (i + 1) }, (_, j) => fingerprint(key + 100 * j))
        expect(await table.getAll(spreadKey(key))).toEqual(expected)
      }
    }
  })
})

describe('open with readOnly', () => {
  test('finds no table where none is, and makes nothing', async () => {
    const path = tables.path()
    await expect(FlashTable.open(path, { readOnly: true })).rejects.toMatchObject({
      code: 'FLASHTABLE_NOT_FOUND',
    })
    expect(existsSync(path)).toBe(false)
  })

  test('sees what a writer in the same process has acknowledged, log included', async () => {
    const writer = await tables.fingerprints()
    for (let i = 0; i < 3000; i++) void writer.put(spreadKey(i), fingerprint(i))
    await writer.put(0n, fingerprint(9999))
    const { memtable, files } = await writer.stats()
    expect(memtable.operations).toBeGreaterThan(0)
    expect(files.length).toBeGreaterThan(0)
    const reader = await tables.open(writer.location, { ...FINGERPRINT, readOnly: true })
    expect(await reader.get(0n)).toEqual(fingerprint(9999))
    expect(await collect(reader.entries())).toEqual(await collect(writer.entries()))
  })

  test('stays at its state until refresh(), while the writer merges and removes files', async () => {
    const writer = await tables.fingerprints()
    for (let i = 0; i < 1000; i++) void writer.put(spreadKey(i % 10), fingerprint(i))
    await writer.put(1n, fingerprint(1))
    await allSealed(writer)
    const reader = await tables.open(writer.location, {
      ...FINGERPRINT,
      ...SMALL,
      cacheBytes: 0,
      readOnly: true,
    })
    expect((await reader.stats()).files.length).toBeGreaterThan(0)
    const before = await collect(reader.entries())
    for (let i = 0; i < 3000; i++) void writer.put(1n, fingerprint(2 + i))
    await writer.compact()
    expect(await collect(reader.entries())).toEqual(before)
    expect(await reader.getAll(1n)).toEqual([fingerprint(1)])
    const snapshot = reader.snapshot()
    await reader.refresh()
    expect(await reader.count(1n)).toBe(3001)
    expect(await reader.getAll(1n)).toEqual(await writer.getAll(1n))
    await writer.clear()
    // Files that are gone from the directory, and from the reader's newest state.
    expect(await reader.getAll(1n, { snapshot })).toEqual([fingerprint(1)])
    expect(await reader.getMany([spreadKey(3)], { snapshot })).toEqual([fingerprint(993)])
    expect(await collect(reader.entries({ snapshot }))).toEqual(before)
    await reader.refresh()
    expect(await collect(reader.entries())).toEqual([])
    expect(await collect(reader.entries({ snapshot }))).toEqual(before)
  })

  test('writes nothing, neither after a clean end nor while a writer has it open', async () => {
    const writer = await tables.fingerprints()
    for (let i = 0; i < 1000; i++) void writer.put(spreadKey(i), fingerprint(i))
    await writer.compact()
    await writer.put(1n, fingerprint(1))
    for (const state of ['open', 'closed']) {
      if (state === 'closed') await writer.close()
      const before = await imageOf(writer.location)
      const reader = await tables.open(writer.location, { ...FINGERPRINT, readOnly: true })
      expect(await collect(reader.keys())).toHaveLength(1001)
      await reader.refresh()
      await reader.close()
      expect(await imageOf(writer.location)).toEqual(before)
    }
  })

  test('refuses every call that writes', async () => {
    const path = await closedTable()
    const reader = await tables.open(path, { ...FINGERPRINT, readOnly: true })
    const writes = [
      () => reader.put(1n, fingerprint(1)),
      () => reader.batch([]),
      () =>
        reader.putColumns({
          key: new BigUint64Array(),
          time: new Uint16Array(),
          flags: new Uint16Array(),
          id: new Int32Array(),
        }),
      () => reader.del(1n),
      () => reader.delRecord(1n, fingerprint(1)),
      () => reader.delWhere({ id: 1 }),
      () => reader.sync(),
      () => reader.compact(),
      () => reader.clear(),
    ]
    for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'FLASHTABLE_READ_ONLY' })
    expect(await reader.getAll(1n)).toEqual([fingerprint(1)])
    expect(await reader.stats()).toMatchObject({ records: 1, recordsPut: 1 })
  })

  test('is not what refresh() of a writer is for', async () => {
    const writer = await tables.fingerprints()
    await expect(writer.refresh()).rejects.toMatchObject({ code: 'FLASHTABLE_READ_ONLY' })
  })
})

/** The lock file is written by every open. */
function withoutLock(image: unknown[]): unknown[] {
  return image.filter(entry => (entry as unknown[])[0] !== 'LOCK')
}

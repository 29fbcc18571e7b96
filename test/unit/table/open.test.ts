/** What an open makes of the options and of what is on disk, and what it releases when it fails. */
import { describe, expect, test } from 'vitest'
import type { TableEvent } from '../../../src/base/events.js'
import { countFound, DIRECTORY, newDisk, openParts, OPTIONS, putKeys } from './parts.js'
import { closeParts } from './close.js'

describe('an open for writing', () => {
  test('creates a table whose first manifest is installed before anything is put', async () => {
    const disk = newDisk()
    const parts = await openParts(disk)
    expect(disk.files()).toContain(`${DIRECTORY}/MANIFEST`)
    expect(parts.state.manifest).toMatchObject({ epoch: 1, files: [], nextSequence: 0, duplicates: 'keep' })
    await closeParts(parts)
    expect(disk.openHandles).toBe(0)
  })

  test('wires the parts: what is put is found, sealed, and found after a reopen', async () => {
    const disk = newDisk()
    const events: TableEvent[] = []
    const parts = await openParts(disk, OPTIONS, events)
    await putKeys(parts, 0, 300)
    expect(countFound(parts, 300)).toBe(300)
    await closeParts(parts)
    expect(events.filter(({ kind }) => kind === 'seal').length).toBeGreaterThan(0)
    const again = await openParts(disk, OPTIONS, events)
    expect(countFound(again, 300)).toBe(300)
    expect(events.filter(({ kind }) => kind === 'recovery')).toHaveLength(1)
    await closeParts(again)
  })

  test('takes a memtable of as many records as bufferBytes holds', async () => {
    const parts = await openParts(newDisk())
    expect(parts.state.options.memtableRecords).toBe(128)
    await closeParts(parts)
  })

  test('with errorIfExists refuses a table that is there and releases everything', async () => {
    const disk = newDisk()
    await closeParts(await openParts(disk))
    const opening = openParts(disk, { ...OPTIONS, errorIfExists: true })
    await expect(opening).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
    expect(disk.openHandles).toBe(0)
  })

  test('without createIfMissing makes no directory', async () => {
    const disk = newDisk()
    const opening = openParts(disk, { ...OPTIONS, createIfMissing: false })
    await expect(opening).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
    expect(await disk.info(DIRECTORY)).toBeUndefined()
  })

  test('refuses a file in the place of the directory, with its path', async () => {
    const disk = newDisk()
    disk.writeFile(DIRECTORY, new Uint8Array(1))
    await expect(openParts(disk)).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR', path: DIRECTORY })
  })

  test('refuses stored options that differ', async () => {
    const disk = newDisk()
    await closeParts(await openParts(disk))
    const opening = openParts(disk, { ...OPTIONS, pageBytes: 8192 })
    await expect(opening).rejects.toMatchObject({ code: 'FLASHTABLE_SCHEMA_MISMATCH' })
  })
})

describe('an open for reading', () => {
  test('changes nothing on disk and has no writer', async () => {
    const disk = newDisk()
    const writer = await openParts(disk)
    await putKeys(writer, 0, 10)
    await closeParts(writer)
    const before = new Map(disk.files().map(path => [path, disk.readFile(path)]))
    const reader = await openParts(disk, { readOnly: true })
    expect(reader.writer).toBeUndefined()
    expect(countFound(reader, 10)).toBe(10)
    await closeParts(reader)
    expect(new Map(disk.files().map(path => [path, disk.readFile(path)]))).toEqual(before)
  })
})

test('the records that gather in memory are bounded, however small they are', async () => {
  const { state } = await openParts(newDisk(), { keyEncoding: 'u8', bufferBytes: 2 ** 30 })
  const { bufferRecords, memtableRecords } = state.options
  expect([bufferRecords, memtableRecords]).toEqual([2 ** 26, 2 ** 23])
})

/** A bulk load over the parts of a table: all or nothing, memory that may be used, what the counters say. */
import { describe, expect, test } from 'vitest'
import { bulkLoad } from '../../../src/bulk-load/bulk-load.js'
import type { TableParts } from '../../../src/table/table-parts.js'
import { closeParts } from '../table/close.js'
import { countFound, DIRECTORY, newDisk, openParts } from '../table/parts.js'

const LOAD = { memoryBytes: 2 ** 20, onProgress: undefined }

/** Columns of `sets` times 100 records, with ascending keys. */
function* columns(sets: number) {
  for (let set = 0; set < sets; set++) {
    const key = Uint32Array.from({ length: 100 }, (_, i) => 100 * set + i)
    yield { key, value: key }
  }
}

const load = (parts: TableParts, source: Iterable<unknown>, options: object = {}): Promise<void> =>
  bulkLoad(parts, parts.writer!, source, { ...LOAD, ...options })

describe('a bulk load', () => {
  test.each([
    ['of less than a memtable', 1, 2 ** 20],
    ['of several memtables, with spills in memory', 10, 2 ** 20],
    ['of several memtables, with spills in files', 10, 0],
  ])('%s makes one file with all records', async (_what, sets, memoryBytes) => {
    const disk = newDisk()
    const parts = await openParts(disk)
    await load(parts, columns(sets), { memoryBytes })
    expect(parts.state.version.files).toHaveLength(1)
    expect(countFound(parts, 100 * sets)).toBe(100 * sets)
    expect(parts.state.counters.read()).toMatchObject({ records: 100 * sets, recordBytes: 800 * sets })
    expect(parts.state.manifest.counters.records).toBe(100 * sets)
    expect(disk.files().filter(path => path.endsWith('.spill'))).toEqual([])
    await closeParts(parts)
    expect(disk.openHandles).toBe(0)
  })

  test('goes on with the next sequence number for the puts that follow', async () => {
    const parts = await openParts(newDisk())
    await load(parts, columns(3))
    expect(parts.writer!.wal.nextSequence).toBe(300)
    expect(parts.state.active.memtable.firstSequence).toBe(300)
    await closeParts(parts)
  })

  test('whose source throws leaves an empty table and no file', async () => {
    const disk = newDisk()
    const parts = await openParts(disk)
    const source = function* () {
      yield* columns(5)
      throw new Error('the source has ended early')
    }
    await expect(load(parts, source(), { memoryBytes: 0 })).rejects.toThrow('the source has ended early')
    expect(parts.state.version.files).toEqual([])
    expect(parts.state.counters.read().records).toBe(0)
    const left = disk.files().filter(path => path.startsWith(DIRECTORY) && /\.(bucket|spill)$/.test(path))
    expect(left).toEqual([])
    await closeParts(parts)
  })

  test('whose manifest cannot be installed counts nothing and removes its file', async () => {
    const disk = newDisk()
    const parts = await openParts(disk)
    disk.failAt(({ op, path }) => op === 'write' && path.endsWith('MANIFEST.tmp'), 'ENOSPC')
    await expect(load(parts, columns(5))).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
    expect(parts.state.counters.read().records).toBe(0)
    expect(disk.files().filter(path => path.endsWith('.bucket'))).toEqual([])
    await closeParts(parts)
  })
})

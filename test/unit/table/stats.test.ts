/** What statistics are made of; that they count without looking at rows. */
import { expect, test } from 'vitest'
import { DELETE_KEY } from '../../../src/records/operations.js'
import { Pins } from '../../../src/state/pins.js'
import { countRecords, tableStats } from '../../../src/table/stats.js'
import { closeParts } from './close.js'
import { newDisk, openParts, putKeys } from './parts.js'

test('records are counted from counters, without a look at the rows of memtables', async () => {
  const parts = await openParts(newDisk())
  await putKeys(parts, 0, 100)
  const { schema, state, writer } = parts
  await writer!.committer.commitRow(DELETE_KEY, schema.encodeDeleteKey(5), false)
  const { memtable } = state.active
  const rows = { lanes: 0, kinds: 0 }
  for (const name of ['lanes', 'kinds'] as const) {
    const value = memtable[name]
    Object.defineProperty(memtable, name, { get: () => (rows[name]++, value), configurable: true })
  }
  expect(countRecords(state)).toEqual({ records: 100, recordsAreExact: false })
  expect(rows).toEqual({ lanes: 0, kinds: 0 })
  for (const name of ['lanes', 'kinds'] as const) Reflect.deleteProperty(memtable, name)
  await closeParts(parts)
})

test('levels, memtables, sequence numbers and bytes are those of the parts', async () => {
  const disk = newDisk()
  const parts = await openParts(disk)
  await putKeys(parts, 0, 300)
  const stats = await tableStats(parts, new Pins(() => {}))
  const { state, writer } = parts
  expect(stats).toMatchObject({
    records: 300,
    recordsAreExact: true,
    recordsPut: 300,
    recordBytesPut: 2400,
    leastKey: 0,
    greatestKey: 299,
    pins: 0,
    poisoned: undefined,
    sequence: { next: 300, synced: writer!.wal.syncedSequence },
    memtable: { operations: state.active.memtable.count, capacity: 128 },
  })
  expect(stats.files).toHaveLength(state.version.files.length)
  const onDisk = disk.files().reduce((sum, path) => sum + disk.readFile(path).byteLength, 0)
  expect(stats.bytesOnDisk).toBeGreaterThanOrEqual(onDisk - 1)
  await closeParts(parts)
})

test('a poisoned table says why', async () => {
  const parts = await openParts(newDisk())
  parts.poison.latch(new Error('the disk went away'))
  expect((await tableStats(parts, new Pins(() => {}))).poisoned).toBe('the disk went away')
  await closeParts(parts).catch(() => {})
})

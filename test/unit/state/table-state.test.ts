/** What a table consists of: versions change by seal and install alone, and views stay as they were. */
import { describe, expect, test } from 'vitest'
import { parseManifest, type Manifest } from '../../../src/manifest/manifest.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import type { TableState } from '../../../src/state/table-state.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { DIRECTORY, newState } from './new-state.js'

const LAYOUT = recordLayout([4, 4], [])
const newTableState = () => newState(LAYOUT)

/** Appends puts to the active memtable, as the committer does. */
function put(state: TableState, count: number, segment: number): void {
  const operations = new OperationBuffer(LAYOUT, count)
  operations.count = count
  state.active.memtable.append(operations, 0, count)
  if (!state.active.segments.includes(segment)) state.active.segments.push(segment)
}

function installed(disk: SimulatedFileSystem): Manifest {
  const path = `${DIRECTORY}/MANIFEST`
  return parseManifest(disk.readFile(path), path)
}

const NOTHING = { removeFiles: [], removeRuns: 0 }

describe('a view', () => {
  test('keeps its length and its version while rows are appended and the memtable is sealed', () => {
    const { state } = newTableState()
    put(state, 3, 25)
    const view = state.view()
    put(state, 4, 25)
    state.seal()
    expect([view.length, view.sequence, view.version.sealed.length]).toEqual([3, 103, 0])
    expect(state.view()).toMatchObject({ length: 0, sequence: 107 })
    expect(state.view().version.sealed).toEqual([view.active])
  })

  test('is made once for each state', () => {
    const { state } = newTableState()
    expect(state.view()).toBe(state.view())
    const before = state.view()
    put(state, 1, 25)
    expect(state.view()).not.toBe(before)
  })
})

describe('an install', () => {
  test('makes the log begin at the first segment that a memtable still needs', async () => {
    const { disk, state } = newTableState()
    put(state, 5, 25)
    state.seal()
    put(state, 2, 31)
    await state.installRun(undefined, undefined)
    expect([state.version.sealed.length, state.version.runs.length]).toEqual([0, 1])
    await state.install({ ...NOTHING, removeRuns: 1 })
    expect(installed(disk)).toMatchObject({
      log: { closed: [], firstSegment: 30 },
      firstLogSequence: 105,
      nextSequence: 107,
    })
    expect(state.version.runs).toEqual([])
  })

  test('keeps the log of a sealed memtable that no file holds yet', async () => {
    const { disk, state } = newTableState()
    put(state, 5, 25)
    state.seal()
    await state.install(NOTHING)
    expect(installed(disk)).toMatchObject({ log: { firstSegment: 25 }, firstLogSequence: 100 })
    expect(state.version.sealed).toHaveLength(1)
  })

  test('keeps the log of a run, also where nothing is left of it', async () => {
    const { disk, state } = newTableState()
    put(state, 5, 25)
    state.seal()
    await state.installRun(undefined, undefined)
    put(state, 5, 26)
    await state.install(NOTHING)
    expect(installed(disk)).toMatchObject({ log: { firstSegment: 25 }, firstLogSequence: 100 })
  })

  test('that fails leaves the version as it was', async () => {
    const { disk, state } = newTableState()
    put(state, 5, 25)
    state.seal()
    const before = state.version
    disk.failAt(({ op }) => op === 'write', 'ENOSPC')
    await expect(state.install({ ...NOTHING, removeRuns: 1 })).rejects.toMatchObject({
      code: 'FLASHTABLE_DISK_FULL',
    })
    expect(state.version).toBe(before)
  })

  test('is refused by a poisoned table', async () => {
    const { disk, poison, state } = newTableState()
    poison.latch(new Error('a sync failed'))
    await expect(state.install(NOTHING)).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
    expect(disk.files()).not.toContain(`${DIRECTORY}/MANIFEST`)
  })

  test('stores the counters of this moment, with the bytes of the manifest itself', async () => {
    const { disk, state } = newTableState()
    state.counters.countLog(1000)
    state.counters.countEvents(100)
    state.counters.countPuts(3)
    await state.install(NOTHING)
    const bytes = disk.readFile(`${DIRECTORY}/MANIFEST`).byteLength
    expect(installed(disk).counters).toEqual({
      walBytes: 1001,
      bucketBytes: 2,
      manifestBytes: 3 + bytes,
      eventBytes: 6 + 100,
      recordBytes: 4 + 3 * LAYOUT.recordBytes,
      records: 8,
    })
    expect(state.counters.read()).toEqual(installed(disk).counters)
  })
})

describe('a clear', () => {
  test('drops everything and gives back the segments, and sequence numbers go on', async () => {
    const { disk, state } = newTableState()
    put(state, 5, 25)
    state.seal()
    put(state, 2, 31)
    expect(await state.clear()).toEqual({ segments: [25, 31] })
    expect(installed(disk)).toMatchObject({ files: [], firstLogSequence: 107, nextSequence: 107 })
    expect(state.view()).toMatchObject({ length: 0, sequence: 107 })
  })
})

test('file numbers are given once', () => {
  const { state } = newTableState()
  expect([state.takeFileNumber(), state.takeFileNumber()]).toEqual([30, 31])
})

test('a table that is closed keeps no memory for a next memtable', async () => {
  const { state } = newTableState()
  state.reserveMemory()
  expect(state.spareBytes).toBeGreaterThan(0)
  await state.close()
  expect(state.spareBytes).toBe(0)
})

/** A table's state on a disk of its own, for unit tests of the rooms around it. */
import { Poison } from '../../../src/base/poison.js'
import type { Manifest } from '../../../src/manifest/manifest.js'
import type { RecordLayout } from '../../../src/records/record-layout.js'
import { LifetimeCounters } from '../../../src/state/lifetime-counters.js'
import { newMemtable } from '../../../src/state/memtable-pool.js'
import { TableState } from '../../../src/state/table-state.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { sampleManifest } from '../manifest/sample.js'

export const DIRECTORY = '/tables/a'

/** A table with nothing in it, whose next segment is number 25 and whose next sequence number is 100. */
export const EMPTY = sampleManifest({
  files: [],
  log: { closed: [], firstSegment: 25 },
  firstLogSequence: 100,
  nextSequence: 100,
})

/** A table that was just created. */
export const NEW = sampleManifest({
  files: [],
  log: { closed: [], firstSegment: 1 },
  firstLogSequence: 0,
  nextSequence: 0,
  nextFileNumber: 1,
})

export function newState(
  layout: RecordLayout,
  memtableRecords = 100,
  manifest: Manifest = EMPTY,
  memtables = 1,
) {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile(`${DIRECTORY}/.keep`, new Uint8Array(0))
  const poison = new Poison()
  const options = {
    fileSystem: disk,
    directory: DIRECTORY,
    tableId: new Uint8Array(16),
    layout,
    pageBytes: 4096,
    memtableRecords,
    bufferRecords: memtableRecords * memtables,
    poison,
  }
  const active = newMemtable(options, manifest.nextSequence)
  const counters = new LifetimeCounters(manifest.counters, layout.recordBytes)
  const state = new TableState(options, { manifest, files: [], sealed: [], active }, counters)
  return { disk, poison, options, state }
}

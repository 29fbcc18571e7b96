import { expect, test } from 'vitest'
import { Poison } from '../../../src/base/poison.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { newMemtable } from '../../../src/state/memtable-pool.js'
import { TableState } from '../../../src/state/table-state.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { sampleManifest } from '../manifest/sample.js'

test('a table that is closed keeps no memory for a next memtable', async () => {
  const options = {
    fileSystem: new SimulatedFileSystem(),
    directory: '/tables/a',
    tableId: new Uint8Array(16),
    layout: recordLayout([4, 4], []),
    pageBytes: 4096,
    memtableRecords: 100,
    poison: new Poison(),
  }
  const state = new TableState(options, sampleManifest({ files: [] }), [], [], newMemtable(options, 0))
  state.reserveMemory()
  expect(state.spareBytes).toBeGreaterThan(0)
  await state.close()
  expect(state.spareBytes).toBe(0)
})

/** What a command does to each partition: what counts as not published. */
import { expect, test } from 'vitest'
import { FlashTableError } from '../../../../src/base/errors.js'
import { ofEach, type PartitionPlace } from '../../../../tools/cli/partitions.js'
import { SimulatedStore } from '../../../support/simulated-store.js'
import { testTables } from '../../../support/tables.js'

const tables = testTables()

test('only of a partition with nothing published a "not found" means that', async () => {
  const table = await tables.fingerprints()
  const [published, empty] = [new SimulatedStore(), new SimulatedStore()]
  await table.publish(published)
  const places = [published, empty].map((store, partition): PartitionPlace => ({
    partition,
    name: `${partition}`,
    store,
  }))
  const missing = (): Promise<never> =>
    Promise.reject(new FlashTableError('FLASHTABLE_NOT_FOUND', 'no version has this name'))
  const outcomes = await ofEach(places, new AbortController().signal, 2, missing)
  expect(outcomes).toEqual([
    { ...places[0], failure: { code: 'FLASHTABLE_NOT_FOUND', message: 'no version has this name' } },
    places[1],
  ])
})

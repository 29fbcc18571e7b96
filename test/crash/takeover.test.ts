/**
 * An open with a store that takes over what is published, on a machine that dies at any moment of it and loses what was not
 * synced: the next open goes on, and nothing of what was published is lost.
 */
import { expect, test } from 'vitest'
import { FlashTable } from '../../src/flash-table.js'
import {
  environmentOf,
  Machine,
  newStored,
  remoteOf,
  restoredKeys,
  upTo,
  type SetTable,
} from '../support/published.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { SimulatedStore, type StoredObjects } from '../support/simulated-store.js'

const DIRECTORY = '/second'
const PUBLISHED = 200

/** What another machine has published, which has ended for good. */
async function newPublished(): Promise<StoredObjects> {
  const first = new Machine(new SimulatedStore(newStored()), '/first')
  await first.put(PUBLISHED)
  await first.publish()
  await first.close()
  return first.store.stored
}

async function takeOver(store: SimulatedStore, disk: SimulatedFileSystem): Promise<SetTable> {
  const options = { remote: store, takeOver: true, interval: '10m', bufferBytes: 1024 } as const
  return (await FlashTable.openIn(DIRECTORY, options, environmentOf(disk))) as unknown as SetTable
}

/** The next open of the machine has all records, and goes on. */
async function expectGoesOn(stored: StoredObjects, disk: SimulatedFileSystem): Promise<void> {
  stored.settle()
  const table = await takeOver(new SimulatedStore(stored), disk)
  expect(await table.count()).toBe(PUBLISHED)
  await table.put(PUBLISHED)
  await table.replica!.sync()
  const { version } = remoteOf(stored)!.versions.at(-1)!
  expect(await restoredKeys(new SimulatedStore(stored), version)).toEqual(upTo(PUBLISHED + 1))
  await table.close()
  expect(disk.files().filter(path => path.includes('.restoring'))).toEqual([])
}

test.for(['the disk', 'the store'] as const)('the machine dies at any call of %s', async where => {
  for (let at = 1; ; at++) {
    const stored = await newPublished()
    const store = new SimulatedStore(stored)
    const disk = new SimulatedFileSystem(where === 'the disk' ? { crashAt: at } : {})
    if (where === 'the store') store.crashAt = at
    try {
      await (await takeOver(store, disk)).close()
      expect(at).toBeGreaterThan(where === 'the disk' ? 30 : 8)
      if (disk.calls < at || where === 'the store') break
    } catch (error) {
      expect((error as Error).message).toMatch(/simulated crash|machine is gone/)
    }
    await expectGoesOn(stored, disk.crashState(at))
  }
})

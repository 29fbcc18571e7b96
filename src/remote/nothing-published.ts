/**
 * What else a store may hold where no published table is: a table with partitions, each of which is a published table in a
 * place below. docs/api.md, Partitions.
 */
import { FlashTableError } from '../base/errors.js'
import type { ObjectStore, StoreCall } from '../store/object-store.js'

/** The key of the object that says how a table is divided, and its name in a writer's directory, where a copy is. */
export const PARTITIONS_KEY = 'PARTITIONS'

/** Whether there is a table with partitions. Cost: one request. */
export async function hasPartitions(store: ObjectStore, call: StoreCall): Promise<boolean> {
  return (await store.load(PARTITIONS_KEY, call)) !== undefined
}

/** The error where there is no published table. Cost: one request. */
export async function nothingPublished(store: ObjectStore, call: StoreCall): Promise<FlashTableError> {
  const { url } = store
  return new FlashTableError(
    'FLASHTABLE_NOT_FOUND',
    (await hasPartitions(store, call))
      ? `${url} has a table with partitions, and this is for one published table: ` +
          `open it with PartitionedTable.open, or take the store of a partition, below ${url}/p`
      : `there is no published table in ${url}`,
  )
}

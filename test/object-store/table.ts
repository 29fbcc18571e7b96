/** The table that is published: records in the order of their numbers, so that what is there is a prefix of the history, or not. */
import { strict as assert } from 'node:assert'
import { FlashTable, struct, verifyPublished, type ObjectStore } from '../../src/index.js'

const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', id: 'i32' }),
  bufferBytes: 65_536,
} as const

export type Table = Awaited<ReturnType<typeof openTable>>

export function openTable(directory: string) {
  return FlashTable.open(directory, OPTIONS)
}

/** Puts the next records. */
export async function put(table: Table, count: number): Promise<void> {
  const first = (await table.stats()).sequence.next
  const numbers = Array.from({ length: count }, (_, at) => first + at)
  await table.putColumns({
    key: BigUint64Array.from(numbers, number => BigInt(number * 7919)),
    time: Uint16Array.from(numbers, number => number % 1000),
    id: Int32Array.from(numbers),
  })
}

/** Restores the newest version, and checks that it is a prefix of the history; resolves to it. */
export async function restored(
  store: ObjectStore,
  directory: string,
): Promise<{ readonly version: number; readonly sequence: number }> {
  const { version, sequence } = await FlashTable.restore(store, directory, { verify: true })
  const table = await FlashTable.open(directory, { ...OPTIONS, readOnly: true })
  const ids: number[] = []
  for await (const { key, id } of table.scanColumns())
    for (let row = 0; row < id.length; row++) {
      assert.equal(key[row], BigInt(id[row]! * 7919))
      ids.push(id[row]!)
    }
  await table.close()
  ids.sort((a, b) => a - b)
  assert.equal(ids.length, sequence, 'all records before the sequence number of the version')
  for (const [at, id] of ids.entries()) assert.equal(id, at, 'a prefix of the history')
  return { version, sequence }
}

/** Every page of the newest version is as it should be, and no object of an older one is missing. */
export async function checkPublished(store: ObjectStore): Promise<void> {
  assert.deepEqual((await verifyPublished(store)).problems, [])
}

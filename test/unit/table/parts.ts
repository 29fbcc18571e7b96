/** Parts of tables on a simulated disk, opened without the face. */
import type { TableEvent } from '../../../src/base/events.js'
import { resolveOptions } from '../../../src/options/options.js'
import { PUT } from '../../../src/records/operations.js'
import { openTable } from '../../../src/table/open.js'
import type { TableParts } from '../../../src/table/table-parts.js'
import { simulatedEnvironment } from '../../support/simulated-environment.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

export const DIRECTORY = '/tables/parts'
/** Memtables of 128 records of 8 bytes. */
export const OPTIONS = { keyEncoding: 'u32', valueEncoding: 'u32', bufferBytes: 1024, cacheBytes: 65_536 }

export function newDisk(): SimulatedFileSystem {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  return disk
}

/** Opens the table; `events` gets what is published. */
export function openParts(
  disk: SimulatedFileSystem,
  options: object = OPTIONS,
  events: TableEvent[] = [],
): Promise<TableParts> {
  const publish = (event: TableEvent): void => void events.push(event)
  return openTable(DIRECTORY, resolveOptions(options), simulatedEnvironment(disk), publish)
}

/** Puts the keys from `from` to `to`, each with itself as its value. */
export async function putKeys({ schema, writer }: TableParts, from: number, to: number): Promise<void> {
  const puts: Promise<void>[] = []
  for (let key = from; key < to; key++)
    puts.push(writer!.committer.commitRow(PUT, schema.encodeRecord(key, key), false))
  await Promise.all(puts)
}

/** The number of records of the keys 0 to `count` - 1 that a lookup finds. */
export function countFound({ schema, reader, state }: TableParts, count: number): number {
  const lanes = new Uint32Array(schema.layout.keyLaneCount)
  let found = 0
  for (let key = 0; key < count; key++) {
    schema.encodeKey(key, lanes)
    found += reader.findSync(
      state.view(),
      lanes,
      { limit: Infinity, offset: 0, reverse: false },
      rows => rows.count,
    )
  }
  return found
}

/** Turns of the event loop that a seal may take. */
const TURNS_MAX = 1000

/** Waits until every sealed memtable is in a bucket file. */
export async function sealed({ state }: TableParts): Promise<void> {
  for (let turn = 0; state.version.sealed.length + state.version.runs.length > 0; turn++) {
    if (turn === TURNS_MAX) throw new Error(`${state.version.sealed.length} memtables are still sealed`)
    await new Promise(resolve => void setImmediate(resolve))
  }
}

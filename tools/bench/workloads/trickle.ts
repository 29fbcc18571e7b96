/** Few records between two syncs: what a sync costs the device. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { deviceBytes } from '../device.js'
import { randomRecords, RECORD_BYTES } from '../records.js'
import { openStore } from '../stores/open.js'
import type { Store } from '../stores/store.js'
import { BATCH_RECORDS, openTable, putRandom, settled } from '../table.js'
import { check, Skipped, type Workload } from '../workload.js'

const SYNC_RECORDS = 50
/** One every 5 s, which is what `syncIntervalMs` makes of it by default. */
const SYNCS_PER_HOUR = 720
const FIRST_SYNCS = 500
/** Small, so that segments are soon recycled; large enough that the trickle stays in one of them, a ninth of it. */
const BUFFER_BYTES = 32 * 2 ** 20
const FLUSHES = 4

export const trickle: Workload = {
  name: 'trickle',
  sentence:
    'Random records go in 50 at a time, each time on the device before the next: 500 times into a new store; then on to 12 hours of a sync every 5 s, without the pauses. Then 500 times into a table with log segments to write over.',
  stores: ['flashtable', 'rocksdb', 'leveldb', 'lmdb', 'sqlite'],
  records: 12 * SYNCS_PER_HOUR * SYNC_RECORDS,
  figures: {
    syncBytes: { unit: 'device bytes a sync, new store', better: 'less', target: 9000, digits: 4 },
    hourMegabytes: { unit: 'MB an hour, merges included', better: 'less' },
    recycledSyncBytes: { unit: 'device bytes a sync, recycled segment', better: 'less', digits: 4 },
  },
  async run({ directory, device, store: name, records }) {
    if (device === undefined) throw new Skipped('without a device of its own there is nothing to count')
    const syncs = Math.max(FIRST_SYNCS, Math.floor(records / SYNC_RECORDS))
    const store = await openStore(name, directory)
    const before = deviceBytes(device, directory)
    await trickleInto(store, 0, FIRST_SYNCS)
    const first = deviceBytes(device, directory) - before
    await trickleInto(store, FIRST_SYNCS, syncs)
    const last = randomRecords(syncs * SYNC_RECORDS - 1, syncs * SYNC_RECORDS)
    check((await store.get(last.key[0]!))?.id === last.id[0], () => 'the last record is not there')
    await store.close()
    const all = deviceBytes(device, directory) - before
    const figures = {
      syncBytes: first / FIRST_SYNCS,
      hourMegabytes: (all / syncs) * (SYNCS_PER_HOUR / 1e6),
    }
    if (name !== 'flashtable') return figures
    return { ...figures, recycledSyncBytes: await recycledSyncBytes(join(directory, 'recycled'), device) }
  },
}

/** Syncs [from, to), of the records that have their numbers. */
async function trickleInto({ load }: Pick<Store, 'load'>, from: number, to: number): Promise<void> {
  for (let sync = from; sync < to; sync++) {
    await load(randomRecords(sync * SYNC_RECORDS, (sync + 1) * SYNC_RECORDS))
  }
}

async function recycledSyncBytes(directory: string, device: string): Promise<number> {
  mkdirSync(directory)
  const table = await openTable(directory, { bufferBytes: BUFFER_BYTES })
  const perBatch = BATCH_RECORDS * RECORD_BYTES
  const flushRecords = Math.floor(BUFFER_BYTES / perBatch) * BATCH_RECORDS
  for (let flush = 0; flush <= FLUSHES; flush++) {
    // The last one fills nothing: its segment is a recycled one, and goes on.
    const from = flush * flushRecords
    await putRandom(table, from, flush < FLUSHES ? from + flushRecords : from + BATCH_RECORDS)
    await settled(table)
  }
  const before = deviceBytes(device, directory)
  const load: Store['load'] = async records => void (await table.putColumns(records, { sync: true }))
  await trickleInto({ load }, 0, FIRST_SYNCS)
  const bytes = deviceBytes(device, directory) - before
  const { files } = await table.stats()
  check(files.length === FLUSHES, () => `${files.length} files: more was flushed in the trickle`)
  await table.close()
  return bytes / FIRST_SYNCS
}

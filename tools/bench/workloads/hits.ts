/** Lookups one by one beside a store that maps its file into memory. */
import { hitRate, medianOfRounds, missRate, type GetNow } from '../lookup-rounds.js'
import { randomRecords } from '../records.js'
import { openStore } from '../stores/open.js'
import { SYNC_RECORDS } from '../table.js'
import type { Workload } from '../workload.js'

/** A round. */
const LOOKUPS = 1_000_000

export const hits: Workload = {
  name: 'hits',
  sentence:
    'Random records are loaded, and compacted where the store can do that; then single keys are asked for by ' +
    'the synchronous call of each store, which gives an object with the fields of the record. A figure is the ' +
    'median of three rounds of other keys, after one that warms up.',
  stores: ['flashtable', 'lmdb'],
  records: 3_000_000,
  figures: {
    hitsPerSecond: { unit: 'hits/s, all cached', better: 'more', peerTarget: 4 },
    missesPerSecond: { unit: 'misses/s, all cached', better: 'more' },
  },
  async run({ directory, store: name, records }) {
    const store = await openStore(name, directory)
    for (let from = 0; from < records; from += SYNC_RECORDS) {
      await store.load(randomRecords(from, Math.min(from + SYNC_RECORDS, records)))
    }
    await store.compact?.()
    const get = store.get as GetNow
    const hitsPerSecond = await medianOfRounds(seed => hitRate(get, records, LOOKUPS, seed))
    const missesPerSecond = await medianOfRounds(seed => missRate(get, LOOKUPS, seed))
    await store.close()
    return { hitsPerSecond, missesPerSecond }
  },
}

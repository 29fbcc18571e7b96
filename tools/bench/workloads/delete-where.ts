/** Deletes all records of one of 1,000 ids. */
import { randomRecords } from '../records.js'
import { BATCH_RECORDS, bytesWritten, openTable, settled, type Table } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

const IDS = 1000
const DELETED = 7
const LOOKUPS = 500_000

export const deleteWhere: Workload = {
  name: 'delete-where',
  sentence:
    'Of random records with 1,000 different ids, those of one id are deleted by `delWhere`; lookups of the others before and after, then a compaction that drops them.',
  stores: ['flashtable'],
  records: 10_000_000,
  figures: {
    deleteMs: { unit: 'ms for the delWhere, synced', better: 'less' },
    bytesWritten: { unit: 'bytes written for it', better: 'less' },
    hitsBefore: { unit: 'getSync hits/s before', better: 'more' },
    hitsAfter: { unit: 'getSync hits/s after', better: 'more' },
    compactSeconds: { unit: 's compact', better: 'less' },
  },
  async run({ directory, records }) {
    const table = await openTable(directory, { cacheBytes: 256 * 2 ** 20 })
    for (let from = 0; from < records; from += BATCH_RECORDS) {
      await table.putColumns(withIds(from, Math.min(from + BATCH_RECORDS, records)))
    }
    await table.sync()
    await settled(table)
    const keys = withIds(0, Math.min(LOOKUPS, records))
    lookUp(table, keys, false)
    const before = lookUp(table, keys, false)
    const written = bytesWritten(await table.stats())
    const deleteMs = 1000 * (await seconds(() => table.delWhere({ id: DELETED }, { sync: true })))
    const bytes = bytesWritten(await table.stats()) - written
    lookUp(table, keys, true)
    const after = lookUp(table, keys, true)
    const compactSeconds = await seconds(() => table.compact())
    const stats = await table.stats()
    check(
      stats.records === records - Math.ceil((records - DELETED) / IDS),
      () => `${stats.records} records left`,
    )
    await table.close()
    return { deleteMs, bytesWritten: bytes, hitsBefore: before, hitsAfter: after, compactSeconds }
  },
}

function withIds(from: number, to: number) {
  const records = randomRecords(from, to)
  return { ...records, id: records.id.map(id => id % IDS) }
}

/** Lookups a second. */
function lookUp(table: Table, { key, id }: ReturnType<typeof withIds>, deleted: boolean): number {
  const start = performance.now()
  for (let row = 0; row < key.length; row++) {
    const expected = deleted && id[row] === DELETED ? undefined : id[row]
    check(table.getSync(key[row]!)?.id === expected, () => `key ${key[row]}`)
  }
  return key.length / ((performance.now() - start) / 1000)
}

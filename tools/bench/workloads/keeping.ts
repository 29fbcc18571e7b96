/** Bulk load against putColumns, compaction and checkpoint. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { RECORD_BYTES } from '../records.js'
import { bulkLoadRandom, bytesWritten, openTable, putRandom, settled, tableDirectory } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

/**
 * A rest before each of the two loads. A virtual machine gives memory that nobody uses back to its host within seconds,
 * and getting it again takes time: without a rest the second load would have the memory of the first.
 */
const REST_MS = 5000

export const keeping: Workload = {
  name: 'keeping',
  sentence:
    'The same random records by `bulkLoad` and by `putColumns`; the latter are compacted and checkpointed.',
  stores: ['flashtable'],
  records: 30_000_000,
  figures: {
    bulkLoadSeconds: { unit: 's bulkLoad', better: 'less' },
    bulkLoadPerSecond: { unit: 'records/s by bulkLoad', better: 'more', target: 15_000_000 },
    bulkLoadAmplification: { unit: 'bytes written / record bytes by bulkLoad', better: 'less' },
    putColumnsSeconds: { unit: 's putColumns, merges included', better: 'less' },
    bulkLoadShare: { unit: 'bulkLoad time / putColumns time', better: 'less', target: 0.5 },
    checkpointMs: { unit: 'ms checkpoint', better: 'less' },
    compactSeconds: { unit: 's compact', better: 'less' },
    compactPerSecond: { unit: 'records/s by compact', better: 'more', target: 12_500_000 },
  },
  async run({ directory, records }) {
    let amplification = 0
    await setTimeout(REST_MS)
    const bulkLoadSeconds = await seconds(async () => {
      const table = await bulkLoadRandom(directory, records)
      amplification = bytesWritten(await table.stats()) / (records * RECORD_BYTES)
      await table.close()
    })
    rmSync(tableDirectory(directory), { recursive: true })
    await setTimeout(REST_MS)
    const table = await openTable(directory)
    const putColumnsSeconds = await seconds(async () => {
      await putRandom(table, 0, records)
      await settled(table)
    })
    const checkpointMs = 1000 * (await seconds(() => table.checkpoint(join(directory, 'checkpoint'))))
    const compactSeconds = await seconds(() => table.compact())
    const stats = await table.stats()
    check(stats.records === records && stats.files.length === 1, () => `${stats.records} records`)
    await table.close()
    return {
      bulkLoadSeconds,
      bulkLoadPerSecond: records / bulkLoadSeconds,
      bulkLoadAmplification: amplification,
      putColumnsSeconds,
      bulkLoadShare: bulkLoadSeconds / putColumnsSeconds,
      checkpointMs,
      compactSeconds,
      compactPerSecond: records / compactSeconds,
    }
  },
}

/** A table that grows: speed, memory and write amplification of the whole load, merges included. */
import { inChild } from '../child.js'
import { deviceBytes } from '../device.js'
import { RECORD_BYTES } from '../records.js'
import { bytesWritten, openTable, putRandom, settled } from '../table.js'
import { peakRssMiB, seconds } from '../timing.js'
import type { Figures, Workload } from '../workload.js'

const POINTS = [4, 8, 16, 30, 50, 100].map(millions => millions * 1_000_000)

export const growth: Workload = {
  name: 'growth',
  sentence:
    'Random records go in by `putColumns` of 10,000, synced every MiB, and at each size the bytes written and ' +
    'the seconds so far are noted once all merges have ended. Then a fresh process looks up records in the ' +
    'table as it is, with default options: misses first, then hits, the median of three rounds of other keys, ' +
    'after one that warms up.',
  stores: ['flashtable'],
  records: 30_000_000,
  figures: {
    recordsPerSecond: { unit: 'records/s, merges included', better: 'more', target: 3_000_000 },
    worstAmplification: {
      unit: 'bytes written / record bytes, at the worst size',
      better: 'less',
      target: 2.25,
    },
    ...Object.fromEntries(
      POINTS.map(point => [
        `amplificationAt${point / 1e6}M`,
        { unit: `bytes written / record bytes at ${point / 1e6} M`, better: 'less' as const, target: 2.25 },
      ]),
    ),
    deviceAmplification: { unit: 'device bytes / record bytes at the end', better: 'less', target: 2.25 },
    peakRssMiB: { unit: 'MiB RSS while loading', better: 'less' },
    rssLimitMiB: { unit: 'MiB: 350 and 1.3 bytes a record, the most it may be' },
    hitsPerSecond: { unit: 'getSync hits/s on the result', better: 'more', target: 800_000 },
    columnKeysPerSecond: { unit: 'getColumns keys/s on the result', better: 'more', target: 1_000_000 },
    pageReadsPerWarmKey: { unit: 'page reads a key then: 0 if all is cached' },
    missesPerSecond: { unit: 'getSync misses/s on the result', better: 'more' },
    pageReadsPerMiss: { unit: 'page reads a miss, not compacted', better: 'less', target: 0.1 },
    files: { unit: 'bucket files at the end' },
  },
  async run({ directory, device, records }) {
    const before = device === undefined ? 0 : deviceBytes(device, directory)
    const table = await openTable(directory)
    const figures: Figures = {}
    let loaded = 0
    let spent = 0
    let worst = 0
    for (const point of [...POINTS.filter(point => point < records), records]) {
      spent += await seconds(() => putRandom(table, loaded, point))
      spent += await seconds(async () => void (await settled(table)))
      loaded = point
      const stats = await table.stats()
      const amplification = bytesWritten(stats) / (point * RECORD_BYTES)
      worst = Math.max(worst, amplification)
      figures[`amplificationAt${point / 1e6}M`] = amplification
    }
    figures['worstAmplification'] = worst
    figures['recordsPerSecond'] = records / spent
    figures['peakRssMiB'] = peakRssMiB()
    figures['rssLimitMiB'] = 350 + (1.3 * records) / 2 ** 20
    await table.close()
    if (device !== undefined) {
      figures['deviceAmplification'] = (deviceBytes(device, directory) - before) / records / RECORD_BYTES
    }
    return { ...figures, ...(await inChild('lookupsAsIs', { directory, records })) }
  },
}

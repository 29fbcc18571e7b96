/** A table that grows: speed, memory, files and write amplification of the whole load, merges included. */
import { statfsSync } from 'node:fs'
import { inChild } from '../child.js'
import { deviceBytes } from '../device.js'
import { RECORD_BYTES } from '../records.js'
import { bytesWritten, openTable, putRandom, settled, type Table } from '../table.js'
import { peakRssMiB, seconds } from '../timing.js'
import { Skipped, type Figures, type Workload } from '../workload.js'

/** Millions of records, and the most that may be written a byte there. */
const POINTS = new Map([
  [3, 1.25],
  [8, 2.3],
  [16, 2.3],
  [30, 1.5],
  [50, 2.3],
  [100, 1.6],
  [140, 2.3],
  [300, 2.3],
  [1000, 2.3],
])
/** Bytes of disk that a record needs, while the largest merge runs. */
const DISK_BYTES = 40
/** Records between two looks at the number of files. */
const LOOK_RECORDS = 1_000_000

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
    recordsPerSecond: { unit: 'records/s, merges included', better: 'more', target: 9_000_000 },
    cpuNs: { unit: 'ns of processor time a record, all threads', better: 'less', target: 150 },
    worstAmplification: {
      unit: 'bytes written / record bytes, at the worst size',
      better: 'less',
      target: 2.3,
    },
    ...Object.fromEntries(
      [...POINTS].map(([millions, target]) => [
        `amplificationAt${millions}M`,
        { unit: `bytes written / record bytes at ${millions} M`, better: 'less' as const, target },
      ]),
    ),
    deviceAmplification: { unit: 'device bytes / record bytes at the end', better: 'less', target: 2.3 },
    peakRssMiB: { unit: 'MiB RSS while loading', better: 'less' },
    rssLimitMiB: { unit: 'MiB: the most it may be (320 up to 30 M, 400 up to 100 M, 450 above)' },
    mostFiles: { unit: 'bucket files, the most at any time', better: 'less', target: 32 },
    delayedMs: { unit: 'ms that puts were delayed because merges were behind' },
    hitsPerSecond: { unit: 'getSync hits/s on the result', better: 'more', target: 800_000 },
    columnKeysPerSecond: { unit: 'getColumns keys/s on the result', better: 'more', target: 1_000_000 },
    pageReadsPerWarmKey: { unit: 'page reads a key then: 0 if all is cached' },
    missesPerSecond: { unit: 'getSync misses/s on the result', better: 'more' },
    pageReadsPerMiss: { unit: 'page reads a miss, not compacted', better: 'less', target: 0.1 },
    files: { unit: 'bucket files at the end' },
  },
  async run({ directory, device, records }) {
    const { bavail, bsize } = statfsSync(directory)
    const needed = records * DISK_BYTES
    if (bavail * bsize < needed)
      throw new Skipped(
        `${records} records need ${needed / 1e9} GB of disk, ${(bavail * bsize) / 1e9} GB are free`,
      )
    const before = device === undefined ? 0 : deviceBytes(device, directory)
    const table = await openTable(directory)
    const figures: Figures = {}
    let loaded = 0
    let spent = 0
    let worst = 0
    let mostFiles = 0
    const cpu = process.cpuUsage()
    const points = [...POINTS.keys()].map(millions => millions * 1e6).filter(point => point < records)
    for (const point of [...points, records]) {
      spent += await seconds(async () => {
        for (let from = loaded; from < point; from += LOOK_RECORDS) {
          await putRandom(table, from, Math.min(point, from + LOOK_RECORDS))
          mostFiles = Math.max(mostFiles, await fileCount(table))
        }
        await settled(table)
      })
      loaded = point
      const stats = await table.stats()
      const amplification = bytesWritten(stats) / (point * RECORD_BYTES)
      worst = Math.max(worst, amplification)
      figures[`amplificationAt${point / 1e6}M`] = amplification
    }
    const { user, system } = process.cpuUsage(cpu)
    figures['cpuNs'] = (1000 * (user + system)) / records
    figures['worstAmplification'] = worst
    figures['recordsPerSecond'] = records / spent
    figures['peakRssMiB'] = peakRssMiB()
    figures['rssLimitMiB'] = records <= 30e6 ? 320 : records <= 100e6 ? 400 : 450
    figures['mostFiles'] = mostFiles
    figures['delayedMs'] = (await table.stats()).delays.totalMs
    await table.close()
    if (device !== undefined) {
      figures['deviceAmplification'] = (deviceBytes(device, directory) - before) / records / RECORD_BYTES
    }
    return { ...figures, ...(await inChild('lookupsAsIs', { directory, records })) }
  },
}

async function fileCount(table: Table): Promise<number> {
  return (await table.stats()).files.length
}

/** What the commands tell of `table.stats()`. */
import { FlashTable, type TableStats } from '../../src/index.js'
import { closing } from './closing.js'
import { formatBytes, formatCount } from './output.js'

/** Of a table that nobody has to have open: reads alone, changes nothing. */
export async function readStats(directory: string): Promise<TableStats> {
  return closing(await FlashTable.open(directory, { readOnly: true }), table => table.stats())
}

/** What was written in the whole life of the table, by purpose. */
export function writtenText(stats: TableStats): [label: string, value: string][] {
  const { wal, buckets, manifest } = stats.bytesWritten
  return [
    [
      'written',
      `${formatBytes(wal + buckets + manifest)}: log ${formatCount(wal)}, ` +
        `bucket files ${formatCount(buckets)}, manifest ${formatCount(manifest)}`,
    ],
    ['write amplification', `${stats.writeAmplification.toFixed(2)} (bytes written / bytes of records put)`],
    ['on disk', formatBytes(stats.bytesOnDisk)],
  ]
}

/** Bucket files, their bytes, and the bytes of all files: log and manifest too. */
export interface FileTotals {
  readonly bucketFiles: number
  readonly bucketBytes: number
  readonly bytesOnDisk: number
}

export function filesOf({ files, bytesOnDisk }: TableStats): FileTotals {
  const bucketBytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return { bucketFiles: files.length, bucketBytes, bytesOnDisk }
}

/** What the commands show of `table.stats()`. */
import { FlashTable, type TableStats } from '../../src/index.js'
import { closing } from './closing.js'
import { formatBytes, formatCount } from './output.js'

/** Reads them from a table that need not be open anywhere; changes nothing. */
export async function readStats(directory: string): Promise<TableStats> {
  return closing(await FlashTable.open(directory, { readOnly: true }), table => table.stats())
}

/** What was written in the whole life of the table, by purpose. */
export function writtenText(stats: TableStats): [label: string, value: string][] {
  const { wal, buckets, manifest, events } = stats.bytesWritten
  return [
    [
      'written',
      `${formatBytes(wal + buckets + manifest + events)}: log ${formatCount(wal)}, ` +
        `bucket files ${formatCount(buckets)}, manifest ${formatCount(manifest)}, event log ${formatCount(events)}`,
    ],
    ['write amplification', `${stats.writeAmplification.toFixed(2)} (bytes written / bytes of records put)`],
    ...storedText(stats),
  ]
}

function storedText(stats: TableStats): [label: string, value: string][] {
  const stored = `${formatBytes(stats.bytesOnDisk)}${dataPagesText(stats)}`
  // A published table has no log.
  if (stats.remote !== undefined) return [['in the store', stored]]
  return [
    ['on disk', stored],
    [
      'log on disk',
      `${formatBytes(stats.logBytesOnDisk)}, spare segments ${formatCount(stats.spareBytesOnDisk)}`,
    ],
    ...(stats.pinnedBytes === 0 ? [] : [pinnedText(stats)]),
  ]
}

function dataPagesText({ files, dataBytesOnDisk }: TableStats): string {
  if (files.length === 0) return ''
  const records = files.reduce((sum, file) => sum + file.records, 0)
  const each = records === 0 ? '' : `: ${(dataBytesOnDisk / records).toFixed(2)} a record`
  return `, of which data pages of bucket files ${formatCount(dataBytesOnDisk)}${each}`
}

function pinnedText({ pinnedBytes }: TableStats): [label: string, value: string] {
  return ['besides', `${formatBytes(pinnedBytes)} of files that have no name any more, and are still read`]
}

/** What is on disk. */
export interface FileTotals {
  readonly bucketFiles: number
  readonly bucketBytes: number
  /** Log and manifest. Log segments that are no longer needed are kept, to be overwritten. */
  readonly otherBytes: number
}

export function filesOf({ files, bytesOnDisk }: TableStats): FileTotals {
  const bucketBytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return { bucketFiles: files.length, bucketBytes, otherBytes: Math.max(0, bytesOnDisk - bucketBytes) }
}

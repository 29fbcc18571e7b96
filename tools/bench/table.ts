/** flashtable as the workloads use it. */
import { join } from 'node:path'
import { nextMerge } from '../../src/compaction/policy.js'
import { FlashTable, struct, type TableOptions, type TableStats } from '../../src/index.js'
import { randomRecords } from './records.js'

export const ENCODINGS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

export type Table = Awaited<ReturnType<typeof openTable>>

/** Records between two syncs: 1 MiB of them. */
export const SYNC_RECORDS = 65_536
/** Records in a batch, unless the workload says otherwise. */
export const BATCH_RECORDS = 10_000
/** The defaults of the options; no others are measured. */
const FANOUT = 16
const RUNS_PER_FLUSH = 8

export function tableDirectory(directory: string): string {
  return join(directory, 'table')
}

export function openTable(directory: string, options: TableOptions = {}) {
  return FlashTable.open(tableDirectory(directory), { ...ENCODINGS, ...options })
}

/** Puts random records [from, to) in batches, with a sync every MiB. */
export async function putRandom(table: Table, from: number, to: number): Promise<void> {
  let synced = from
  for (let at = from; at < to; at += BATCH_RECORDS) {
    await table.putColumns(randomRecords(at, Math.min(at + BATCH_RECORDS, to)))
    if (at - synced < SYNC_RECORDS) continue
    await table.sync()
    synced = at
  }
  await table.sync()
}

/** Builds a table of random records, from number `first` on, as one file, without the log, and opens it. */
export async function bulkLoadRandom(directory: string, records: number, first = 0) {
  function* source() {
    const end = first + records
    for (let at = first; at < end; at += SYNC_RECORDS)
      yield randomRecords(at, Math.min(at + SYNC_RECORDS, end))
  }
  return FlashTable.bulkLoad(tableDirectory(directory), ENCODINGS, source())
}

/** Waits until no seal, no flush and no merge is left to do; then returns the statistics. */
export async function settled(table: Table): Promise<TableStats> {
  for (;;) {
    const stats = await table.stats()
    const { memtable, runs, files } = stats
    if (memtable.sealed === 0 && runs.count < RUNS_PER_FLUSH && nextMerge(files, FANOUT) === undefined)
      return stats
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Bytes given to write calls. */
export function bytesWritten({ bytesWritten: { wal, buckets, manifest } }: TableStats): number {
  return wal + buckets + manifest
}

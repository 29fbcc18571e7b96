/** What `stats()` tells. docs/api.md, Statistics. */
import { bucketName, walName } from './io/file-names.js'
import { listTable } from './recovery.js'
import type { TableParts } from './open.js'

/** One bucket file. */
export interface FileStats {
  readonly name: string
  readonly level: number
  /** Puts in it, hidden ones included. */
  readonly records: number
  readonly bytes: number
  /** Of these, data pages alone. */
  readonly dataBytes: number
}

/** A table at a moment. */
export interface TableStats {
  /** Puts that are stored and not known to be hidden by deletes. */
  readonly records: number
  /** Whether `records` is exact: nothing was deleted or replaced that no merge has dropped yet. */
  readonly recordsAreExact: boolean
  /** Records put in the life of the table. */
  readonly recordsPut: number
  /** Bytes of the records put in the life of the table. */
  readonly recordBytesPut: number
  /** Bytes handed to write calls in the life of the table, by purpose. */
  readonly bytesWritten: { readonly wal: number; readonly buckets: number; readonly manifest: number }
  /** All bytes written / bytes of the records put; 0 where none was put. */
  readonly writeAmplification: number
  /** Sizes of all files together. */
  readonly bytesOnDisk: number
  /** Of these, data pages of bucket files. */
  readonly dataBytesOnDisk: number
  /** How many bucket files each level has, from level 0 on. */
  readonly levels: readonly number[]
  /** Oldest first. */
  readonly files: readonly FileStats[]
  readonly memtable: {
    readonly operations: number
    readonly capacity: number
    /** Memtables that wait for their bucket file. */
    readonly sealed: number
  }
  readonly sequence: { readonly next: number; readonly synced: number }
  /** Pages of bucket files that lookups read from disk since the files were opened. */
  readonly pageReads: number
  /** Filters and fences in memory. */
  readonly residentBytes: number
  /** Puts that waited for a seal, and for how long in all. */
  readonly waits: { readonly count: number; readonly totalMs: number }
  /** A merge waits because the disk has no room for its output. */
  readonly waitingForSpace: boolean
  /** Snapshots and scans that pin files. */
  readonly pins: number
}

export async function tableStats(parts: TableParts, pins: number): Promise<TableStats> {
  const { state, writer, directory } = parts
  const { pageBytes, fileSystem } = state.options
  const { version, active, manifest } = state
  const counters = writer?.counters() ?? manifest.counters
  const memtables = [...version.sealed, active].map(({ memtable }) => memtable)
  const files = version.files.map(({ entry, footer }) => ({
    name: bucketName(entry.number),
    level: entry.level,
    records: entry.records,
    bytes: entry.pages * pageBytes,
    dataBytes: footer.dataPages * pageBytes,
  }))
  const { walBytes, bucketBytes, manifestBytes, recordBytes, records } = counters
  const written = walBytes + bucketBytes + manifestBytes
  const levels: number[] = []
  for (const { level } of files) {
    while (levels.length <= level) levels.push(0)
    levels[level]!++
  }
  const { wals } = await listTable(fileSystem, directory)
  let walBytesOnDisk = 0
  for (const number of wals)
    walBytesOnDisk += (await fileSystem.info(`${directory}/${walName(number)}`))?.bytes ?? 0
  const manifestOnDisk = (await fileSystem.info(`${directory}/MANIFEST`))?.bytes ?? 0
  const hidden = version.files.some(
    file => file.footer.deleteKeys + file.footer.deleteRecords + file.deletes.length > 0,
  )
  // One bucket file holds a key once; together with others, or in a memtable, it may be there again.
  const replaced =
    manifest.duplicates === 'replace' && (files.length > 1 || memtables.some(({ count }) => count > 0))
  const live = countLive(memtables, files)
  return {
    records: live.records,
    recordsAreExact: !hidden && !replaced && live.exact,
    recordsPut: records,
    recordBytesPut: recordBytes,
    bytesWritten: { wal: walBytes, buckets: bucketBytes, manifest: manifestBytes },
    writeAmplification: recordBytes === 0 ? 0 : written / recordBytes,
    bytesOnDisk: sum(files.map(file => file.bytes)) + walBytesOnDisk + manifestOnDisk,
    dataBytesOnDisk: sum(files.map(file => file.dataBytes)),
    levels,
    files,
    memtable: {
      operations: active.memtable.count,
      capacity: active.memtable.capacity,
      sealed: version.sealed.length,
    },
    sequence: {
      next: active.memtable.endSequence,
      synced: writer?.wal.syncedSequence ?? manifest.nextSequence,
    },
    pageReads: sum(version.files.map(file => file.pageReads)),
    residentBytes: sum(version.files.map(file => file.residentBytes)),
    waits: { count: writer?.committer.waits ?? 0, totalMs: writer?.committer.waitedMs ?? 0 },
    waitingForSpace: writer?.compactor.waitingForSpace ?? false,
    pins,
  }
}

/** Puts in memtables and files; exact where no memtable holds a delete. */
function countLive(
  memtables: readonly { count: number; kinds: Uint8Array | undefined; deletes: readonly unknown[] }[],
  files: readonly FileStats[],
): { records: number; exact: boolean } {
  let records = sum(files.map(file => file.records))
  let exact = true
  for (const { count, kinds, deletes } of memtables) {
    if (deletes.length > 0) exact = false
    for (let row = 0; row < count; row++) {
      if (kinds === undefined || kinds[row] === 0) records++
      else exact = false
    }
  }
  return { records, exact }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** The figures that advice looks at, taken from what was read of a table. Plain numbers: a test writes them down. */
import type { Facts, Failure } from './facts.js'

export interface Figures {
  readonly directory: string
  /** Why the table cannot be opened for reading. */
  readonly openFailure: Failure | undefined
  /** Damaged places that `verify`, or else `inspect`, has found. */
  readonly problems: number
  readonly isVerified: boolean
  /** Why verify gave up. */
  readonly verifyFailure: string | undefined
  /** From the event log: why writes were stopped, if the table was not opened again. */
  readonly poisoned: string | undefined
  /** From the event log: what a flush or merge waits for. */
  readonly waitingFor: string | undefined
  readonly waitingSince: Date | undefined
  readonly freeBytes: number | undefined

  readonly files: number
  /** Bytes of bucket files, and their records. */
  readonly bucketBytes: number
  readonly recordsInFiles: number
  /** Of these, about how many newer files hide; `undefined`: not known. */
  readonly hiddenRecords: number | undefined
  /** Deletes of keys and of records, and *delete where* entries, in files and log. */
  readonly deletes: number
  readonly deleteWheres: number
  /** Of these, entries that are only in the log: estimates of what is hidden leave them out. */
  readonly logDeleteWheres: number
  /** Files with keys that have no filter. */
  readonly filesWithoutFilter: number
  /** Files whose range a record's key is in: on average, and the most. */
  readonly meanFiles: number
  readonly mostFiles: number

  readonly records: number
  readonly logRecords: number
  readonly logBytes: number
  readonly spareBytes: number
  readonly bytesOnDisk: number

  readonly recordBytesPut: number
  readonly written: { readonly log: number; readonly buckets: number; readonly other: number }
  /** Files that the manifest does not name. */
  readonly orphans: number
  /** Where the log breaks off, as it may after a crash. */
  readonly tornAt: string | undefined
}

export function figuresOf(facts: Facts): Figures {
  const { opened, inspected, keySpace, verification, wear } = facts
  const files = inspected?.files ?? []
  const stats = opened?.stats
  // Without a segment there is no place to tell.
  const torn = inspected?.tornAt?.file.endsWith('.wal') === true ? inspected.tornAt : undefined
  return {
    directory: facts.directory,
    openFailure: facts.openFailure,
    problems: verification?.problems.length ?? inspected?.problems.length ?? 0,
    isVerified: verification !== undefined,
    verifyFailure: facts.verifyFailure?.message,
    poisoned: wear?.poisoned,
    waitingFor: wear?.waiting?.reason,
    waitingSince: wear?.waiting?.since,
    freeBytes: facts.freeBytes,
    files: files.length,
    bucketBytes: sum(files.map(file => file.bytes)),
    recordsInFiles: sum(files.map(file => file.records)),
    hiddenRecords: inspected?.hiding.hiddenRecords ?? undefined,
    deletes: (inspected?.hiding.deleteKeys ?? 0) + (inspected?.hiding.deleteRecords ?? 0),
    deleteWheres: inspected?.hiding.deleteWheres ?? 0,
    logDeleteWheres:
      (inspected?.hiding.deleteWheres ?? 0) - sum(files.map(file => file.footer?.deleteWheres ?? 0)),
    filesWithoutFilter: files.filter(file => (file.dataPages ?? 0) > 0 && file.filterBitsPerKey === 0).length,
    meanFiles: keySpace?.meanFiles ?? 0,
    mostFiles: keySpace?.mostFiles ?? 0,
    records: stats?.records ?? 0,
    logRecords: inspected?.logRecords ?? 0,
    logBytes: stats?.logBytesOnDisk ?? 0,
    spareBytes: stats?.spareBytesOnDisk ?? 0,
    bytesOnDisk: stats?.bytesOnDisk ?? 0,
    recordBytesPut: stats?.recordBytesPut ?? 0,
    written: {
      log: stats?.bytesWritten.wal ?? 0,
      buckets: stats?.bytesWritten.buckets ?? 0,
      other: (stats?.bytesWritten.manifest ?? 0) + (stats?.bytesWritten.events ?? 0),
    },
    orphans: inspected?.orphans.length ?? 0,
    tornAt: torn === undefined ? undefined : `${torn.file}:${torn.offset}`,
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

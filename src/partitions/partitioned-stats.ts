/** What `stats()` of a table with partitions reports. docs/api.md, Partitions. */
import type { TableStats } from '../table/stats.js'
import type { PartitionsInUse } from './partitions-in-use.js'

/** One partition at a moment. */
export interface PartitionStats {
  readonly partition: number
  /** The directory of the table that this process writes, or the address of the published one. */
  readonly location: string
  /** Whether this process writes it. */
  readonly written: boolean
  /** `undefined`: nobody has published it. */
  readonly table: TableStats | undefined
}

/** A table with partitions at a moment: sums, and each partition. */
export interface PartitionedStats {
  /** As in {@link TableStats}. */
  readonly records: number
  readonly recordsAreExact: boolean
  readonly recordsPut: number
  readonly recordBytesPut: number
  /** What the directories of this process take; of what it only reads nothing. */
  readonly bytesOnDisk: number
  /** Of bucket files, wherever they are. */
  readonly fileBytes: number
  readonly files: number
  readonly pageReads: number
  readonly partitions: readonly PartitionStats[]
}

/** Requires: all are open that are published. */
export async function partitionedStats({ all }: PartitionsInUse): Promise<PartitionedStats> {
  const partitions = await Promise.all(
    all.map(async partition => ({
      partition: partition.number,
      location: partition.location,
      written: partition.isWritten,
      table: await partition.read<TableStats | undefined>(undefined, table => table.stats()),
    })),
  )
  const tables = partitions.flatMap(({ table }) => table ?? [])
  const sum = (value: (table: TableStats) => number): number =>
    tables.reduce((total, table) => total + value(table), 0)
  return {
    records: sum(({ records }) => records),
    recordsAreExact: tables.every(({ recordsAreExact }) => recordsAreExact),
    recordsPut: sum(({ recordsPut }) => recordsPut),
    recordBytesPut: sum(({ recordBytesPut }) => recordBytesPut),
    bytesOnDisk: partitions.reduce(
      (total, { written, table }) => total + (written ? table!.bytesOnDisk : 0),
      0,
    ),
    fileBytes: sum(({ files }) => files.reduce((total, { bytes }) => total + bytes, 0)),
    files: sum(({ files }) => files.length),
    pageReads: sum(({ pageReads }) => pageReads),
    partitions,
  }
}

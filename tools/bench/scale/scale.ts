/** A published table of many partitions: its partitions one after another, and what they come to. */
import { monthDollars, putDollars, storedDollars } from './costs.js'
import { S3_LATENCY } from './counting-store.js'
import { SimulatedPartition, type PartitionFigures } from './partition.js'
import { fenceBytes, filterBytes, getsPerHit } from './sizes.js'

export interface Scale {
  readonly records: number
  readonly partitions: number
  /** Machines that write: each has as many partitions. */
  readonly writers: number
  readonly bufferRecords: number
  /** Partitions that are simulated; the others are taken to be like them. */
  readonly simulated: number
}

export interface ScaleFigures extends Scale {
  readonly retentionMs: number
  readonly hours: number
  readonly liveBytes: number
  readonly uploadedBytes: number
  readonly puts: number
  readonly swaps: number
  readonly deletes: number
  readonly publishes: number
  /** Of a partition: at the end and over all publishes, on average; at most in any. */
  readonly liveObjects: number
  readonly liveObjectsMean: number
  readonly liveObjectsMost: number
  readonly manifestBytes: number
  readonly manifestBytesMost: number
  readonly retiredMost: number
  readonly retiredShareMost: number
  readonly retiredMsMost: number
  readonly publishMsMean: number
  readonly publishMsMost: number
  readonly fenceBytes: number
  readonly filterBytes: number
  /** With all filters, with {@link FILTER_BUDGET} of them a partition, with none. */
  readonly getsPerHit: readonly number[]
  readonly putDollars: number
  readonly retiredDollars: number
  readonly monthDollars: number
  readonly hitDollars: readonly number[]
  readonly simulatedSeconds: number
}

const FANOUT = 16
/** What a machine takes and merges, as measured of one with two processors (docs/benchmarks.md), and a margin. */
const RECORDS_PER_SECOND = 4e6
const MERGE_RECORDS_PER_SECOND = 8e6
const PUBLISH_EVERY_MS = 10_000
const RETENTION_MS = 3_600_000
const FILTER_BUDGET = 2 ** 28
const SERIALIZE_EVERY = 16
const GET_DOLLARS = 0.4

export function scaleOf(scale: Scale): ScaleFigures {
  const { records, partitions, writers, bufferRecords, simulated } = scale
  const started = performance.now()
  const each = partitions / writers
  const parts: PartitionFigures[] = []
  for (let seed = 0; seed < simulated; seed++) {
    parts.push(
      new SimulatedPartition({
        records: Math.round(records / partitions),
        partitions,
        bufferRecords,
        fanout: FANOUT,
        recordsPerSecond: RECORDS_PER_SECOND / each,
        // Partitions of a machine share its threads, of which there are at most four.
        mergeRecordsPerSecond: MERGE_RECORDS_PER_SECOND / Math.min(each, 4),
        publishEveryMs: PUBLISH_EVERY_MS,
        retentionMs: RETENTION_MS,
        latency: S3_LATENCY,
        seed,
        serializeEvery: SERIALIZE_EVERY,
      }).run(),
    )
  }
  return { ...scale, ...summed(parts, partitions), simulatedSeconds: (performance.now() - started) / 1000 }
}

function summed(
  parts: readonly PartitionFigures[],
  partitions: number,
): Omit<ScaleFigures, keyof Scale | 'simulatedSeconds'> {
  const more = partitions / parts.length
  const sum = (value: (part: PartitionFigures) => number): number =>
    parts.reduce((total, part) => total + value(part), 0) * more
  const most = (value: (part: PartitionFigures) => number): number => Math.max(...parts.map(value))
  const files = parts.map(({ fileRecords }) => fileRecords)
  const bytesOf = (value: (records: number) => number): number =>
    files.flat().reduce((total, records) => total + value(records), 0) * more
  const gets = [Infinity, FILTER_BUDGET, 0].map(
    budget => files.reduce((total, file) => total + getsPerHit(file, budget), 0) / files.length,
  )
  const puts = sum(({ store }) => store.puts)
  const liveBytes = sum(part => part.liveBytes)
  // What stays was stored for half of the load on average, and for the retention: what was retired is the rest.
  const retired = sum(({ store, liveBytes, loadedMs }) =>
    Math.max(0, store.byteMs - liveBytes * (loadedMs / 2 + RETENTION_MS)),
  )
  return {
    retentionMs: RETENTION_MS,
    hours: most(part => part.loadedMs) / 3_600_000,
    liveBytes,
    uploadedBytes: sum(({ store }) => store.uploadedBytes),
    puts,
    swaps: sum(({ store }) => store.swaps),
    deletes: sum(({ store }) => store.deletes),
    publishes: sum(part => part.publishes),
    liveObjects: sum(part => part.liveObjects) / partitions,
    liveObjectsMean: sum(part => part.liveObjectsMean) / partitions,
    liveObjectsMost: most(part => part.liveObjectsMost),
    manifestBytes: sum(part => part.manifestBytes) / partitions,
    manifestBytesMost: most(part => part.manifestBytesMost),
    retiredMost: most(part => part.retiredMost),
    retiredShareMost: sum(part => part.retiredBytesMost) / liveBytes,
    retiredMsMost: most(part => part.retiredMsMost),
    publishMsMean: sum(part => part.publishMsMean) / partitions,
    publishMsMost: most(part => part.publishMsMost),
    fenceBytes: bytesOf(records => fenceBytes(records, partitions)),
    filterBytes: bytesOf(filterBytes),
    getsPerHit: gets,
    putDollars: putDollars(puts),
    retiredDollars: storedDollars(retired),
    monthDollars: monthDollars(liveBytes),
    hitDollars: gets.map(count => count * GET_DOLLARS),
  }
}

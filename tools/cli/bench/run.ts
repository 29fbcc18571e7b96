/** The parts of `flashtable bench`, one after another, each in a directory of its own below a new one. */
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { diskError, FlashTableError } from '../../../src/base/errors.js'
import type { TableStats } from '../../../src/index.js'
import { formatBytes } from '../output.js'
import { withProgress, type Update } from '../progress.js'
import { readStats } from '../table-stats.js'
import { deviceOf } from './device.js'
import { coldLookups, scanAll, warmLookups } from './reads.js'
import { RECORD_BYTES } from './records.js'
import type { Bench } from './table.js'
import { bulkLoad, loadColumns, singlePuts } from './writes.js'

/** A table takes less than this much of its records; a bulk load sets some aside, and a log is kept besides. */
const SPACE_SHARE = 3
/** What single puts take, and log segments. */
const SPACE_BYTES = 256 * 2 ** 20

/** Records, puts or keys a second. */
export interface Rates {
  readonly putColumns: number
  readonly put: number
  readonly putTogether: number
  readonly putSynced: number
  readonly bulkLoad: number
  readonly getColumns: number
  /** `undefined`: not measured. */
  readonly getColumnsCold: number | undefined
  readonly getSync: number
  readonly hasMissing: number
  readonly scanColumns: number
}

/** What was measured, in the form of `--json`. */
export interface BenchResult {
  readonly directory: string
  readonly records: number
  readonly recordBytes: number
  /** How long all of it took. */
  readonly seconds: number
  readonly perSecond: Rates
  /** Of the load by `putColumns`: bytes handed to write calls, and those for each byte of its records. */
  readonly bytesWritten: TableStats['bytesWritten']
  readonly writeAmplification: number
  /** Bytes that the device has written meanwhile, for all programs. `undefined`: not measured. */
  readonly device:
    { readonly name: string; readonly bytesWritten: number; readonly writeAmplification: number } | undefined
  /** What could not be measured, and why. */
  readonly notMeasured: Readonly<Record<string, string>>
}

/** Measures in a new directory inside `directory`, which is removed at the end, whatever happens. */
export async function runBench(
  directory: string,
  records: number,
  signal: AbortSignal,
): Promise<BenchResult> {
  const startMs = performance.now()
  const place = await newPlace(directory)
  try {
    refuseLittleSpace(directory, records, await freeBytes(place))
    const measured = await measure(place, records, signal)
    const seconds = (performance.now() - startMs) / 1000
    return { directory: resolve(directory), records, recordBytes: RECORD_BYTES, seconds, ...measured }
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}

type Measured = Omit<BenchResult, 'directory' | 'records' | 'recordBytes' | 'seconds'>

async function measure(place: string, records: number, signal: AbortSignal): Promise<Measured> {
  const device = await deviceOf(place)
  const part = <Result>(label: string, table: string, work: (bench: Bench) => Promise<Result>) => {
    signal.throwIfAborted()
    const directory = join(place, table)
    return withProgress(label.padEnd(12), (onProgress: Update) =>
      work({ directory, records, signal, onProgress }),
    )
  }
  const deviceBytes = async (): Promise<number> =>
    typeof device === 'string' ? 0 : (await device.bytes()).written

  const before = await deviceBytes()
  const putColumns = await part('putColumns', 'columns', loadColumns)
  const written = (await deviceBytes()) - before
  const { bytesWritten, writeAmplification } = await readStats(join(place, 'columns'))
  await rm(join(place, 'columns'), { recursive: true })

  const puts = await part('single puts', 'puts', singlePuts)
  await rm(join(place, 'puts'), { recursive: true })

  const bulk = await part('bulkLoad', 'bulk', bulkLoad)
  const warm = await part('lookups', 'bulk', warmLookups)
  const scanColumns = await part('scan', 'bulk', scanAll)
  const cold = await part('cold lookups', 'bulk', bench => coldLookups(bench, device))

  return {
    perSecond: {
      putColumns,
      ...puts,
      bulkLoad: bulk,
      getColumns: warm.getColumns,
      getColumnsCold: typeof cold === 'string' ? undefined : cold,
      getSync: warm.getSync,
      hasMissing: warm.hasMissing,
      scanColumns,
    },
    bytesWritten,
    writeAmplification,
    device:
      typeof device === 'string'
        ? undefined
        : {
            name: device.name,
            bytesWritten: written,
            writeAmplification: written / (records * RECORD_BYTES),
          },
    notMeasured: {
      ...(typeof device === 'string' ? { device } : {}),
      ...(typeof cold === 'string' ? { getColumnsCold: cold } : {}),
    },
  }
}

async function newPlace(directory: string): Promise<string> {
  try {
    return await mkdtemp(join(directory, 'flashtable-bench-'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new FlashTableError(
        'FLASHTABLE_NOT_FOUND',
        `there is no directory ${directory}; give one that is there, on the disk to measure`,
      )
    throw diskError(error, `${directory}: nothing can be made in it`)
  }
}

async function freeBytes(directory: string): Promise<number> {
  const { blocks, bavail, bsize } = await statfs(directory)
  // Some file systems do not know. That is not a full disk.
  return blocks === 0 ? Infinity : bavail * bsize
}

/** Throws `FLASHTABLE_DISK_FULL`. */
export function refuseLittleSpace(directory: string, records: number, free: number): void {
  const needed = records * RECORD_BYTES * SPACE_SHARE + SPACE_BYTES
  if (free >= needed) return
  throw new FlashTableError(
    'FLASHTABLE_DISK_FULL',
    `${directory}: the benchmark needs up to ${formatBytes(needed)}, ${formatBytes(free)} are free; ` +
      'give fewer --records, or a directory on another disk',
  )
}

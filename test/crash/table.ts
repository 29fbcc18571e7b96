/** The table of the crash tests: small, so that everything comes up within a few hundred calls of the file system. */
import { FlashTable, struct } from '../../src/index.js'
import { simulatedEnvironment, type JobForm } from '../support/simulated-environment.js'
import type { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { stateText, type CrashRecord } from './history.js'

export const DIRECTORY = '/tables/crash'

export const VALUE = struct({ time: 'u16', id: 'i32' })
/** 14 bytes a record: 73 records to a memtable. */
export const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: VALUE,
  bufferBytes: 1024,
  walBytes: 8192,
  cacheBytes: 65_536,
  fanout: 2,
  syncIntervalMs: Infinity,
} as const
export const MEMTABLE_RECORDS = 73

export type CrashTable = FlashTable<'u64', typeof VALUE>
export type CrashSnapshot = ReturnType<CrashTable['snapshot']>

/** Options of a table, how its jobs run, and how many runs are flushed together. */
export interface OpenOptions {
  readonly jobs?: JobForm
  readonly runsPerFlush?: number
  readonly [option: string]: unknown
}

export async function openOn(
  disk: SimulatedFileSystem,
  { jobs, runsPerFlush, ...options }: OpenOptions = {},
  directory = DIRECTORY,
): Promise<CrashTable> {
  const environment = { ...simulatedEnvironment(disk, jobs), runsPerFlush }
  const table = await FlashTable.openIn(directory, { ...OPTIONS, ...options }, environment)
  return table as unknown as CrashTable
}

export async function bulkLoadOn(
  disk: SimulatedFileSystem,
  { jobs, runsPerFlush, ...options }: OpenOptions,
  source: Iterable<ReturnType<typeof columnsOf>>,
): Promise<CrashTable> {
  const environment = { ...simulatedEnvironment(disk, jobs), runsPerFlush }
  const table = await FlashTable.bulkLoadIn(DIRECTORY, { ...OPTIONS, ...options }, source, environment)
  return table as unknown as CrashTable
}

/** What the metadata tell: how many calls had been written; 0 if nobody has set them. */
export function metaOf({ meta }: CrashTable): number {
  return Number(meta['upTo'] ?? 0)
}

/** Columns as `putColumns` takes them. */
export function columnsOf(records: readonly CrashRecord[]) {
  return {
    key: BigUint64Array.from(records, ({ key }) => BigInt(key)),
    time: Uint16Array.from(records, ({ time }) => time),
    id: Int32Array.from(records, ({ id }) => id),
  }
}

/** Everything in the table, by a scan, as text; lookups of some keys must say the same. */
export async function contents(table: CrashTable, snapshot?: CrashSnapshot): Promise<string> {
  const records: CrashRecord[] = []
  for await (const { key, time, id } of table.scanColumns({ snapshot })) {
    for (let i = 0; i < key.length; i++) records.push({ key: Number(key[i]), time: time[i]!, id: id[i]! })
  }
  const keys = [...new Set(records.map(({ key }) => key))]
  for (const key of [keys[0], keys[keys.length >> 1], 10_000]) {
    if (key === undefined) continue
    const all = await table.getAll(key, { snapshot })
    const found = stateText(all.map(({ time, id }) => ({ key, time, id })))
    const scanned = stateText(records.filter(record => record.key === key))
    if (found !== scanned) throw new Error(`getAll(${key}) gives '${found}', the scan '${scanned}'`)
  }
  return stateText(records)
}

/** Tables for the tests of repair: what each of their files holds, and what is right for any of the files. */
import { BucketFile } from '../../src/bucket-file/reader.js'
import { Schema } from '../../src/encoding/schema.js'
import { DataPageDecoder } from '../../src/format/data-page-decoder.js'
import { FlashTable, struct } from '../../src/index.js'
import { bucketName, walName } from '../../src/io/file-names.js'
import { tableIdBytes } from '../../src/manifest/bucket-file-entry.js'
import { parseManifest, type Manifest } from '../../src/manifest/manifest.js'
import { DELETE_KEY, OperationBuffer, PUT, type DeleteWhere } from '../../src/records/operations.js'
import { replayLog } from '../../src/wal/replay.js'
import { simulatedEnvironment } from './simulated-environment.js'
import { SimulatedFileSystem } from './simulated-file-system.js'
import { allSealed } from './all-sealed.js'
import { matchesTerms } from './where.js'

export const DIRECTORY = '/tables/damaged'
export const PAGE_BYTES = 4096
export const SCHEMA = { keyEncoding: 'u32', valueEncoding: struct({ time: 'u16', id: 'u16' }) }
export const OPTIONS = {
  ...SCHEMA,
  pageBytes: PAGE_BYTES,
  bufferBytes: 2048,
  walBytes: 65_536,
  fanout: 3,
  syncIntervalMs: Infinity,
}

export const openTable = (disk: SimulatedFileSystem, directory = DIRECTORY, options: object = OPTIONS) =>
  FlashTable.openIn(directory, options, simulatedEnvironment(disk))

export function newDisk(): SimulatedFileSystem {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  return disk
}

/** What was done, a record as text, in order. */
export type Step =
  readonly ['put' | 'delRecord', string] | readonly ['del', string] | readonly ['delWhere', string]

/**
 * A merged file, files of level 0, closed segments and, where it is `unclean`, an open one; deletes of all kinds in files
 * and log. `history` is filled with what was done.
 */
export async function makeTable(unclean: boolean, history: Step[] = []): Promise<SimulatedFileSystem> {
  const disk = newDisk()
  let table = await openTable(disk)
  const put = async (key: number, sync = false): Promise<void> => {
    const value = { time: key % 97, id: key % 7 }
    await table.put(key, value, { sync })
    history.push(['put', `${key}:${value.time}:${value.id}`])
  }
  const deletes = async (from: number, id: number): Promise<void> => {
    await table.del(from)
    history.push(['del', String(from)])
    await table.delRecord(from + 1, { time: (from + 1) % 97, id: (from + 1) % 7 })
    history.push(['delRecord', `${from + 1}:${(from + 1) % 97}:${(from + 1) % 7}`])
    await table.delWhere({ id })
    history.push(['delWhere', String(id)])
  }
  for (let i = 0; i < 1900; i++) {
    await put(i)
    if (i % 400 === 399) await deletes(i - 350, (i >>> 7) % 7)
    // Each memtable becomes a file of its own.
    if (i % 50 === 49) await allSealed(table)
  }
  for (let life = 0; life < 2; life++) {
    for (let i = 0; i < 20; i++) await put(2000 + 100 * life + i)
    await table.close()
    table = await openTable(disk)
  }
  if (!unclean) {
    await table.close()
    return disk
  }
  for (let i = 0; i < 20; i++) await put(3000 + i, i % 3 === 0)
  await deletes(3003, 6)
  await put(4000, true)
  const killed = disk.clone()
  await table.close()
  return killed
}

export function manifestOf(disk: SimulatedFileSystem): Manifest {
  const path = `${DIRECTORY}/MANIFEST`
  return parseManifest(disk.readFile(path), path)
}

/** Operations and entries of one file, oldest first. */
export interface Held {
  readonly path: string
  readonly batches: readonly { rows: OperationBuffer; deletes: readonly DeleteWhere[]; first: number }[]
}

/** What each file holds, oldest file first. */
export async function holdings(disk: SimulatedFileSystem): Promise<Held[]> {
  const manifest = manifestOf(disk)
  const { layout } = Schema.open(manifest.schema, DIRECTORY, {})
  const { pageBytes, log, epoch, clean } = manifest
  const place = {
    fileSystem: disk,
    directory: DIRECTORY,
    tableId: tableIdBytes(manifest.tableId),
    layout,
    pageBytes,
  }
  const held: Held[] = []
  for (const entry of manifest.files) {
    const file = await BucketFile.open(place, entry)
    const batches: Held['batches'][number][] = [
      { rows: new OperationBuffer(layout), deletes: file.deletes, first: entry.firstSequence },
    ]
    for (let page = 0; page < file.footer.dataPages; page++) {
      const rows = new OperationBuffer(layout)
      const decoder = new DataPageDecoder(layout, pageBytes)
      decoder.decode(await file.readPages(page, page + 1), 0, rows)
      batches.push({ rows, deletes: [], first: 0 })
    }
    await file.close()
    held.push({ path: `${DIRECTORY}/${bucketName(entry.number)}`, batches })
  }
  const openSegments = disk
    .files()
    .map(path => Number(/(\d+)\.wal$/.exec(path)?.[1] ?? 0))
    .filter(number => number >= log.firstSegment)
    .sort((a, b) => a - b)
  const segments = new Map<number, Held['batches'][number][]>()
  await replayLog({
    ...place,
    closed: log.closed,
    epoch,
    openSegments,
    firstSequence: manifest.firstLogSequence,
    clean,
    onBatch({ operations, deletes, firstSequence }, number) {
      const rows = new OperationBuffer(layout)
      rows.append(operations, 0, operations.count)
      const batches = segments.get(number) ?? []
      batches.push({ rows, deletes: [...deletes], first: firstSequence })
      segments.set(number, batches)
    },
  })
  for (const [number, batches] of segments) held.push({ path: `${DIRECTORY}/${walName(number)}`, batches })
  return held
}

/** The records that are there when these files, oldest first, are all that there is. */
export function recordsOf(held: readonly Held[]): string[] {
  let records: string[] = []
  const deleteWhere = (entry: DeleteWhere): void => {
    records = records.filter(record => !matchesTerms(entry, lane => Number(record.split(':')[lane])))
  }
  for (const { rows, deletes, first } of held.flatMap(({ batches }) => batches)) {
    let entry = 0
    for (let row = 0; row <= rows.count; row++) {
      while (
        entry < deletes.length &&
        (row === rows.count || deletes[entry]!.sequence <= first + row + entry)
      )
        deleteWhere(deletes[entry++]!)
      if (row === rows.count) break
      const record = rows.lanes.map(lane => lane[row]!).join(':')
      const kind = rows.kinds === undefined ? PUT : rows.kinds[row]
      if (kind === PUT) records.push(record)
      else if (kind === DELETE_KEY)
        records = records.filter(other => !other.startsWith(`${rows.lanes[0]![row]}:`))
      else records = records.filter(other => other !== record)
    }
  }
  return records.sort()
}

/** What is left after the first `count` steps. */
export function stateAfter(history: readonly Step[], count: number): string[] {
  let records: string[] = []
  for (const [kind, what] of history.slice(0, count)) {
    if (kind === 'put') records.push(what)
    else if (kind === 'del') records = records.filter(record => !record.startsWith(`${what}:`))
    else if (kind === 'delRecord') records = records.filter(record => record !== what)
    else records = records.filter(record => !record.endsWith(`:${what}`))
  }
  return records.sort()
}

export async function contentsOf(disk: SimulatedFileSystem, directory: string): Promise<string[]> {
  const table = await openTable(disk, directory, { readOnly: true, cacheBytes: 65_536, bufferBytes: 8192 })
  const records: string[] = []
  for await (const [key, value] of table.entries()) {
    const { time, id } = value as { time: number; id: number }
    records.push(`${String(key)}:${time}:${id}`)
  }
  await table.close()
  return records.sort()
}

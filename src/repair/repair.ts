/**
 * Saves every record whose page or frame is intact into a new table; never changes the old one.
 *
 * Bucket files go first, oldest first, then the log; so the new table sees the operations in the order of their age, and
 * deletes hide what they hid. Where the manifest is lost the caller gives the schema, and what else is needed is read
 * from the footers of the bucket files. docs/durability.md, Repair.
 */
import { resolve } from 'node:path'
import { throwIfAborted } from '../abort.js'
import { writerOf, type BucketFileEntry } from '../columns/bucket-file-entry.js'
import { OperationBuffer, countPuts, type DeleteWhere } from '../columns/operations.js'
import type { PendingDelete } from '../commit/committer.js'
import { nodeEnvironment } from '../environment.js'
import { FlashTableError } from '../errors.js'
import { FlashTable } from '../flash-table.js'
import { fileSeed } from '../format/checksum.js'
import { DataPageReader } from '../format/data-page-reader.js'
import { readFooter } from '../format/footer.js'
import { FRAME_HEADER_BYTES } from '../format/layout.js'
import { wordsOf } from '../format/little-endian.js'
import { DATA_PAGE, DELETE_WHERE_PAGE, PAGE_HEADER_BYTES } from '../format/page-layout.js'
import { pageChecksums, readDeleteWheres } from '../format/section.js'
import { bucketName, walName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import { createTable } from '../open.js'
import { Poison } from '../poison.js'
import { withProgress } from '../progress.js'
import { SegmentReader } from '../wal/reader.js'
import { findSource, type Loss, type RepairOptions, type Source } from './source.js'

export type { Loss, RepairOptions } from './source.js'

export interface RepairResult {
  /** Puts that were saved; some may be hidden by deletes. */
  readonly records: number
  readonly losses: readonly Loss[]
}

/**
 * Repairs the table in `directory` into the new directory `into`.
 *
 * Rejects with `FLASHTABLE_NOT_FOUND` where there is no table, `_EXISTS` where there is one in `into`, `_CORRUPTION`
 * where the manifest is lost and no `keyEncoding` is given, or `signal.reason`. Cost: reads all files once.
 */
export async function repairTable(
  directory: string,
  into: string,
  options: RepairOptions = {},
): Promise<RepairResult> {
  return withProgress(options, control => repairInto(directory, into, { ...options, ...control }))
}

async function repairInto(directory: string, into: string, options: RepairOptions): Promise<RepairResult> {
  const environment = options.environment ?? nodeEnvironment
  const source = await findSource(environment.fileSystem, resolve(directory), options)
  const { fileSystem } = environment
  if ((await fileSystem.info(into)) !== undefined && (await fileSystem.list(into)).length > 0) {
    throw new FlashTableError('FLASHTABLE_EXISTS', `a repair needs a new directory: ${into} is not empty`)
  }
  await fileSystem.makeDirectory(into)
  // By the stored schema: custom encodings, which only the program knows, are not needed.
  await createTable(resolve(into), source.schema, source, environment, new Poison())
  const table = await FlashTable.openIn(into, { signal: options.signal }, environment)
  try {
    const repair = new Repair(environment.fileSystem, resolve(directory), source, table, options)
    return await repair.run()
  } finally {
    await table.close()
  }
}

class Repair {
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #source: Source
  readonly #table: FlashTable
  readonly #options: RepairOptions
  readonly #losses: Loss[]
  #records = 0
  #pagesDone = 0
  readonly #pagesTotal: number

  constructor(
    fileSystem: FileSystem,
    directory: string,
    source: Source,
    table: FlashTable,
    options: RepairOptions,
  ) {
    this.#fileSystem = fileSystem
    this.#directory = directory
    this.#source = source
    this.#table = table
    this.#options = options
    this.#losses = [...source.losses]
    this.#pagesTotal = source.files.reduce((sum, file) => sum + file.pages, 0)
  }

  async run(): Promise<RepairResult> {
    for (const entry of this.#source.files) await this.#repairFile(entry)
    await this.#repairLog()
    return { records: this.#records, losses: this.#losses }
  }

  /** Saves one bucket file: its *delete where* entries, which concern older files alone, and then its pages. */
  async #repairFile(entry: BucketFileEntry): Promise<void> {
    const path = `${this.#directory}/${bucketName(entry.number)}`
    const file = await this.#fileSystem.open(path, 'read').catch(() => undefined)
    if (file === undefined) {
      this.#lose(path, 0, 'the file is missing', undefined, undefined, entry.records)
      return
    }
    const { pageBytes, tableId } = this.#source
    const seed = fileSeed(writerOf(entry, tableId), entry.epoch, entry.number)
    const page = new Uint8Array(pageBytes + 4)
    const bytes = page.subarray(0, pageBytes)
    /** Reads a page; whether it is intact. */
    const load = async (number: number): Promise<boolean> => {
      throwIfAborted(this.#options.signal)
      const count = await readFully(file, bytes, number * pageBytes).catch(() => 0)
      if (count < pageBytes) return false
      const [found, expected] = pageChecksums(bytes, seed, number)
      return found === expected
    }
    try {
      const deletes = await this.#deletesOf(entry, load, bytes)
      await this.#save(new OperationBuffer(this.#source.schema.layout, 1), deletes)
      await this.#repairPages(path, entry, load, page)
    } finally {
      await file.close()
    }
  }

  async #deletesOf(
    entry: BucketFileEntry,
    load: (page: number) => Promise<boolean>,
    bytes: Uint8Array,
  ): Promise<DeleteWhere[]> {
    const { layout } = this.#source.schema
    if (!(await load(entry.pages - 1))) return []
    const footer = readFooter(bytes, layout)
    const first = footer.dataPages + footer.filterPages
    const payload = bytes.byteLength - PAGE_HEADER_BYTES
    const section = new Uint8Array(footer.deleteWherePages * payload)
    for (let i = 0; i < footer.deleteWherePages; i++) {
      // Entries do not end at page ends: behind a damaged page nothing can be told.
      if (!(await load(first + i)) || bytes[4] !== DELETE_WHERE_PAGE) {
        const path = `${this.#directory}/${bucketName(entry.number)}`
        const offset = (first + i) * this.#source.pageBytes
        this.#lose(
          path,
          offset,
          'delete-where entries are damaged: what they hide may come back',
          undefined,
          undefined,
        )
        return []
      }
      section.set(bytes.subarray(PAGE_HEADER_BYTES), i * payload)
    }
    const read = readDeleteWheres(section, 0, footer.deleteWhereCount, layout.keyLaneCount, layout.laneCount)
    return read?.entries ?? []
  }

  async #repairPages(
    path: string,
    entry: BucketFileEntry,
    load: (page: number) => Promise<boolean>,
    page: Uint8Array,
  ): Promise<void> {
    const { schema, pageBytes } = this.#source
    const reader = new DataPageReader(schema.layout, pageBytes)
    const words = wordsOf(page)
    let gap: { offset: number; after: unknown } | undefined
    let saved = 0
    let last: unknown
    for (let number = 0; number < entry.pages; number++) {
      const intact = await load(number)
      this.#options.onProgress?.({ done: ++this.#pagesDone, total: this.#pagesTotal })
      if (!intact) {
        gap ??= { offset: number * pageBytes, after: last }
        continue
      }
      if (page[4] !== DATA_PAGE) break
      reader.open(words, 0)
      if (reader.defect() !== undefined) continue
      const rows = new OperationBuffer(schema.layout, reader.rows)
      reader.decode(rows)
      if (gap !== undefined)
        this.#lose(path, gap.offset, 'damaged pages', gap.after, schema.decodeKey(rows.lanes, 0))
      gap = undefined
      last = schema.decodeKey(rows.lanes, rows.count - 1)
      saved += countPuts(rows)
      await this.#save(rows, [])
    }
    // The damage may reach into pages that are no data pages; the count tells whether records are missing.
    const missing = entry.records - saved
    if (gap !== undefined && missing > 0) this.#lose(path, gap.offset, 'damaged pages', gap.after, undefined)
    if (missing > 0) this.#lose(path, 0, `of ${entry.records} records`, undefined, undefined, missing)
  }

  async #repairLog(): Promise<void> {
    let expected = this.#source.firstLogSequence
    for (const segment of this.#source.segments) {
      for (const epoch of segment.epochs) expected = await this.#repairSegment(segment, epoch, expected)
    }
  }

  /** Saves the intact frames of a segment; returns the sequence number behind the last one. */
  async #repairSegment(
    segment: { readonly number: number; readonly bytes: number },
    epoch: number,
    expected: number,
  ): Promise<number> {
    const path = `${this.#directory}/${walName(segment.number)}`
    const { tableId, schema, pageBytes } = this.#source
    const place = { fileSystem: this.#fileSystem, directory: this.#directory, tableId, layout: schema.layout }
    const reader = await SegmentReader.open(place, { number: segment.number, epoch }, segment.bytes).catch(
      () => undefined,
    )
    if (reader === undefined) {
      this.#lose(path, 0, 'the log segment cannot be opened', undefined, undefined)
      return expected
    }
    try {
      for (let offset = 0; offset + FRAME_HEADER_BYTES <= reader.end;) {
        throwIfAborted(this.#options.signal)
        const frame = (await reader.load(offset, FRAME_HEADER_BYTES)) ? reader.frameAt(offset) : undefined
        const whole =
          frame !== undefined && (await reader.load(offset, frame.end - offset)) && reader.isWhole(frame)
        if (frame === undefined || !whole) {
          // Frames go on at page starts, or behind a frame whose header alone is intact.
          offset = frame !== undefined ? frame.end : (Math.floor(offset / pageBytes) + 1) * pageBytes
          continue
        }
        const { firstSequence, endSequence } = frame.header
        if (firstSequence >= expected) {
          if (firstSequence > expected) {
            this.#lose(path, offset, 'damaged frames before', undefined, undefined, firstSequence - expected)
          }
          const rows = new OperationBuffer(schema.layout, 16)
          const deletes: DeleteWhere[] = []
          reader.decode(frame, rows, deletes)
          await this.#save(rows, deletes, firstSequence)
          expected = endSequence
        }
        offset = frame.end
      }
    } finally {
      await reader.close()
    }
    return expected
  }

  /** Puts operations into the new table; entries stand between them as their sequence numbers say. */
  async #save(
    operations: OperationBuffer,
    deletes: readonly DeleteWhere[],
    firstSequence?: number,
  ): Promise<void> {
    const pending: PendingDelete[] = deletes.map(({ sequence, lanes, values }, i) => ({
      position: firstSequence === undefined ? 0 : sequence - firstSequence - i,
      lanes,
      values,
    }))
    this.#records += countPuts(operations)
    await this.#table.commitOperations({ operations, deletes: pending })
  }

  #lose(
    file: string,
    offset: number,
    reason: string,
    after: unknown,
    before: unknown,
    operations?: number,
  ): void {
    this.#losses.push({ file, offset, reason, after, before, operations })
  }
}

/**
 * Reads every page and frame of a table and checks all that can be checked: checksums, order, counts, bounds, fences,
 * filters. Changes nothing and takes no lock. docs/durability.md, Verify.
 */
import { throwIfAborted } from './abort.js'
import { BucketFile, type BucketFileOptions } from './bucket-file/reader.js'
import { tableIdBytes, type BucketFileEntry } from './columns/bucket-file-entry.js'
import { compareRows } from './columns/compare.js'
import { hashKey } from './columns/hash.js'
import { DELETE_KEY, DELETE_RECORD, KIND_COUNT, OperationBuffer, PUT } from './columns/operations.js'
import { Schema } from './encoding/schema.js'
import { diskError } from './errors.js'
import { DataPageReader } from './format/data-page-reader.js'
import { MANIFEST_NAME, bucketName } from './io/file-names.js'
import type { FileSystem } from './io/file-system.js'
import { nodeFileSystem } from './io/node-file-system.js'
import type { Manifest } from './manifest/manifest.js'
import { listTable, requireManifest } from './recovery.js'
import { withProgress } from './progress.js'
import { replayLog } from './wal/replay.js'

/** Something that is not as it must be. */
export interface Problem {
  readonly file: string
  /** Byte offset in the file, where the problem has one. */
  readonly offset: number | undefined
  readonly message: string
}

export interface Verification {
  readonly problems: readonly Problem[]
  /** Bucket files and log segments that were read. */
  readonly files: number
  readonly pages: number
  readonly frames: number
  /** Puts in bucket files and log. */
  readonly records: number
  /** Where the log ends in the middle of a segment, as it may after a crash. */
  readonly tornAt: { readonly path: string; readonly offset: number } | undefined
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined
  /** Pages read so far and in all. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
  /** @internal */
  readonly fileSystem?: FileSystem | undefined
}

/** Pages that are read and checked at a time. */
const PAGES_A_STEP = 64

/**
 * Verifies the table in `directory`. Rejects with `FLASHTABLE_NOT_FOUND` where there is none, or `signal.reason`; damage
 * does not reject, it is in `problems`. Cost: reads all files once.
 */
export async function verifyTable(directory: string, options: VerifyOptions = {}): Promise<Verification> {
  const fileSystem = options.fileSystem ?? nodeFileSystem
  return withProgress(options, async control => {
    const verifier = new Verifier(fileSystem, directory, control)
    await verifier.run()
    return verifier.result
  })
}

class Verifier {
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #options: VerifyOptions
  readonly #problems: Problem[] = []
  #files = 0
  #pages = 0
  #pagesTotal = 0
  #frames = 0
  #records = 0
  #tornAt: Verification['tornAt']

  constructor(fileSystem: FileSystem, directory: string, options: VerifyOptions) {
    this.#fileSystem = fileSystem
    this.#directory = directory
    this.#options = options
  }

  get result(): Verification {
    return {
      problems: this.#problems,
      files: this.#files,
      pages: this.#pages,
      frames: this.#frames,
      records: this.#records,
      tornAt: this.#tornAt,
    }
  }

  async run(): Promise<void> {
    const path = `${this.#directory}/${MANIFEST_NAME}`
    let manifest: Manifest
    let schema: Schema
    try {
      manifest = await requireManifest(this.#fileSystem, this.#directory)
      schema = Schema.open(manifest.schema, path, {})
    } catch (error) {
      this.#note(error, path)
      return
    }
    const options: BucketFileOptions = {
      fileSystem: this.#fileSystem,
      directory: this.#directory,
      tableId: tableIdBytes(manifest.tableId),
      layout: schema.layout,
      pageBytes: manifest.pageBytes,
    }
    this.#pagesTotal = manifest.files.reduce((sum, file) => sum + file.pages, 0)
    for (const entry of manifest.files) await this.#verifyFile(options, entry)
    await this.#verifyLog(options, manifest)
  }

  async #verifyFile(options: BucketFileOptions, entry: BucketFileEntry): Promise<void> {
    this.#files++
    let file: BucketFile
    try {
      file = await BucketFile.open(options, entry)
    } catch (error) {
      this.#note(error, `${this.#directory}/${bucketName(entry.number)}`)
      return
    }
    try {
      await this.#verifyPages(options, file)
    } finally {
      await file.close()
    }
  }

  async #verifyPages(options: BucketFileOptions, file: BucketFile): Promise<void> {
    const { footer, entry } = file
    const checker = new PageChecker(options, file, (offset, message) => this.#add(file.path, offset, message))
    for (let from = 0; from < footer.dataPages; from += PAGES_A_STEP) {
      throwIfAborted(this.#options.signal)
      const to = Math.min(footer.dataPages, from + PAGES_A_STEP)
      await this.#readPages(file, from, to, (words, base, page) => checker.check(words, base, page))
      this.#pages += to - from
      this.#options.onProgress?.({ done: this.#pages, total: this.#pagesTotal })
    }
    this.#pages += entry.pages - footer.dataPages
    this.#options.onProgress?.({ done: this.#pages, total: this.#pagesTotal })
    this.#records += checker.puts
    checker.finish()
  }

  /** Reads pages together; where one of them is damaged, one by one, so that each damage is found. */
  async #readPages(
    file: BucketFile,
    from: number,
    to: number,
    check: (words: Uint32Array, base: number, page: number) => void,
  ): Promise<void> {
    const pageWords = file.footer.pageBytes / 4
    try {
      const words = await file.readDataPages(from, to)
      for (let page = from; page < to; page++) check(words, (page - from) * pageWords, page)
    } catch (error) {
      if (to - from === 1) this.#note(error, file.path)
      else for (let page = from; page < to; page++) await this.#readPages(file, page, page + 1, check)
    }
  }

  async #verifyLog(options: BucketFileOptions, manifest: Manifest): Promise<void> {
    const { closed, firstSegment } = manifest.log
    const { wals } = await listTable(this.#fileSystem, this.#directory)
    const openSegments = wals.filter(
      number => number >= firstSegment && !closed.some(segment => segment.number === number),
    )
    try {
      const log = await replayLog({
        ...options,
        closed,
        epoch: manifest.epoch,
        openSegments: manifest.clean ? [] : openSegments,
        firstSequence: manifest.firstLogSequence,
        clean: manifest.clean,
        signal: this.#options.signal,
        onFrame: ({ operations }) => {
          this.#frames++
          for (let row = 0; row < operations.count; row++) {
            if (operations.kinds === undefined || operations.kinds[row] === PUT) this.#records++
          }
        },
      })
      this.#files += log.segments.length
      this.#tornAt = log.tornAt
    } catch (error) {
      this.#note(error, this.#directory)
    }
  }

  /** An error of reading is a problem; an abort, or the absence of a table, is the caller's. */
  #note(error: unknown, path: string): void {
    if (this.#options.signal?.aborted === true) throw error
    const failure = diskError(error, path)
    if (failure.code === 'FLASHTABLE_NOT_FOUND') throw failure
    this.#problems.push({ file: failure.path ?? path, offset: failure.offset, message: failure.message })
  }

  #add(file: string, offset: number, message: string): void {
    this.#problems.push({ file, offset, message })
  }
}

/** Checks the data pages of one file, in order, against each other and against its footer, fences and filter. */
class PageChecker {
  readonly #keyLaneCount: number
  readonly #pageBytes: number
  readonly #file: BucketFile
  readonly #report: (offset: number, message: string) => void
  readonly #page: DataPageReader
  readonly #rows: OperationBuffer
  readonly #counts = [0, 0, 0]
  /** The last row of the page before, once there is one. */
  readonly #last: OperationBuffer
  #pages = 0

  constructor(
    { layout, pageBytes }: BucketFileOptions,
    file: BucketFile,
    report: (offset: number, message: string) => void,
  ) {
    this.#keyLaneCount = layout.keyLaneCount
    this.#pageBytes = pageBytes
    this.#file = file
    this.#report = report
    this.#page = new DataPageReader(layout, pageBytes)
    this.#rows = new OperationBuffer(layout, 1024)
    this.#last = new OperationBuffer(layout, 1)
  }

  get puts(): number {
    return this.#counts[PUT]!
  }

  check(words: Uint32Array, base: number, page: number): void {
    const rows = this.#rows
    const offset = page * this.#pageBytes
    rows.clear()
    this.#page.open(words, base)
    this.#page.decode(rows)
    const key = Uint32Array.from({ length: this.#keyLaneCount }, (_, lane) => rows.lanes[lane]![0]!)
    if (!this.#file.startsWith(page, key)) this.#report(offset, 'the first key is not the one in the fences')
    if (this.#last.count > 0 && compareRows(this.#last.lanes, 0, rows.lanes, 0, this.#keyLaneCount) > 0) {
      this.#report(offset, 'the first key is smaller than the last one of the page before')
    }
    for (let row = 0; row < rows.count; row++) {
      const kind = rows.kinds === undefined ? PUT : rows.kinds[row]!
      if (kind >= KIND_COUNT) this.#report(offset, `row ${row} has the unknown operation kind ${kind}`)
      else this.#counts[kind]!++
      if (row > 0 && compareRows(rows.lanes, row - 1, rows.lanes, row, this.#keyLaneCount) > 0) {
        this.#report(offset, `row ${row} has a smaller key than the row before`)
      }
      if (!this.#file.mayContain(page, hashKey(rows.lanes, row, this.#keyLaneCount))) {
        this.#report(offset, `the filter does not know the key of row ${row}`)
      }
    }
    this.#last.clear()
    this.#last.append(rows, rows.count - 1, rows.count)
    this.#pages++
  }

  finish(): void {
    const { footer } = this.#file
    // Where pages could not be read their problems are reported already.
    if (this.#pages < footer.dataPages) return
    const offset = (this.#file.entry.pages - 1) * this.#pageBytes
    const expected = [
      ['puts', footer.records, this.#counts[PUT]!],
      ['deletes of keys', footer.deleteKeys, this.#counts[DELETE_KEY]!],
      ['deletes of records', footer.deleteRecords, this.#counts[DELETE_RECORD]!],
    ] as const
    for (const [what, wanted, found] of expected) {
      if (wanted !== found)
        this.#report(offset, `the footer counts ${wanted} ${what}, the pages hold ${found}`)
    }
  }
}

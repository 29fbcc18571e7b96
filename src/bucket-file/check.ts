/**
 * Reads all of one bucket file and checks it against itself and against what the manifest says of it: checksums, order,
 * counts, bounds, fences, filter, sizes of its sections. docs/durability.md, Verify.
 */
import { FlashTableError, diskError } from '../base/errors.js'
import { WORDS_PER_LINE } from '../format/cache-line.js'
import { fileSeed } from '../format/checksum.js'
import { DataPageDecoder } from '../format/data-page-decoder.js'
import { DataPageReader } from '../format/data-page-reader.js'
import { deleteWhereBytes } from '../format/delete-where.js'
import { footerBytes, footerIdentity, readFooter } from '../format/footer.js'
import { BUCKET_MAGIC, DELETE_WHERE_PAGE, FENCE_PAGE, FILTER_PAGE } from '../format/page-layout.js'
import { pageChecksums, sectionPages } from '../format/section.js'
import { bucketName } from '../io/file-names.js'
import { readFully } from '../io/transfer.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import { hashKey } from '../records/hash.js'
import { OperationBuffer } from '../records/operations.js'
import { NO_LINE } from './filter-lines.js'
import { PageFacts, rowsDefect } from './page-facts.js'
import { BucketFile, type BucketFileOptions } from './reader.js'
import { seedOf } from './sections.js'

/** Pages that are read and checked at a time. */
const PAGES_PER_STEP = 64
/** The writer takes no more probes. */
const PROBES_MAX = 16

export interface CheckedFile {
  readonly problems: readonly FileProblem[]
  /** Puts in the pages that could be read. */
  readonly records: number
}

export interface FileProblem {
  readonly path: string
  readonly offset: number | undefined
  readonly message: string
}

/** Damage does not reject: it is in `problems`. `onPages` is called with the number of pages done, and may throw to end it. */
export async function checkBucketFile(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  onPages: (pages: number) => void,
): Promise<CheckedFile> {
  const path = `${options.directory}/${bucketName(entry.number)}`
  let file: BucketFile
  try {
    file = await BucketFile.open(options, entry)
  } catch (error) {
    const problem = openProblem(error, path)
    const problems = [problem]
    // What stands in front is damaged or not, whatever is wrong with the footer or the sections.
    const damaged = await damagedPages(options, entry, onPages)
    // Where none fits it is another file.
    for (const page of damaged.length === entry.pages ? [] : damaged) {
      const offset = page * options.pageBytes
      if (offset !== problem.offset)
        problems.push({ path, offset, message: 'a page whose checksum does not fit' })
    }
    return { problems, records: 0 }
  }
  try {
    return await new FileCheck(options, file).run(onPages)
  } finally {
    await file.close()
  }
}

/**
 * Whether a file that the manifest does not name is of a later life of the table, and has operations from `end` on: then
 * the manifest is an older one. What a crash leaves is of the manifest's life, or has what the log has.
 */
export async function isOfLaterLife(
  options: BucketFileOptions,
  number: number,
  epoch: number,
  end: number,
): Promise<boolean> {
  const { fileSystem, directory, pageBytes, layout, tableId } = options
  const file = await fileSystem.open(`${directory}/${bucketName(number)}`, 'read').catch(() => undefined)
  if (file === undefined) return false
  try {
    const page = new Uint8Array(pageBytes)
    const last = Math.floor((await file.size()) / pageBytes) - 1
    if (last < 0 || (await readFully(file, page, last * pageBytes)) < pageBytes) return false
    if (footerIdentity(page).magic !== BUCKET_MAGIC || footerBytes(layout) > pageBytes) return false
    const footer = readFooter(page, layout)
    const [found, expected] = pageChecksums(page, fileSeed(tableId, footer.epoch, number), last)
    return found === expected && footer.epoch > epoch && footer.endSequence > end
  } catch {
    return false
  } finally {
    await file.close().catch(() => {})
  }
}

/** Pages whose checksum does not fit, of a file that cannot be opened as what it is; none where there is no file. */
async function damagedPages(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  onPages: (pages: number) => void,
): Promise<number[]> {
  const { fileSystem, directory, pageBytes } = options
  const file = await fileSystem
    .open(`${directory}/${bucketName(entry.number)}`, 'read')
    .catch(() => undefined)
  const damaged: number[] = []
  let done = 0
  if (file !== undefined) {
    try {
      const pages = Math.min(entry.pages, Math.floor((await file.size()) / pageBytes))
      const buffer = new Uint8Array(pageBytes)
      const seed = seedOf(options, entry)
      for (; done < pages; done++) {
        const count = await readFully(file, buffer, done * pageBytes).catch(() => 0)
        const [found, expected] = pageChecksums(buffer, seed, done)
        if (count < pageBytes || found !== expected) damaged.push(done)
        onPages(1)
      }
    } finally {
      await file.close().catch(() => {})
    }
  }
  onPages(entry.pages - done)
  return damaged
}

function openProblem(error: unknown, path: string): FileProblem {
  if ((error as { code?: unknown }).code === 'ENOENT') {
    return { path, offset: undefined, message: 'the manifest names this file, and it is missing' }
  }
  return problemOf(error, path)
}

function problemOf(error: unknown, path: string): FileProblem {
  const failure = diskError(error, path)
  return { path: failure.path ?? path, offset: failure.offset, message: failure.message }
}

class FileCheck {
  readonly #options: BucketFileOptions
  readonly #file: BucketFile
  readonly #problems: FileProblem[] = []
  readonly #page: DataPageReader
  readonly #decoder: DataPageDecoder
  readonly #rows: OperationBuffer
  readonly #facts: PageFacts
  /** Pages of the filter that the data pages at hand need; `undefined`: it could not be read. */
  readonly #filterPages = new Map<number, Uint32Array | undefined>()
  #pages = 0

  constructor(options: BucketFileOptions, file: BucketFile) {
    const { layout, pageBytes } = options
    this.#options = options
    this.#file = file
    this.#page = new DataPageReader(layout, pageBytes)
    this.#decoder = new DataPageDecoder(layout, pageBytes)
    this.#rows = new OperationBuffer(layout, 1024)
    this.#facts = new PageFacts(layout)
  }

  async run(onPages: (pages: number) => void): Promise<CheckedFile> {
    const { footer, entry } = this.#file
    this.#checkFooter()
    for (let from = 0; from < footer.dataPages; from += PAGES_PER_STEP) {
      const to = Math.min(footer.dataPages, from + PAGES_PER_STEP)
      await this.#readFilter(from, to)
      await this.#readPages(from, to)
      onPages(to - from)
    }
    onPages(entry.pages - footer.dataPages)
    // Where pages could not be read their problems are reported already.
    if (this.#pages === footer.dataPages)
      for (const difference of this.#facts.differences(footer)) this.#atFooter(difference)
    return { problems: this.#problems, records: this.#facts.counts.records }
  }

  /** What the footer says, against the sections and against itself. */
  #checkFooter(): void {
    const { footer, deletes, filter } = this.#file
    const { layout, pageBytes } = this.#options
    const sections: [string, number, number][] = [
      ['filter', footer.filterPages, sectionPages(4 * WORDS_PER_LINE * filter.count, FILTER_PAGE, pageBytes)],
      [
        'delete-where',
        footer.deleteWherePages,
        sectionPages(deleteWhereBytes(deletes), DELETE_WHERE_PAGE, pageBytes),
      ],
      [
        'fence',
        footer.fencePages,
        sectionPages(4 * (layout.keyLaneCount + 1) * footer.dataPages, FENCE_PAGE, pageBytes),
      ],
    ]
    for (const [what, said, needed] of sections) {
      if (said !== needed)
        this.#atFooter(`the footer counts ${said} ${what} pages, what is in them takes ${needed}`)
    }
    if (filter.count > 0 && (footer.filterProbes < 1 || footer.filterProbes > PROBES_MAX))
      this.#atFooter(`the footer has ${footer.filterProbes} filter probes, expected 1 to ${PROBES_MAX}`)
    const { firstSequence, endSequence, records, deleteKeys, deleteRecords } = footer
    const operations = records + deleteKeys + deleteRecords + deletes.length
    if (operations > endSequence - firstSequence)
      this.#atFooter(`the footer counts ${operations} operations in ${endSequence - firstSequence} numbers`)
    const strange = deletes.find(
      ({ sequence }, i) =>
        sequence < firstSequence ||
        sequence >= endSequence ||
        (i > 0 && sequence <= deletes[i - 1]!.sequence),
    )
    if (strange !== undefined)
      this.#atFooter(
        `a delete-where entry has sequence number ${strange.sequence}: out of order, or not of this file`,
      )
  }

  /** Reads pages together; where one of them is damaged, one by one, so that each damage is found. */
  async #readPages(from: number, to: number): Promise<void> {
    try {
      const words = await this.#file.readPages(from, to)
      const pageWords = this.#options.pageBytes / 4
      for (let page = from; page < to; page++) this.#checkPage(words, (page - from) * pageWords, page)
    } catch (error) {
      if (!(error instanceof FlashTableError)) throw error
      if (to - from === 1) this.#problems.push(problemOf(error, this.#file.path))
      else for (let page = from; page < to; page++) await this.#readPages(page, page + 1)
    }
  }

  #checkPage(words: Uint32Array, base: number, page: number): void {
    const rows = this.#rows
    const { layout } = this.#options
    const report = (message: string): void => this.#at(page, message)
    rows.clear()
    this.#page.open(words, base)
    this.#decoder.decode(words, base, rows)
    this.#pages++
    if (!this.#page.samplesFit()) report('the samples of the directory do not fit it')
    const defect = rowsDefect(rows, layout, true)
    if (defect !== undefined) report(defect)
    const key = Uint32Array.from({ length: layout.keyLaneCount }, (_, lane) => rows.lanes[lane]![0]!)
    if (!this.#file.startsWith(page, key)) report('the first key is not the one in the fences')
    if (!this.#facts.add(rows)) report('the first key is smaller than the last one of the page before')
    for (let row = 0; row < rows.count; row++) {
      if (!this.#filterHas(page, hashKey(rows.lanes, row, layout.keyLaneCount)))
        report(`the filter does not know the key of row ${row}`)
    }
  }

  /** A page of the filter that cannot be read has been reported: it may have every key. */
  #filterHas(page: number, hash: number): boolean {
    const { filter } = this.#file
    const line = filter.lineFor(page, hash)
    if (line === NO_LINE) return true
    const words = this.#filterPages.get(filter.pageOf(line))
    return words === undefined || filter.mayContain(words, 0, line, hash)
  }

  /** Reads the pages of the filter that data pages [from, to) need; those of earlier ones are forgotten. */
  async #readFilter(from: number, to: number): Promise<void> {
    const { filter } = this.#file
    // The least hash leads to the first line of a page, the greatest hash to the last line.
    const lines = [filter.lineFor(from, 0), filter.lineFor(to - 1, 0xffff_ffff)]
    if (lines.includes(NO_LINE)) return
    const [first, last] = lines.map(line => filter.pageOf(line)) as [number, number]
    for (const page of this.#filterPages.keys()) if (page < first) this.#filterPages.delete(page)
    for (let page = first; page <= last; page++) {
      if (this.#filterPages.has(page)) continue
      this.#filterPages.set(page, await this.#readFilterPage(page))
    }
  }

  async #readFilterPage(page: number): Promise<Uint32Array | undefined> {
    try {
      return await this.#file.readPages(page, page + 1)
    } catch (error) {
      if (!(error instanceof FlashTableError)) throw error
      this.#problems.push(problemOf(error, this.#file.path))
      return undefined
    }
  }

  #atFooter(message: string): void {
    this.#at(this.#file.entry.pages - 1, message)
  }

  #at(page: number, message: string): void {
    this.#problems.push({ path: this.#file.path, offset: page * this.#options.pageBytes, message })
  }
}

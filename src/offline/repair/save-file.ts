/**
 * Saves one bucket file: its *delete where* entries, which only concern older files, and then its data pages.
 *
 * The footer says what must be there. If it is damaged, the pages tell their own kinds, and their number is not known.
 * A run of damaged pages is one loss. docs/file-format.md, Bucket file.
 */
import { throwIfAborted } from '../../async/abort.js'
import { FlashTableError, hasCode } from '../../base/errors.js'
import { PageFacts, rowsDefect } from '../../bucket-file/page-facts.js'
import type { Schema } from '../../encoding/schema.js'
import { DataPageDecoder } from '../../format/data-page-decoder.js'
import { DataPageReader } from '../../format/data-page-reader.js'
import { readDeleteWheres } from '../../format/delete-where.js'
import { footerIdentity, readFooter, type Footer } from '../../format/footer.js'
import {
  BUCKET_MAGIC,
  DATA_PAGE,
  DELETE_WHERE_PAGE,
  FOOTER_PAGE,
  PAGE_HEADER_BYTES,
  PAGE_KIND_AT,
} from '../../format/page-layout.js'
import type { FileSystem } from '../../io/file-system.js'
import { OperationBuffer, type DeleteWhere } from '../../records/operations.js'
import type { RecordLayout } from '../../records/record-layout.js'
import { FilePages } from './file-pages.js'
import type { RepairOutput } from './output.js'
import { lossOf, type Loss, type SourceFile } from './types.js'

/** Stands for the kind of a damaged page. */
const DAMAGED = 0
const COMES_BACK = 'what they hid may come back'

export interface SaveContext {
  readonly fileSystem: FileSystem
  readonly schema: Schema
  /** See {@link Inventory.schemaGiven}. */
  readonly schemaGiven: boolean
  readonly output: RepairOutput
  readonly signal: AbortSignal | undefined
  readonly onPages: (pages: number) => void
}

export async function saveFile(context: SaveContext, inventory: SourceFile): Promise<Loss[]> {
  let pages: FilePages
  try {
    pages = await FilePages.open(context.fileSystem, inventory.path, inventory.pageBytes, inventory.seed)
  } catch (error) {
    const missing = hasCode(error, 'ENOENT') ? 'the file is missing' : 'the file cannot be opened'
    const reason = `${missing}: its records, and its deletes, if it has any: ${COMES_BACK}`
    return [lossOf(inventory.path, 0, reason, inventory.said?.records)]
  }
  try {
    return await new FileSaver(context, inventory, pages).run()
  } finally {
    await pages.close()
  }
}

/** A run of pages that cannot be read. */
interface Gap {
  readonly page: number
  pages: number
  readonly after: unknown
  before: unknown
}

class FileSaver {
  readonly #context: SaveContext
  readonly #pages: FilePages
  readonly #path: string
  /** Pages that the file has, or had. */
  readonly #count: number
  readonly #said: SourceFile['said']
  readonly #facts: PageFacts
  readonly #losses: Loss[] = []
  readonly #gaps: Gap[] = []
  /** The rows of one page at a time. */
  readonly #rows: OperationBuffer
  #footer: Footer | undefined
  #lastKey: unknown

  constructor(context: SaveContext, inventory: SourceFile, pages: FilePages) {
    this.#context = context
    this.#pages = pages
    this.#path = inventory.path
    this.#said = inventory.said
    this.#count = inventory.said?.pages ?? pages.count
    this.#facts = new PageFacts(context.schema.layout)
    this.#rows = new OperationBuffer(context.schema.layout, 1024)
  }

  async run(): Promise<Loss[]> {
    this.#footer = await this.#readFooter()
    const kinds = this.#footer === undefined ? await this.#kindsFound() : kindsSaid(this.#footer)
    await this.#saveDeletes(kinds)
    await this.#savePages(kinds)
    this.#tellGaps()
    if (this.#footer === undefined && this.#pages.count >= this.#count) {
      const reason = `the footer is damaged: its counts are not known${this.#gaps.length > 0 ? '' : '; all other pages are intact'}`
      this.#lose(this.#count - 1, reason)
    }
    return this.#losses
  }

  async #readFooter(): Promise<Footer | undefined> {
    const page = this.#count - 1
    if (!(await this.#pages.load(page))) return undefined
    const bytes = this.#pages.bytes(page)
    const { layout } = this.#context.schema
    if (bytes[PAGE_KIND_AT] !== FOOTER_PAGE || footerIdentity(bytes).magic !== BUCKET_MAGIC) return undefined
    const footer = readFooter(bytes, layout)
    const { dataPages, filterPages, deleteWherePages, fencePages } = footer
    const fits = dataPages + filterPages + deleteWherePages + fencePages + 1 === this.#count
    const lanes = footer.keyLaneCount === layout.keyLaneCount && footer.laneCount === layout.laneCount
    return fits && lanes ? footer : undefined
  }

  /** The kind that each page gives; {@link DAMAGED} if it is not intact. */
  async #kindsFound(): Promise<Uint8Array> {
    const kinds = new Uint8Array(Math.min(this.#count, this.#pages.count))
    for (let page = 0; page < kinds.length; page++) {
      throwIfAborted(this.#context.signal)
      kinds[page] = (await this.#pages.load(page)) ? this.#pages.bytes(page)[4]! : DAMAGED
    }
    return kinds
  }

  /** Entries may cross page ends: nothing after a damaged page can be read. */
  async #saveDeletes(kinds: Uint8Array): Promise<void> {
    const { layout } = this.#context.schema
    const first = kinds.indexOf(DELETE_WHERE_PAGE)
    const after = kinds.findLastIndex(kind => kind === DATA_PAGE) + 1
    const unsure = kinds.indexOf(DAMAGED, after)
    if (this.#footer === undefined && unsure >= 0 && unsure !== kinds.length - 1)
      this.#lose(unsure, `a damaged page, which may have held delete-where entries: ${COMES_BACK}`)
    // An entry may begin on the page before: without its first page nothing of the section can be read.
    if (first < 0 || (first > 0 && kinds[first - 1] === DAMAGED)) return
    const payload = this.#pages.pageBytes - PAGE_HEADER_BYTES
    const pieces: Uint8Array[] = []
    let damaged: number | undefined
    for (let page = first; kinds[page] === DELETE_WHERE_PAGE; page++) {
      if (!(await this.#pages.load(page)) || this.#pages.bytes(page)[4] !== DELETE_WHERE_PAGE) {
        damaged = page
        break
      }
      pieces.push(this.#pages.bytes(page).slice(PAGE_HEADER_BYTES))
    }
    const section = new Uint8Array(pieces.length * payload)
    for (const [i, piece] of pieces.entries()) section.set(piece, i * payload)
    const entries = entriesIn(section, layout, this.#footer?.deleteWhereCount)
    const rows = new OperationBuffer(layout, 1)
    await this.#context.output.add(
      rows,
      entries.map(({ lanes, values }) => ({ position: 0, lanes, values })),
    )
    const said = this.#footer?.deleteWhereCount
    if (said === undefined || entries.length >= said) return
    const lost = said - entries.length
    const reason = `${lost} of ${said} delete-where entries are damaged: ${COMES_BACK}`
    this.#lose(damaged ?? first, reason, lost)
  }

  async #savePages(kinds: Uint8Array): Promise<void> {
    // Without a footer, damaged pages after the last data page may have been data pages, too.
    const others = kinds.findIndex(kind => kind > DATA_PAGE)
    const end = others < 0 ? kinds.length : Math.max(others, kinds.lastIndexOf(DATA_PAGE) + 1)
    const { layout } = this.#context.schema
    const reader = new DataPageReader(layout, this.#pages.pageBytes)
    const decoder = new DataPageDecoder(layout, this.#pages.pageBytes)
    for (let page = 0; page < end; page++) {
      throwIfAborted(this.#context.signal)
      const rows = kinds[page] === DAMAGED ? undefined : await this.#rowsOf(page, reader, decoder)
      if (rows === undefined) this.#gap(page, 1)
      else await this.#save(rows)
      this.#context.onPages(1)
    }
    this.#context.onPages(this.#count - end)
  }

  async #rowsOf(
    page: number,
    reader: DataPageReader,
    decoder: DataPageDecoder,
  ): Promise<OperationBuffer | undefined> {
    if (!(await this.#pages.load(page))) return undefined
    const { schema, schemaGiven } = this.#context
    const rows = this.#rows
    rows.clear()
    reader.open(this.#pages.words, this.#pages.base(page))
    let defect = reader.defect()
    if (defect === undefined) {
      decoder.decode(this.#pages.words, this.#pages.base(page), rows)
      defect = rowsDefect(rows, schema.layout, true)
    }
    if (defect === undefined) return rows
    // Its checksum fits: it was written like this, or the schema is not the table's.
    if (schemaGiven) throw otherSchema(this.#path, page * this.#pages.pageBytes, defect)
    return undefined
  }

  async #save(rows: OperationBuffer): Promise<void> {
    const { schema, output } = this.#context
    const gap = this.#gaps.at(-1)
    if (gap !== undefined && gap.before === undefined) gap.before = schema.decodeKey(rows.lanes, 0)
    this.#lastKey = schema.decodeKey(rows.lanes, rows.count - 1)
    this.#facts.add(rows)
    await output.add(rows, [])
  }

  #gap(page: number, pages: number): void {
    const last = this.#gaps.at(-1)
    if (last !== undefined && last.page + last.pages === page) last.pages += pages
    else this.#gaps.push({ page, pages, after: this.#lastKey, before: undefined })
  }

  /**
   * Reports what is missing, once: with the gap if there is one; if there are several, each says what all of them held.
   */
  #tellGaps(): void {
    const missing = this.#missing()
    if (this.#pages.count < this.#count) this.#gap(this.#pages.count, this.#count - this.#pages.count)
    const together = this.#gaps.length > 1 && missing !== undefined
    for (const { page, pages, after, before } of this.#gaps) {
      const what =
        page >= this.#pages.count
          ? 'the file ends before'
          : pages === 1
            ? 'a damaged page'
            : `${pages} damaged pages`
      const share = together ? `, one of ${this.#gaps.length} gaps with ${missing} operations together` : ''
      this.#losses.push({
        file: this.#path,
        offset: page * this.#pages.pageBytes,
        reason: `${what}${share}${this.#deletesText()}`,
        after,
        before,
        operations: this.#gaps.length === 1 && missing !== 0 ? missing : undefined,
      })
    }
    if (this.#gaps.length > 0) return
    const differences = this.#footer === undefined ? [] : this.#facts.differences(this.#footer)
    const { records } = this.#facts.counts
    if (this.#footer === undefined && this.#said !== undefined && this.#said.records !== records)
      differences.push(`the manifest counts ${this.#said.records} records, the pages hold ${records}`)
    if (differences.length > 0) this.#lose(this.#count - 1, differences.join('; '), missing)
  }

  /** The number of missing operations, if footer or manifest tell it. */
  #missing(): number | undefined {
    const { counts, operations } = this.#facts
    const footer = this.#footer
    const missing =
      footer === undefined
        ? this.#said && this.#said.records - counts.records
        : footer.records + footer.deleteKeys + footer.deleteRecords - operations
    return missing === undefined || missing < 0 ? undefined : missing
  }

  #deletesText(): string {
    const footer = this.#footer
    if (footer === undefined) return `; deletes may be among them: ${COMES_BACK}`
    const deletes = footer.deleteKeys + footer.deleteRecords - this.#facts.deletes
    return deletes > 0 ? `; ${deletes} deletes among them: ${COMES_BACK}` : ''
  }

  #lose(page: number, reason: string, operations?: number): void {
    this.#losses.push(lossOf(this.#path, page * this.#pages.pageBytes, reason, operations))
  }
}

/** The kinds of the pages before the footer, according to it. Requires: it counts as many pages as the file has. */
function kindsSaid({ dataPages, filterPages, deleteWherePages, fencePages }: Footer): Uint8Array {
  const kinds = new Uint8Array(dataPages + filterPages + deleteWherePages + fencePages)
  kinds.fill(DATA_PAGE, 0, dataPages)
  kinds.fill(DATA_PAGE + 1, dataPages)
  const deletes = dataPages + filterPages
  kinds.fill(DELETE_WHERE_PAGE, deletes, deletes + deleteWherePages)
  return kinds
}

/** The entries up to the first missing one, at most `count`. Zeros follow the last one. */
function entriesIn(section: Uint8Array, layout: RecordLayout, count = Infinity): DeleteWhere[] {
  const entries: DeleteWhere[] = []
  for (let at = 0; entries.length < count;) {
    const read = readDeleteWheres(section, at, 1, layout)
    if (read === undefined) break
    entries.push(...read.entries)
    at = read.end
  }
  return entries
}

/** Something intact shows that the given schema is wrong. */
export function otherSchema(path: string, offset: number, defect: string): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_SCHEMA_MISMATCH',
    `${path}: the given schema cannot have written what is at offset ${offset} (${defect}); give the schema of the table`,
    { path, offset },
  )
}

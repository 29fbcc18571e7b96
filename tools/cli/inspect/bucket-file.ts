/** One bucket file: footer, sections, and what its pages look like. All pages are read, some at a time. */
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { checkPage, openFooter, readSections, seedOf } from '../../../src/bucket-file/sections.js'
import { DataPageReader } from '../../../src/format/data-page-reader.js'
import { WORDS_PER_LINE } from '../../../src/format/cache-line.js'
import { footerBytes, footerIdentity, readFooter, type Footer } from '../../../src/format/footer.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import {
  BUCKET_MAGIC,
  DATA_PAGE,
  DELETE_WHERE_PAGE,
  FENCE_PAGE,
  FILTER_PAGE,
  FOOTER_PAGE,
  PAGE_KIND_AT,
} from '../../../src/format/page-layout.js'
import { bucketName } from '../../../src/io/file-names.js'
import type { FileHandle } from '../../../src/io/file-system.js'
import { readFully } from '../../../src/io/transfer.js'
import { tableIdText, type BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import { corruption } from '../../../src/base/errors.js'
import { formatBytes, formatCount, textList, textTable } from '../output.js'
import { problemLines, problemOf, type InspectedTable, type Problem } from './open-table.js'
import { PageColumns, rounded } from './page-columns.js'
import { cellText, deleteOf, keyOf, type Cell, type InspectedDelete } from './records.js'

/** Pages that are read at a time. */
const PAGES_PER_STEP = 64
/** Fullest and emptiest pages that are told. */
const EXTREMES = 3
/** *Delete where* entries that are shown as text. */
const SHOWN_DELETES = 20

export const PAGE_KINDS: Readonly<Record<number, string>> = {
  [DATA_PAGE]: 'data',
  [FILTER_PAGE]: 'filter',
  [DELETE_WHERE_PAGE]: 'delete where',
  [FENCE_PAGE]: 'fences',
  [FOOTER_PAGE]: 'footer',
}

interface FullPage {
  readonly page: number
  readonly records: number
}

interface Section {
  readonly kind: string
  readonly page: number
  readonly pages: number
  readonly offset: number
  readonly bytes: number
}

export interface InspectedBucket {
  readonly directory: string
  readonly name: string
  /** `null`: the manifest does not name it. */
  readonly level: number | null
  readonly bytes: number
  readonly pageBytes: number
  /** `null`: it cannot be read. */
  readonly footer: InspectedFooter | null
  readonly sections: readonly Section[]
  readonly bitsPerRecord: Readonly<Record<string, number>> | null
  readonly widths: ReturnType<PageColumns['histogram']>
  readonly fullest: readonly FullPage[]
  readonly emptiest: readonly FullPage[]
  readonly filter: { readonly lines: number; readonly probes: number; readonly bitsPerKey: number } | null
  readonly deleteWheres: readonly InspectedDelete[]
  readonly problems: readonly Problem[]
}

export interface InspectedFooter {
  readonly tableId: string
  readonly epoch: number
  readonly records: number
  readonly deleteKeys: number
  readonly deleteRecords: number
  readonly distinctKeys: number
  readonly deleteWheres: number
  readonly firstSequence: number
  readonly lastSequence: number
  readonly firstKey: Cell
  readonly lastKey: Cell
}

/** An open file, and what names it. */
export interface OpenBucket {
  readonly file: FileHandle
  readonly entry: BucketFileEntry
  /** Whether the manifest names it. */
  readonly isNamed: boolean
  readonly pages: number
}

/** Opens the file, runs `work`, and closes it. Rejects if it cannot be opened, or is no bucket file of this table. */
export async function withBucket<Result>(
  table: InspectedTable,
  number: number,
  work: (bucket: OpenBucket) => Promise<Result>,
): Promise<Result> {
  const { options, manifest } = table
  const path = `${options.directory}/${bucketName(number)}`
  const file = await options.fileSystem.open(path, 'read').catch((error: unknown) => {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? corruption(path, 0, 'a bucket file that the manifest names', 'no file', error)
      : error
  })
  try {
    const named = manifest.files.find(entry => entry.number === number)
    const entry = named ?? (await entryOfFooter(table, file, number))
    const pages = Math.min(entry.pages, Math.ceil((await file.size()) / options.pageBytes))
    return await work({ file, entry, isNamed: named !== undefined, pages })
  } finally {
    await file.close().catch(() => {})
  }
}

/** What the manifest would say of a file that it does not name. */
async function entryOfFooter(
  { options, manifest }: InspectedTable,
  file: FileHandle,
  number: number,
): Promise<BucketFileEntry> {
  const { pageBytes, layout } = options
  const pages = Math.floor((await file.size()) / pageBytes)
  const page = new Uint8Array(pageBytes)
  const offset = Math.max(0, pages - 1) * pageBytes
  const count = await readFully(file, page, offset)
  const isFooter =
    count === pageBytes && footerIdentity(page).magic === BUCKET_MAGIC && footerBytes(layout) <= pageBytes
  if (!isFooter) throw corruption(file.path, offset, 'a footer', 'none: the file was not finished')
  const { tableId, epoch, records, firstSequence, endSequence } = readFooter(page, layout)
  const id = tableIdText(tableId)
  const entry = { number, epoch, level: 0, pages, records, firstSequence, endSequence }
  return id === manifest.tableId ? entry : { ...entry, tableId: id }
}

/** Reads and checks one page. Rejects with `FLASHTABLE_CORRUPTION`; `bytes` has what is there anyway. */
export async function readPage(
  { options }: InspectedTable,
  { file, entry }: OpenBucket,
  page: number,
  bytes: Uint8Array,
): Promise<void> {
  const { pageBytes } = options
  const count = await readFully(file, bytes, page * pageBytes)
  checkPage(options, file.path, bytes, seedOf(options, entry), page, count)
}

export async function inspectBucket(table: InspectedTable, number: number): Promise<InspectedBucket> {
  return withBucket(table, number, bucket => new BucketInspection(table, bucket).run())
}

class BucketInspection {
  readonly #table: InspectedTable
  readonly #bucket: OpenBucket
  readonly #problems: Problem[] = []
  readonly #columns: PageColumns
  readonly #page: DataPageReader
  /** Of each kind of page, the first one and how many. */
  readonly #kinds = new Map<number, { first: number; count: number }>()
  #fullest: FullPage[] = []
  #emptiest: FullPage[] = []

  constructor(table: InspectedTable, bucket: OpenBucket) {
    const { schema, options } = table
    this.#table = table
    this.#bucket = bucket
    this.#columns = new PageColumns(schema, options.pageBytes)
    this.#page = new DataPageReader(schema.layout, options.pageBytes)
  }

  async run(): Promise<InspectedBucket> {
    const { options, schema } = this.#table
    const { file, entry, isNamed } = this.#bucket
    const { pageBytes, directory } = options
    let footer: Footer | undefined
    let deleteWheres: InspectedDelete[] = []
    let filterLines = 0
    try {
      footer = await openFooter(options, entry, file)
      const sections = await readSections(options, entry, file, footer)
      filterLines = sections.filterEnds.at(-1) ?? 0
      deleteWheres = sections.deletes.map(entry => deleteOf(schema, entry))
    } catch (error) {
      this.#problems.push(problemOf(error, file.path))
    }
    await this.#readPages()
    return {
      directory,
      name: bucketName(entry.number),
      level: isNamed ? entry.level : null,
      bytes: await file.size(),
      pageBytes,
      footer: footer === undefined ? null : this.#footerOf(footer),
      sections: this.#sections(),
      bitsPerRecord: this.#columns.bitsPerRecord(),
      widths: this.#columns.histogram(),
      fullest: this.#fullest,
      emptiest: this.#emptiest,
      filter: footer === undefined ? null : filterOf(footer, filterLines),
      deleteWheres,
      problems: this.#problems,
    }
  }

  async #readPages(): Promise<void> {
    const { options, signal } = this.#table
    const { file, entry, pages } = this.#bucket
    const { pageBytes } = options
    const bytes = new Uint8Array(PAGES_PER_STEP * pageBytes + 4)
    const words = wordsOf(bytes)
    const seed = seedOf(options, entry)
    for (let from = 0; from < pages; from += PAGES_PER_STEP) {
      signal.throwIfAborted()
      const to = Math.min(pages, from + PAGES_PER_STEP)
      // What cannot be read is shorter than a page.
      const count = await readFully(file, bytes.subarray(0, (to - from) * pageBytes), from * pageBytes).catch(
        () => 0,
      )
      for (let page = from; page < to; page++) {
        const at = (page - from) * pageBytes
        try {
          checkPage(options, file.path, bytes.subarray(at, at + pageBytes), seed, page, count - at)
          this.#take(words, at / 4, page, bytes[at + PAGE_KIND_AT]!)
        } catch (error) {
          this.#add(problemOf(error, file.path))
        }
      }
    }
  }

  #take(words: Uint32Array, base: number, page: number, kind: number): void {
    const { file } = this.#bucket
    const offset = page * this.#table.options.pageBytes
    const seen = this.#kinds.get(kind)
    if (seen === undefined) this.#kinds.set(kind, { first: page, count: 1 })
    else seen.count++
    if (PAGE_KINDS[kind] === undefined)
      throw corruption(file.path, offset, 'a page kind from 1 to 5', `${kind}`)
    if (kind !== DATA_PAGE) return
    this.#page.open(words, base)
    const defect = this.#page.defect()
    if (defect !== undefined) throw corruption(file.path, offset, 'a data page', defect)
    const head = this.#columns.headOf(words, base)
    this.#columns.add(head)
    const full = { page, records: head.rows }
    this.#fullest = extremes([...this.#fullest, full], (a, b) => b.records - a.records)
    this.#emptiest = extremes([...this.#emptiest, full], (a, b) => a.records - b.records)
  }

  /** The footer and the sections may have told it already. */
  #add(problem: Problem): void {
    if (!this.#problems.some(({ offset }) => offset === problem.offset)) this.#problems.push(problem)
  }

  /** Where the pages of each kind are: those that could be read. */
  #sections(): Section[] {
    const { pageBytes } = this.#table.options
    return [...this.#kinds]
      .filter(([kind]) => PAGE_KINDS[kind] !== undefined)
      .map(([kind, { first, count }]) => ({
        kind: PAGE_KINDS[kind]!,
        page: first,
        pages: count,
        offset: first * pageBytes,
        bytes: count * pageBytes,
      }))
  }

  #footerOf(footer: Footer): InspectedFooter {
    return footerFacts(this.#table, footer)
  }
}

export function footerFacts({ schema }: InspectedTable, footer: Footer): InspectedFooter {
  const { epoch, records, deleteKeys, deleteRecords, distinctKeys, firstSequence } = footer
  const hasKeys = footer.dataPages > 0
  return {
    tableId: tableIdText(footer.tableId),
    epoch,
    records,
    deleteKeys,
    deleteRecords,
    distinctKeys,
    deleteWheres: footer.deleteWhereCount,
    firstSequence,
    lastSequence: footer.endSequence - 1,
    firstKey: hasKeys ? keyOf(schema, footer.firstKey) : null,
    lastKey: hasKeys ? keyOf(schema, footer.lastKey) : null,
  }
}

export function filterOf(
  { filterProbes, distinctKeys }: Footer,
  lines: number,
): { lines: number; probes: number; bitsPerKey: number } {
  const bits = lines * WORDS_PER_LINE * 32
  return { lines, probes: filterProbes, bitsPerKey: distinctKeys === 0 ? 0 : rounded(bits / distinctKeys) }
}

/** How many lines the filter of an open file has. */
export function filterFacts(file: BucketFile): ReturnType<typeof filterOf> {
  return filterOf(file.footer, file.filter.count)
}

function extremes(pages: FullPage[], order: (a: FullPage, b: FullPage) => number): FullPage[] {
  return pages.sort(order).slice(0, EXTREMES)
}

export function bucketText(bucket: InspectedBucket): string {
  const { name, level, bytes, pageBytes, footer, sections, bitsPerRecord, problems } = bucket
  const head: (readonly [string, string])[] = [
    ['bucket file', `${name}, ${level === null ? 'not named by the manifest' : `level ${level}`}`],
    ['size', `${formatBytes(bytes)}, pages of ${formatCount(pageBytes)}`],
    ...(footer === null ? [['footer', 'cannot be read'] as const] : footerRows(footer)),
    ...filterRows(bucket),
  ]
  const parts = sections.map(({ kind, page, pages, offset, bytes }) => [
    kind,
    ...[page, pages, offset, bytes].map(formatCount),
  ])
  const widths = bucket.widths.map(({ name, widths }) => [
    name,
    bitsPerRecord === null ? '' : String(bitsPerRecord[name]),
    widths.map(({ bits, pages }) => `${bits}: ${formatCount(pages)}`).join('  '),
  ])
  const shown = bucket.deleteWheres.slice(0, SHOWN_DELETES)
  const more = bucket.deleteWheres.length - shown.length
  return [
    textList(head),
    ...(parts.length === 0 ? [] : ['', textTable(['section', 'page', 'pages', 'offset', 'bytes'], parts)]),
    ...(bitsPerRecord === null
      ? []
      : [
          '',
          textTable(['column', 'bits a record', 'bits in a row: data pages'], widths),
          `whole pages: ${bitsPerRecord['all']} bits a record, exact: all data pages were read`,
          '',
          `fullest pages:  ${bucket.fullest.map(fullText).join(', ')}`,
          `emptiest pages: ${bucket.emptiest.map(fullText).join(', ')}`,
        ]),
    ...(shown.length === 0 ? [] : ['', ...shown.map(deleteText)]),
    ...(more === 0 ? [] : [`and ${formatCount(more)} more; --json has all`]),
    ...(problems.length === 0 ? [] : ['', ...problemLines(problems)]),
  ].join('\n')
}

export function footerRows(footer: InspectedFooter): (readonly [string, string])[] {
  const { deleteKeys, deleteRecords, deleteWheres, firstKey } = footer
  return [
    ['written by', `table ${footer.tableId}, epoch ${footer.epoch}`],
    ['records', `${formatCount(footer.records)}, different keys ${formatCount(footer.distinctKeys)}`],
    [
      'deletes',
      `keys ${formatCount(deleteKeys)}, records ${formatCount(deleteRecords)}, ` +
        `entries ${formatCount(deleteWheres)}`,
    ],
    ['sequence', `${footer.firstSequence} to ${footer.lastSequence}`],
    ['keys', firstKey === null ? 'none' : `${cellText(firstKey)} to ${cellText(footer.lastKey)}`],
  ]
}

function filterRows({ filter }: InspectedBucket): (readonly [string, string])[] {
  if (filter === null) return []
  const { probes, bitsPerKey, lines } = filter
  const text =
    lines === 0 ? 'none' : `${bitsPerKey} bits a key, ${probes} probes, ${formatCount(lines)} lines`
  return [['filter', text]]
}

function fullText({ page, records }: FullPage): string {
  return `${page} (${formatCount(records)})`
}

export function deleteText({ sequence, what, where }: InspectedDelete): string {
  return `${what} at ${sequence}: ${where}`
}

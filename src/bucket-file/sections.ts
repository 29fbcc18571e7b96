/**
 * What is read when a bucket file is opened: footer, *delete where* entries, fences - each checked before anything in it is
 * believed. Filter and data pages are read when they are needed. docs/file-format.md, Bucket file.
 */
import { Buffer } from 'node:buffer'
import { FlashTableError, corruption } from '../base/errors.js'
import { WORDS_PER_LINE } from '../format/cache-line.js'
import { fileSeed } from '../format/checksum.js'
import { readDeleteWheres } from '../format/delete-where.js'
import { footerIdentity, readFooter, type Footer } from '../format/footer.js'
import { wordsOf } from '../format/little-endian.js'
import {
  BUCKET_FORMAT_VERSION,
  BUCKET_MAGIC,
  DELETE_WHERE_PAGE,
  FENCE_PAGE,
  FILTER_PAGE,
  FOOTER_PAGE,
  PAGE_KIND_AT,
} from '../format/page-layout.js'
import { pageChecksums, sectionStart } from '../format/section.js'
import type { FileHandle } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import { writerOf, type BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { TableFiles } from '../manifest/table-files.js'
import type { DeleteWhere } from '../records/operations.js'
import { onceMore } from './once-more.js'
import type { PageCache } from './page-cache.js'
import type { ReadPace } from './read-pace.js'

const LINE_BYTES = 4 * WORDS_PER_LINE
/** Bytes of a section that are read at once: of a disk, and of a store. */
const PIECE_BYTES = 2 ** 20
const REMOTE_PIECE_BYTES = 2 ** 23

/** How to open bucket files of a table. If another table wrote the file, its entry has the `tableId` of that one. */
export interface BucketFileOptions extends TableFiles {
  /** Where pages of data and of the filter are kept; a merge that reads each page once needs none. */
  readonly cache?: PageCache | undefined
  /** Whether reads into the cache may block. Files of a table share it, as they lie on one device. */
  readonly pace?: ReadPace | undefined
  /** The files are in a store on another machine: a read takes long, and many may be on their way at once. */
  readonly isRemote?: boolean | undefined
}

/** The seed of the checksums of the file that the entry names. */
export function seedOf({ tableId }: BucketFileOptions, entry: BucketFileEntry): number {
  return fileSeed(writerOf(entry, tableId), entry.epoch, entry.number)
}

/** Checks that a page came in whole and has its checksum. */
export function checkPage(
  options: BucketFileOptions,
  path: string,
  bytes: Uint8Array,
  seed: number,
  page: number,
  count: number,
): void {
  const { pageBytes } = options
  if (count < pageBytes) {
    throw corruption(
      path,
      page * pageBytes,
      `a page of ${pageBytes} bytes`,
      `the end after ${Math.max(0, count)} bytes`,
    )
  }
  const [found, expected] = pageChecksums(bytes, seed, page)
  if (found !== expected) throw corruption(path, page * pageBytes, `checksum ${hex(expected)}`, hex(found))
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

export async function openFooter(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
): Promise<Footer> {
  const { pageBytes } = options
  const path = file.path
  const size = await file.size()
  const offset = (entry.pages - 1) * pageBytes
  if (size !== entry.pages * pageBytes) {
    throw corruption(
      path,
      Math.min(size, entry.pages * pageBytes),
      `a file of ${entry.pages * pageBytes} bytes`,
      `${size}`,
    )
  }
  return onceMore(file, offset, pageBytes, async () => {
    const page = new Uint8Array(pageBytes)
    const count = await readFully(file, page, offset)
    return checkFooter(options, entry, path, page, count)
  })
}

/** `count`: bytes that there are of the page. */
function checkFooter(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  path: string,
  page: Uint8Array,
  count: number,
): Footer {
  const { pageBytes, tableId, layout } = options
  const offset = (entry.pages - 1) * pageBytes
  const { magic, version } = footerIdentity(page)
  if (magic === BUCKET_MAGIC && version > 0 && version !== BUCKET_FORMAT_VERSION) {
    throw new FlashTableError(
      'FLASHTABLE_UNSUPPORTED_FORMAT',
      `${path} has bucket file version ${version}; this release reads version ${BUCKET_FORMAT_VERSION}`,
      { path, offset },
    )
  }
  checkPage(options, path, page, seedOf(options, entry), entry.pages - 1, count)
  const footer = readFooter(page, layout)
  const expected: [string, number | string, number | string][] = [
    ['page kind', FOOTER_PAGE, page[PAGE_KIND_AT]!],
    ['magic', BUCKET_MAGIC, magic],
    ['table id', hexOf(writerOf(entry, tableId)), hexOf(footer.tableId)],
    ['file number', entry.number, footer.fileNumber],
    ['epoch', entry.epoch, footer.epoch],
    ['page size', pageBytes, footer.pageBytes],
    ['key lanes', layout.keyLaneCount, footer.keyLaneCount],
    ['lanes', layout.laneCount, footer.laneCount],
    ['records', entry.records, footer.records],
    ['first sequence number', entry.firstSequence, footer.firstSequence],
    ['end sequence number', entry.endSequence, footer.endSequence],
    [
      'pages',
      entry.pages,
      footer.dataPages + footer.filterPages + footer.deleteWherePages + footer.fencePages + 1,
    ],
  ]
  for (const [what, wanted, found] of expected) {
    if (wanted !== found) throw corruption(path, offset, `${what} ${wanted}`, `${found}`)
  }
  return footer
}

export interface Sections {
  readonly fences: Uint32Array[]
  /** Of each page, where its lines of the filter end. */
  readonly filterEnds: Uint32Array
  readonly deletes: DeleteWhere[]
}

/** Reads delete-where entries and fences, and checks that they fit the footer. */
export async function readSections(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
  footer: Footer,
): Promise<Sections> {
  const { layout, pageBytes } = options
  const { keyLaneCount } = layout
  const deletePage = footer.dataPages + footer.filterPages
  const fencePage = deletePage + footer.deleteWherePages
  const deleteBytes = await readSection(
    options,
    entry,
    file,
    deletePage,
    footer.deleteWherePages,
    DELETE_WHERE_PAGE,
  )
  const deletes = readDeleteWheres(deleteBytes, 0, footer.deleteWhereCount, layout)
  if (deletes === undefined) {
    throw corruption(
      file.path,
      deletePage * pageBytes,
      `${footer.deleteWhereCount} delete-where entries`,
      'fewer, or malformed ones',
    )
  }
  const fenceWords = wordsOf(
    await readSection(options, entry, file, fencePage, footer.fencePages, FENCE_PAGE),
  )
  const stride = keyLaneCount + 1
  if (fenceWords.length < footer.dataPages * stride) {
    throw corruption(file.path, fencePage * pageBytes, `fences of ${footer.dataPages} pages`, 'fewer')
  }
  // A plain loop: a large file has a hundred thousand pages, and this runs on the event loop.
  const column = (lane: number): Uint32Array => {
    const values = new Uint32Array(footer.dataPages)
    for (let page = 0; page < values.length; page++) values[page] = fenceWords[page * stride + lane]!
    return values
  }
  const filterEnds = column(keyLaneCount)
  const lines = filterEnds.at(-1) ?? 0
  const linesMax = Math.floor((footer.filterPages * (pageBytes - sectionStart(FILTER_PAGE))) / LINE_BYTES)
  if (lines > linesMax || filterEnds.some((end, page) => page > 0 && end < filterEnds[page - 1]!))
    throw corruption(file.path, fencePage * pageBytes, `filter blocks within ${linesMax} lines`, `${lines}`)
  return {
    fences: Array.from({ length: keyLaneCount }, (_, lane) => column(lane)),
    filterEnds,
    deletes: deletes.entries,
  }
}

/** The bytes of a section, and at most one page of zeros after its end. */
async function readSection(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
  firstPage: number,
  pages: number,
  kind: number,
): Promise<Uint8Array> {
  const { pageBytes } = options
  const start = sectionStart(kind)
  const payload = pageBytes - start
  const seed = seedOf(options, entry)
  const section = new Uint8Array(pages * payload)
  const pieceBytes = options.isRemote === true ? REMOTE_PIECE_BYTES : PIECE_BYTES
  const piecePages = Math.max(1, Math.floor(pieceBytes / pageBytes))
  const buffer = new Uint8Array(Math.min(pages, piecePages) * pageBytes)
  for (let done = 0; done < pages;) {
    const count = Math.min(pages - done, piecePages)
    const bytes = buffer.subarray(0, count * pageBytes)
    const position = (firstPage + done) * pageBytes
    await onceMore(file, position, bytes.byteLength, async () => {
      const read = await readFully(file, bytes, position)
      for (let i = 0; i < count; i++) {
        const at = i * pageBytes
        const page = bytes.subarray(at, at + pageBytes)
        checkPage(options, file.path, page, seed, firstPage + done + i, read - at)
        if (page[PAGE_KIND_AT] !== kind)
          throw corruption(file.path, position + at, `page kind ${kind}`, `${page[PAGE_KIND_AT]}`)
        section.set(page.subarray(start), (done + i) * payload)
      }
    })
    done += count
  }
  return section
}

/**
 * Finds bucket files without a manifest. A footer says what the file is, and its own checksum vouches for it; if it is
 * damaged, two pages with the same seed confirm each other.
 */
import { throwIfAborted } from '../../async/abort.js'
import { fileSeedOf, seedFamily, seedFor, tableFamily } from '../../format/checksum-seed.js'
import { fileSeed } from '../../format/checksum.js'
import { footerBytes, footerIdentity, readFooter, type Footer } from '../../format/footer.js'
import { viewOf } from '../../format/little-endian.js'
import { BUCKET_MAGIC, DATA_PAGE, FOOTER_PAGE, PAGE_KIND_AT } from '../../format/page-layout.js'
import { pageChecksums } from '../../format/section.js'
import { bucketName } from '../../io/file-names.js'
import { MAX_PAGE_BYTES, MIN_PAGE_BYTES } from '../../options/options.js'
import type { RecordLayout } from '../../records/record-layout.js'
import { FilePages } from './file-pages.js'
import type { Place } from './found-segments.js'
import { lossOf, type Loss, type SourceFile } from './types.js'

/** A file that can be read. */
export interface FoundFile {
  readonly file: SourceFile & { readonly number: number }
  readonly family: number
  /** Operations in its intact pages. */
  readonly operations: number
}

/** A file whose footer tells which sequence numbers it covers. */
export interface RangedFile extends FoundFile {
  readonly firstSequence: number
  readonly endSequence: number
  readonly epoch: number
}

export interface FoundBuckets {
  /** Families of the files with footers. */
  readonly families: ReadonlySet<number>
  readonly pageBytes: number | undefined
  readonly losses: Loss[]
  /** All files, once the family of the log is known too. */
  complete(family: number | undefined): Promise<{ files: RangedFile[]; unknown: FoundFile[] }>
}

export async function findBuckets(place: Place, numbers: readonly number[]): Promise<FoundBuckets> {
  const losses: Loss[] = []
  const files: RangedFile[] = []
  const rest: number[] = []
  for (const number of numbers) {
    const found = await byFooter(place, number)
    if (found === undefined) rest.push(number)
    else if (typeof found === 'string')
      losses.push(lossOf(`${place.directory}/${bucketName(number)}`, 0, found))
    else files.push(found)
  }
  const families = new Set(files.map(file => file.family))
  const complete = async (family: number | undefined) => {
    const known = new Set(families)
    if (family !== undefined) known.add(family)
    const unknown: FoundFile[] = []
    for (const number of rest) {
      const found = await byPages(place, number, known)
      if (found !== undefined) unknown.push(found)
      else
        losses.push(
          lossOf(`${place.directory}/${bucketName(number)}`, 0, 'none of its pages can be recognised'),
        )
    }
    return { files, unknown }
  }
  return { families, pageBytes: files.at(-1)?.file.pageBytes, losses, complete }
}

/** The file according to its footer; `undefined` if that is not intact, a text if the file has another schema. */
async function byFooter(place: Place, number: number): Promise<RangedFile | string | undefined> {
  for (let pageBytes = MIN_PAGE_BYTES; pageBytes <= MAX_PAGE_BYTES; pageBytes *= 2) {
    const pages = await open(place, number, pageBytes)
    if (pages === undefined) return undefined
    try {
      const footer = await footerOf(pages, number, place.layout)
      if (footer === undefined) continue
      const other = otherLanes(footer, place.layout)
      if (other !== undefined) return other
      const { epoch, firstSequence, endSequence, records, deleteKeys, deleteRecords } = footer
      const file = { ...sourceOf(pages, number), number }
      const operations = records + deleteKeys + deleteRecords
      return { file, family: tableFamily(footer.tableId), operations, epoch, firstSequence, endSequence }
    } finally {
      await pages.close()
    }
  }
  return undefined
}

function sourceOf({ path, seed, pageBytes, count }: FilePages, number: number): FoundFile['file'] {
  return { path, number, seed, pageBytes, pages: count, said: undefined }
}

/** The last page, if it is a footer that fits the file; sets the seed of the pages. */
async function footerOf(pages: FilePages, number: number, layout: RecordLayout): Promise<Footer | undefined> {
  const page = pages.count - 1
  await pages.load(page)
  if (page < 0) return undefined
  const bytes = pages.bytes(page)
  if (bytes[PAGE_KIND_AT] !== FOOTER_PAGE || footerIdentity(bytes).magic !== BUCKET_MAGIC) return undefined
  if (footerBytes(layout) > bytes.byteLength) return undefined
  const footer = readFooter(bytes, layout)
  pages.seed = fileSeed(footer.tableId, footer.epoch, number)
  const [stored, expected] = pageChecksums(bytes, pages.seed, page)
  const { dataPages, filterPages, deleteWherePages, fencePages } = footer
  const sum = dataPages + filterPages + deleteWherePages + fencePages + 1
  return stored === expected && footer.pageBytes === pages.pageBytes && sum === pages.count
    ? footer
    : undefined
}

/** Why a file with this footer cannot have the schema. */
function otherLanes(
  footer: Footer,
  { keyLaneCount, laneCount, laneBytes }: RecordLayout,
): string | undefined {
  if (footer.keyLaneCount !== keyLaneCount || footer.laneCount !== laneCount) {
    const [there, given] = [footer, { keyLaneCount, laneCount }].map(
      lanes => `keys of ${lanes.keyLaneCount} and values of ${lanes.laneCount - lanes.keyLaneCount} lanes`,
    )
    return `it has another schema: ${there}; the one given makes ${given} (a lane is up to 4 bytes of a field)`
  }
  const limits = laneBytes.map(bytes => 2 ** (8 * bytes))
  if (footer.records + footer.deleteRecords === 0) return undefined
  const wide = footer.maxValues.findIndex((value, i) => value >= limits[keyLaneCount + i]!)
  return wide < 0
    ? undefined
    : `it has another schema: lane ${wide + 1} of the values has numbers that do not fit`
}

/** If no two pages are intact, one must do, but only in a small file: of many damaged pages one may fit by chance. */
const LONELY_PAGES_MAX = 16

/** The file according to its pages: two with the same seed, or one with the seed of a known table. */
async function byPages(
  place: Place,
  number: number,
  families: ReadonlySet<number>,
): Promise<FoundFile | undefined> {
  for (const lonely of [false, true]) {
    for (let pageBytes = MIN_PAGE_BYTES; pageBytes <= MAX_PAGE_BYTES; pageBytes *= 2) {
      const pages = await open(place, number, pageBytes)
      if (pages === undefined) return undefined
      try {
        const isKnown = (seed: number): boolean => families.has(seedFamily(seed, number))
        const among = lonely && pages.count <= LONELY_PAGES_MAX ? isKnown : () => false
        const seed = await seedOf(pages, among, place.signal)
        if (seed === undefined) continue
        pages.seed = seed
        const operations = await operationsIn(pages)
        return { file: sourceOf(pages, number), family: seedFamily(seed, number), operations }
      } finally {
        await pages.close()
      }
    }
  }
  return undefined
}

async function operationsIn(pages: FilePages): Promise<number> {
  let operations = 0
  for (let page = 0; page < pages.count; page++) {
    if ((await pages.load(page)) && pages.bytes(page)[PAGE_KIND_AT] === DATA_PAGE)
      operations += viewOf(pages.bytes(page)).getUint16(6, true)
  }
  return operations
}

async function seedOf(
  pages: FilePages,
  isKnown: (seed: number) => boolean,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const seen = new Set<number>()
  for (let page = 0; page < pages.count; page++) {
    throwIfAborted(signal)
    await pages.load(page)
    const bytes = pages.bytes(page)
    const kind = bytes[PAGE_KIND_AT]!
    if (kind < DATA_PAGE || kind > FOOTER_PAGE || bytes[PAGE_KIND_AT + 1] !== 0) continue
    const checksum = viewOf(bytes).getUint32(0, true)
    const seed = fileSeedOf(seedFor(bytes, 4, bytes.byteLength, checksum), page)
    if (seen.has(seed) || isKnown(seed)) return seed
    seen.add(seed)
  }
  return undefined
}

async function open(place: Place, number: number, pageBytes: number): Promise<FilePages | undefined> {
  const path = `${place.directory}/${bucketName(number)}`
  return FilePages.open(place.fileSystem, path, pageBytes, 0).catch(() => undefined)
}

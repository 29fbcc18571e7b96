/** A table as a whole: manifest, bucket files, log, and what hides records. Of the files, some pages are read as a sample. */
import { FlashTableError } from '../../../src/base/errors.js'
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { GarbageEstimates } from '../../../src/compaction/garbage-estimate.js'
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import { MANIFEST_TEMPORARY_NAME, bucketName, spillName, walName } from '../../../src/io/file-names.js'
import type { BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import type { Manifest, ManifestCounters } from '../../../src/manifest/manifest.js'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { filterFacts, footerFacts, type InspectedFooter } from './bucket-file.js'
import {
  finalState,
  judgeLog,
  stateOf,
  walkSegment,
  type SegmentState,
  type SegmentWalk,
} from './log-segment.js'
import { problemOf, type InspectedTable, type Problem } from './open-table.js'
import { PageColumns, rounded } from './page-columns.js'
import { deleteOf, type InspectedDelete } from './records.js'

/** Data pages of a file that are read for its bits a record, spread over it. */
const SAMPLE_PAGES = 64
/** *Delete where* entries that are listed. */
const LISTED_DELETES = 1000

interface ManifestFacts extends Omit<Manifest, 'files' | 'log' | 'meta' | 'schema'> {
  readonly bytes: number
  readonly schema: StoredSchema
  readonly firstSegment: number
  readonly metaBytes: number
  readonly counters: ManifestCounters
}

interface FileFacts {
  readonly name: string
  readonly level: number
  readonly bytes: number
  readonly pages: number
  readonly records: number
  readonly firstSequence: number
  readonly lastSequence: number
  /** `null`: the file cannot be opened. */
  readonly footer: InspectedFooter | null
  readonly dataPages: number | null
  readonly filterBitsPerKey: number | null
  /** Average of the pages that were read: all of them, or a sample. */
  readonly bitsPerRecord: Readonly<Record<string, number>> | null
  readonly pagesRead: number
  readonly isExact: boolean
  /** Records that newer files hide, estimated from a sample; `null`: not known. */
  readonly hidden: number | null
}

interface SegmentFacts {
  readonly name: string
  readonly state: SegmentState
  /** `null`: there is no file. */
  readonly bytes: number | null
  readonly frames: number
  readonly firstSequence: number | null
  readonly lastSequence: number | null
}

interface Hiding {
  readonly deleteKeys: number
  readonly deleteRecords: number
  /** *Delete where* entries, and those among them that clear ranges of keys. */
  readonly deleteWheres: number
  readonly clears: number
  /** The newest of them. */
  readonly entries: readonly (InspectedDelete & { readonly file: string })[]
  /** Records of bucket files that newer files hide, estimated; `null`: not known. */
  readonly hiddenRecords: number | null
}

export interface InspectedWhole {
  readonly directory: string
  readonly manifest: ManifestFacts
  readonly files: readonly FileFacts[]
  readonly bitsPerRecord: Readonly<Record<string, number>> | null
  readonly isExact: boolean
  readonly log: readonly SegmentFacts[]
  /** Puts in the frames that count. */
  readonly logRecords: number
  readonly hiding: Hiding
  readonly tornAt: { readonly file: string; readonly offset: number } | null
  readonly orphans: readonly string[]
  readonly problems: readonly Problem[]
}

export async function inspectTable(table: InspectedTable): Promise<InspectedWhole> {
  return new TableInspection(table).run()
}

class TableInspection {
  readonly #table: InspectedTable
  readonly #problems: Problem[] = []
  readonly #entries: (InspectedDelete & { readonly file: string })[] = []
  #deleteWheres = 0
  #clears = 0
  #deleteKeys = 0
  #deleteRecords = 0
  #logRecords = 0

  constructor(table: InspectedTable) {
    this.#table = table
  }

  async run(): Promise<InspectedWhole> {
    const { options, manifest } = this.#table
    const files = await this.#files()
    const log = await this.#log()
    const judged = await judgeLog(this.#table)
    for (const { path, offset, message } of judged.problems)
      this.#problems.push({ file: path, offset: offset ?? null, message })
    const { bitsPerRecord, isExact } = totalBits(this.#table, files)
    const isKnown = files.every(({ hidden }) => hidden !== null)
    return {
      directory: options.directory,
      manifest: this.#manifestFacts(),
      files,
      bitsPerRecord,
      isExact,
      log,
      logRecords: this.#logRecords,
      hiding: {
        deleteKeys: this.#deleteKeys,
        deleteRecords: this.#deleteRecords,
        deleteWheres: this.#deleteWheres,
        clears: this.#clears,
        entries: this.#entries.toSorted((a, b) => b.sequence - a.sequence),
        hiddenRecords: isKnown ? files.reduce((sum, { hidden }) => sum + hidden!, 0) : null,
      },
      tornAt: judged.tornAt === undefined ? null : { file: judged.tornAt.path, offset: judged.tornAt.offset },
      orphans: this.#orphans(new Set(manifest.files.map(({ number }) => number))),
      problems: this.#problems,
    }
  }

  #manifestFacts(): ManifestFacts {
    const { files: _, log, meta, ...facts } = this.#table.manifest
    return {
      ...facts,
      schema: this.#table.schema.stored,
      bytes: this.#table.manifestBytes,
      firstSegment: log.firstSegment,
      metaBytes: Buffer.byteLength(JSON.stringify(meta)),
    }
  }

  #orphans(named: ReadonlySet<number>): string[] {
    const { listing } = this.#table
    return [
      ...listing.buckets.filter(number => !named.has(number)).map(bucketName),
      ...listing.spills.map(spillName),
      ...(listing.temporaryManifest ? [MANIFEST_TEMPORARY_NAME] : []),
    ]
  }

  /** Oldest first. All are open at a time, as in an open table: the estimate asks the filters of newer ones. */
  async #files(): Promise<FileFacts[]> {
    const { manifest, signal } = this.#table
    const open: (BucketFile | undefined)[] = []
    try {
      for (const entry of manifest.files) {
        signal.throwIfAborted()
        open.push(await this.#open(entry))
      }
      const hidden = await this.#estimate(open)
      const files: FileFacts[] = []
      for (const [i, entry] of manifest.files.entries())
        files.push({ ...(await this.#fileFacts(entry, open[i])), hidden: hidden?.[i] ?? null })
      return files
    } finally {
      for (const file of open) await file?.close()
    }
  }

  async #open(entry: BucketFileEntry): Promise<BucketFile | undefined> {
    const { options } = this.#table
    const path = `${options.directory}/${bucketName(entry.number)}`
    try {
      return await BucketFile.open(options, entry)
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      const missing = { file: path, offset: null, message: 'the manifest names this file, and it is missing' }
      this.#problems.push(isMissing ? missing : problemOf(error, path))
      return undefined
    }
  }

  /** Records of each file that newer ones hide; `undefined` where one of them cannot be read. */
  async #estimate(open: readonly (BucketFile | undefined)[]): Promise<number[] | undefined> {
    const { manifest, schema, options, signal } = this.#table
    if (open.includes(undefined)) return undefined
    const files = open as readonly BucketFile[]
    const { layout } = schema
    const deletes = new DeleteWhereIndex(
      layout,
      files.flatMap(file => file.deletes),
    )
    const replace = manifest.duplicates === 'replace'
    const estimates = new GarbageEstimates({ layout, pageBytes: options.pageBytes, replace })
    const estimated = await estimates.of(files, deletes, signal)
    return estimated.map(({ masked }) => Math.round(masked.at(-1) ?? 0))
  }

  async #fileFacts(entry: BucketFileEntry, file: BucketFile | undefined): Promise<Omit<FileFacts, 'hidden'>> {
    const { options, schema } = this.#table
    const { number, level, pages, records, firstSequence, endSequence } = entry
    const facts = {
      name: bucketName(number),
      level,
      bytes: pages * options.pageBytes,
      pages,
      records,
      firstSequence,
      lastSequence: endSequence - 1,
    }
    const unknown = { footer: null, dataPages: null, filterBitsPerKey: null, bitsPerRecord: null }
    if (file === undefined) return { ...facts, ...unknown, pagesRead: 0, isExact: false }
    const { footer, deletes } = file
    this.#deleteKeys += footer.deleteKeys
    this.#deleteRecords += footer.deleteRecords
    for (const entry of deletes) this.#note(facts.name, deleteOf(schema, entry))
    const columns = new PageColumns(schema, options.pageBytes)
    await this.#sample(file, columns)
    return {
      ...facts,
      footer: footerFacts(this.#table, footer),
      dataPages: footer.dataPages,
      filterBitsPerKey: filterFacts(file).bitsPerKey,
      bitsPerRecord: columns.bitsPerRecord(),
      pagesRead: columns.pages,
      isExact: columns.pages === footer.dataPages,
    }
  }

  async #sample(file: BucketFile, columns: PageColumns): Promise<void> {
    const { dataPages } = file.footer
    const count = Math.min(dataPages, SAMPLE_PAGES)
    for (let i = 0; i < count; i++) {
      this.#table.signal.throwIfAborted()
      const page = Math.floor(((i + 0.5) * dataPages) / count)
      try {
        columns.add(columns.headOf(await file.readPages(page, page + 1), 0))
      } catch (error) {
        if (!(error instanceof FlashTableError)) throw error
        this.#problems.push(problemOf(error, file.path))
      }
    }
  }

  /** Segments by number: those of the directory, and those that the manifest names. */
  async #log(): Promise<SegmentFacts[]> {
    const { listing, manifest } = this.#table
    const numbers = new Set([...manifest.log.closed.map(({ number }) => number), ...listing.wals])
    const segments: SegmentFacts[] = []
    let expected = manifest.firstLogSequence
    for (const number of [...numbers].sort((a, b) => a - b)) {
      const name = walName(number)
      const before = stateOf(this.#table, number)
      let frames = 0
      let walk: SegmentWalk
      try {
        walk = await walkSegment(this.#table, number, frame => {
          frames++
          if (before === 'spare' || frame.firstSequence !== expected) return
          expected = frame.lastSequence + 1
          this.#logRecords += frame.puts
          this.#deleteKeys += frame.dels
          this.#deleteRecords += frame.delRecords
          for (const entry of frame.deleteWheres) this.#note(name, entry)
        })
      } catch {
        this.#table.signal.throwIfAborted()
        // What an open would miss is told with the problems of the log.
        segments.push({
          name,
          state: before,
          bytes: null,
          frames: 0,
          firstSequence: null,
          lastSequence: null,
        })
        continue
      }
      const { bytes, firstSequence, endSequence } = walk
      const lastSequence = endSequence === null ? null : endSequence - 1
      const state = finalState(this.#table, number, walk)
      segments.push({ name, state, bytes, frames, firstSequence, lastSequence })
    }
    return segments
  }

  #note(file: string, entry: InspectedDelete): void {
    this.#deleteWheres++
    if (entry.what === 'clear') this.#clears++
    this.#entries.push({ ...entry, file })
    // The newest are kept: files and frames come oldest first.
    if (this.#entries.length > 2 * LISTED_DELETES) this.#entries.splice(0, LISTED_DELETES)
  }
}

/** Of all files, each with the weight of its records. */
function totalBits(
  { schema, options }: InspectedTable,
  files: readonly FileFacts[],
): { readonly bitsPerRecord: Record<string, number> | null; readonly isExact: boolean } {
  const read = files.filter(({ bitsPerRecord }) => bitsPerRecord !== null)
  const isExact = files.every(file => file.isExact)
  const rowsOf = ({ footer }: FileFacts): number =>
    footer!.records + footer!.deleteKeys + footer!.deleteRecords
  const rows = read.reduce((sum, file) => sum + rowsOf(file), 0)
  if (rows === 0) return { bitsPerRecord: null, isExact }
  const { names } = new PageColumns(schema, options.pageBytes)
  const each = [...names, 'all'].map(name => {
    const bits = read.reduce((sum, file) => sum + file.bitsPerRecord![name]! * rowsOf(file), 0)
    return [name, rounded(bits / rows)] as const
  })
  return { bitsPerRecord: Object.fromEntries(each), isExact }
}

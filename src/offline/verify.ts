/**
 * Reads every page and frame of a table and compares them with the manifest and the footers. Changes nothing and takes no
 * lock. If a writer changes the table meanwhile, it reads what has changed again. docs/durability.md, Verify.
 */
import { throwIfAborted } from '../async/abort.js'
import { withProgress } from '../async/progress.js'
import { FlashTableError, diskError } from '../base/errors.js'
import { checkBucketFile, isOfLaterLife, type CheckedFile } from '../bucket-file/check.js'
import { rowsDefect } from '../bucket-file/page-facts.js'
import type { BucketFileOptions } from '../bucket-file/reader.js'
import { Schema } from '../encoding/schema.js'
import { MANIFEST_NAME, MANIFEST_TEMPORARY_NAME, bucketName, spillName, walName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { nodeFileSystem } from '../io/node-file-system.js'
import { tableIdBytes, type BucketFileEntry } from '../manifest/bucket-file-entry.js'
import { combineOf, type Manifest } from '../manifest/manifest.js'
import { optionalCallback, optionalSignal, readOptions } from '../options/arguments.js'
import { listTable, requireManifest, sameFiles } from '../manifest/table-directory.js'
import { checkLog, type CheckedLog } from '../wal/check.js'

/** One piece of damage. */
export interface Problem {
  readonly file: string
  /** Byte offset in the file, if the problem has one. */
  readonly offset: number | undefined
  readonly message: string
}

export interface Verification {
  readonly problems: readonly Problem[]
  /** The number of bucket files and log segments that were read. */
  readonly files: number
  readonly pages: number
  readonly frames: number
  /** Puts in bucket files and log. */
  readonly records: number
  /** Where the log breaks off, as it may after a crash: within a frame, or before frames that were written later. */
  readonly tornAt: { readonly path: string; readonly offset: number } | undefined
  /** Files in the directory that the manifest does not name; the next writer removes them. */
  readonly orphans: readonly string[]
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined
  /** Pages of bucket files and log read so far and in all. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
  /** @internal */
  readonly fileSystem?: FileSystem | undefined
}

const VERIFY_OPTIONS = {
  signal: optionalSignal,
  onProgress: optionalCallback<NonNullable<VerifyOptions['onProgress']>>(),
  fileSystem: (value: unknown) => value as FileSystem | undefined,
}

/** How often it starts over when a writer replaces files while they are read. */
const ATTEMPTS = 50

/**
 * Verifies the table in `directory`. Rejects with `FLASHTABLE_NOT_FOUND` if there is none, `FLASHTABLE_IO_ERROR` if a
 * writer keeps changing it, or `signal.reason`; damage does not reject, it is in `problems`. Cost: reads all files
 * once.
 */
export async function verifyTable(directory: string, options: VerifyOptions = {}): Promise<Verification> {
  const { fileSystem, ...given } = readOptions('verify', options, VERIFY_OPTIONS)
  return withProgress(given, control => new Verifier(directory, { ...control, fileSystem }).run())
}

class Verifier {
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #options: VerifyOptions
  /** Results by manifest entry: a file never changes, so it is read once. */
  readonly #checked = new Map<string, CheckedFile>()

  constructor(directory: string, options: VerifyOptions) {
    this.#fileSystem = options.fileSystem ?? nodeFileSystem
    this.#directory = directory
    this.#options = options
  }

  async run(): Promise<Verification> {
    for (let attempt = 1; ; attempt++) {
      const manifest = await this.#manifest()
      if (!('tableId' in manifest)) return manifest
      const result = await this.#verify(manifest)
      if (result.problems.length === 0) return result
      // A writer may remove files while they are read. It is damage only if the manifest has not changed.
      const after = await this.#manifest()
      if (!('tableId' in after) || sameFiles(manifest, after)) return result
      for (const [entry, { problems }] of this.#checked) {
        if (problems.length > 0) this.#checked.delete(entry)
      }
      if (attempt === ATTEMPTS) {
        throw new FlashTableError(
          'FLASHTABLE_IO_ERROR',
          `${this.#directory} changed ${ATTEMPTS} times while it was verified; verify a checkpoint of it`,
        )
      }
    }
  }

  /** The manifest, or the result of the verification if it cannot be read. */
  async #manifest(): Promise<Manifest | Verification> {
    try {
      return await requireManifest(this.#fileSystem, this.#directory)
    } catch (error) {
      return this.#unreadable(error)
    }
  }

  #unreadable(error: unknown): Verification {
    const path = `${this.#directory}/${MANIFEST_NAME}`
    const failure = diskError(error, path)
    if (failure.code === 'FLASHTABLE_NOT_FOUND') throw failure
    const problem = { file: failure.path ?? path, offset: failure.offset, message: failure.message }
    const nothing = { files: 0, pages: 0, frames: 0, records: 0, tornAt: undefined, orphans: [] }
    return { problems: [problem], ...nothing }
  }

  async #verify(manifest: Manifest): Promise<Verification> {
    const path = `${this.#directory}/${MANIFEST_NAME}`
    let schema: Schema
    try {
      schema = Schema.open(manifest.schema, path, {}, combineOf(manifest))
    } catch (error) {
      return this.#unreadable(error)
    }
    const { layout } = schema
    const options: BucketFileOptions = {
      fileSystem: this.#fileSystem,
      directory: this.#directory,
      tableId: tableIdBytes(manifest.tableId),
      layout,
      pageBytes: manifest.pageBytes,
    }
    const progress = new PageProgress(this.#options)
    progress.expect(manifest.files.reduce((sum, file) => sum + file.pages, 0))
    const logPages = await this.#logPages(options, manifest)
    progress.expect(logPages)
    const files = await this.#checkFiles(options, manifest.files, progress)
    const listing = await listTable(this.#fileSystem, this.#directory)
    const log: CheckedLog = await checkLog({
      ...options,
      ...manifest.log,
      openSegments: openSegments(manifest, listing.wals),
      epoch: manifest.epoch,
      firstSequence: manifest.firstLogSequence,
      nextSequence: manifest.nextSequence,
      clean: manifest.clean,
      defectOf: operations => rowsDefect(operations, layout, false),
      signal: this.#options.signal,
    })
    progress.add(logPages)
    const problems = [...files.flatMap(file => file.problems), ...log.problems].map(
      ({ path, offset, message }): Problem => ({ file: path, offset, message }),
    )
    for (const message of counterProblems(manifest, layout.recordBytes))
      problems.push({ file: path, offset: undefined, message })
    const named = new Set(manifest.files.map(file => file.number))
    const end = Math.max(log.endSequence, manifest.nextSequence)
    for (const number of listing.buckets) {
      if (named.has(number) || !(await isOfLaterLife(options, number, manifest.epoch, end))) continue
      const message = `the manifest ends at operation ${end}, and ${bucketName(number)} goes on: it is an older one; repair, before a writer removes what it does not name`
      problems.push({ file: path, offset: undefined, message })
    }
    const orphans = [
      ...listing.buckets.filter(number => !named.has(number)).map(bucketName),
      ...listing.spills.map(spillName),
      ...(listing.temporaryManifest ? [MANIFEST_TEMPORARY_NAME] : []),
    ]
    return {
      problems,
      files: manifest.files.length + log.segments,
      pages: manifest.files.reduce((sum, file) => sum + file.pages, 0),
      frames: log.frames,
      records: files.reduce((sum, file) => sum + file.records, log.records),
      tornAt: log.tornAt,
      orphans: orphans.map(name => `${this.#directory}/${name}`),
    }
  }

  /** Pages of the log segments that exist now. */
  async #logPages(
    { fileSystem, directory, pageBytes }: BucketFileOptions,
    manifest: Manifest,
  ): Promise<number> {
    const { wals } = await listTable(fileSystem, directory)
    const closed = manifest.log.closed.map(({ number }) => number)
    let pages = 0
    for (const number of [...closed, ...openSegments(manifest, wals)]) {
      const info = await fileSystem.info(`${directory}/${walName(number)}`).catch(() => undefined)
      pages += Math.ceil((info?.bytes ?? 0) / pageBytes)
    }
    return pages
  }

  async #checkFiles(
    options: BucketFileOptions,
    entries: readonly BucketFileEntry[],
    progress: PageProgress,
  ): Promise<CheckedFile[]> {
    const onPages = (pages: number): void => progress.add(pages)
    const files: CheckedFile[] = []
    for (const entry of entries) {
      const name = JSON.stringify(entry)
      let checked = this.#checked.get(name)
      if (checked === undefined) {
        checked = await checkBucketFile(options, entry, onPages)
        this.#checked.set(name, checked)
      } else onPages(entry.pages)
      files.push(checked)
    }
    return files
  }
}

/** Counts the pages of bucket files and log that have been read. */
class PageProgress {
  readonly #options: VerifyOptions
  #done = 0
  #total = 0

  constructor(options: VerifyOptions) {
    this.#options = options
  }

  expect(pages: number): void {
    this.#total += pages
  }

  add(pages: number): void {
    throwIfAborted(this.#options.signal)
    this.#done += pages
    this.#options.onProgress?.({ done: this.#done, total: this.#total })
  }
}

/** Segments of the last epoch, if it did not end with a clean close. */
function openSegments({ clean, log }: Manifest, wals: readonly number[]): number[] {
  if (clean) return []
  const closed = new Set(log.closed.map(segment => segment.number))
  return wals.filter(number => number >= log.firstSegment && !closed.has(number))
}

/** Compares the lifetime counters of the manifest with what the table holds now. */
function counterProblems({ counters, files }: Manifest, recordBytes: number): string[] {
  const problems: string[] = []
  const inFiles = files.reduce((sum, file) => sum + file.records, 0)
  if (counters.records < inFiles)
    problems.push(`counters.records is ${counters.records}, and the files hold ${inFiles} records`)
  const bytes = counters.records * recordBytes
  if (counters.recordBytes !== bytes && Number.isSafeInteger(bytes))
    problems.push(
      `counters.recordBytes is ${counters.recordBytes}, ${counters.records} records take ${bytes}`,
    )
  return problems
}

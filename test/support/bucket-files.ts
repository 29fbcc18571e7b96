/** Bucket files of made-up rows on a simulated disk, written and opened as the engine does it. */
import { NO_LINE } from '../../src/bucket-file/filter-lines.js'
import { BucketFile, type BucketFileOptions } from '../../src/bucket-file/reader.js'
import { BucketFileWriter, type BucketFileTarget } from '../../src/bucket-file/writer.js'
import { DataPageDecoder } from '../../src/format/data-page-decoder.js'
import type { FileSystem } from '../../src/io/file-system.js'
import type { BucketFileEntry } from '../../src/manifest/bucket-file-entry.js'
import { OperationBuffer, type Operations } from '../../src/records/operations.js'
import type { RecordLayout } from '../../src/records/record-layout.js'
import { Random } from './random.js'

export const TABLE_ID = new Random(42).bytes(16)
export const DIRECTORY = '/table'

/** What the files of a test have in common. */
export function fileTarget(
  fileSystem: FileSystem,
  layout: RecordLayout,
  changes: Partial<BucketFileTarget> = {},
): BucketFileTarget {
  return {
    fileSystem,
    directory: DIRECTORY,
    number: 7,
    tableId: TABLE_ID,
    epoch: 3,
    level: 0,
    layout,
    pageBytes: 4096,
    filterBitsPerRecord: 10,
    firstSequence: 100,
    endSequence: 200,
    deletes: [],
    ...changes,
  }
}

/** How to open what was written to a target. */
export function optionsFor(target: BucketFileTarget): BucketFileOptions {
  const { fileSystem, directory, tableId, layout, pageBytes } = target
  return { fileSystem, directory, tableId, layout, pageBytes }
}

/** Writes the rows; `stretches` says how many go into each call of `add`, all at once by default. */
export async function writeBucketFile(
  target: BucketFileTarget,
  rows: Operations,
  stretches: () => number = () => rows.count,
): Promise<BucketFileEntry> {
  await target.fileSystem.makeDirectory(target.directory)
  const writer = await BucketFileWriter.create(target)
  for (let from = 0; from < rows.count;) {
    const to = Math.min(rows.count, from + stretches())
    const stretch = new OperationBuffer(target.layout, to - from)
    stretch.append(rows, from, to)
    await writer.add(stretch)
    // The writer must not rely on what it was given before.
    for (const lane of stretch.lanes) lane.fill(0xdeadbeef)
    stretch.kinds?.fill(0xff)
    from = to
  }
  return writer.finish()
}

/** All rows of an open file, page by page. */
export async function readAllRows(
  file: BucketFile,
  layout: RecordLayout,
  pageBytes = 4096,
): Promise<OperationBuffer> {
  const decoder = new DataPageDecoder(layout, pageBytes)
  const rows = new OperationBuffer(layout)
  const { dataPages } = file.footer
  for (let from = 0; from < dataPages; from += 64) {
    const to = Math.min(dataPages, from + 64)
    const words = await file.readPages(from, to)
    for (let page = from; page < to; page++) {
      decoder.decode(words, ((page - from) * pageBytes) / 4, rows)
    }
  }
  return rows
}

/** The filter of an open file, all of it in memory: whether it says that a data page may have the key with a hash. */
export async function filterOf(
  file: BucketFile,
  pageBytes = 4096,
): Promise<(dataPage: number, hash: number) => boolean> {
  const { dataPages, filterPages } = file.footer
  const words = await file.readPages(dataPages, dataPages + filterPages)
  return (dataPage, hash) => {
    const line = file.filter.lineFor(dataPage, hash)
    if (line === NO_LINE) return true
    const base = ((file.filter.pageOf(line) - dataPages) * pageBytes) / 4
    return file.filter.mayContain(words, base, line, hash)
  }
}

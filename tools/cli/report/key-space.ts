/**
 * Where the bucket files of a table lie among its keys: which ranges they span, where the records are dense, and how many
 * files overlap. From footers and fences, and the last data page of each file.
 */
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { FlashTableError } from '../../../src/base/errors.js'
import { bucketName } from '../../../src/io/file-names.js'
import type { RecordLayout } from '../../../src/records/record-layout.js'
import { compareKeys } from '../../../src/records/compare.js'
import type { InspectedTable } from '../inspect/open-table.js'
import { PageColumns } from '../inspect/page-columns.js'
import { cellText, keyOf } from '../inspect/records.js'

/** Parts of the range of keys that are told apart. */
const BINS = 100
/** Fences of a file that are read, at even distances. */
const FENCES_MAX = 512
/** Keys that a sample of the table starts from. */
const PLACES = 200

export interface FileSpan {
  readonly name: string
  readonly level: number
  readonly records: number
  /** Where its first and its last key are between the least and the greatest key of all files: 0 to 1. */
  readonly from: number
  readonly to: number
}

export interface KeySpace {
  readonly leastKey: string
  readonly greatestKey: string
  /** Oldest first; files without keys are left out. */
  readonly files: readonly FileSpan[]
  /** Of each hundredth of the range of keys: about how many records are in it, and how many files span it. */
  readonly bins: readonly { readonly records: number; readonly files: number }[]
  /** Files that span a record's key, on average; and the most. */
  readonly meanFiles: number
  readonly mostFiles: number
  /** Which share of the records is in the fullest tenth of the range: 0.1 if they are spread evenly. */
  readonly fullestTenth: number
  /** Keys that are spread evenly over the records, as the library takes them. */
  readonly places: readonly unknown[]
}

interface Fences {
  readonly name: string
  readonly level: number
  readonly records: number
  /** First keys of pages, ascending, and the last key of the file. */
  readonly keys: readonly Uint32Array[]
  /** Of each key but the last the share of the file's records that are from it to the next one. */
  readonly shares: readonly number[]
}

/** `undefined`: no bucket file has keys, or none can be read. */
export async function keySpaceOf(table: InspectedTable): Promise<KeySpace | undefined> {
  const files = await fencesOf(table)
  if (files.length === 0) return undefined
  const least = files.map(({ keys }) => keys[0]!).reduce((a, b) => (compareKeys(b, a) < 0 ? b : a))
  const greatest = files.map(({ keys }) => keys.at(-1)!).reduce((a, b) => (compareKeys(b, a) > 0 ? b : a))
  const place = placer(table.schema.layout, least, greatest)
  const spans = files.map(({ name, level, records, keys }) => ({
    name,
    level,
    records,
    from: place(keys[0]!),
    to: place(keys.at(-1)!),
  }))
  const bins = binsOf(files, spans, place)
  const records = bins.reduce((sum, bin) => sum + bin.records, 0)
  const weighted = bins.reduce((sum, bin) => sum + bin.records * bin.files, 0)
  const fullest = bins
    .map(bin => bin.records)
    .sort((a, b) => b - a)
    .slice(0, BINS / 10)
  return {
    leastKey: cellText(keyOf(table.schema, least)),
    greatestKey: cellText(keyOf(table.schema, greatest)),
    files: spans,
    bins,
    meanFiles: records === 0 ? spans.length : weighted / records,
    mostFiles: Math.max(...bins.map(bin => bin.files)),
    fullestTenth: records === 0 ? 0 : fullest.reduce((sum, each) => sum + each, 0) / records,
    places: placesOf(table, files),
  }
}

/** A file that cannot be read is left out: `inspect` tells what is wrong with it. */
async function fencesOf(table: InspectedTable): Promise<Fences[]> {
  const { manifest, options, schema, signal } = table
  const all: Fences[] = []
  const { keyLaneCount } = schema.layout
  for (const entry of manifest.files) {
    signal.throwIfAborted()
    let file: BucketFile
    try {
      file = await BucketFile.open(options, entry)
    } catch (error) {
      if (error instanceof FlashTableError || (error as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw error
    }
    const { dataPages, lastKey } = file.footer
    const count = Math.min(dataPages, FENCES_MAX)
    const pages = Array.from({ length: count }, (_, i) => Math.floor((i * dataPages) / count))
    const keys = pages.map(page => {
      const key = new Uint32Array(keyLaneCount)
      file.readFirstKey(page, key)
      return key
    })
    const last = dataPages < 2 ? 1 : await lastShare(table, file)
    const each = dataPages < 2 ? 0 : (1 - last) / (dataPages - 1)
    const shares = pages.map((page, i) =>
      i + 1 < count ? (pages[i + 1]! - page) * each : (dataPages - 1 - page) * each + last,
    )
    const { number, level, records } = entry
    if (count > 0) all.push({ name: bucketName(number), level, records, keys: [...keys, lastKey], shares })
    await file.close()
  }
  return all
}

/** Which share of the records is in the last data page: all others are full. Requires: there are several. */
async function lastShare({ schema, options }: InspectedTable, file: BucketFile): Promise<number> {
  const { dataPages, records, deleteKeys, deleteRecords } = file.footer
  try {
    const words = await file.readPages(dataPages - 1, dataPages)
    const { rows } = new PageColumns(schema, options.pageBytes).headOf(words, 0)
    return rows / (records + deleteKeys + deleteRecords)
  } catch (error) {
    if (!(error instanceof FlashTableError)) throw error
    // Verify tells what is wrong with it.
    return 1 / dataPages
  }
}

/** Turns a key into its place between two others: by the first lane in which they differ, and the next one. */
function placer(
  { laneBytes, keyLaneCount }: RecordLayout,
  least: Uint32Array,
  greatest: Uint32Array,
): (key: Uint32Array) => number {
  const lane = least.findIndex((word, i) => word !== greatest[i])
  if (lane < 0) return () => 0
  const scale = lane + 1 < keyLaneCount ? 2 ** (8 * laneBytes[lane + 1]!) : 1
  const numberOf = (key: Uint32Array): number => key[lane]! * scale + (scale === 1 ? 0 : key[lane + 1]!)
  const [from, to] = [numberOf(least), numberOf(greatest)]
  return key => (numberOf(key) - from) / (to - from)
}

/** The records between two fences count as spread evenly over the keys between them. */
function binsOf(
  files: readonly Fences[],
  spans: readonly FileSpan[],
  place: (key: Uint32Array) => number,
): { records: number; files: number }[] {
  const bins = Array.from({ length: BINS }, () => ({ records: 0, files: 0 }))
  for (const { records, keys, shares } of files) {
    const places = keys.map(key => place(key) * BINS)
    for (let i = 0; i + 1 < places.length; i++) {
      const [from, to] = [places[i]!, places[i + 1]!]
      const each = records * shares[i]!
      for (let bin = binOf(from); bin <= binOf(to); bin++) {
        const within = Math.min(to, bin + 1) - Math.max(from, bin)
        bins[bin]!.records += to > from ? (each * within) / (to - from) : each
      }
    }
  }
  for (const { from, to } of spans)
    for (let bin = binOf(from * BINS); bin <= binOf(to * BINS); bin++) bins[bin]!.files++
  return bins
}

/** The greatest key is in the last bin. */
function binOf(place: number): number {
  return Math.min(BINS - 1, Math.floor(place))
}

function placesOf({ schema }: InspectedTable, files: readonly Fences[]): unknown[] {
  const records = files.reduce((sum, file) => sum + file.records, 0)
  const places: unknown[] = []
  let before = 0
  for (const file of files) {
    const fences = file.keys.length - 1
    const from = Math.ceil((before / records) * PLACES)
    before += file.records
    const count = Math.ceil((before / records) * PLACES) - from
    for (let i = 0; i < count; i++) {
      const key = file.keys[Math.floor(((i + 0.5) * fences) / count)]!
      const lanes = Array.from(key, lane => Uint32Array.of(lane))
      try {
        places.push(schema.decodeKey(lanes, 0))
      } catch {
        // Of a custom encoding, which is read as bytes.
        places.push(schema.keyColumn(lanes, 0, 1))
      }
    }
  }
  return places
}

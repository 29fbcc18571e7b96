/**
 * A reader of tables that was written from docs/file-format.md and docs/remote-format.md alone: it imports nothing of src/, and is slow and plain.
 *
 * It keeps the document honest: what it cannot read is described wrongly. It checks checksums, counts and order, and
 * throws at the first thing that is not as the document says.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { combinedValue } from './combine.js'

/** A value as the API gives it. */
export type Value = number | bigint | Uint8Array

export interface ReadRecord {
  readonly key: Value
  /** By field; a value that is no struct is the field `value`. */
  readonly fields: Readonly<Record<string, Value>>
}

/** Natural widths of the lanes, and how many of them are the key's. */
export interface Lanes {
  readonly widths: readonly number[]
  readonly keyLanes: number
  /** First lanes of the fields of type `f32` and `f64`. */
  readonly floats: { readonly f32: readonly number[]; readonly f64: readonly number[] }
}

export interface Operation {
  readonly kind: number
  readonly lanes: readonly number[]
  /** In a bucket file: that of the last operation of the file. */
  readonly sequence: number
}

export interface DeleteWhereEntry {
  readonly sequence: number
  readonly lanes: readonly { readonly lane: number; readonly value: number }[]
  /** Bounds as numbers of as many words as there are lanes. */
  readonly ranges: readonly Range[]
}

interface Range {
  readonly lane: number
  readonly count: number
  readonly lower: bigint
  readonly upper: bigint
}

export interface Frame {
  readonly firstSequence: number
  readonly endSequence: number
  readonly syncedSequence: number
  readonly packed: boolean
  readonly operations: readonly Operation[]
  readonly deletes: readonly DeleteWhereEntry[]
  /** Where it ends. */
  readonly end: number
}

// ---- checksums and hash ----

export function crc32(data: Uint8Array, value = 0): number {
  let crc = ~value
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

export function fileSeed(tableId: Uint8Array, epoch: number, number: number): number {
  const bytes = Buffer.alloc(32)
  bytes.set(tableId)
  bytes.writeBigUInt64LE(BigInt(epoch), 16)
  bytes.writeBigUInt64LE(BigInt(number), 24)
  return crc32(bytes)
}

export function positionSeed(seed: number, position: number): number {
  return (seed ^ Math.imul(position + 1, 0x9e3779b1)) >>> 0
}

export function keyHash(lanes: readonly number[]): number {
  let h = 0x9e3779b9
  for (const lane of lanes) {
    h = Math.imul(h ^ lane, 0x85ebca6b)
    h ^= h >>> 13
    h = Math.imul(h, 0xc2b2ae35)
    h ^= h >>> 16
  }
  return h >>> 0
}

// ---- pieces ----

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`not as the document says: ${what}`)
}

function ceil4(bytes: number): number {
  return Math.ceil(bytes / 4) * 4
}

function u48(bytes: Buffer, offset: number): number {
  return bytes.readUIntLE(offset, 6)
}

/** Takes values out of a bit stream, one bit at a time. */
class Bits {
  readonly #bytes: Uint8Array
  #position: number

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes
    this.#position = offset * 8
  }

  take(width: number): number {
    check(width <= 32, 'a width of at most 32 bits')
    let value = 0
    for (let bit = 0; bit < width; bit++, this.#position++) {
      const byte = this.#bytes[Math.floor(this.#position / 8)]
      check(byte !== undefined, 'the columns within their payload or page')
      if ((byte >>> (this.#position % 8)) & 1) value += 2 ** bit
    }
    return value
  }

  /** The first byte of the next word. */
  get wordEnd(): number {
    return ceil4(Math.ceil(this.#position / 8))
  }
}

function column(bits: Bits, count: number, width: number, base: number): number[] {
  return Array.from({ length: count }, () => (bits.take(width) + base) % 2 ** 32)
}

/** The entries from `at` on, and where they end. */
function readDeletes(bytes: Buffer, at: number, count: number, lanes: Lanes): [DeleteWhereEntry[], number] {
  const entries: DeleteWhereEntry[] = []
  for (let entry = 0; entry < count; entry++) {
    const sequence = u48(bytes, at)
    const termCount = bytes.readUInt16LE(at + 6)
    check(termCount > 0, 'an entry has terms')
    at += 8
    const pairs: { lane: number; value: number }[] = []
    const ranges: Range[] = []
    for (let term = 0, next = 0; term < termCount; term++) {
      const lane = bytes.readUInt16LE(at)
      const count = bytes.readUInt16LE(at + 2)
      check(lane >= next && lane + Math.max(1, count) <= lanes.widths.length, 'terms name lanes, ascending')
      check(
        lane >= lanes.keyLanes || (termCount === 1 && lane === 0 && count === lanes.keyLanes),
        'a term of the key names all of its lanes, and is alone',
      )
      next = lane + Math.max(1, count)
      const words = Array.from({ length: Math.max(1, 2 * count) }, (_, i) =>
        bytes.readUInt32LE(at + 4 + 4 * i),
      )
      if (count === 0) pairs.push({ lane, value: words[0]! })
      else {
        const [lower, upper] = [numberOf(words.slice(0, count)), numberOf(words.slice(count))]
        check(lower <= upper, 'the bounds of a range are in order')
        ranges.push({ lane, count, lower, upper })
      }
      at += 4 + 4 * words.length
    }
    entries.push({ sequence, lanes: pairs, ranges })
  }
  return [entries, at]
}

/** The number of these words, the first one highest. */
function numberOf(words: readonly number[]): bigint {
  return words.reduce((sum, word) => sum * 2n ** 32n + BigInt(word), 0n)
}

// ---- frames ----

/** The frame at `offset`; where its payload does not fit, what its header says; `undefined` where there is no header. */
export function readFrame(
  bytes: Buffer,
  offset: number,
  seed: number,
  lanes: Lanes,
): Frame | { readonly syncedSequence: number; readonly end?: undefined } | undefined {
  const encoding = bytes.readUInt8(offset + 4)
  const start = encoding >= 3 ? readSmallStart(bytes, offset, seed) : readStart(bytes, offset, seed)
  if (start?.payload === undefined) return start
  const { payload, count, deleteCount, firstSequence, syncedSequence, end } = start
  const packed = encoding === 2
  const [rows, kinds, columnsEnd] = packed
    ? packedRows(payload, count, lanes)
    : rawRows(payload, count, lanes, encoding === 1 || encoding === 4)
  const [deletes, payloadEnd] = readDeletes(payload, columnsEnd, deleteCount, lanes)
  check(payloadEnd === payload.byteLength, 'the entries end where the payload ends')
  const endSequence = firstSequence + count + deleteCount
  const taken = new Set(deletes.map(entry => entry.sequence))
  const free = Array.from({ length: endSequence - firstSequence }, (_, i) => firstSequence + i).filter(
    sequence => !taken.has(sequence),
  )
  check(free.length === count, 'entries have different sequence numbers of the frame')
  const operations = rows.map((row, i) => operation(kinds[i]!, row, free[i]!))
  return { firstSequence, endSequence, syncedSequence, packed, operations, deletes, end }
}

/** What a frame says before its payload is decoded; without the payload where that does not fit. */
interface FrameStart {
  readonly syncedSequence: number
  readonly firstSequence: number
  readonly count: number
  readonly deleteCount: number
  readonly end: number
  readonly payload: Buffer
}

function readStart(
  bytes: Buffer,
  offset: number,
  seed: number,
):
  | FrameStart
  | { readonly syncedSequence: number; readonly end?: undefined; readonly payload?: undefined }
  | undefined {
  const at = positionSeed(seed, offset / 4)
  if (offset + 32 > bytes.byteLength) return undefined
  if (bytes.readUInt32LE(offset) !== crc32(bytes.subarray(offset + 4, offset + 32), at)) return undefined
  const firstSequence = u48(bytes, offset + 6)
  const count = bytes.readUInt32LE(offset + 12)
  const payloadBytes = bytes.readUInt32LE(offset + 16)
  const syncedSequence = u48(bytes, offset + 24)
  const deleteCount = bytes.readUInt16LE(offset + 30)
  const possible =
    bytes.readUInt8(offset + 5) === 0 &&
    payloadBytes >= 4 &&
    payloadBytes <= 0x7fff0000 &&
    payloadBytes % 4 === 0 &&
    count <= payloadBytes * 8 &&
    count + deleteCount > 0 &&
    syncedSequence <= firstSequence
  const end = offset + 32 + payloadBytes
  if (!possible || end > bytes.byteLength) return undefined
  const payload = bytes.subarray(offset + 32, end)
  if (bytes.readUInt32LE(offset + 20) !== crc32(payload, at)) return { syncedSequence }
  return { syncedSequence, firstSequence, count, deleteCount, end, payload }
}

function readSmallStart(bytes: Buffer, offset: number, seed: number): FrameStart | undefined {
  const words = bytes.readUInt8(offset + 5)
  const firstSequence = u48(bytes, offset + 6)
  const syncedSequence = firstSequence - bytes.readUIntLE(offset + 12, 3)
  const count = bytes.readUInt8(offset + 15)
  const end = offset + 16 + 4 * words
  const known = bytes.readUInt8(offset + 4) <= 4
  if (!known || words === 0 || count === 0 || syncedSequence < 0 || end > bytes.byteLength) return undefined
  const checksum = crc32(bytes.subarray(offset + 4, end), positionSeed(seed, offset / 4))
  if (bytes.readUInt32LE(offset) !== checksum) return undefined
  const payload = bytes.subarray(offset + 16, end)
  return { syncedSequence, firstSequence, count, deleteCount: 0, end, payload }
}

function operation(kind: number, lanes: readonly number[], sequence: number): Operation {
  check(kind <= 2, 'an operation kind')
  return { kind, lanes, sequence }
}

function packedRows(payload: Buffer, count: number, lanes: Lanes): [number[][], number[], number] {
  const columns = lanes.widths.length + 1
  const bits = new Bits(payload, ceil4(5 * columns))
  const values = Array.from({ length: columns }, (_, lane) =>
    column(bits, count, payload.readUInt8(4 * columns + lane), payload.readUInt32LE(4 * lane)),
  )
  const kinds = values.pop()!
  return [kinds.map((_, row) => values.map(lane => lane[row]!)), kinds, bits.wordEnd]
}

function rawRows(
  payload: Buffer,
  count: number,
  lanes: Lanes,
  hasKinds: boolean,
): [number[][], number[], number] {
  let at = 0
  const rows = Array.from({ length: count }, () =>
    lanes.widths.map(width => {
      at += width
      return payload.readUIntLE(at - width, width)
    }),
  )
  const kinds = rows.map((_, row) => (hasKinds ? payload.readUInt8(at + row) : 0))
  return [rows, kinds, ceil4(at + (hasKinds ? count : 0))]
}

// ---- bucket files ----

function checkPage(page: Buffer, seed: number, pageNumber: number, kind: number): void {
  const checksum = crc32(page.subarray(4), positionSeed(seed, pageNumber))
  check(page.readUInt32LE(0) === checksum, `the checksum of page ${pageNumber}`)
  check(page.readUInt8(4) === kind, `page ${pageNumber} has kind ${kind}`)
  check(kind === 1 || page.readUIntLE(5, 3) === 0, `page ${pageNumber} has no rows`)
}

/** The rows of a data page. */
export function readDataPage(
  page: Buffer,
  seed: number,
  pageNumber: number,
  lanes: Lanes,
  sequence: number,
): Operation[] {
  checkPage(page, seed, pageNumber, 1)
  const rows = page.readUInt16LE(6)
  check(rows >= 1 && rows <= 32_767, 'a row count')
  const K = lanes.keyLanes
  const P = lanes.widths.length - K + 1
  let at = 8
  const u32s = (count: number): number[] =>
    Array.from({ length: count }, () => page.readUInt32LE((at += 4) - 4))
  const u8s = (count: number): number[] => Array.from({ length: count }, () => page.readUInt8(at++))
  const lowBits = page.readUInt8(5)
  const firstKey = u32s(K)
  const buckets = page.readUInt16LE(at)
  const rowBits = page.readUInt16LE(at + 2)
  at += 4
  const shift = BigInt(u8s(1)[0]!)
  const widths = u8s(P)
  at = ceil4(at)
  const bases = u32s(P)
  check(rowBits === widths.reduce((sum, width) => sum + width, lowBits), 'the bits of a row')
  const [upper, rowsAt] =
    buckets === 0 ? evenKeys(page, at, rows) : directory(page, at, rows, buckets, lowBits)
  const bits = new Bits(page, rowsAt)
  return upper.map(above => {
    let low = 0n
    for (let place = 0; place < lowBits; place += 32)
      low += BigInt(bits.take(Math.min(32, lowBits - place))) << BigInt(place)
    const packed = widths.map((width, lane) => (bits.take(width) + bases[lane]!) % 2 ** 32)
    const kind = packed.pop()!
    return operation(
      kind,
      [...keyLanes(keyNumber(firstKey) + ((above + low) << shift), K), ...packed],
      sequence,
    )
  })
}

/** What is added to the low bits of the keys, and where the rows begin: the keys are a distance apart. */
function evenKeys(page: Buffer, at: number, rows: number): [bigint[], number] {
  const distance = page.readBigUInt64LE(at)
  return [Array.from({ length: rows }, (_, row) => BigInt(row) * distance), at + 8]
}

/** The same, from the buckets of the rows. */
function directory(
  page: Buffer,
  at: number,
  rows: number,
  buckets: number,
  lowBits: number,
): [bigint[], number] {
  const bits = new Bits(page, at)
  const width = (rows + buckets).toString(2).length
  const samples = Array.from({ length: Math.ceil(buckets / 16) }, () => bits.take(width))
  const upper: bigint[] = []
  for (let bucket = 0, place = 0; bucket < buckets; bucket++, place++) {
    if (bucket % 16 === 0) check(samples[bucket / 16] === place, 'a sample')
    for (; bits.take(1) === 1; place++) upper.push(BigInt(bucket) << BigInt(lowBits))
  }
  check(upper.length === rows, 'the rows of the directory')
  return [upper, bits.wordEnd]
}

function keyNumber(lanes: readonly number[]): bigint {
  return lanes.reduce((key, lane) => (key << 32n) | BigInt(lane), 0n)
}

function keyLanes(key: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, lane) =>
    Number((key >> BigInt(32 * (count - 1 - lane))) & 0xffffffffn),
  )
}

interface FileEntry {
  readonly tableId?: string
  readonly number: number
  readonly epoch: number
  readonly pages: number
  readonly records: number
  readonly firstSequence: number
  readonly endSequence: number
}

interface Contents {
  readonly operations: readonly Operation[]
  readonly deletes: readonly DeleteWhereEntry[]
}

function readBucketFile(
  path: string,
  tableId: Buffer,
  entry: FileEntry,
  pageBytes: number,
  lanes: Lanes,
): Contents {
  const bytes = readFileSync(path)
  check(bytes.byteLength === entry.pages * pageBytes, 'the size of a bucket file')
  const seed = fileSeed(tableId, entry.epoch, entry.number)
  const page = (number: number): Buffer => bytes.subarray(number * pageBytes, (number + 1) * pageBytes)
  const footer = page(entry.pages - 1)
  check(footer.toString('latin1', 8, 12) === 'FTBK' && footer.readUInt32LE(12) === 2, 'magic and version')
  checkPage(footer, seed, entry.pages - 1, 5)
  check(footer.subarray(16, 32).equals(tableId), 'the table id')
  check(u48(footer, 32) === entry.epoch && u48(footer, 40) === entry.number, 'epoch and number')
  const K = footer.readUInt16LE(38)
  const L = footer.readUInt16LE(46)
  check(K === lanes.keyLanes && L === lanes.widths.length, 'lane counts')
  check(footer.readUInt32LE(48) === pageBytes, 'the page size')
  const [dataPages, filterPages, deletePages, fencePages] = [52, 56, 60, 64].map(at =>
    footer.readUInt32LE(at),
  )
  check(dataPages! + filterPages! + deletePages! + fencePages! + 1 === entry.pages, 'the sum of pages')
  check(u48(footer, 72) === entry.records, 'the records')
  check(
    u48(footer, 96) === entry.firstSequence && u48(footer, 104) === entry.endSequence,
    'the sequence range',
  )

  let at = dataPages!
  const section = (pages: number, kind: number): Buffer => {
    const pieces = Array.from({ length: pages }, (_, i) => {
      checkPage(page(at + i), seed, at + i, kind)
      return page(at + i).subarray(kind === 2 ? 64 : 8)
    })
    at += pages
    return Buffer.concat(pieces)
  }
  const filter = section(filterPages!, 2)
  const deleteBytes = section(deletePages!, 3)
  const fences = section(fencePages!, 4)
  const [deletes] = readDeletes(deleteBytes, 0, footer.readUInt32LE(68), lanes)

  const probes = footer.readUInt16LE(78)
  const operations: Operation[] = []
  let filterEnd = 0
  for (let number = 0; number < dataPages!; number++) {
    const rows = readDataPage(page(number), seed, number, lanes, entry.endSequence - 1)
    const fence = Array.from({ length: K + 1 }, (_, i) => fences.readUInt32LE((number * (K + 1) + i) * 4))
    check(
      rows[0]!.lanes.slice(0, K).every((lane, i) => lane === fence[i]),
      'the fence of a page',
    )
    const block = filter.subarray(filterEnd * 64, fence[K]! * 64)
    filterEnd = fence[K]!
    for (const row of rows) {
      check(mayContain(block, probes, row.lanes.slice(0, K)), 'the filter knows each key')
      const last = operations.at(-1)
      check(last === undefined || compareKeys(last, row, K) <= 0, 'rows are sorted by key')
      operations.push(row)
    }
  }
  checkCounts(footer, operations, K, L)
  return { operations, deletes }
}

function mayContain(block: Buffer, probes: number, key: readonly number[]): boolean {
  if (block.byteLength === 0) return true
  const h = keyHash(key)
  const line = Math.floor((h * (block.byteLength / 64)) / 2 ** 32)
  let second = h ^ (h >>> 16)
  second = Math.imul(second, 0x7feb352d)
  second ^= second >>> 15
  second = Math.imul(second, 0x846ca68b) >>> 0
  let step = Math.imul(second, 0x9e3779b1) >>> 0
  for (let k = 0; k < probes; k++) {
    const bit = Math.floor(second / 2 ** 23)
    second = (second + step) % 2 ** 32
    step = (step + 0x9e3779b9) % 2 ** 32
    if (((block.readUInt32LE(64 * line + 4 * Math.floor(bit / 32)) >>> (bit % 32)) & 1) === 0) return false
  }
  return true
}

function compareKeys(a: Operation, b: Operation, keyLaneCount: number): number {
  for (let lane = 0; lane < keyLaneCount; lane++) {
    if (a.lanes[lane] !== b.lanes[lane]) return a.lanes[lane]! - b.lanes[lane]!
  }
  return 0
}

function checkCounts(footer: Buffer, operations: readonly Operation[], K: number, L: number): void {
  const kinds = [0, 1, 2].map(kind => operations.filter(operation => operation.kind === kind).length)
  check(
    [72, 80, 88].every((at, kind) => u48(footer, at) === kinds[kind]),
    'the counts of operations',
  )
  const keys = new Set(operations.map(({ lanes }) => lanes.slice(0, K).join()))
  check(u48(footer, 112) === keys.size, 'the number of different keys')
  if (operations.length === 0) return
  const bound = (i: number): number => footer.readUInt32LE(120 + 4 * i)
  const live = operations.filter(({ kind }) => kind !== 1)
  for (let lane = 0; lane < L; lane++) {
    if (lane < K) {
      check(bound(lane) === operations[0]!.lanes[lane], 'the first key')
      check(bound(K + lane) === operations.at(-1)!.lanes[lane], 'the last key')
      continue
    }
    const values = live.map(({ lanes }) => lanes[lane]!)
    check(bound(K + lane) === Math.min(0xffffffff, ...values), 'the least value')
    check(bound(L + lane) === Math.max(0, ...values), 'the greatest value')
  }
}

// ---- the log ----

interface ClosedSegment {
  readonly number: number
  readonly epoch: number
  readonly bytes: number
  readonly endSequence: number
}

interface Manifest {
  readonly tableId: string
  readonly epoch: number
  readonly schema: { readonly key: StoredType; readonly value: StoredType | StoredStruct | null }
  readonly pageBytes: number
  readonly duplicates: 'keep' | 'replace' | Readonly<Record<string, string>>
  readonly mode: number
  readonly files: readonly FileEntry[]
  readonly log: { readonly closed: readonly ClosedSegment[]; readonly firstSegment: number }
  readonly firstLogSequence: number
  readonly nextSequence: number
  readonly clean: boolean
  readonly meta: Readonly<Record<string, unknown>>
}

function readLog(
  directory: string,
  manifest: Manifest,
  lanes: Lanes,
): Contents & { readonly endSequence: number } {
  const tableId = Buffer.from(manifest.tableId, 'hex')
  const closedNumbers = new Set(manifest.log.closed.map(({ number }) => number))
  const open = readdirSync(directory)
    .filter(name => /^\d{6,15}\.wal$/.test(name))
    .map(name => Number.parseInt(name, 10))
    .filter(number => number >= manifest.log.firstSegment && !closedNumbers.has(number))
    .sort((a, b) => a - b)
    .map(number => ({ number, epoch: manifest.epoch, bytes: Infinity, endSequence: undefined }))
  const operations: Operation[] = []
  const deletes: DeleteWhereEntry[] = []
  let expected = manifest.firstLogSequence
  for (const segment of [...manifest.log.closed, ...(manifest.clean ? [] : open)]) {
    const seed = fileSeed(tableId, segment.epoch, segment.number)
    const file = readFileSync(join(directory, `${String(segment.number).padStart(6, '0')}.wal`))
    const bytes = file.subarray(0, Math.min(file.byteLength, segment.bytes))
    let lastEnd = 0
    for (let offset = 0; offset + 16 <= bytes.byteLength;) {
      const frame = readFrame(bytes, offset, seed, lanes)
      if (frame?.end !== undefined && frame.firstSequence === expected) {
        operations.push(...frame.operations)
        deletes.push(...frame.deletes)
        expected = frame.endSequence
        offset = lastEnd = frame.end
        continue
      }
      check(frame === undefined || frame.syncedSequence <= expected, 'nothing is missing that was synced')
      offset = (Math.floor(offset / manifest.pageBytes) + 1) * manifest.pageBytes
    }
    if (segment.endSequence === undefined) continue
    check(expected === segment.endSequence && lastEnd === segment.bytes, 'the end of a closed segment')
  }
  if (manifest.clean) check(expected === manifest.nextSequence, 'the end of the log')
  return { operations, deletes, endSequence: expected }
}

// ---- the table ----

interface StoredType {
  readonly type: string
  readonly bytes?: number
}

interface StoredStruct {
  readonly type: 'struct'
  readonly fields: readonly (StoredType & { readonly name: string })[]
}

function widthsOf({ type, bytes }: StoredType): number[] {
  if (bytes !== undefined) {
    const words = Math.floor(bytes / 4)
    return [...Array.from({ length: words }, () => 4), ...(bytes % 4 === 0 ? [] : [bytes % 4])]
  }
  const width = Number(type.slice(1)) / 8
  return width === 8 ? [4, 4] : [width]
}

function valueOf({ type, bytes }: StoredType, lanes: readonly number[]): Value {
  if (bytes !== undefined) {
    const widths = widthsOf({ type, bytes })
    const value = Buffer.alloc(bytes)
    for (const [i, width] of widths.entries()) value.writeUIntBE(lanes[i]!, 4 * i, width)
    return new Uint8Array(value)
  }
  const bits = Number(type.slice(1))
  if (type.startsWith('f')) {
    const value = Buffer.alloc(8)
    for (const [i, lane] of lanes.entries()) value.writeUInt32BE(lane, 4 * i)
    return bits === 32 ? value.readFloatBE() : value.readDoubleBE()
  }
  if (bits === 64) return keyNumber(lanes) - (type === 'i64' ? 2n ** 63n : 0n)
  return lanes[0]! - (type.startsWith('i') ? 2 ** (bits - 1) : 0)
}

export function readManifest(directory: string): Manifest {
  return readText(join(directory, 'MANIFEST'), 'manifest', '2') as Manifest
}

/** JSON behind a line with version, checksum and size. */
function readText(path: string, kind: string, wanted: string): unknown {
  const bytes = readFileSync(path)
  const start = bytes.toString('latin1', 0, 64)
  const [line, found, version, checksum, size] =
    /^flashtable (\w+) (\d+) ([0-9a-f]{8}) (\d+)\n/.exec(start) ?? []
  check(line !== undefined && found === kind, `a ${kind}`)
  check(version === wanted, `${kind} version ${wanted}`)
  const json = bytes.subarray(line.length)
  check(json.byteLength === Number(size), `the size of the ${kind}`)
  check(crc32(json).toString(16).padStart(8, '0') === checksum, `the checksum of the ${kind}`)
  return JSON.parse(json.toString('utf8'))
}

function fieldsOf({ schema: { value } }: Manifest): readonly (StoredType & { readonly name: string })[] {
  return value === null ? [] : 'fields' in value ? value.fields : [{ ...value, name: 'value' }]
}

export function lanesOf(manifest: Manifest): Lanes {
  const key = widthsOf(manifest.schema.key)
  const widths = [...key]
  const floats: { f32: number[]; f64: number[] } = { f32: [], f64: [] }
  for (const field of fieldsOf(manifest)) {
    if (field.type === 'f32' || field.type === 'f64') floats[field.type].push(widths.length)
    widths.push(...widthsOf(field))
  }
  return { widths, keyLanes: key.length, floats }
}

/** All records of the table, by key, those of a key from old to new. */
export function readTable(directory: string): ReadRecord[] {
  const manifest = readManifest(directory)
  const lanes = lanesOf(manifest)
  const sources = readFiles(manifest, ({ number }) =>
    join(directory, `${String(number).padStart(6, '0')}.bucket`),
  )
  return recordsOf(manifest, [...sources, readLog(directory, manifest, lanes)])
}

function readFiles(manifest: Manifest, pathOf: (entry: FileEntry) => string): Contents[] {
  const lanes = lanesOf(manifest)
  return manifest.files.map(entry => {
    const writer = Buffer.from(entry.tableId ?? manifest.tableId, 'hex')
    return readBucketFile(pathOf(entry), writer, entry, manifest.pageBytes, lanes)
  })
}

function recordsOf(manifest: Manifest, sources: readonly Contents[]): ReadRecord[] {
  const { key } = manifest.schema
  const fields = fieldsOf(manifest)
  const lanes = lanesOf(manifest)
  const deletes = sources.flatMap(source => source.deletes)
  const operations = sources.flatMap(source => source.operations)
  // Sorting is stable: within a key they keep their age order.
  const sorted = operations.sort((a, b) => compareKeys(a, b, lanes.keyLanes))
  const { duplicates } = manifest
  const live: Operation[][] = []
  for (let from = 0; from < sorted.length;) {
    let to = from + 1
    while (to < sorted.length && compareKeys(sorted[from]!, sorted[to]!, lanes.keyLanes) === 0) to++
    const ofKey = liveOf(sorted.slice(from, to), deletes, duplicates === 'replace', lanes)
    if (typeof duplicates === 'string') live.push(...ofKey.map(operation => [operation]))
    else if (ofKey.length > 0) live.push(ofKey)
    from = to
  }
  return live.map(parts => {
    let at = lanes.keyLanes
    const values = fields.map(field => {
      const lane = at
      at += widthsOf(field).length
      const values = parts.map(part => valueOf(field, part.lanes.slice(lane, at)))
      if (typeof duplicates === 'string') return [field.name, values[0]!] as const
      const operator = duplicates[field.name]!
      return [
        field.name,
        values.reduce((older, newer) => combinedValue(field.type, operator, older, newer) as Value),
      ] as const
    })
    return { key: valueOf(key, parts[0]!.lanes.slice(0, lanes.keyLanes)), fields: Object.fromEntries(values) }
  })
}

/** Lanes in which equal floats have equal bits: all NaN, and 0 and -0. */
function comparable(lanes: readonly number[], { f32, f64 }: Lanes['floats']): number[] {
  const same = [...lanes]
  const numbers = new DataView(new ArrayBuffer(8))
  for (const at of f32) {
    numbers.setUint32(0, lanes[at]!)
    const number = numbers.getFloat32(0)
    if (Number.isNaN(number)) same[at] = 0xffffffff
    else if (number === 0) same[at] = 0
  }
  for (const at of f64) {
    numbers.setUint32(0, lanes[at]!)
    numbers.setUint32(4, lanes[at + 1]!)
    const number = numbers.getFloat64(0)
    if (Number.isNaN(number)) same[at] = same[at + 1] = 0xffffffff
    else if (number === 0) same[at] = same[at + 1] = 0
  }
  return same
}

/** Whether the range holds the lanes: floats in their ordered form, others as they are. */
function isWithin(
  { lane, count, lower, upper }: Range,
  lanes: readonly number[],
  { f32, f64 }: Lanes['floats'],
): boolean {
  let number = numberOf(lanes.slice(lane, lane + count))
  const isFloat = (count === 1 && f32.includes(lane)) || (count === 2 && f64.includes(lane))
  if (isFloat) {
    const half = 2n ** BigInt(32 * count - 1)
    number = number < half ? number + half : 2n * half - 1n - number
  }
  return number >= lower && number <= upper
}

/** What is left of the operations of one key. */
function liveOf(
  operations: readonly Operation[],
  deletes: readonly DeleteWhereEntry[],
  replace: boolean,
  { floats }: Lanes,
): Operation[] {
  const live: Operation[] = []
  const deleted = new Set<string>()
  for (const operation of operations.toReversed()) {
    if (operation.kind === 1) break
    if (operation.kind === 2) {
      deleted.add(comparable(operation.lanes, floats).join())
      continue
    }
    const own = comparable(operation.lanes, floats)
    const hidden =
      deleted.has(own.join()) ||
      deletes.some(({ sequence, lanes, ranges }) => {
        if (sequence <= operation.sequence) return false
        if (!ranges.every(range => isWithin(range, operation.lanes, floats))) return false
        const asked = [...operation.lanes]
        for (const { lane, value } of lanes) asked[lane] = value
        return comparable(asked, floats).join() === own.join()
      })
    if (!hidden) live.unshift(operation)
    if (replace) break
  }
  return live
}

// ---- published tables ----

interface Published {
  readonly epoch: number
  readonly table: Pick<Manifest, 'tableId' | 'epoch' | 'schema' | 'pageBytes' | 'duplicates' | 'mode'>
  readonly files: readonly {
    readonly entry: FileEntry
    readonly key: string
    readonly since: number
    readonly until?: number
  }[]
  readonly versions: readonly {
    readonly version: number
    readonly sequence: number
    readonly meta: Readonly<Record<string, unknown>>
  }[]
  readonly names: readonly { readonly name: string; readonly version: number }[]
}

/** The manifest of a published table in a directory store. */
export function readPublished(store: string): Published {
  const numbers = readdirSync(store).flatMap(
    name => /^MANIFEST\.(\d+)$/.exec(name)?.slice(1).map(Number) ?? [],
  )
  check(numbers.length > 0, 'there is a manifest')
  return readText(join(store, `MANIFEST.${Math.max(...numbers)}`, 'content'), 'remote', '1') as Published
}

/** All records of a version, as {@link readTable} gives them, and its metadata. */
export function readVersion(
  store: string,
  wanted: number,
): { readonly records: ReadRecord[]; readonly meta: Readonly<Record<string, unknown>> } {
  const published = readPublished(store)
  const version = published.versions.find(other => other.version === wanted)
  check(version !== undefined, 'the version is there')
  const files = published.files
    .filter(({ since, until = Infinity }) => since <= wanted && wanted < until)
    .sort((a, b) => a.entry.firstSequence - b.entry.firstSequence)
  for (const { key, entry } of files) {
    const [, epoch, number] = /^e(\d{12})\/(\d{6,15})-[0-9a-f]{16}\.bucket$/.exec(key) ?? []
    check(Number(epoch) <= published.epoch && Number(number) === entry.number, 'the key of an object')
  }
  const manifest: Manifest = {
    ...published.table,
    files: files.map(({ entry }) => entry),
    log: { closed: [], firstSegment: 1 },
    firstLogSequence: version.sequence,
    nextSequence: version.sequence,
    clean: true,
    meta: version.meta,
  }
  check((files.at(-1)?.entry.endSequence ?? 0) <= version.sequence, 'the sequence of a version')
  const keys = new Map(files.map(({ entry, key }) => [entry, key]))
  const sources = readFiles(manifest, entry => join(store, keys.get(entry)!))
  return { records: recordsOf(manifest, sources), meta: version.meta }
}

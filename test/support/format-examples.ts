/**
 * The inputs of the worked examples in docs/file-format.md, and the bytes that the code makes of them.
 *
 * The document shows these bytes; test/format/file-format.test.ts compares.
 */
import { fileSeed, positionSeed } from '../../src/format/checksum.js'
import { DataPageEncoder } from '../../src/format/data-page-encoder.js'
import { deleteWhereBytes, writeDeleteWheres } from '../../src/format/delete-where.js'
import { FrameEncoder } from '../../src/format/frame-encoder.js'
import { viewOf } from '../../src/format/little-endian.js'
import { setPageChecksum } from '../../src/format/section.js'
import { OperationBuffer, type DeleteWhere } from '../../src/records/operations.js'
import { recordLayout } from '../../src/records/record-layout.js'

/** Key `u64`; value `{ time: 'u16', flags: 'u16', id: 'i32' }`. */
export const EXAMPLE_LAYOUT = recordLayout([4, 4], [2, 2, 4])
export const EXAMPLE_TABLE_ID = Uint8Array.from({ length: 16 }, (_, i) => i)
export const EXAMPLE_EPOCH = 3
export const EXAMPLE_PAGE_BYTES = 4096
export const EXAMPLE_WAL_NUMBER = 7
export const EXAMPLE_BUCKET_NUMBER = 9
export const EXAMPLE_PAGE_NUMBER = 2

/** An operation of an example: kind, low half of the key (the high one is 1), then the value. */
type Row = readonly [kind: number, key: number, time: number, flags: number, id: number]

const FIRST_FRAME_ROWS: readonly Row[] = [
  [0, 0x1234, 17, 1, 42],
  [0, 0x1234, 18, 1, 42],
  [0, 0x12a0, 260, 1, -7],
  [2, 0x12a0, 260, 1, -7],
  [1, 0x1300, 0, 0, 0],
  [0, 0x1234, 19, 1, 42],
]
const SECOND_FRAME_ROWS: readonly Row[] = [[0, 0xabcd, 20, 1, 43]]
/** `delWhere({ id: 42 })`, between the third and the fourth operation. */
const DELETE_WHERE: DeleteWhere = { sequence: 1003, lanes: [4], values: [0x8000002a] }

/** `delWhere({ time: { lt: 260 }, flags: 1, id: { gte: -7, lt: 42 } })`. */
const COMPARISONS: DeleteWhere = {
  sequence: 1008,
  lanes: [3],
  values: [1],
  ranges: [
    { lane: 2, lower: [0], upper: [259] },
    { lane: 4, lower: [0x7ffffff9], upper: [0x80000029] },
  ],
}

/** An entry with comparisons. */
export function exampleDeleteWhere(): Uint8Array {
  const bytes = new Uint8Array(deleteWhereBytes([COMPARISONS]))
  writeDeleteWheres([COMPARISONS], EXAMPLE_LAYOUT, viewOf(bytes), 0)
  return bytes
}

/** `clear({ gte: 1000n, lt: 2000n })`. */
const CLEAR: DeleteWhere = {
  sequence: 1009,
  lanes: [],
  values: [],
  ranges: [{ lane: 0, lower: [0, 1000], upper: [0, 1999] }],
}

/** An entry that clears a range of keys. */
export function exampleClear(): Uint8Array {
  const bytes = new Uint8Array(deleteWhereBytes([CLEAR]))
  writeDeleteWheres([CLEAR], EXAMPLE_LAYOUT, viewOf(bytes), 0)
  return bytes
}

/** Two frames at the start of a segment: the first packed, the second raw. */
export function exampleFrames(): Uint8Array {
  const seed = fileSeed(EXAMPLE_TABLE_ID, EXAMPLE_EPOCH, EXAMPLE_WAL_NUMBER)
  const encoder = new FrameEncoder(EXAMPLE_LAYOUT, 0)
  const frame = (rows: readonly Row[], deletes: readonly DeleteWhere[], sequence: number, offset: number) => {
    const operations = operationsOf(rows)
    const at = positionSeed(seed, offset / 4)
    const bytes = encoder.encode(operations, 0, operations.count, deletes, sequence, 1000, at)
    return encoder.bytes(bytes, bytes).slice()
  }
  const first = frame(FIRST_FRAME_ROWS, [DELETE_WHERE], 1000, 0)
  const second = frame(SECOND_FRAME_ROWS, [], 1007, first.byteLength)
  return Buffer.concat([first, second])
}

/** The operations of the data page: 40, in key order. */
export function examplePageRows(): readonly Row[] {
  return Array.from({ length: 40 }, (_, i): Row => {
    // Rows 10 to 12 have one key.
    const key = 0x1000 + 5 * (i === 11 || i === 12 ? 10 : i)
    return i === 20 ? [1, key, 0, 0, 0] : [i === 12 ? 2 : 0, key, 100 + i, 1, i % 4]
  })
}

/** A data page. */
export function examplePage(): Uint8Array {
  const rows = operationsOf(examplePageRows())
  const encoder = new DataPageEncoder(EXAMPLE_LAYOUT, EXAMPLE_PAGE_BYTES)
  const page = new Uint8Array(EXAMPLE_PAGE_BYTES)
  const count = encoder.fit(rows, 0, rows.count)
  if (count !== rows.count) throw new Error('the example fills more than a page')
  encoder.write(rows, 0, page)
  const seed = fileSeed(EXAMPLE_TABLE_ID, EXAMPLE_EPOCH, EXAMPLE_BUCKET_NUMBER)
  setPageChecksum(page, seed, EXAMPLE_PAGE_NUMBER)
  return page
}

/** Lines of 16 bytes with their offsets, as the document shows them. */
export function hexLines(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.byteLength; at += 16) {
    const digits = Array.from(bytes.subarray(at, at + 16), byte => byte.toString(16).padStart(2, '0'))
    lines.push(`${at.toString(16).padStart(4, '0')}  ${digits.join(' ')}`)
  }
  return lines.join('\n')
}

function operationsOf(rows: readonly Row[]): OperationBuffer {
  const operations = new OperationBuffer(EXAMPLE_LAYOUT, rows.length)
  for (const [row, [kind, key, time, flags, id]] of rows.entries()) {
    const lanes = [1, key, time, flags, kind === 1 ? 0 : (id ^ 0x80000000) >>> 0]
    for (const [lane, value] of lanes.entries()) operations.lanes[lane]![row] = value
    if (kind !== 0) operations.ensureKinds()[row] = kind
  }
  operations.count = rows.length
  return operations
}

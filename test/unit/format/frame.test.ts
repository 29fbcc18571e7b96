import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32Words } from '../../../src/format/checksum-words.js'
import {
  DELETE_WHERE_HEADER,
  DELETE_WHERE_HEADER_BYTES,
  DELETE_WHERE_TERM,
  DELETE_WHERE_TERM_BYTES,
} from '../../../src/format/delete-where.js'
import {
  decodePayload,
  frameBytesOf,
  payloadFits,
  readFrameHeader,
} from '../../../src/format/frame-decoder.js'
import type { FrameHeader } from '../../../src/format/frame-decoder.js'
import { FrameEncoder } from '../../../src/format/frame-encoder.js'
import {
  DELETE_WHERE_COUNT_AT,
  ENCODING_AT,
  FIRST_SEQUENCE_AT,
  FRAME_HEADER,
  FRAME_HEADER_BYTES,
  OPERATION_COUNT_AT,
  PAYLOAD_BYTES_AT,
  PAYLOAD_CHECKSUM_AT,
  PAYLOAD_WORDS_AT,
  SMALL_COUNT_AT,
  SMALL_ENCODING,
  SMALL_FRAME_HEADER,
  SMALL_FRAME_HEADER_BYTES,
  SMALL_KINDS_ENCODING,
  SYNCED_DISTANCE_AT,
  SYNCED_SEQUENCE_AT,
} from '../../../src/format/frame-layout.js'
import { viewOf, wordsOf } from '../../../src/format/little-endian.js'
import { Memtable } from '../../../src/memtable/memtable.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer, PUT } from '../../../src/records/operations.js'
import type { DeleteWhere, Operations } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import type { RecordLayout } from '../../../src/records/record-layout.js'

const SEED = 0xfeedbeef
/** u64 key; u16, u16, i32. */
const fingerprints = recordLayout([4, 4], [2, 2, 4])
/** A set of u8 keys. */
const byteSet = recordLayout([1], [])

/** A frame's content in the form in which the decoder gives it back. */
interface Content {
  rows: number[][]
  kinds: number[]
  deletes: DeleteWhere[]
  firstSequence: number
  syncedSequence: number
}

function operationsOf(
  layout: RecordLayout,
  rows: readonly number[][],
  kinds?: readonly number[],
): OperationBuffer {
  const operations = new OperationBuffer(layout, rows.length)
  operations.count = rows.length
  rows.forEach((row, r) => row.forEach((value, lane) => (operations.lanes[lane]![r] = value)))
  if (kinds !== undefined) operations.ensureKinds().set(kinds)
  return operations
}

function encode(
  layout: RecordLayout,
  operations: Operations,
  deletes: readonly DeleteWhere[] = [],
  firstSequence = 0,
  syncedSequence = 0,
): Uint8Array {
  const encoder = new FrameEncoder(layout, 0)
  const size = encoder.encode(operations, 0, operations.count, deletes, firstSequence, syncedSequence, SEED)
  return encoder.bytes(size, size).slice()
}

function encodeContent(layout: RecordLayout, content: Content): Uint8Array {
  const operations = operationsOf(layout, content.rows, content.kinds)
  return encode(layout, operations, content.deletes, content.firstSequence, content.syncedSequence)
}

/** `undefined` where header or payload are refused. */
function decode(
  layout: RecordLayout,
  bytes: Uint8Array,
  seed = SEED,
): (Content & { header: FrameHeader }) | undefined {
  const source = frameBytesOf(bytes)
  const header = readFrameHeader(source, 0, bytes.length, seed)
  if (header === undefined || header.headerBytes + header.payloadBytes > bytes.length) return undefined
  if (!payloadFits(source, header.headerBytes, header, seed)) return undefined
  const operations = new OperationBuffer(layout)
  const deletes: DeleteWhere[] = []
  const problem = decodePayload(source, header.headerBytes, header, layout, operations, deletes)
  expect(problem).toBeUndefined()
  const { firstSequence, syncedSequence } = header
  const rows = Array.from({ length: operations.count }, (_, r) => operations.lanes.map(lane => lane[r]!))
  const kinds = rows.map((_, r) => operations.kinds?.[r] ?? PUT)
  return { header, rows, kinds, deletes, firstSequence, syncedSequence }
}

/** What must come back: value lanes of a deleted key mean nothing. */
function meaning(layout: RecordLayout, content: Content): Content {
  const rows = content.rows.map((row, r) =>
    content.kinds[r] === DELETE_KEY ? row.slice(0, layout.keyLaneCount) : row,
  )
  const { kinds, deletes, firstSequence, syncedSequence } = content
  return { rows, kinds, deletes, firstSequence, syncedSequence }
}

const layouts: fc.Arbitrary<RecordLayout> = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 }),
    fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 20 }),
  )
  .map(([key, value]) => recordLayout(key, value))

/** Rows whose lanes are constant, narrow or wide, so that all widths come up and both encodings win. */
function contentOf(layout: RecordLayout): fc.Arbitrary<Content> {
  const columns = layout.laneBytes.map(bytes => {
    const max = 2 ** (8 * bytes) - 1
    return fc
      .tuple(fc.nat(max), fc.constantFrom(0, 1, 3, 200, 0xffffffff))
      .map(([base, spread]) => ({ base, spread: Math.min(spread, max - base) }))
  })
  const entries: fc.Arbitrary<number[][]> =
    layout.laneCount === layout.keyLaneCount
      ? fc.constant([])
      : fc.array(
          fc.uniqueArray(fc.integer({ min: layout.keyLaneCount, max: layout.laneCount - 1 }), {
            minLength: 1,
          }),
          { maxLength: 4 },
        )
  return fc
    .record({
      columns: fc.tuple(...columns),
      count: fc.oneof(fc.nat(3), fc.nat(200)),
      kinds: fc.constantFrom(
        [PUT],
        [PUT, DELETE_KEY],
        [DELETE_KEY],
        [PUT, PUT, PUT, DELETE_RECORD, DELETE_KEY],
      ),
      entries,
      firstSequence: fc.nat(2 ** 48 - 1_000_000),
      synced: fc.double({ min: 0, max: 1, noNaN: true }),
      random: fc.nat(0xffffffff),
    })
    .map(({ columns, count, kinds, entries, firstSequence, synced, random }) => {
      const next = () => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0)
      if (count + entries.length === 0) count = 1
      const total = count + entries.length
      const sequences = [...Array(total).keys()].toSorted(() => (next() & 1) - 0.5).slice(0, entries.length)
      sequences.sort((a, b) => a - b)
      return {
        rows: Array.from({ length: count }, () => columns.map(c => c.base + (next() % (c.spread + 1)))),
        kinds: Array.from({ length: count }, () => kinds[next() % kinds.length]!),
        deletes: entries.map((lanes, i) => ({
          sequence: firstSequence + sequences[i]!,
          lanes: lanes.toSorted((a, b) => a - b),
          values: lanes.map(() => next()),
        })),
        firstSequence,
        syncedSequence: Math.floor(firstSequence * synced),
      }
    })
}

const framed = layouts.chain(layout => fc.tuple(fc.constant(layout), contentOf(layout)))

describe('a frame comes back as it was', () => {
  test('for all lane counts, widths, kinds and delete-where entries', () => {
    fc.assert(
      fc.property(framed, ([layout, content]) => {
        const decoded = decode(layout, encodeContent(layout, content))
        expect(decoded).toBeDefined()
        const { header, ...rest } = decoded!
        expect(meaning(layout, rest)).toEqual(meaning(layout, content))
        expect(header.endSequence).toBe(content.firstSequence + content.rows.length + content.deletes.length)
      }),
      { numRuns: 400 },
    )
  })

  test('in the size that the encoder promised at most', () => {
    fc.assert(
      fc.property(framed, ([layout, content]) => {
        const bound = new FrameEncoder(layout, 0).frameBytesMax(
          content.rows.length,
          content.kinds.some(kind => kind !== PUT),
          content.deletes.length,
        )
        const { byteLength } = encodeContent(layout, content)
        expect(byteLength).toBeLessThanOrEqual(bound)
        expect(byteLength % 4).toBe(0)
      }),
    )
  })

  test('when the encoder is used again, whatever the frame before it was', () => {
    fc.assert(
      fc.property(fc.array(contentOf(fingerprints), { minLength: 2, maxLength: 6 }), contents => {
        const encoder = new FrameEncoder(fingerprints, 64)
        for (const content of contents) {
          const operations = operationsOf(fingerprints, content.rows, content.kinds)
          const { deletes, firstSequence, syncedSequence } = content
          const size = encoder.encode(
            operations,
            0,
            operations.count,
            deletes,
            firstSequence,
            syncedSequence,
            SEED,
          )
          const padded = encoder.bytes(size, size + 64)
          expect(padded.subarray(0, size)).toEqual(encodeContent(fingerprints, content))
          expect(padded.subarray(size)).toEqual(new Uint8Array(64))
        }
      }),
    )
  })

  test('with the same bytes from the narrow columns of a memtable, wherever they begin', () => {
    fc.assert(
      fc.property(framed, fc.nat(40), ([layout, content], before) => {
        const { rows, kinds, deletes, firstSequence, syncedSequence } = content
        const operations = operationsOf(layout, rows, kinds)
        const memtable = new Memtable(layout, before + rows.length + 1, 0)
        for (let i = 0; i < before && rows.length > 0; i++) memtable.append(operations, 0, 1)
        const from = memtable.count
        memtable.append(operations, 0, rows.length)
        const encoder = new FrameEncoder(layout, 0)
        const { count } = memtable
        const size = encoder.encode(memtable, from, count, deletes, firstSequence, syncedSequence, SEED)
        expect(encoder.bytes(size, size)).toEqual(encodeContent(layout, content))
      }),
      { numRuns: 300 },
    )
  })

  test('when it is a stretch of longer columns', () => {
    const rows = Array.from({ length: 100 }, (_, i) => [7, i * 1000, i, 3, i * i])
    const operations = operationsOf(fingerprints, rows)
    const encoder = new FrameEncoder(fingerprints, 0)
    for (const [from, to] of [
      [0, 1],
      [50, 51],
      [10, 90],
    ] as const) {
      const size = encoder.encode(operations, from, to, [], 5, 5, SEED)
      expect(decode(fingerprints, encoder.bytes(size, size).slice())!.rows).toEqual(rows.slice(from, to))
    }
  })

  test('when it is appended to rows that are there, with and without kinds', () => {
    const into = new OperationBuffer(fingerprints, 200)
    const frames = [
      { rows: [[1, 2, 3, 4, 5]], kinds: [PUT] },
      { rows: [[2, 2, 0, 0, 0]], kinds: [DELETE_KEY] },
      { rows: [[3, 2, 3, 4, 5]], kinds: [PUT] },
      {
        rows: Array.from({ length: 50 }, (_, i) => [4, i, 0, 0, 9]),
        kinds: Array<number>(50).fill(DELETE_RECORD),
      },
      { rows: Array.from({ length: 50 }, (_, i) => [5, i, 0, 0, 9]), kinds: Array<number>(50).fill(PUT) },
    ]
    // What an earlier use of the buffer left behind must not show.
    into.ensureKinds().fill(DELETE_RECORD)
    for (const { rows, kinds } of frames) {
      const source = frameBytesOf(encode(fingerprints, operationsOf(fingerprints, rows, kinds)))
      const header = readFrameHeader(source, 0, source.bytes.length, SEED)!
      expect(decodePayload(source, header.headerBytes, header, fingerprints, into, [])).toBeUndefined()
    }
    const kinds = frames.flatMap(frame => frame.kinds)
    expect([...into.kinds!.subarray(0, into.count)]).toEqual(kinds)
    expect([...into.lanes[0]!.subarray(0, 3)]).toEqual([1, 2, 3])
  })
})

/** Enough records that packing them pays. */
const MANY = Array.from({ length: 40 }, (_, i) => [i, i, i, i, i])

describe('the size of a frame', () => {
  test('of one record is a short header and the raw record', () => {
    expect(encode(fingerprints, operationsOf(fingerprints, [[1, 2, 3, 4, 5]])).byteLength).toBe(16 + 16)
    expect(encode(byteSet, operationsOf(byteSet, [[255]])).byteLength).toBe(16 + 4)
  })

  test('is that of a small one up to its greatest size, count and distance', () => {
    const raw = (count: number): number[][] => Array.from({ length: count }, (_, i) => [(i * 167) & 0xff])
    expect(encode(byteSet, operationsOf(byteSet, raw(255))).byteLength).toBe(16 + 256)
    expect(encode(byteSet, operationsOf(byteSet, raw(256))).byteLength).toBe(32 + 256)
    const wide = recordLayout([4], Array<number>(254).fill(4))
    const wider = recordLayout([4], Array<number>(255).fill(4))
    expect(encode(wide, operationsOf(wide, [Array<number>(255).fill(7)])).byteLength).toBe(16 + 1020)
    expect(encode(wider, operationsOf(wider, [Array<number>(256).fill(7)])).byteLength).toBe(32 + 1024)
    const one = operationsOf(byteSet, [[9]])
    expect(encode(byteSet, one, [], 2 ** 30, 2 ** 30 - 2 ** 24 + 1).byteLength).toBe(16 + 4)
    expect(encode(byteSet, one, [], 2 ** 30, 2 ** 30 - 2 ** 24).byteLength).toBe(32 + 4)
    for (const distance of [0, 1, 2 ** 24 - 1, 2 ** 24]) {
      const first = 2 ** 47 + 5
      const decoded = decode(byteSet, encode(byteSet, one, [], first, first - distance))!
      expect([decoded.firstSequence, decoded.syncedSequence]).toEqual([first, first - distance])
    }
  })

  test('of many records of which most lanes are constant is a fraction of the raw records', () => {
    const rows = Array.from({ length: 1000 }, (_, i) => [0, i, 17, 0, 42])
    // 10 bits a record behind a table of 30 bytes.
    expect(encode(fingerprints, operationsOf(fingerprints, rows)).byteLength).toBe(32 + 32 + 1252)
  })

  test('of records that are all equal still has a bit for each, so that no header can promise more', () => {
    const rows = Array.from({ length: 8000 }, () => [1, 2, 3, 4, 5])
    const bytes = encode(fingerprints, operationsOf(fingerprints, rows))
    expect(bytes.byteLength).toBe(32 + 32 + 1000)
    expect(decode(fingerprints, bytes)!.rows).toEqual(rows)
  })

  test('of incompressible records is that of the raw ones', () => {
    const rows = Array.from({ length: 256 }, (_, i) => [i])
    expect(encode(byteSet, operationsOf(byteSet, rows)).byteLength).toBe(32 + 256)
  })

  test('of raw records with a deleted key does not show what stands in its value lanes', () => {
    const bytes = encode(fingerprints, operationsOf(fingerprints, [[1, 2, 3, 4, 5]], [DELETE_KEY]))
    expect([...bytes.subarray(16)]).toEqual([
      1,
      0,
      0,
      0,
      2,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      DELETE_KEY,
      0,
      0,
      0,
    ])
  })

  test('does not grow by what stands in the value lanes of deleted keys', () => {
    const clean = Array.from({ length: 1000 }, (_, i) => [0, i, 17, 0, 42])
    const dirty = clean.map((row, i) => (i % 2 === 0 ? row : [row[0]!, row[1]!, i, i * 3, 0xffffffff - i]))
    const kinds = clean.map((_, i) => (i % 2 === 0 ? PUT : DELETE_KEY))
    const size = (rows: number[][]) =>
      encode(fingerprints, operationsOf(fingerprints, rows, kinds)).byteLength
    expect(size(dirty)).toBe(size(clean))
  })
})

describe('damage', () => {
  test('of any one bit of header or payload is found', () => {
    const rows = Array.from({ length: 40 }, (_, i) => [i, i * 77, 3, i % 2, 9])
    const deletes = [{ sequence: 1003, lanes: [4], values: [42] }]
    for (const count of [1, 40]) {
      const bytes = encode(fingerprints, operationsOf(fingerprints, rows.slice(0, count)), deletes, 1003, 900)
      expect(decode(fingerprints, bytes)).toBeDefined()
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        expect(decode(fingerprints, bytes), `bit ${bit}`).toBeUndefined()
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
  })

  test('of any one bit of the header is found in the header alone', () => {
    const bytes = encode(fingerprints, operationsOf(fingerprints, MANY))
    for (let bit = 0; bit < FRAME_HEADER_BYTES * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      expect(readFrameHeader(frameBytesOf(bytes), 0, bytes.length, SEED), `bit ${bit}`).toBeUndefined()
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test('by another seed, that of another place, file or table, is found', () => {
    const bytes = encode(fingerprints, operationsOf(fingerprints, [[1, 2, 3, 4, 5]]))
    for (const seed of [0, SEED ^ 1, SEED ^ 0x80000000]) {
      expect(decode(fingerprints, bytes, seed >>> 0)).toBeUndefined()
    }
  })

  test('zeros are no frame', () => {
    expect(readFrameHeader(frameBytesOf(new Uint8Array(64)), 0, 64, 0)).toBeUndefined()
    expect(readFrameHeader(frameBytesOf(new Uint8Array(64)), 0, 64, SEED)).toBeUndefined()
  })
})

describe('hostile bytes', () => {
  /** Makes both checksums fit. */
  function sign(bytes: Uint8Array): Uint8Array {
    const view = viewOf(bytes)
    const words = wordsOf(bytes)
    if (isSmall(bytes)) {
      const end = Math.min(SMALL_FRAME_HEADER_BYTES + 4 * bytes[PAYLOAD_WORDS_AT]!, bytes.length)
      view.setUint32(0, crc32Words(words, 1, end >>> 2, SEED), true)
      return bytes
    }
    if (bytes.length < FRAME_HEADER_BYTES) return bytes
    const end = Math.min(FRAME_HEADER_BYTES + view.getUint32(PAYLOAD_BYTES_AT, true), bytes.length)
    view.setUint32(PAYLOAD_CHECKSUM_AT, crc32Words(words, 8, end >>> 2, SEED), true)
    view.setUint32(0, crc32Words(words, 1, 8, SEED), true)
    return bytes
  }

  function isSmall(bytes: Uint8Array): boolean {
    return bytes[ENCODING_AT] === SMALL_ENCODING || bytes[ENCODING_AT] === SMALL_KINDS_ENCODING
  }

  /** What a reader does with bytes: never a throw, and no more rows than bits. */
  function survives(layout: RecordLayout, bytes: Uint8Array): void {
    const source = frameBytesOf(bytes)
    const header = readFrameHeader(source, 0, bytes.length, SEED)
    if (header === undefined || header.headerBytes + header.payloadBytes > bytes.length) return
    if (!payloadFits(source, header.headerBytes, header, SEED)) return
    const into = new OperationBuffer(layout)
    const deletes: DeleteWhere[] = []
    const problem = decodePayload(source, header.headerBytes, header, layout, into, deletes)
    expect(into.lanes[0]!.length).toBeLessThanOrEqual(Math.max(16, bytes.length * 8))
    if (problem === undefined) {
      expect(into.count).toBe(header.operationCount)
      expect(deletes.length).toBe(header.deleteWhereCount)
    } else {
      expect([into.count, deletes.length]).toEqual([0, 0])
    }
  }

  test('random bytes are survived, with and without fitting checksums', () => {
    fc.assert(
      fc.property(
        layouts,
        fc.uint32Array({ minLength: 9, maxLength: 80 }),
        fc.boolean(),
        (layout, words, signed) => {
          const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength).slice()
          if (signed) bytes[ENCODING_AT]! %= 6
          survives(layout, signed ? sign(bytes) : bytes)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('a frame with any few bytes changed and fitting checksums is survived', () => {
    const patches = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    fc.assert(
      fc.property(framed, patches, ([layout, content], patches) => {
        const bytes = encodeContent(layout, content)
        for (const [place, value] of patches) bytes[4 + Math.floor(place * (bytes.length - 4))] = value
        survives(layout, sign(bytes))
      }),
      { numRuns: 1000 },
    )
  })

  test('a header with an impossible number is no header', () => {
    const accepting = (good: Uint8Array) => (change: (view: DataView) => void) => {
      const bytes = good.slice()
      change(viewOf(bytes))
      return readFrameHeader(frameBytesOf(sign(bytes)), 0, bytes.length, SEED) !== undefined
    }
    const accepts = accepting(encode(fingerprints, operationsOf(fingerprints, MANY)))
    expect(accepts(() => {})).toBe(true)
    expect(accepts(view => view.setUint32(PAYLOAD_BYTES_AT, 0, true))).toBe(false)
    expect(accepts(view => view.setUint32(PAYLOAD_BYTES_AT, 17, true))).toBe(false)
    expect(accepts(view => view.setUint32(PAYLOAD_BYTES_AT, 0xfffffffc, true))).toBe(false)
    expect(accepts(view => view.setUint32(OPERATION_COUNT_AT, 0, true))).toBe(false)
    expect(accepts(view => view.setUint32(OPERATION_COUNT_AT, 0xffffffff, true))).toBe(false)
    expect(accepts(view => view.setUint8(ENCODING_AT, 5))).toBe(false)
    expect(accepts(view => view.setUint8(PAYLOAD_WORDS_AT, 1))).toBe(false)
    const acceptsSmall = accepting(encode(fingerprints, operationsOf(fingerprints, [[1, 2, 3, 4, 5]])))
    expect(acceptsSmall(() => {})).toBe(true)
    expect(acceptsSmall(view => view.setUint8(PAYLOAD_WORDS_AT, 0))).toBe(false)
    expect(acceptsSmall(view => view.setUint8(PAYLOAD_WORDS_AT, 5))).toBe(false)
    expect(acceptsSmall(view => view.setUint8(SMALL_COUNT_AT, 0))).toBe(false)
    expect(acceptsSmall(view => view.setUint8(SMALL_COUNT_AT, 129))).toBe(false)
    // A distance beyond the first sequence number, which is 0.
    expect(acceptsSmall(view => view.setUint8(SYNCED_DISTANCE_AT, 1))).toBe(false)
    // All below the frame may be synced, the frame itself cannot be.
    expect(accepts(view => view.setUint16(SYNCED_SEQUENCE_AT, 1, true))).toBe(false)
    const lastSequence = (view: DataView) => {
      view.setUint32(FIRST_SEQUENCE_AT, 0xffffffff, true)
      view.setUint16(FIRST_SEQUENCE_AT + 4, 0xffff, true)
    }
    expect(accepts(lastSequence)).toBe(false)
  })

  test('a payload that its header does not describe is named and not decoded', () => {
    const problemOf = (
      rows: number[][],
      deletes: DeleteWhere[],
      change: (bytes: Uint8Array, view: DataView) => void,
    ) => {
      const bytes = encode(fingerprints, operationsOf(fingerprints, rows), deletes)
      change(bytes, viewOf(bytes))
      const source = frameBytesOf(sign(bytes))
      const into = new OperationBuffer(fingerprints)
      const header = readFrameHeader(source, 0, bytes.length, SEED)!
      return decodePayload(source, header.headerBytes, header, fingerprints, into, [])
    }
    const one = [[1, 2, 3, 4, 5]]
    const many = Array.from({ length: 40 }, (_, i) => [i, i, i, i, i])
    const otherEntry = { sequence: 0, lanes: [2], values: [1] }
    const entry = { sequence: 1, lanes: [2, 4], values: [7, 8] }
    expect(problemOf(one, [], (_, view) => view.setUint8(SMALL_COUNT_AT, 2))).toBe('2 operations in 16 bytes')
    expect(problemOf(one, [otherEntry], (_, view) => view.setUint32(OPERATION_COUNT_AT, 9, true))).toBe(
      '9 operations in 32 bytes',
    )
    expect(problemOf(many, [], bytes => (bytes[32 + 24] = 33))).toBe('a bit width above 32')
    expect(problemOf(many, [], bytes => (bytes[32 + 24] = 31))).toMatch(/^40 operations in \d+ bytes$/)
    expect(problemOf(many, [], (_, view) => view.setUint32(32 + 20, 3, true))).toBe(
      'an unknown operation kind',
    )
    const entryWithoutBytes = (_: Uint8Array, view: DataView) => {
      view.setUint32(OPERATION_COUNT_AT, 0, true)
      view.setUint16(DELETE_WHERE_COUNT_AT, 1, true)
    }
    expect(problemOf(many, [], entryWithoutBytes)).toBe('malformed delete-where entries')
    const bytesWithoutEntry = (_: Uint8Array, view: DataView) =>
      view.setUint16(DELETE_WHERE_COUNT_AT, 0, true)
    expect(problemOf(one, [entry], bytesWithoutEntry)).toBe('malformed delete-where entries')
    for (const [at, value] of [
      [0, 2], // sequence number behind the frame
      [6, 0], // no terms
      [6, 3], // more terms than there are bytes
      [8, 1], // a key lane
      [8, 5], // no lane of this record
      [16, 2], // the same lane again
      [10, 1], // a range, and the bounds are not in order
      [10, 2], // a range with more bounds than there are bytes
    ] as const) {
      expect(problemOf(one, [entry], (_, view) => view.setUint16(48 + at, value, true))).toBe(
        'malformed delete-where entries',
      )
    }
    expect(problemOf(one, [entry], () => {})).toBeUndefined()
  })

  test('a raw frame with an unknown kind is named', () => {
    const bytes = encode(fingerprints, operationsOf(fingerprints, [[1, 2, 0, 0, 0]], [DELETE_KEY]))
    bytes[32] = 3
    const source = frameBytesOf(sign(bytes))
    const header = readFrameHeader(source, 0, bytes.length, SEED)!
    const into = new OperationBuffer(fingerprints)
    expect(decodePayload(source, header.headerBytes, header, fingerprints, into, [])).toBe(
      'an unknown operation kind',
    )
    expect(into.count).toBe(0)
  })
})

describe('the tables of the layout', () => {
  test('leave no gap and add up to the sizes', () => {
    const end = (fields: typeof FRAME_HEADER) => {
      let at = 0
      for (const { offset, bytes } of fields) {
        expect(offset).toBe(at)
        at += bytes
      }
      return at
    }
    expect(end(FRAME_HEADER)).toBe(FRAME_HEADER_BYTES)
    expect(end(SMALL_FRAME_HEADER)).toBe(SMALL_FRAME_HEADER_BYTES)
    expect(FRAME_HEADER_BYTES).toBe(32)
    expect(end(DELETE_WHERE_HEADER)).toBe(DELETE_WHERE_HEADER_BYTES)
    expect(end(DELETE_WHERE_TERM)).toBe(DELETE_WHERE_TERM_BYTES)
  })

  test('agree with the bytes of a frame written out by hand', () => {
    const deletes = [{ sequence: 0x010203040507, lanes: [3], values: [0xaabbccdd] }]
    const bytes = encode(
      fingerprints,
      operationsOf(fingerprints, [[0x01020304, 0x05060708, 0x0910, 0x1112, 0x13141516]], [DELETE_RECORD]),
      deletes,
      0x010203040506,
      0x010203040500,
    )
    expect(Buffer.from(bytes.subarray(4, 20)).toString('hex')).toBe(
      [
        '01', // raw with kinds
        '00',
        '060504030201', // first sequence number
        '01000000', // operations
        '24000000', // payload bytes
      ].join(''),
    )
    expect(Buffer.from(bytes.subarray(24)).toString('hex')).toBe(
      [
        '000504030201', // synced sequence number
        '0100', // one delete-where entry
        '04030201080706051009121116151413', // the record
        '02000000', // its kind, padding
        '0705040302010100', // the entry: sequence number, one lane
        '03000000ddccbbaa', // lane 3, value
      ].join(''),
    )
  })
})

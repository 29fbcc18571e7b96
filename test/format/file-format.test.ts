/**
 * docs/file-format.md against the code: its tables with the constants, its examples with what the code writes and with
 * what a reader makes of them that was written from the document alone.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as checksum from '../../src/format/checksum.js'
import {
  DELETE_WHERE_HEADER,
  DELETE_WHERE_HEADER_BYTES,
  DELETE_WHERE_TERM,
  DELETE_WHERE_TERM_BYTES,
} from '../../src/format/delete-where.js'
import { SAMPLE_INTERVAL } from '../../src/format/elias-fano.js'
import { footerBytes } from '../../src/format/footer.js'
import {
  FRAME_ALIGNMENT,
  FRAME_HEADER,
  FRAME_HEADER_BYTES,
  OPERATIONS_PER_BYTE_MAX,
  PACKED_BASE_BYTES,
  PACKED_ENCODING,
  PACKED_WIDTH_BYTES,
  PAYLOAD_BYTES_MAX,
  RAW_ENCODING,
  RAW_KINDS_ENCODING,
  SMALL_ENCODING,
  SMALL_FRAME_HEADER,
  SMALL_FRAME_HEADER_BYTES,
  SMALL_KINDS_ENCODING,
} from '../../src/format/frame-layout.js'
import { EXACT_MAX } from '../../src/format/key-offset.js'
import {
  BUCKET_FORMAT_VERSION,
  BUCKET_MAGIC,
  DATA_PAGE,
  DELETE_WHERE_PAGE,
  FENCE_PAGE,
  FILTER_PAGE,
  FOOTER,
  FOOTER_PAGE,
  PAGE_HEADER,
  PAGE_HEADER_BYTES,
  PAGE_ROWS_MAX,
  dataPageLayout,
} from '../../src/format/page-layout.js'
import { MANIFEST_BYTES_MAX, MANIFEST_VERSION } from '../../src/manifest/manifest.js'
import { hashKeyLanes } from '../../src/records/hash.js'
import { DELETE_KEY, DELETE_RECORD, KIND_COUNT, PUT } from '../../src/records/operations.js'
import { recordLayout } from '../../src/records/record-layout.js'
import {
  EXAMPLE_BUCKET_NUMBER,
  EXAMPLE_EPOCH,
  EXAMPLE_LAYOUT,
  EXAMPLE_PAGE_BYTES,
  EXAMPLE_PAGE_NUMBER,
  EXAMPLE_TABLE_ID,
  EXAMPLE_WAL_NUMBER,
  exampleFrames,
  exampleClear,
  exampleDeleteWhere,
  examplePage,
  examplePageRows,
  hexLines,
} from '../support/format-examples.js'
import * as independent from '../support/independent-reader.js'
import { codeOf, readDocument, sectionOf, type TableRow } from '../support/markdown.js'

const DOCUMENT = readDocument('docs/file-format.md')
/** Without line breaks: sentences may go over several lines. */
const TEXT = DOCUMENT.replaceAll(/\s+/g, ' ')

/** Rows `field`, `offset`, `bytes` of a table. */
function fieldsOf(rows: readonly TableRow[]): { name: string; offset: number; bytes: number }[] {
  return rows.map(row => ({
    name: row['field']!,
    offset: Number(row['offset']),
    bytes: Number(row['bytes']),
  }))
}

function hexOf(info: string): string {
  return codeOf(DOCUMENT).find(block => block.info === `hex ${info}`)!.text
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/^[0-9a-f]{4} {2}/gm, '').replaceAll(/\s/g, ''), 'hex')
}

describe('the tables of frames', () => {
  test('the frame header of the document is that of the code', () => {
    const [table] = sectionOf(DOCUMENT, 'Frame header').tables
    expect(fieldsOf(table!)).toEqual(FRAME_HEADER)
    const end = FRAME_HEADER.at(-1)!
    expect(end.offset + end.bytes).toBe(FRAME_HEADER_BYTES)
    expect(TEXT).toContain(`The frame header has ${FRAME_HEADER_BYTES} bytes.`)
  })

  test('delete-where entries of the document are those of the code', () => {
    const [header, term] = sectionOf(DOCUMENT, 'Delete-where entries').tables
    expect(fieldsOf(header!)).toEqual(DELETE_WHERE_HEADER)
    expect(fieldsOf(term!)).toEqual(DELETE_WHERE_TERM)
    expect([DELETE_WHERE_HEADER_BYTES, DELETE_WHERE_TERM_BYTES]).toEqual([8, 4])
    expect(hexLines(exampleDeleteWhere())).toBe(hexOf('delete-where'))
    expect(hexLines(exampleClear())).toBe(hexOf('clear'))
  })

  test('the table of a packed payload is that of the code', () => {
    const [parts] = sectionOf(DOCUMENT, 'Packed payload').tables
    expect(parts!.map(row => [row['part'], row['bytes']])).toEqual([
      ['bases', `${PACKED_BASE_BYTES} * (L + 1)`],
      ['widths', PACKED_WIDTH_BYTES === 1 ? 'L + 1' : 'changed'],
      ['padding', `to a multiple of ${FRAME_ALIGNMENT}`],
      ['columns', 'words'],
    ])
  })

  test('encodings, flags and limits of the document are those of the code', () => {
    const [table] = sectionOf(DOCUMENT, 'Frame header').tables
    const content = (field: string): string => table!.find(row => row['field'] === field)!['content']!
    expect(content('encoding')).toBe(
      `${RAW_ENCODING} raw, ${RAW_KINDS_ENCODING} raw with kinds, ${PACKED_ENCODING} packed`,
    )
    expect(content('payload bytes')).toContain(`to 0x${PAYLOAD_BYTES_MAX.toString(16)}`)
    expect(content('operation count')).toBe(`at most payload bytes x ${OPERATIONS_PER_BYTE_MAX}`)
    expect(TEXT).toContain(`Frames begin at multiples of ${FRAME_ALIGNMENT}.`)
  })
})

describe('the table of small frames', () => {
  test('is that of the code', () => {
    const [table] = sectionOf(DOCUMENT, 'Small frames').tables
    const fields = fieldsOf(table!)
    expect(fields).toEqual(SMALL_FRAME_HEADER)
    expectWithoutGap(fields, SMALL_FRAME_HEADER_BYTES)
    expect(TEXT).toContain(`The header of a small frame has ${SMALL_FRAME_HEADER_BYTES} bytes.`)
    expect(table![1]!['content']).toBe(`${SMALL_ENCODING} raw, ${SMALL_KINDS_ENCODING} raw with kinds`)
  })
})

describe('the tables of bucket files', () => {
  test('the kinds of pages are those of the code', () => {
    const [table] = sectionOf(DOCUMENT, 'Bucket file').tables
    expect(table!.map(row => [row['pages'], Number(row['kind'])])).toEqual([
      ['data pages', DATA_PAGE],
      ['filter pages', FILTER_PAGE],
      ['delete-where pages', DELETE_WHERE_PAGE],
      ['fence pages', FENCE_PAGE],
      ['footer', FOOTER_PAGE],
    ])
  })

  test('the page header of the document is that of the code', () => {
    const fields = fieldsOf(sectionOf(DOCUMENT, 'Page header').tables[0]!)
    expect(fields).toEqual(PAGE_HEADER)
    expectWithoutGap(fields, PAGE_HEADER_BYTES)
    expect(TEXT).toContain(`The page header has ${PAGE_HEADER_BYTES} bytes.`)
    expect(sectionOf(DOCUMENT, 'Page header').tables[0]![3]!['content']).toContain(`1 to ${PAGE_ROWS_MAX}`)
  })

  test('the parts of a data page stand where the code has them, whatever the lanes', () => {
    const [table] = sectionOf(DOCUMENT, 'Data page').tables
    const layouts = [
      recordLayout([4], []),
      recordLayout([1], [1]),
      EXAMPLE_LAYOUT,
      recordLayout([4, 4, 4, 4, 4, 4, 4, 4], [4, 4, 2]),
    ]
    for (const layout of layouts) {
      const page = dataPageLayout(layout, 4096)
      const starts = partStarts(table!, layout.keyLaneCount, page.packedLaneCount)
      // Directory and rows have no place of their own.
      delete starts['rows']
      expect(starts).toEqual({
        'page header': 0,
        'first key': page.firstKeyWord * 4,
        buckets: page.bucketsWord * 4,
        'row bits': page.bucketsWord * 4 + 2,
        shift: page.widthsWord * 4,
        widths: page.widthsWord * 4 + 1,
        padding: page.widthsWord * 4 + 1 + page.packedLaneCount,
        bases: page.basesWord * 4,
        directory: page.directoryWord * 4,
      })
    }
    expect(SAMPLE_INTERVAL).toBe(16)
    expect(TEXT).toContain('for the buckets 0, 16, 32, ...')
    expect(TEXT).toContain(`a u64 from 1 to 2^${Math.log2(EXACT_MAX)} - 1`)
  })

  test('the footer of the document is that of the code', () => {
    const [table] = sectionOf(DOCUMENT, 'Footer').tables
    const fields = fieldsOf(table!)
    const named = fields.filter(({ name }) => name !== 'zero' && name !== 'page header')
    expect(Object.fromEntries(named.map(({ name, offset }) => [name, offset]))).toEqual(
      Object.fromEntries(Object.entries(FOOTER).map(([name, offset]) => [wordsOf(name), offset])),
    )
    expect(fields.at(-1)!.name).toBe('bounds')
    expectWithoutGap(fields.slice(0, -1), FOOTER.bounds)
    expect(table!.at(-1)!['bytes']).toBe('8 * L')
    expect(footerBytes(EXAMPLE_LAYOUT)).toBe(FOOTER.bounds + 8 * EXAMPLE_LAYOUT.laneCount)
    const content = (field: string): string => table!.find(row => row['field'] === field)!['content']!
    expect(content('version')).toBe(String(BUCKET_FORMAT_VERSION))
    const magic = Buffer.alloc(4)
    magic.writeUInt32LE(BUCKET_MAGIC)
    expect(content('magic')).toBe(`ASCII \`${magic.toString('latin1')}\``)
    expect(content('page header')).toBe(`kind ${FOOTER_PAGE}`)
  })

  test('the kinds of operations are those of the code', () => {
    const [table] = sectionOf(DOCUMENT, 'Operation kinds').tables
    expect(table!.map(row => [row['name'], Number(row['kind'])])).toEqual([
      ['put', PUT],
      ['delete key', DELETE_KEY],
      ['delete record', DELETE_RECORD],
    ])
    expect(table!.length).toBe(KIND_COUNT)
  })
})

test('versions and sizes of the manifest are those of the code', () => {
  const [table] = sectionOf(DOCUMENT, 'Versions').tables
  expect(table!.map(row => row['version'])).toContain(`manifest ${MANIFEST_VERSION}`)
  expect(table!.map(row => row['version'])).toContain(`bucket file ${BUCKET_FORMAT_VERSION}`)
  expect(TEXT).toContain(`The whole file has at most ${MANIFEST_BYTES_MAX / 2 ** 20} MiB.`)
  expect(
    codeOf(DOCUMENT).some(({ text }) => text === `flashtable manifest ${MANIFEST_VERSION} CCCCCCCC BYTES`),
  ).toBe(true)
})

describe('checksums and hashes', () => {
  const id = EXAMPLE_TABLE_ID
  const values: [text: string, code: number, reader: number][] = [
    ['crc32("123456789")', checksum.crc32('123456789'), independent.crc32(Buffer.from('123456789'))],
    [
      'crc32("56789", crc32("1234"))',
      checksum.crc32('56789', checksum.crc32('1234')),
      independent.crc32(Buffer.from('56789'), independent.crc32(Buffer.from('1234'))),
    ],
    [seedText(EXAMPLE_WAL_NUMBER), checksum.fileSeed(id, 3, 7), independent.fileSeed(id, 3, 7)],
    [seedText(EXAMPLE_BUCKET_NUMBER), checksum.fileSeed(id, 3, 9), independent.fileSeed(id, 3, 9)],
    ...(
      [
        [0xaa377553, 0],
        [0xaa377553, 25],
        [0xbfbd6761, 2],
      ] as const
    ).map(([seed, position]): [string, number, number] => [
      `positionSeed(${hex(seed)}, ${position})`,
      checksum.positionSeed(seed, position),
      independent.positionSeed(seed, position),
    ]),
    ['hash(1, 1234)', hashKeyLanes(Uint32Array.of(1, 0x1234)), independent.keyHash([1, 0x1234])],
    ['hash(0)', hashKeyLanes(Uint32Array.of(0)), independent.keyHash([0])],
  ]

  test.each(values)('%s is in the document what the code and the reader make of it', (text, code, reader) => {
    const tables = [sectionOf(DOCUMENT, 'Checksums'), sectionOf(DOCUMENT, 'Key hash')].flatMap(
      ({ tables }) => tables,
    )
    const row = tables.flat().find(({ value }) => value === `\`${text}\``)
    expect(row?.['hexadecimal']).toBe(`\`${hex(code)}\``)
    expect(hex(reader)).toBe(hex(code))
  })

  test('every value of the document is tested', () => {
    const rows = [sectionOf(DOCUMENT, 'Checksums'), sectionOf(DOCUMENT, 'Key hash')].flatMap(({ tables }) =>
      tables.flat(),
    )
    expect(rows.length).toBe(values.length)
  })
})

describe('the examples', () => {
  const lanes: independent.Lanes = {
    widths: [4, 4, 2, 2, 4],
    keyLanes: 2,
    floats: { f32: [], f64: [] },
  }

  test('the code writes the frames of the document byte for byte', () => {
    expect(hexLines(exampleFrames())).toBe(hexOf('frames'))
  })

  test('the code writes the data page of the document byte for byte', () => {
    const page = examplePage()
    const shown = bytesOf(hexOf('page'))
    expect(hexLines(page.subarray(0, shown.byteLength))).toBe(hexOf('page'))
    expect(page.subarray(shown.byteLength).every(byte => byte === 0)).toBe(true)
  })

  test('the reader finds in the frames of the document what the document says', () => {
    const bytes = bytesOf(hexOf('frames'))
    const seed = independent.fileSeed(EXAMPLE_TABLE_ID, EXAMPLE_EPOCH, EXAMPLE_WAL_NUMBER)
    const first = independent.readFrame(bytes, 0, seed, lanes)
    expect(first).toEqual({
      firstSequence: 1000,
      endSequence: 1007,
      syncedSequence: 1000,
      packed: true,
      end: 0x64,
      deletes: [{ sequence: 1003, lanes: [{ lane: 4, value: 0x8000002a }], ranges: [] }],
      operations: [
        { sequence: 1000, kind: 0, lanes: [1, 0x1234, 17, 1, 0x8000002a] },
        { sequence: 1001, kind: 0, lanes: [1, 0x1234, 18, 1, 0x8000002a] },
        { sequence: 1002, kind: 0, lanes: [1, 0x12a0, 260, 1, 0x7ffffff9] },
        { sequence: 1004, kind: 2, lanes: [1, 0x12a0, 260, 1, 0x7ffffff9] },
        // What the value lanes of a delete key are means nothing.
        { sequence: 1005, kind: 1, lanes: [1, 0x1300, 17, 1, 0x7ffffff9] },
        { sequence: 1006, kind: 0, lanes: [1, 0x1234, 19, 1, 0x8000002a] },
      ],
    })
    expect(independent.readFrame(bytes, 0x64, seed, lanes)).toEqual({
      firstSequence: 1007,
      endSequence: 1008,
      syncedSequence: 1000,
      packed: false,
      end: bytes.byteLength,
      deletes: [],
      operations: [{ sequence: 1007, kind: 0, lanes: [1, 0xabcd, 20, 1, 0x8000002b] }],
    })
  })

  test('a frame of the document passes at its own place alone', () => {
    const bytes = bytesOf(hexOf('frames'))
    const seed = independent.fileSeed(EXAMPLE_TABLE_ID, EXAMPLE_EPOCH, EXAMPLE_WAL_NUMBER)
    const moved = Buffer.concat([bytes.subarray(0x64), bytes.subarray(0, 0x64)])
    expect(independent.readFrame(moved, 0, seed, lanes)).toBeUndefined()
    const otherFile = independent.fileSeed(EXAMPLE_TABLE_ID, EXAMPLE_EPOCH, EXAMPLE_WAL_NUMBER + 1)
    expect(independent.readFrame(bytes, 0, otherFile, lanes)).toBeUndefined()
  })

  test('the reader finds in the data page of the document what the document says', () => {
    const page = Buffer.alloc(EXAMPLE_PAGE_BYTES)
    bytesOf(hexOf('page')).copy(page)
    const seed = independent.fileSeed(EXAMPLE_TABLE_ID, EXAMPLE_EPOCH, EXAMPLE_BUCKET_NUMBER)
    const rows = independent.readDataPage(page, seed, EXAMPLE_PAGE_NUMBER, lanes, 0)
    expect(rows.length).toBe(40)
    for (const [i, [kind, key, time, flags, id]] of examplePageRows().entries()) {
      const value = kind === 1 ? rows[i]!.lanes.slice(2) : [time, flags, 0x80000000 + id]
      expect(rows[i]).toEqual({ sequence: 0, kind, lanes: [1, key, ...value] })
    }
  })
})

/** The lines of the picture in the opening comment of a file: those indented by five blanks, in columns. */
function pictureOf(path: string): string[] {
  const comment = /\/\*\*.*?\*\//s.exec(readFileSync(path, 'utf8'))![0]
  return [...comment.matchAll(/^ \* {5}(\S.*)$/gm)].map(([, line]) => line!)
}

/** The fields `name u32` of a picture. */
function picturedFields(path: string): { name: string; bytes: number }[] {
  return pictureOf(path).flatMap(line =>
    [...line.matchAll(/([a-z0][a-z-]*(?: [a-z-]+)*) u(8|16|32|48)\b/g)].map(([, name, bits]) => ({
      name: name!,
      bytes: Number(bits) / 8,
    })),
  )
}

describe('the picture that opens a codec', () => {
  const sized = (fields: readonly { name: string; bytes: number }[]) =>
    fields.map(({ name, bytes }) => ({ name, bytes }))

  test('of a frame shows the fields of its header', () => {
    expect(picturedFields('src/format/frame-layout.ts')).toEqual(sized(FRAME_HEADER))
  })

  test('of a page shows the fields of its header', () => {
    const fields = picturedFields('src/format/section.ts').map(({ bytes }) => bytes)
    expect(fields).toEqual(PAGE_HEADER.map(({ bytes }) => bytes))
  })

  test('of a delete-where entry shows its fields', () => {
    const fields = picturedFields('src/format/delete-where.ts').map(({ bytes }) => bytes)
    expect(fields).toEqual([...DELETE_WHERE_HEADER, ...DELETE_WHERE_TERM].map(({ bytes }) => bytes))
  })

  test('of a footer shows where each of its fields lies', () => {
    const lines = pictureOf('src/format/footer.ts').map(line => /^(\d+) +(.*)$/.exec(line.trim())!)
    const pictured: [string, number][] = []
    for (const [, start, fields] of lines) {
      let at = Number(start)
      for (const field of fields!.split(' | ')) {
        const [, name, bits] = /^(.*?)(?: u(\d+)| of 16 bytes|, see `BOUNDS`)$/.exec(field)!
        if (name !== '0') pictured.push([name!.replaceAll('-', ' '), at])
        at += bits === undefined ? 16 : Number(bits) / 8
      }
    }
    const words = (name: string): string => name.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
    const called: Partial<Record<string, string>> = {
      keyLaneCount: 'key lanes',
      laneCount: 'lanes',
      deleteWhereCount: 'delete where entries',
    }
    expect(pictured).toEqual(Object.entries(FOOTER).map(([name, at]) => [called[name] ?? words(name), at]))
  })

  test('of a data page and of a bucket file shows the parts that the document has', () => {
    for (const [path, section, column] of [
      ['src/format/data-page-encoder.ts', 'Data page', 'part'],
      ['src/format/page-layout.ts', 'Bucket file', 'pages'],
    ] as const) {
      const parts = pictureOf(path).map(line => line.split(/ {2,}/)[0])
      expect(parts).toEqual(sectionOf(DOCUMENT, section).tables[0]!.map(row => row[column]))
    }
  })
})

function expectWithoutGap(fields: readonly { offset: number; bytes: number }[], end: number): void {
  let at = 0
  for (const field of fields) {
    expect(field.offset).toBe(at)
    at += field.bytes
  }
  expect(at).toBe(end)
}

/** Where each part begins: sizes are numbers, multiples of K or P, or fill up to a multiple of 4. */
function partStarts(table: readonly TableRow[], K: number, P: number): Record<string, number> {
  const starts: Record<string, number> = {}
  let at = 0
  for (const { part, bytes } of table) {
    starts[part!] = at
    const [, factor = '1', count] = /^(?:(\d+) \* )?(K|P)$/.exec(bytes!) ?? []
    if (count !== undefined) at += Number(factor) * (count === 'K' ? K : P)
    else if (bytes === 'to a multiple of 4') at = Math.ceil(at / 4) * 4
    else if (/^\d+$/.test(bytes!)) at += Number(bytes)
  }
  return starts
}

/** `firstSequence` is `first sequence` in the document. */
function wordsOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

function seedText(number: number): string {
  return `fileSeed(${Buffer.from(EXAMPLE_TABLE_ID).toString('hex')}, ${EXAMPLE_EPOCH}, ${number})`
}

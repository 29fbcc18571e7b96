/** One page of a bucket file: its head, and the rows of a data page. docs/file-format.md, Data page. */
import { corruption } from '../../../src/base/errors.js'
import { DataPageDecoder } from '../../../src/format/data-page-decoder.js'
import { DataPageReader } from '../../../src/format/data-page-reader.js'
import { readFooter } from '../../../src/format/footer.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import { DATA_PAGE, FOOTER_PAGE, PAGE_KIND_AT } from '../../../src/format/page-layout.js'
import { bucketName } from '../../../src/io/file-names.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { formatCount, textList, textTable } from '../output.js'
import { UsageError } from '../usage.js'
import {
  footerFacts,
  footerRows,
  PAGE_KINDS,
  readPage,
  withBucket,
  type InspectedFooter,
} from './bucket-file.js'
import { moreText } from './log-segment.js'
import { problemLines, problemOf, type InspectedTable, type Problem } from './open-table.js'
import { PageColumns, type PageHead } from './page-columns.js'
import { cellText, rowsOfOperations, type InspectedRow } from './records.js'

export interface InspectedPage {
  readonly directory: string
  readonly name: string
  readonly page: number
  /** Bytes from the start of the file. */
  readonly at: number
  readonly kind: string
  /** Of a data page. */
  readonly head: PageHead | null
  /** Of the footer. */
  readonly footer: InspectedFooter | null
  readonly offset: number
  readonly rows: readonly InspectedRow[]
  readonly problems: readonly Problem[]
}

export interface PageOptions {
  readonly page: number
  readonly offset?: number | undefined
  readonly limit?: number | undefined
}

export async function inspectPage(
  table: InspectedTable,
  number: number,
  { page, offset = 0, limit = Infinity }: PageOptions,
): Promise<InspectedPage> {
  const { options, schema } = table
  const { pageBytes, directory } = options
  return withBucket(table, number, async bucket => {
    const name = bucketName(number)
    if (page >= bucket.pages)
      throw new UsageError(`there is no page ${page}: ${name} has the pages 0 to ${bucket.pages - 1}`)
    const bytes = new Uint8Array(pageBytes + 4)
    const words = wordsOf(bytes)
    const found = { directory, name, page, at: page * pageBytes, offset }
    const kindOf = (): string => PAGE_KINDS[bytes[PAGE_KIND_AT]!] ?? `unknown (${bytes[PAGE_KIND_AT]})`
    const nothing = { head: null, footer: null, rows: [] }
    try {
      await readPage(table, bucket, page, bytes.subarray(0, pageBytes))
      if (PAGE_KINDS[bytes[PAGE_KIND_AT]!] === undefined)
        throw corruption(
          bucket.file.path,
          page * pageBytes,
          'a page kind from 1 to 5',
          `${bytes[PAGE_KIND_AT]}`,
        )
      const kind = bytes[PAGE_KIND_AT]!
      if (kind === FOOTER_PAGE) {
        const footer = footerFacts(table, readFooter(bytes.subarray(0, pageBytes), schema.layout))
        return { ...found, ...nothing, kind: kindOf(), footer, problems: [] }
      }
      if (kind !== DATA_PAGE) return { ...found, ...nothing, kind: kindOf(), problems: [] }
      const reader = new DataPageReader(schema.layout, pageBytes)
      reader.open(words, 0)
      const defect = reader.defect()
      if (defect !== undefined) throw corruption(bucket.file.path, page * pageBytes, 'a data page', defect)
    } catch (error) {
      // Nothing in it can be believed.
      return { ...found, ...nothing, kind: kindOf(), problems: [problemOf(error, bucket.file.path)] }
    }
    const head = new PageColumns(schema, pageBytes).headOf(words, 0)
    const operations = new OperationBuffer(schema.layout, head.rows)
    new DataPageDecoder(schema.layout, pageBytes).decode(words, 0, operations)
    const from = Math.min(offset, head.rows)
    const rows = rowsOfOperations(schema, operations, from, Math.min(head.rows, from + limit))
    return { ...found, kind: kindOf(), head, footer: null, rows, problems: [] }
  })
}

export function pageText(page: InspectedPage): string {
  const { head, footer, problems, rows, offset } = page
  const list: (readonly [string, string])[] = [
    ['page', `${page.page} of ${page.name}, at ${formatCount(page.at)}`],
    ['kind', page.kind],
    ...(head === null ? [] : headRows(head)),
    ...(footer === null ? [] : footerRows(footer)),
  ]
  const columns = head?.columns.map(({ name, bits, bases }) => [name, String(bits), bases.join(' ')]) ?? []
  const names = head?.columns.slice(1, -1).map(({ name }) => name) ?? []
  const cells = rows.map(({ row, kind, key, fields }) => [
    String(row),
    kind,
    cellText(key),
    ...names.map(name => (fields === null ? '' : cellText(fields[name]))),
  ])
  return [
    textList(list),
    ...(columns.length === 0 ? [] : ['', textTable(['column', 'bits', 'base'], columns)]),
    ...(cells.length === 0 ? [] : ['', textTable(['row', 'kind', 'key', ...names], cells)]),
    ...(head === null || cells.length === head.rows
      ? []
      : ['', moreText('rows', offset, cells.length, head.rows)]),
    ...(problems.length === 0 ? [] : ['', ...problemLines(problems)]),
  ].join('\n')
}

function headRows(head: PageHead): (readonly [string, string])[] {
  const { rows, rowBits, lowBits, buckets, shift, offsets } = head
  return [
    ['rows', `${formatCount(rows)} of ${rowBits} bits`],
    [
      'keys',
      buckets === 0
        ? `at even distances, ${lowBits} bits in a row, shift ${shift}`
        : `${formatCount(buckets)} buckets, ${lowBits} low bits in a row, shift ${shift}`,
    ],
    ['offsets', `directory ${offsets.directory}, rows ${offsets.rows}, end ${formatCount(offsets.end)}`],
  ]
}

/**
 * Columns as text, one record a line: CSV, JSON lines, and the tables of `get` and `scan`.
 *
 * README.md, Command line.
 */
import { visible } from '../../../src/base/describe-value.js'
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { StoredFieldType } from '../../../src/encoding/stored-schema.js'
import { inLine } from '../output.js'
import { cellType, type CellStyle } from './cells.js'

/** Bytes that are given on at once. */
const CHUNK_BYTES = 64 * 1024

/** Columns of one length, by the names of the fields. Columns of no field are passed over. */
export type RowColumns = Readonly<Record<string, OwnColumn>>

/** A field and its type: the key is the field `key`, a value that is not a struct the field `value`. */
export type RowField = { readonly name: string } & StoredFieldType

export interface RowFormat {
  /** What stands before the records: a line, or nothing. */
  readonly head: string
  /** The records from row `from` to row `to`, as text of some 64 KiB at a time. */
  chunks(columns: RowColumns, from: number, to: number): Generator<Buffer, void>
  /** What stands after them, or nothing. */
  readonly tail: string
}

/** As RFC 4180 says, with a line of names; lines end with a line feed alone, as the tools of Unix want them. */
export function csvFormat(fields: readonly RowField[]): RowFormat {
  return separated(fields, ',', { quote64: '', quote: '', text: csvText })
}

/** One JSON object a line. 64-bit integers are strings, or with `bigints: 'number'` numbers, which JavaScript rounds. */
export function jsonLinesFormat(
  fields: readonly RowField[],
  { bigints = 'string' }: { readonly bigints?: 'string' | 'number' } = {},
): RowFormat {
  const [quote64, before] = [bigints === 'string' ? '"' : '', objectKeys(fields)] as const
  return rowFormat(fields, '', { before, after: '}\n' }, { quote64, quote: '"', text: jsonText })
}

/** One JSON object, for one text: `members`, and all records as the array `records`, one a line. */
export function jsonFormat(
  fields: readonly RowField[],
  members: Readonly<Record<string, string>>,
): RowFormat {
  const [first, ...more] = objectKeys(fields)
  const before = [`,\n${first}`, ...more]
  const elements = rowFormat(fields, '', { before, after: '}' }, { quote64: '"', quote: '"', text: jsonText })
  let isFirst = true
  return {
    head: visible(JSON.stringify(members)).replace(/\}$/, ',"records":['),
    *chunks(columns, from, to) {
      for (const chunk of elements.chunks(columns, from, to)) {
        yield isFirst ? chunk.subarray(1) : chunk
        isFirst = false
      }
    },
    tail: '\n]}\n',
  }
}

/** A line of names, and columns separated by tabs, for cut and awk. */
export function tableFormat(fields: readonly RowField[]): RowFormat {
  return separated(fields, '\t', { quote64: '', quote: '', text: inLine })
}

/** Values with a separator between them, after a line of names if there is one. */
export function separated(
  fields: readonly RowField[],
  separator: string,
  style: CellStyle,
  head = `${fields.map(({ name }) => name).join(separator)}\n`,
): RowFormat {
  return rowFormat(
    fields,
    head,
    { before: fields.map((_, i) => (i === 0 ? '' : separator)), after: '\n' },
    style,
  )
}

/** What stands before each value of a record, and after the last. */
interface Frame {
  readonly before: readonly string[]
  readonly after: string
}

function rowFormat(fields: readonly RowField[], head: string, frame: Frame, style: CellStyle): RowFormat {
  const cells = fields.map(field => cellType(field, style))
  const before = frame.before.map(text => Buffer.from(text))
  const after = Buffer.from(frame.after)
  const rowBytes =
    cells.reduce((sum, { maxBytes }) => sum + maxBytes, after.byteLength) +
    before.reduce((sum, text) => sum + text.byteLength, 0)
  return {
    head,
    tail: '',
    *chunks(columns, from, to) {
      const writers = cells.map((cell, i) => cell.writer(columns[fields[i]!.name]!))
      for (let row = from; row < to;) {
        // Never used again: who is given it may keep it.
        const length = Math.min(Math.max(CHUNK_BYTES, rowBytes), (to - row) * rowBytes)
        const bytes = Buffer.allocUnsafeSlow(length)
        const last = bytes.byteLength - rowBytes
        let at = 0
        for (; row < to && at <= last; row++) {
          for (let i = 0; i < writers.length; i++) {
            at = copy(before[i]!, bytes, at)
            at = writers[i]!(bytes, at, row)
          }
          at = copy(after, bytes, at)
        }
        yield bytes.subarray(0, at)
      }
    },
  }
}

/** Some bytes: a call of `set` would take longer. */
function copy(from: Buffer, to: Buffer, at: number): number {
  for (let i = 0; i < from.length; i++) to[at + i] = from[i]!
  return at + from.length
}

function objectKeys(fields: readonly RowField[]): string[] {
  return fields.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`)
}

function csvText(text: string): string {
  return /[",\r\n]|^ | $/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Texts are JSON strings; what is JSON stays what it is. */
function jsonText(text: string, isJson: boolean): string {
  return visible(isJson ? jsonOf(text) : JSON.stringify(text))
}

function jsonOf(text: string): string {
  try {
    // On one line, whatever spaces it has.
    return JSON.stringify(JSON.parse(text))
  } catch {
    return JSON.stringify(text)
  }
}

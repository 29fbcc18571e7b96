/**
 * Reads CSV and text with tabs, with papaparse. Values stay text until they become those of a field: 64-bit integers
 * would not survive as numbers. docs/decisions/interop.md.
 */
import type { ParseResult } from 'papaparse'
import type { SourceField } from '../../../src/exchange/columns.js'
import type { FileBatch, RecordSource } from './columns.js'
import type { InputFile } from './input-file.js'
import { loadPackage } from './packages.js'
import { checkText, textPieces, type TextPiece } from './text-pieces.js'
import { WrongFileError } from './wrong-file.js'

type Papa = typeof import('papaparse')

export class CsvSource implements RecordSource {
  readonly #file: InputFile
  readonly #papa: Papa
  readonly #delimiter: string
  readonly #newline: '\n' | '\r\n'
  readonly #hasHeader: boolean
  readonly fields: readonly SourceField[]

  private constructor(file: InputFile, papa: Papa, first: ParseResult<string[]>, hasHeader: boolean) {
    this.#file = file
    this.#papa = papa
    this.#delimiter = first.meta.delimiter
    this.#newline = first.meta.linebreak === '\r\n' ? '\r\n' : '\n'
    this.#hasHeader = hasHeader
    const names = (first.data[0] ?? []).map((name, column) => (hasHeader ? name.trim() : String(column + 1)))
    const twice = names.find((name, column) => names.indexOf(name) !== column)
    if (twice !== undefined)
      throw new WrongFileError(
        `${file.path} has two columns "${twice}"; with --no-header they are 1, 2 and so on`,
      )
    this.fields = names.map(name => ({ name, type: undefined, byteLength: 0 }))
  }

  /** `hasHeader`: the first line has names; without it the columns are `1`, `2` ... */
  static async open(file: InputFile, hasHeader: boolean): Promise<CsvSource> {
    await checkText(file, 'CSV')
    const papa = await loadPackage<Papa>('papaparse', 'CSV')
    const head = (await file.head(64 * 1024)).toString('utf8').replace(/^\ufeff/, '')
    const first = papa.parse<string[]>(head, { preview: 2, skipEmptyLines: true })
    if (first.data.length === 0) throw new WrongFileError(`${file.path} is empty: it has no line of names`)
    return new CsvSource(file, papa, first, hasHeader)
  }

  get path(): string {
    return this.#file.path
  }

  get bytes(): number | undefined {
    return this.#file.bytes
  }

  async *batches(names: readonly string[]): AsyncGenerator<FileBatch> {
    const wanted = names.map(name => [name, this.fields.findIndex(field => field.name === name)] as const)
    let line = 1
    let skip = this.#hasHeader ? 1 : 0
    for await (const piece of textPieces(this.#file, hasEvenQuotes)) {
      const { data, lines, end } = this.#parse(piece, line)
      line = end
      const rows = skip > 0 ? data.slice(skip) : data
      const places = skip > 0 ? lines.slice(skip) : lines
      skip = Math.max(0, skip - data.length)
      yield {
        columns: new Map(wanted.map(([name, column]) => [name, rows.map(row => row[column])])),
        rows: rows.length,
        bytesRead: piece.bytesRead,
        place: row => `line ${places[row]}`,
        wrong: this.#wrongWidths(rows),
      }
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** The rows of a piece, the line where each begins, and the line after them. Empty lines are none. */
  #parse({ text }: TextPiece, firstLine: number): { data: string[][]; lines: number[]; end: number } {
    const data = text.includes('"') ? this.#parseQuoted(text) : this.#split(text)
    const isEmpty = (row: readonly string[]): boolean => row.length === 1 && row[0] === ''
    // What follows the last end of line is an empty row of its own.
    if (text.endsWith('\n') && data.length > 0 && isEmpty(data.at(-1)!)) data.pop()
    const quoted = text.includes('"')
    const lines: number[] = []
    let line = firstLine
    for (const row of data) {
      lines.push(line)
      line += quoted ? 1 + endsOfLine(row) : 1
    }
    const filled = data.map(row => !isEmpty(row))
    return {
      data: data.filter((_, row) => filled[row]),
      lines: lines.filter((_, row) => filled[row]),
      end: line,
    }
  }

  #parseQuoted(text: string): string[][] {
    return this.#papa.parse<string[]>(text, { delimiter: this.#delimiter, newline: this.#newline }).data
  }

  /** Hot: without quotation marks lines and values are just split, in a third of the time. */
  #split(text: string): string[][] {
    return text.split(this.#newline).map(line => line.split(this.#delimiter))
  }

  #wrongWidths(rows: readonly (readonly string[])[]): ReadonlyMap<number, string> {
    const wrong = new Map<number, string>()
    const columns = this.fields.length
    for (let row = 0; row < rows.length; row++) {
      const found = rows[row]!.length
      if (found !== columns) wrong.set(row, `: ${found} columns, expected ${columns}`)
    }
    return wrong
  }
}

/** Within a quoted value, quotation marks are doubled: with an odd number of them its end is still to come. */
function hasEvenQuotes(text: string): boolean {
  let isEven = true
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) isEven = !isEven
  return isEven
}

function endsOfLine(row: readonly string[]): number {
  return row.reduce((sum, value) => sum + (value.split('\n').length - 1), 0)
}

/**
 * Reads a dump as columns, in bounded memory, and checks all of it: every field against its type, and the end mark with
 * the number of records and the checksum. What is wrong is told with its line and column. See header.ts.
 */
import { crc32 } from 'node:zlib'
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import { WrongFileError } from '../formats/wrong-file.js'
import type { RowColumns } from '../rows/row-format.js'
import { schemaText } from '../schema.js'
import { storedFields } from '../../../src/encoding/stored-schema.js'
import { crcText, parseEnd, parseHeader, type DumpHeader } from './header.js'
import { filledColumn, type FilledColumn } from './read-cells.js'

/** Rows of a batch. */
const BATCH_ROWS = 16_384
/** No first line is longer: metadata have 64 KiB at most. Other lines are far shorter. */
const MAX_LINE_BYTES = 1024 * 1024

const LINE_FEED = 10
const COMMA = 44
const BRACE = 123

export interface DumpBatch {
  readonly columns: RowColumns & { readonly key: OwnColumn }
  /** Records that have been read so far. */
  readonly records: number
}

export class DumpReader {
  readonly #path: string
  readonly #chunks: AsyncIterator<Uint8Array>
  /** Bytes that have been read and not been used, from `#at` on. */
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  /** Before this place all lines are whole. */
  #whole = 0
  #line = 1
  #crc = 0
  /** From here on bytes are not in the checksum. */
  #summed = 0

  /** `path`: how errors call it. */
  constructor(path: string, chunks: AsyncIterable<Uint8Array>) {
    this.#path = path
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Reads the first line. */
  async header(): Promise<DumpHeader> {
    if (!(await this.#hasLine()))
      throw new WrongFileError(`${this.#path} is no dump: its first line does not end`)
    return parseHeader(this.#takeLine(), this.#path)
  }

  /** All records, in their order; rejects at the end if something is missing or changed. */
  async *batches({ schema, records: expected }: DumpHeader): AsyncGenerator<DumpBatch, void> {
    const fields = storedFields(schema)
    let records = 0
    let isEnd = false
    while (!isEnd) {
      const filled = fields.map(field => filledColumn(field, BATCH_ROWS))
      let row = 0
      for (; row < BATCH_ROWS; row++) {
        // No wait where there is nothing to wait for: it would take longer than the record.
        if (this.#at === this.#whole && !(await this.#hasLine())) throw this.#cut()
        isEnd = this.#bytes[this.#at] === BRACE
        if (isEnd) break
        this.#readRow(filled, fields, row)
      }
      records += row
      if (row > 0) yield { columns: columnsOf(fields, filled, row), records }
    }
    await this.#checkEnd(records, expected)
  }

  #readRow(filled: readonly FilledColumn[], fields: ReturnType<typeof storedFields>, row: number): void {
    const bytes = this.#bytes
    let at = this.#at
    for (let i = 0; i < filled.length; i++) {
      const next = filled[i]!.read(bytes, at, row)
      const isLast = i === filled.length - 1
      if (next < 0 || bytes[next] !== (isLast ? LINE_FEED : COMMA)) throw this.#wrong(at, fields[i]!)
      at = next + 1
    }
    this.#at = at
    this.#line++
  }

  #wrong(at: number, field: ReturnType<typeof storedFields>[number]): WrongFileError {
    const { name, ...type } = field
    const typeName = schemaText({ key: type, value: null }).replace('key:', '')
    return new WrongFileError(
      `${this.#path}, line ${this.#line}, column ${at - this.#at + 1}: ` +
        `expected field "${name}", which is ${typeName}`,
    )
  }

  async #checkEnd(records: number, expected: number): Promise<void> {
    this.#sum(this.#at)
    const mark = parseEnd(this.#takeLine())
    if (mark === undefined) throw new WrongFileError(`${this.#path}, line ${this.#line - 1}: no end mark`)
    if (mark.records !== records || expected !== records)
      throw new WrongFileError(
        `${this.#path} has ${records} records, its last line tells ${mark.records}, its first ${expected}`,
      )
    if (mark.crc32 !== crcText(this.#crc))
      throw new WrongFileError(
        `${this.#path} was changed after it was written: its checksum is ${crcText(this.#crc)}, ` +
          `its last line tells ${mark.crc32}`,
      )
    if (this.#at < this.#bytes.length || (await this.#chunks.next()).done !== true)
      throw new WrongFileError(`${this.#path}, line ${this.#line}: there is something after the end mark`)
  }

  #cut(): WrongFileError {
    return new WrongFileError(
      `${this.#path} is cut: line ${this.#line} has no end, or the end mark is missing`,
    )
  }

  /** Reads until there is a whole line; false if none follows. */
  async #hasLine(): Promise<boolean> {
    while (this.#at === this.#whole) {
      const rest = this.#bytes.subarray(this.#at)
      if (rest.length > MAX_LINE_BYTES) return false
      const { value, done } = await this.#chunks.next()
      if (done === true) return false
      this.#sum(this.#at)
      this.#bytes = rest.length === 0 ? value : Buffer.concat([rest, value])
      this.#whole = this.#bytes.lastIndexOf(LINE_FEED) + 1
      this.#at = 0
      this.#summed = 0
    }
    return true
  }

  #sum(to: number): void {
    this.#crc = crc32(this.#bytes.subarray(this.#summed, to), this.#crc)
    this.#summed = to
  }

  /** Requires: there is one. */
  #takeLine(): string {
    const end = this.#bytes.indexOf(LINE_FEED, this.#at)
    const line = new TextDecoder().decode(this.#bytes.subarray(this.#at, end))
    this.#at = end + 1
    this.#line++
    return line
  }
}

function columnsOf(
  fields: ReturnType<typeof storedFields>,
  filled: readonly FilledColumn[],
  rows: number,
): DumpBatch['columns'] {
  return Object.fromEntries(
    filled.map(({ column }, i) => [fields[i]!.name, column.subarray(0, (column.length / BATCH_ROWS) * rows)]),
  ) as DumpBatch['columns']
}

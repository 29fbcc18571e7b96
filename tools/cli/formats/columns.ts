/** Records of a file, before they become those of a table. */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { SourceColumn, SourceField } from '../../../src/exchange/columns.js'

/** Some records of a file. */
export interface FileBatch {
  readonly columns: ReadonlyMap<string, SourceColumn>
  readonly rows: number
  /** Bytes of the file that have been read so far. */
  readonly bytesRead: number
  /** Where a row is in the file, such as `line 17`. */
  place(row: number): string
  /** What is wrong with rows as a whole, by row. */
  readonly wrong?: ReadonlyMap<number, string>
}

/** A file of records. Its batches can be read more than once, unless it is standard input. */
export interface RecordSource {
  readonly path: string
  /** How much there is to read; `undefined` if that is not known. */
  readonly bytes: number | undefined
  /** Its columns, in the order of the file. */
  readonly fields: readonly SourceField[]
  /** All records, in the order of the file; only the columns of these names are needed. */
  batches(names: readonly string[]): AsyncGenerator<FileBatch>
  close(): Promise<void>
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(column: OwnColumn): Uint8Array<ArrayBuffer> {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
}

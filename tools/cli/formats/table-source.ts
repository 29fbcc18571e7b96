/** The records of a file as columns of a table. */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import { convertColumn } from '../../../src/exchange/convert.js'
import {
  mapFields,
  type FieldMap,
  type MappedField,
  type TargetField,
} from '../../../src/exchange/mapping.js'
import type { FileBatch, RecordSource } from './columns.js'
import { WrongRows, wrongValue } from './wrong-rows.js'

/** Columns as `putColumns` and `bulkLoad` take them. */
export interface TableBatch {
  readonly columns: { readonly key: OwnColumn; readonly [field: string]: OwnColumn }
  readonly rows: number
  readonly bytesRead: number
}

export class TableSource {
  readonly #source: RecordSource
  readonly #mapped: readonly MappedField[]
  readonly #allowed: number
  /** Rows that were left out, of the last reading. */
  wrong: WrongRows

  /**
   * `targets`: the fields of the table; without it those that the file tells. `allowed`: how many wrong rows are left out.
   * Throws `FLASHTABLE_INVALID_OPTION` if columns and fields do not fit.
   */
  constructor(
    source: RecordSource,
    targets: readonly TargetField[] | undefined,
    map: FieldMap,
    allowed: number,
  ) {
    this.#source = source
    this.#mapped = mapFields(source.fields, map, targets)
    this.#allowed = allowed
    this.wrong = new WrongRows(source.path, allowed)
  }

  get path(): string {
    return this.#source.path
  }

  get bytes(): number | undefined {
    return this.#source.bytes
  }

  get fields(): readonly TargetField[] {
    return this.#mapped.map(({ target }) => target)
  }

  /** All records, in the order of the file. Throws a `WrongFileError` that tells the first wrong row. */
  async *batches(): AsyncGenerator<TableBatch> {
    this.wrong = new WrongRows(this.path, this.#allowed)
    const names = [...new Set(this.#mapped.map(({ source }) => source.name))]
    for await (const batch of this.#source.batches(names)) {
      const { columns, left } = this.#convert(batch)
      if (left > 0)
        yield { columns: columns as TableBatch['columns'], rows: left, bytesRead: batch.bytesRead }
    }
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  #convert(batch: FileBatch): { columns: Record<string, OwnColumn>; left: number } {
    const wrong = new Map(batch.wrong)
    const columns = Object.fromEntries(
      this.#mapped.map(({ source, target }) => {
        const column = convertColumn(
          batch.columns.get(source.name)!,
          batch.rows,
          source,
          target,
          (row, found) => {
            if (!wrong.has(row)) wrong.set(row, wrongValue(source.name, target, found))
          },
        )
        return [target.name, column]
      }),
    )
    if (wrong.size === 0) return { columns, left: batch.rows }
    const kept = this.wrong.leaveOut(batch, this.fields, columns, wrong)
    return { columns: kept, left: batch.rows - wrong.size }
  }
}

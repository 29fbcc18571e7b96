/** Rows of a file that do not fit the table: the first one is told, and more than were allowed end the import. */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import { typeRange } from '../../../src/exchange/convert.js'
import { inLine } from '../output.js'
import type { TargetField } from '../../../src/exchange/mapping.js'
import type { FileBatch } from './columns.js'
import { WrongFileError } from './wrong-file.js'

const LONGEST_VALUE = 60

export class WrongRows {
  readonly #path: string
  readonly #allowed: number
  /** How many were left out. */
  count = 0
  /** Where the first one is, and what is wrong with it. */
  first: string | undefined

  /** `allowed`: how many may be left out. */
  constructor(path: string, allowed: number) {
    this.#path = path
    this.#allowed = allowed
  }

  /**
   * The columns without the rows in `wrong`, which says of each what is wrong. Throws a {@link WrongFileError} when there
   * are too many.
   */
  leaveOut(
    batch: FileBatch,
    fields: readonly TargetField[],
    columns: Readonly<Record<string, OwnColumn>>,
    wrong: ReadonlyMap<number, string>,
  ): Record<string, OwnColumn> {
    const rows = [...wrong.keys()].sort((a, b) => a - b)
    this.first ??= `${batch.place(rows[0]!)}${wrong.get(rows[0]!)!}`
    this.count += rows.length
    if (this.count > this.#allowed) throw this.#tooMany()
    return Object.fromEntries(
      fields.map(({ name, type, byteLength }) => {
        const values = type === 'bytes' ? byteLength : 1
        return [name, withoutRows(columns[name]!, wrong, batch.rows, values)]
      }),
    )
  }

  #tooMany(): WrongFileError {
    const more = this.#allowed === 0 ? '' : ` It is one of more than ${this.#allowed} wrong rows.`
    return new WrongFileError(
      `${this.#path}, ${this.first}.${more} --skip-bad N leaves out up to N such rows`,
    )
  }
}

/** What is wrong with a value, after the place of its row. */
export function wrongValue(column: string, field: TargetField, found: unknown): string {
  const range = typeRange(field)
  if (found === undefined || found === null) return `, column ${inLine(column)}: no value; it is ${range}`
  return `, column ${inLine(column)}: ${valueText(found)} does not fit; it is ${range}`
}

function valueText(value: unknown): string {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
  return inLine(text.length > LONGEST_VALUE ? `"${text.slice(0, LONGEST_VALUE)}..."` : `"${text}"`)
}

function withoutRows(
  column: OwnColumn,
  wrong: ReadonlyMap<number, string>,
  rows: number,
  values: number,
): OwnColumn {
  const kept = column.slice()
  let to = 0
  for (let row = 0; row < rows; row++) {
    if (wrong.has(row)) continue
    kept.copyWithin(to, row * values, (row + 1) * values)
    to += values
  }
  return kept.slice(0, to)
}

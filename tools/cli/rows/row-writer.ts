/** Writes records in a format to an output: what stands before them, with the first of them, and what stands after. */
import type { Output } from '../output-file.js'
import type { RowColumns, RowFormat } from './row-format.js'

export class RowWriter {
  readonly #output: Output
  readonly #format: RowFormat
  #records = 0
  #hasBegun = false

  constructor(output: Output, format: RowFormat) {
    this.#output = output
    this.#format = format
  }

  /** How many there were. */
  get records(): number {
    return this.#records
  }

  /** Writes the records from row `from` to row `to`. */
  async add(columns: RowColumns, from: number, to: number): Promise<void> {
    if (to <= from) return
    await this.#begin()
    for (const chunk of this.#format.chunks(columns, from, to)) await this.#output.write(chunk)
    this.#records += to - from
  }

  async end(): Promise<void> {
    await this.#begin()
    if (this.#format.tail !== '') await this.#output.write(this.#format.tail)
  }

  async #begin(): Promise<void> {
    if (!this.#hasBegun && this.#format.head !== '') await this.#output.write(this.#format.head)
    this.#hasBegun = true
  }
}

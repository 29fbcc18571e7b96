/** What data pages spend their bits on, by column: of one page, and added up over many. docs/file-format.md, Data page. */
import { laneWidth, rowsBit, shiftOf } from '../../../src/format/data-page-row.js'
import {
  KIND_WORD,
  dataPageLayout,
  directoryWords,
  lowBitsIn,
  rowCountIn,
  type DataPageLayout,
} from '../../../src/format/page-layout.js'
import type { Schema } from '../../../src/encoding/schema.js'
import { columnsOf, type InspectedColumn } from './records.js'

/** The head of a data page. */
export interface PageHead {
  readonly rows: number
  /** Bits of a row: those of its key, and those of all lanes. */
  readonly rowBits: number
  readonly lowBits: number
  /** 0: the keys are at even distances. */
  readonly buckets: number
  /** Zeros that are left out at the end of each key. */
  readonly shift: number
  /** Where the parts begin, in bytes from the start of the page; rows begin at a multiple of 4. */
  readonly offsets: { readonly directory: number; readonly rows: number; readonly end: number }
  readonly columns: readonly ColumnHead[]
}

export interface ColumnHead {
  readonly name: string
  /** Bits in a row. */
  readonly bits: number
  /** Of each lane what is added to its number; none of the key, which counts from the first key. */
  readonly bases: readonly number[]
}

/** The kinds of the operations are a column too. */
export const KINDS_COLUMN = 'kinds'

export class PageColumns {
  readonly names: readonly string[]
  readonly #page: DataPageLayout
  readonly #columns: readonly InspectedColumn[]
  readonly #pageBytes: number
  pages = 0
  rows = 0
  /** Of each column its bits in all pages; those of the key with the directory. */
  readonly #bits: number[]
  /** Of each column, how many pages have a width. */
  readonly #widths: Map<number, number>[]

  constructor(schema: Schema, pageBytes: number) {
    this.#page = dataPageLayout(schema.layout, pageBytes)
    this.#columns = columnsOf(schema)
    this.#pageBytes = pageBytes
    this.names = [...this.#columns.map(({ field }) => field.name), KINDS_COLUMN]
    this.#bits = this.names.map(() => 0)
    this.#widths = this.names.map(() => new Map())
  }

  /** The head of the page whose first word is `words[base]`. */
  headOf(words: Uint32Array, base: number): PageHead {
    const page = this.#page
    const { keyLaneCount, packedLaneCount, basesWord, bucketsWord } = page
    const lowBits = lowBitsIn(words[base + KIND_WORD]!)
    const rows = rowCountIn(words[base + KIND_WORD]!)
    const buckets = words[base + bucketsWord]! & 0xffff
    const rowBits = words[base + bucketsWord]! >>> 16
    const lanesOf = (name: string, first: number, count: number): ColumnHead => {
      const lanes = Array.from({ length: count }, (_, i) => first + i)
      return {
        name,
        bits: lanes.reduce((sum, lane) => sum + laneWidth(page, words, base, lane), 0),
        bases: lanes.map(lane => words[base + basesWord + lane]!),
      }
    }
    const rowsAt = rowsBit(page, words, base)
    return {
      rows,
      rowBits,
      lowBits,
      buckets,
      shift: shiftOf(page, words, base),
      offsets: {
        directory: page.directoryWord * 4,
        rows: rowsAt / 8,
        end: Math.ceil((rowsAt + rows * rowBits) / 8),
      },
      columns: [
        { name: this.names[0]!, bits: lowBits, bases: [] },
        ...this.#columns
          .slice(1)
          .map(({ field, lane, lanes }) => lanesOf(field.name, lane - keyLaneCount, lanes)),
        lanesOf(KINDS_COLUMN, packedLaneCount - 1, 1),
      ],
    }
  }

  /** Adds a page up. Requires: it has no defect. */
  add(head: PageHead): void {
    this.pages++
    this.rows += head.rows
    for (const [i, { bits }] of head.columns.entries()) {
      const directory = i === 0 ? 32 * directoryWords(head.rows, head.buckets) : 0
      this.#bits[i]! += head.rows * bits + directory
      const widths = this.#widths[i]!
      widths.set(bits, (widths.get(bits) ?? 0) + 1)
    }
  }

  /** Bits that a record takes on average, by column; `all`: the whole pages, heads and free ends included. */
  bitsPerRecord(): Record<string, number> | null {
    if (this.rows === 0) return null
    const each = this.names.map((name, i) => [name, rounded(this.#bits[i]! / this.rows)] as const)
    return { ...Object.fromEntries(each), all: rounded((8 * this.#pageBytes * this.pages) / this.rows) }
  }

  /** Of each column, how many pages have which width in a row. */
  histogram(): { readonly name: string; readonly widths: readonly { bits: number; pages: number }[] }[] {
    return this.names.map((name, i) => ({
      name,
      widths: [...this.#widths[i]!].map(([bits, pages]) => ({ bits, pages })).sort((a, b) => a.bits - b.bits),
    }))
  }
}

export function rounded(number: number): number {
  return Math.round(number * 100) / 100
}

/**
 * Where in a bucket file the filter has its lines: each data page has some, and a key one of these.
 *
 * The lines themselves are in pages of the file, which come into the page cache like data pages.
 * docs/file-format.md, Filter.
 */
import { WORDS_PER_LINE } from '../format/cache-line.js'
import { lineOf, mayContain } from '../format/filter.js'
import { FILTER_PAGE } from '../format/page-layout.js'
import { sectionStart } from '../format/section.js'

/** No filter: any key may be there. */
export const NO_LINE = -1

export class FilterLines {
  /** For each data page, where its lines end. */
  readonly #ends: Uint32Array
  readonly #firstPage: number
  readonly #linesPerPage: number
  readonly #pagesPerLine: number
  readonly #firstWord: number
  readonly #probes: number

  /** `firstPage`: the first page of the filter in the file. */
  constructor(ends: Uint32Array, firstPage: number, pageBytes: number, probes: number) {
    this.#ends = ends
    this.#firstPage = firstPage
    this.#firstWord = sectionStart(FILTER_PAGE) / 4
    this.#linesPerPage = (pageBytes / 4 - this.#firstWord) / WORDS_PER_LINE
    this.#pagesPerLine = 1 / this.#linesPerPage
    this.#probes = probes
  }

  get byteLength(): number {
    return this.#ends.byteLength
  }

  /** Lines of all data pages. */
  get count(): number {
    return this.#ends.at(-1) ?? 0
  }

  /** The line that has the bits of the key with this hash if the key is in the data page, or {@link NO_LINE}. Hot. */
  lineFor(dataPage: number, hash: number): number {
    const end = this.#ends[dataPage]!
    const begin = dataPage === 0 ? 0 : this.#ends[dataPage - 1]!
    return begin === end ? NO_LINE : lineOf(begin, end, hash)
  }

  /** The page of the file that the line is in. Hot. */
  pageOf(line: number): number {
    return this.#firstPage + this.#pageIn(line)
  }

  /** The first word of the line, counted from the beginning of its page. Hot. */
  wordOf(line: number): number {
    return this.#firstWord + (line - this.#pageIn(line) * this.#linesPerPage) * WORDS_PER_LINE
  }

  /**
   * The page of the filter that the line is in. A product is faster than a quotient. Half a line is added, so that rounding
   * errors cannot reach the next whole number.
   */
  #pageIn(line: number): number {
    return Math.floor((line + 0.5) * this.#pagesPerLine)
  }

  /** Whether the line may have the key with this hash; its page begins at `words[base]`. Hot. */
  mayContain(words: Uint32Array, base: number, line: number, hash: number): boolean {
    return this.lineMayContain(words, base + this.wordOf(line), hash)
  }

  /** Whether the line that begins at `words[at]` may have the key with this hash. Hot. */
  lineMayContain(words: Uint32Array, at: number, hash: number): boolean {
    return mayContain(words, at, this.#probes, hash)
  }
}

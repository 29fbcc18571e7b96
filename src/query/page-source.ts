/**
 * Where a lookup gets its pages: the cache, pages at hand from the last read, or - blocking - the disk.
 *
 * An asynchronous lookup runs over what is in memory; where a page is missing it notes which and gives up, the pages
 * are read, and it runs again. What was read for it stays at hand meanwhile, or in a cache that is large beside it, so that it
 * always gets on, however small the cache.
 */
import { atOnce } from '../async/at-once.js'
import { Turns } from '../async/turns.js'
import { NO_LINE } from '../bucket-file/filter-lines.js'
import type { BucketFile, PageInMemory } from '../bucket-file/reader.js'
import type { LookupClock } from './lookup-clock.js'

/** Pages [from, to) of a file. */
export interface PageSpan {
  readonly file: BucketFile
  readonly from: number
  readonly to: number
}

/** Pages of one read. */
const SPAN_PAGES_MAX = 64

export class PageSource {
  readonly #blocking: boolean
  readonly #clock: LookupClock | undefined
  readonly #atHand = new Map<BucketFile, Map<number, PageInMemory>>()
  readonly #turns = new Turns()
  /** Pages that were read into the cache and are not at hand. */
  #inCache = 0
  /** What the last run lacked. */
  missing: PageSpan[] = []
  /** The page found last: its first word is `words[base]`. */
  words: Uint32Array = new Uint32Array(0)
  base = 0

  constructor(blocking: boolean, clock?: LookupClock) {
    this.#blocking = blocking
    this.#clock = clock
  }

  /** Finds a page in memory, or reads it if this source may block. */
  find(file: BucketFile, page: number): boolean {
    let slot = file.cachedPage(page)
    if (slot < 0 && this.#blocking) slot = loadPage(file, page, this.#clock)
    if (slot >= 0) {
      this.words = file.cache.wordsOf(slot)
      this.base = file.cache.baseOf(slot)
      return true
    }
    const loaded = this.#atHand.get(file)?.get(page)
    if (loaded === undefined) return false
    this.words = loaded.words
    this.base = loaded.base
    return true
  }

  /**
   * Whether the filter says that data page `page` may have the key with this hash; `undefined`: its page is missing, as
   * {@link missing} tells. If nearly all keys are in the file, it is not worth reading a page of the filter.
   */
  mayContain(file: BucketFile, page: number, hash: number): boolean | undefined {
    const { filter } = file
    const line = filter.lineFor(page, hash)
    if (line === NO_LINE) return true
    const filterPage = filter.pageOf(line)
    if (file.skipsFilter && file.cachedPage(filterPage) < 0) return true
    if (this.find(file, filterPage)) return filter.mayContain(this.words, this.base, line, hash)
    this.missing.push({ file, from: filterPage, to: filterPage + 1 })
    return undefined
  }

  /** Reads what is missing: blocking, in turns, while that is fast; then neighbours in one read, several in flight. */
  async load(): Promise<void> {
    if (this.missing.length > 0) this.#clock?.reads()
    const spans = joinSpans(await this.#loadFast(this.missing.splice(0)))
    const most = Math.max(0, ...spans.map(({ file }) => file.readsAtOnce))
    await atOnce(spans.length, most, async i => {
      const { file, from, to } = spans[i]!
      const pages = await file.loadPages(from, to)
      let atHand = this.#atHand.get(file)
      if (atHand === undefined) this.#atHand.set(file, (atHand = new Map()))
      for (const [place, page] of pages.entries()) atHand.set(from + place, page)
    })
  }

  /** Reads pages into the cache as long as that is fast and they are few beside the cache; returns the others. */
  async #loadFast(spans: readonly PageSpan[]): Promise<PageSpan[]> {
    const left: PageSpan[] = []
    for (const { file, from, to } of spans) {
      for (let page = from; page < to; page++) {
        if (this.#turns.due()) await this.#turns.take()
        if (file.cachedPage(page) >= 0) continue
        // More might push each other out before they are searched.
        if (this.#inCache < file.cache.pages / 4 && file.loadPageIfFast(page)) this.#inCache++
        else {
          left.push({ file, from: page, to })
          break
        }
      }
    }
    return left
  }

  /** Drops the pages at hand. They are in the cache as far as it has room. */
  release(): void {
    this.#inCache = 0
    this.#atHand.clear()
  }
}

/** Reads the page into the cache, blocking; returns its slot. */
export function loadPage(file: BucketFile, page: number, clock: LookupClock | undefined): number {
  return clock === undefined ? file.loadPageSync(page) : clock.loadPageSync(file, page)
}

/** Joins spans that touch or overlap, and cuts what is too long for one read. */
function joinSpans(spans: readonly PageSpan[]): PageSpan[] {
  const sorted = [...spans].sort((a, b) =>
    a.file === b.file ? a.from - b.from : a.file.entry.number - b.file.entry.number,
  )
  const joined: PageSpan[] = []
  for (const span of sorted) {
    const last = joined.at(-1)
    if (last !== undefined && last.file === span.file && span.from <= last.to) {
      joined[joined.length - 1] = { file: last.file, from: last.from, to: Math.max(last.to, span.to) }
    } else joined.push(span)
  }
  return joined.flatMap(({ file, from, to }) =>
    Array.from({ length: Math.ceil((to - from) / SPAN_PAGES_MAX) }, (_, i) => ({
      file,
      from: from + i * SPAN_PAGES_MAX,
      to: Math.min(to, from + (i + 1) * SPAN_PAGES_MAX),
    })),
  )
}

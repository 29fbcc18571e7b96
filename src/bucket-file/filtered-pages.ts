/**
 * What a filtered scan need not look at: bucket files, and pages of them, none of whose records match.
 *
 * The footer has the least and the greatest values of a file; a page has the least value of each lane, and how many bits the
 * others are above it. What does not match still hides older records, so it is left out only where that makes no difference.
 * docs/internals.md, Filtered scans.
 */
import { laneWidth } from '../format/data-page-row.js'
import type { DataPageLayout } from '../format/page-layout.js'
import type { WhereTerms } from '../records/operations.js'
import { mayMatch } from '../records/record-bounds.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { BucketFile } from './reader.js'

/**
 * Whether the file can be left out. `isOldest`: no older file is looked at; `replace`: a put hides older ones of its key.
 *
 * A *delete record* hides only what equals it. It is within the bounds too, so where nothing matches, it hides nothing that
 * does.
 */
export function leavesOutFile(
  { footer }: BucketFile,
  layout: RecordLayout,
  terms: WhereTerms,
  isOldest: boolean,
  replace: boolean,
): boolean {
  // Its records are parts of combined ones, which may match.
  if (layout.combine !== undefined) return false
  if (!isOldest && (replace || footer.deleteKeys > 0)) return false
  const records = footer.records + footer.deleteRecords
  return !mayMatch(layout, terms, { ...footer, records })
}

/** Whether no row of the data page matches. Of a page of deletes of keys it says nothing: ask for the file before. */
export function leavesOutPage(
  page: DataPageLayout,
  layout: RecordLayout,
  terms: WhereTerms,
  words: Uint32Array,
  base: number,
): boolean {
  const lanes = page.packedLaneCount - 1
  const minValues = new Uint32Array(lanes)
  const maxValues = new Uint32Array(lanes)
  for (let lane = 0; lane < lanes; lane++) {
    const least = words[base + page.basesWord + lane]!
    const greatest = least + 2 ** laneWidth(page, words, base, lane) - 1
    // Values are counted modulo 2^32: such a page may have any.
    const wraps = greatest > 0xffffffff
    minValues[lane] = wraps ? 0 : least
    maxValues[lane] = wraps ? 0xffffffff : greatest
  }
  const key = new Uint32Array(page.keyLaneCount)
  return !mayMatch(layout, terms, { records: 1, firstKey: key, lastKey: key, minValues, maxValues })
}

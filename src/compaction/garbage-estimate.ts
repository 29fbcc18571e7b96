/**
 * Estimates the garbage of each bucket file: the records that newer files mask. The policy needs this in addition to
 * levels. Estimates come from samples, are kept in memory, and are never stored.
 *
 * A merge drops two kinds of masked records. Some match a *delete where* entry of any newer file: the entries are
 * tested against sampled records; and the fences tell how many pages, at least, have cleared keys alone. Others are masked by an operation in another file of the same merge: a delete of the
 * key or of the record (with `duplicates: 'replace'`, any operation of the key). To look each one up would cost a page
 * read. So the filters of the newer files say whether they have the key, and their footers say how many of their
 * operations are deletes. docs/internals.md, Hidden data.
 */
import { throwIfAborted } from '../async/abort.js'
import { HiddenPages } from '../bucket-file/hidden-pages.js'
import type { BucketFile } from '../bucket-file/reader.js'
import type { DeleteWhereIndex } from '../records/delete-where-index.js'
import type { WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { FileSample } from './file-sample.js'
import type { EstimatedFile } from './policy.js'

export interface GarbageOptions {
  readonly layout: RecordLayout
  readonly pageBytes: number
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
}

export class GarbageEstimates {
  readonly #options: GarbageOptions
  readonly #samples = new WeakMap<BucketFile, FileSample>()

  constructor(options: GarbageOptions) {
    this.#options = options
  }

  /**
   * Estimates each of the files, oldest first, for the policy. `deletes`: all entries of these files, at least. Rejects
   * with `signal.reason`. Requires: the files stay open. Cost: each file that newer ones may mask is sampled once.
   */
  async of(
    files: readonly BucketFile[],
    deletes: DeleteWhereIndex,
    signal: AbortSignal,
  ): Promise<EstimatedFile[]> {
    // Merges do not apply the entries of memtables.
    const before = files.at(-1)?.entry.endSequence ?? 0
    const estimated: EstimatedFile[] = []
    for (const [i, file] of files.entries()) {
      throwIfAborted(signal)
      estimated.push(await this.#estimate(file, files.slice(i + 1), deletes, before))
    }
    return estimated
  }

  async #estimate(
    file: BucketFile,
    newer: readonly BucketFile[],
    deletes: DeleteWhereIndex,
    before: number,
  ): Promise<EstimatedFile> {
    const { records, dataPages, deleteKeys, deleteRecords } = file.footer
    const { level } = file.entry
    const operations = records + deleteKeys + deleteRecords + file.deletes.length
    // A merge does not even read them. They are taken for pages like all others.
    const hiddenShare = new HiddenPages(file, deletes.cleared, before).count() / Math.max(1, dataPages)
    const inHiddenPages = hiddenShare * (operations - file.deletes.length)
    const ownDeletes = (1 - hiddenShare) * (deleteKeys + deleteRecords) + file.deletes.length
    const sample = this.#sampleOf(file)
    const rows = newer.some(other => this.#mayMask(other, sample)) ? await sample.records() : undefined
    if (rows === undefined || rows.count === 0) {
      const masked = Array<number>(newer.length + 1).fill(inHiddenPages)
      return { level, operations, masked, tombstones: ownDeletes }
    }
    const each = records / rows.count
    const last = file.entry.endSequence - 1
    const cleared = Array.from({ length: rows.count }, (_, row) =>
      deletes.clears(rows.lanes, row, last, before),
    )
    const matched = cleared.map((isGone, row) => !isGone && deletes.matches(rows.lanes, row, last, before))
    // With 'replace' a matched put becomes a delete of its key, unless nothing is older.
    const { replace } = this.#options
    const visible = Float64Array.from(matched, (match, row) => (cleared[row] || (match && !replace) ? 0 : 1))
    const maskedNow = (): number => Math.max(inHiddenPages, each * (rows.count - sum(visible)))
    const masked = [maskedNow()]
    for (const other of newer) {
      await this.#mask(visible, sample, rows, other)
      masked.push(maskedNow())
    }
    const matchedOnly = replace ? sum(visible.filter((_, row) => matched[row])) : 0
    return { level, operations, masked, tombstones: ownDeletes + each * matchedOnly }
  }

  #sampleOf(file: BucketFile): FileSample {
    const { layout, pageBytes } = this.#options
    let sample = this.#samples.get(file)
    if (sample === undefined) this.#samples.set(file, (sample = new FileSample(file, layout, pageBytes)))
    return sample
  }

  #mayMask(newer: BucketFile, sample: FileSample): boolean {
    return this.#maskingShare(newer, sample.file) > 0 || sample.mayMatch(newer)
  }

  /** Lowers `visible`, the probability that a merge keeps each record, by what operations of the newer file mask. */
  async #mask(
    visible: Float64Array,
    sample: FileSample,
    rows: WideOperations,
    newer: BucketFile,
  ): Promise<void> {
    const share = this.#maskingShare(newer, sample.file)
    if (share === 0) return
    const shared = await sample.sharedKeys(rows, newer)
    const masked = share * trueShare(sum(shared) / rows.count, newer.footer.filterProbes)
    for (let row = 0; row < rows.count; row++) visible[row]! *= 1 - shared[row]! * masked
  }

  /** The probability that the newer file masks a record of the older one, if it has the key. */
  #maskingShare(newer: BucketFile, older: BucketFile): number {
    if (this.#options.replace) return 1
    const { deleteKeys, deleteRecords, distinctKeys } = newer.footer
    // A delete drops what is older. Of two puts a merge leaves one, but nothing is hidden: that counts half, because a merge
    // for that alone must drop more to be worth it.
    if (this.#options.layout.combine !== undefined)
      return 0.5 + 0.5 * Math.min(1, deleteKeys / Math.max(1, distinctKeys))
    // A delete of a record masks one of the records of its key.
    const recordsOfKey = Math.max(1, older.footer.records / Math.max(1, older.footer.distinctKeys))
    return Math.min(1, (deleteKeys + deleteRecords / recordsOfKey) / Math.max(1, distinctKeys))
  }
}

/**
 * The share of the keys a filter reported that are really there, if it reported the share `found` of all keys.
 *
 * A filter with k probes and half of its bits set is wrong for 1 key in 2^k (Bloom 1970), a filter of one page for
 * somewhat more. Without this correction, dozens of files would seem to mask a third of the records.
 */
function trueShare(found: number, probes: number): number {
  const wrong = 2 * 0.5 ** probes
  return wrong >= 1 || found <= wrong ? 0 : (found - wrong) / (1 - wrong) / found
}

function sum(numbers: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < numbers.length; i++) total += numbers[i]!
  return total
}

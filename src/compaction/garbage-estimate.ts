/**
 * How much of each bucket file is hidden by newer ones: what the policy needs besides levels. All in memory, from
 * samples; nothing of it is stored.
 *
 * A merge drops what *delete where* entries of any newer file match, and what deletes of keys and of records, or with
 * `duplicates: 'replace'` any operation of the same key, hide in the files that are merged together. The entries are
 * tested against sampled records. The others would cost a lookup each: their filters say which files have the key,
 * their footers how many deletes they hold. docs/internals.md, Hidden data.
 */
import { throwIfAborted } from '../async/abort.js'
import type { BucketFile } from '../bucket-file/reader.js'
import type { DeleteWhereIndex } from '../records/delete-where-index.js'
import type { Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { FileSample } from './file-sample.js'
import type { EstimatedFile } from './policy.js'

export interface HiddenOptions {
  readonly layout: RecordLayout
  readonly pageBytes: number
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
}

export class HiddenEstimates {
  readonly #options: HiddenOptions
  readonly #samples = new WeakMap<BucketFile, FileSample>()

  constructor(options: HiddenOptions) {
    this.#options = options
  }

  /**
   * What the policy looks at, for each of the files, oldest first. `deletes`: all entries of these files, at least.
   * Rejects with `signal.reason`. Requires: the files stay open. Cost: page reads of a file that something may hide,
   * once.
   */
  async of(
    files: readonly BucketFile[],
    deletes: DeleteWhereIndex,
    signal: AbortSignal,
  ): Promise<EstimatedFile[]> {
    // Entries of memtables are not applied by merges.
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
    const { records, deleteKeys, deleteRecords } = file.footer
    const ownDeletes = deleteKeys + deleteRecords + file.deletes.length
    const { level } = file.entry
    const operations = records + ownDeletes
    const sample = this.#sampleOf(file)
    const rows = newer.some(other => this.#mayHide(other, sample)) ? await sample.records() : undefined
    if (rows === undefined || rows.count === 0) {
      return { level, operations, hidden: Array<number>(newer.length + 1).fill(0), hiding: ownDeletes }
    }
    const each = records / rows.count
    const matched = Array.from({ length: rows.count }, (_, row) =>
      deletes.hides(rows.lanes, row, file.entry.endSequence - 1, before),
    )
    // With 'replace' a matched put leaves a delete of its key behind, unless nothing is older.
    const { replace } = this.#options
    const visible = Float64Array.from(matched, match => (match && !replace ? 0 : 1))
    const hidden = [each * (rows.count - sum(visible))]
    for (const other of newer) {
      this.#hide(visible, sample, rows, other)
      hidden.push(each * (rows.count - sum(visible)))
    }
    const matchedOnly = replace ? sum(visible.filter((_, row) => matched[row])) : 0
    return { level, operations, hidden, hiding: ownDeletes + each * matchedOnly }
  }

  #sampleOf(file: BucketFile): FileSample {
    const { layout, pageBytes } = this.#options
    let sample = this.#samples.get(file)
    if (sample === undefined) this.#samples.set(file, (sample = new FileSample(file, layout, pageBytes)))
    return sample
  }

  #mayHide(newer: BucketFile, sample: FileSample): boolean {
    return this.#hidingShare(newer, sample.file) > 0 || sample.mayMatch(newer)
  }

  /** Takes what operations of the newer file hide out of `visible`: for each record, how likely a merge keeps it. */
  #hide(visible: Float64Array, sample: FileSample, rows: Operations, newer: BucketFile): void {
    const share = this.#hidingShare(newer, sample.file)
    if (share === 0) return
    const shared = sample.sharedKeys(rows, newer)
    const hidden = share * trueShare(sum(shared) / rows.count, newer.footer.filterProbes)
    for (let row = 0; row < rows.count; row++) visible[row]! *= 1 - shared[row]! * hidden
  }

  /** How likely the newer file hides a record of the older one whose key it has. */
  #hidingShare(newer: BucketFile, older: BucketFile): number {
    if (this.#options.replace) return 1
    const { deleteKeys, deleteRecords, distinctKeys } = newer.footer
    // A delete of a record hides one of those that the key has.
    const recordsOfKey = Math.max(1, older.footer.records / Math.max(1, older.footer.distinctKeys))
    return Math.min(1, (deleteKeys + deleteRecords / recordsOfKey) / Math.max(1, distinctKeys))
  }
}

/**
 * How many of the keys that a filter says it has are there, where it said so of the share `found` of all keys.
 *
 * A filter with k probes, half of its bits set, is wrong for 1 key in 2^k (Bloom 1970); one for each page, for somewhat
 * more. Over dozens of files that would add up to a third of the records.
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

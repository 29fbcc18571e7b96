/**
 * Which files to merge next: pure functions of the list of files.
 *
 * Tiered: a level that has `fanout` files becomes one file of the next level. Where that file would fill the next
 * level too, both go in one merge, which saves writing the lower one (as RocksDB's universal style does). Where no
 * level is full, files of which much is hidden are merged, whatever their level. Merges are of neighbours in age.
 * docs/architecture.md, Compaction.
 */

/** A merge is due whatever the levels where it drops this share of what it reads (docs/decisions/hidden-data.md). */
const DROPPED_SHARE = 1 / 3

/** What the policy looks at. */
export interface PolicyFile {
  readonly level: number
}

/** Files [from, to) of the list become one file of `level`. */
export interface PlannedMerge {
  readonly from: number
  readonly to: number
  readonly level: number
}

/** A file, and what merges would drop of it: estimates. */
export interface EstimatedFile extends PolicyFile {
  /** Puts, deletes and *delete where* entries in it. */
  readonly operations: number
  /** `hidden[k]`: how many of them a merge with the k files behind it drops; for each file behind it, and for k = 0. */
  readonly hidden: readonly number[]
  /** How many more one drops that includes the oldest file: what hides. */
  readonly hiding: number
}

/** The merge that a full level makes due, or `undefined`. `files`: oldest first, levels never rising. */
export function nextMerge(files: readonly PolicyFile[], fanout: number): PlannedMerge | undefined {
  for (let to = files.length; to > 0;) {
    let from = levelStart(files, to)
    if (to - from < fanout) {
      to = from
      continue
    }
    let level = files[from]!.level + 1
    for (;;) {
      const next = levelStart(files, from)
      // With the file to come this level would be full.
      if (from === 0 || files[from - 1]!.level !== level || from - next < fanout - 1) break
      from = next
      level++
    }
    return { from, to, level }
  }
  return undefined
}

/**
 * The merge that drops the greatest share of what it reads, or `undefined` where that is too little to be due. `files`:
 * as for {@link nextMerge}, which comes first.
 *
 * The output has the level of its oldest input, so levels never rise and none is fuller than before.
 *
 * Invariant: this comes to an end, however wrong the estimates are. A merge of several files leaves fewer files. Of a
 * merge of one file the estimates are no guess (`hidden[0]`, `hiding`): something that was seen in it goes.
 */
export function hiddenMerge(
  files: readonly EstimatedFile[],
  droppedShare = DROPPED_SHARE,
): PlannedMerge | undefined {
  let due: PlannedMerge | undefined
  let greatest = 0
  for (let to = 1; to <= files.length; to++) {
    let [read, hidden, hiding] = [0, 0, 0]
    for (let from = to - 1; from >= 0; from--) {
      const file = files[from]!
      read += file.operations
      hidden += file.hidden[to - 1 - from]!
      hiding += file.hiding
      const share = (from === 0 ? hidden + hiding : hidden) / read
      if (share < droppedShare || share <= greatest) continue
      greatest = share
      due = { from, to, level: file.level }
    }
  }
  return due
}

/** The first of the files before `to` that have the level of the last of them. */
function levelStart(files: readonly PolicyFile[], to: number): number {
  let from = to
  while (from > 0 && files[from - 1]!.level === files[to - 1]!.level) from--
  return from
}

/** The level where a file of so many records belongs: that of tiered merges from memtables up. */
export function levelOf(records: number, memtableRecords: number, fanout: number): number {
  let level = 0
  for (let size = memtableRecords; size < records; size *= fanout) level++
  return level
}

/**
 * Which files to merge next: a pure function of the list of files.
 *
 * Tiered: a level that has `fanout` files becomes one file of the next level. Where that file would fill the next
 * level too, both go in one merge, which saves writing the lower one (as RocksDB's universal style does). Merges are
 * of neighbours in age. docs/architecture.md, Compaction.
 */

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

/** The next merge, or `undefined`. `files`: oldest first, levels never rising. */
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

/**
 * Which files to merge next: pure functions of the list of files.
 *
 * Tiered: a level that has `fanout` files becomes one file of the next level. If that file would fill the next level
 * too, both go in one merge, which saves writing the lower one (as RocksDB's universal style does). If no level is
 * full, files that hold much garbage are merged, whatever their level. Only neighbours in age are merged. Files of less
 * than a memtable have levels below 0, by their size. docs/internals.md, Compaction.
 */

/** Levels below 0, for files of less than a memtable: a table of short lives has many. */
const SMALL_LEVELS = 3
/** An open merges files of up to this many pages with the log that it writes: no file takes much less. */
const TINY_PAGES = 16
/** A level that has this many more than `fanout` files, or twice as many, is overdue: the table is closed before its merges end. */
const OVERDUE_FILES = 4
/** The same of small files, unless `fanout` is large. */
const SMALL_OVERDUE_FILES = 8
/** A merge that drops this share of what it reads is due, whatever the levels (docs/decisions/hidden-data.md). */
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

/** A file, and estimates of what merges would drop of it. */
export interface EstimatedFile extends PolicyFile {
  /** Puts, deletes and *delete where* entries in it. */
  readonly operations: number
  /**
   * `masked[k]`: how many of these operations are dropped by a merge of this file with the next k newer files. It never
   * falls with k, and has an element for each newer file and for k = 0.
   *
   * Example: files A, B and C, oldest first. `[5, 5, 30]` of A: a merge of A alone drops 5 (*delete where* entries match
   * them); B masks nothing of A; a merge of A, B and C drops 30, because deletes in C mask 25 more.
   */
  readonly masked: readonly number[]
  /** Deletes in it: a merge that includes the oldest file drops these, too. */
  readonly tombstones: number
}

/** A file as the manifest knows it. */
export interface SizedFile extends PolicyFile {
  readonly firstSequence: number
  readonly endSequence: number
  readonly pages: number
}

/**
 * Gives files of level 0 a level below 0 if they hold less than a memtable of operations: -1 for up to 1 / fanout of
 * it, and so on. So 8 files of a few records become one such file, not a file of level 1, which would be merged with
 * large ones. Requires and keeps: levels never rise; a small file before a larger one gets the larger one's level.
 */
export function sizeLevels<T extends SizedFile>(
  files: readonly T[],
  memtableRecords: number,
  fanout: number,
): T[] {
  let atLeast = -SMALL_LEVELS
  return files
    .toReversed()
    .map(file => {
      const own = file.level > 0 ? file.level : smallLevel(file, memtableRecords, fanout)
      atLeast = Math.max(atLeast, own)
      return { ...file, level: atLeast }
    })
    .toReversed()
}

function smallLevel(
  { firstSequence, endSequence }: SizedFile,
  memtableRecords: number,
  fanout: number,
): number {
  const operations = endSequence - firstSequence
  let level = 0
  while (level > -SMALL_LEVELS && operations * fanout ** (1 - level) <= memtableRecords) level--
  return level
}

/** The level that the manifest stores, for a level of {@link sizeLevels}. */
export function storedLevel(level: number): number {
  return Math.max(0, level)
}

/**
 * Which of the newest files an open merges with the records that it finds in the log: tiny ones, and those of a merge
 * that would be due afterwards, if that is at most a memtable. The output has the files [from, files.length) and the
 * log. `files`: of {@link sizeLevels}, the log's records included.
 */
export function mergeWithLog(
  files: readonly SizedFile[],
  fanout: number,
  memtablePages: number,
): { readonly from: number; readonly level: number } {
  const last = files.length - 1
  let from = last
  let { pages } = files[last]!
  while (from > 0 && pages + files[from - 1]!.pages <= TINY_PAGES) pages += files[--from]!.pages
  let { level } = files[from]!
  const due = nextMerge([...files.slice(0, from), { ...files[last]!, level }], fanout)
  if (due !== undefined && due.to === from + 1 && pagesOf(files.slice(due.from, last)) <= memtablePages) {
    from = due.from
    level = due.level
  }
  return { from, level }
}

/**
 * A merge for which an open waits, because one life after another ended before it was done; or `undefined`. It is the
 * cheapest merge of an overdue level, of at most `filesMax` files. `files`: of {@link sizeLevels}.
 */
export function overdueMerge(
  files: readonly SizedFile[],
  fanout: number,
  filesMax: number,
): PlannedMerge | undefined {
  for (let to = files.length; to > 0;) {
    const start = levelStart(files, to)
    if (to - start < overdueCount(files[start]!.level, fanout)) {
      to = start
      continue
    }
    const count = Math.min(filesMax, to - start)
    let from = start
    for (let at = start; at + count <= to; at++) {
      if (pagesOf(files.slice(at, at + count)) < pagesOf(files.slice(from, from + count))) from = at
    }
    const { level } = files[from]!
    return { from, to: from + count, level: from === start && count >= fanout ? level + 1 : level }
  }
  return undefined
}

/** Files that make a level overdue. Of small files fewer do: their merge is short, and a process may be able to open few. */
function overdueCount(level: number, fanout: number): number {
  const count = fanout + Math.min(fanout, OVERDUE_FILES)
  return level < 0 ? Math.min(count, Math.max(SMALL_OVERDUE_FILES, fanout / 2)) : count
}

function pagesOf(files: readonly SizedFile[]): number {
  return files.reduce((sum, { pages }) => sum + pages, 0)
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
      // The new file would fill this level.
      if (from === 0 || files[from - 1]!.level !== level || from - next < fanout - 1) break
      from = next
      level++
    }
    return { from, to, level }
  }
  return undefined
}

/**
 * The merge that drops the greatest share of what it reads, or `undefined` if that share is too small. `files`: as for
 * {@link nextMerge}, which has precedence.
 *
 * The output has the level of its oldest input, so levels never rise and none is fuller than before.
 *
 * Invariant: merges come to an end, however wrong the estimates are. A merge of several files leaves fewer files. For a
 * merge of one file the estimates (`masked[0]`, `tombstones`) are not guesses: it drops records that were read.
 */
export function garbageMerge(
  files: readonly EstimatedFile[],
  droppedShare = DROPPED_SHARE,
): PlannedMerge | undefined {
  let due: PlannedMerge | undefined
  let greatest = 0
  for (let to = 1; to <= files.length; to++) {
    let [read, masked, tombstones] = [0, 0, 0]
    for (let from = to - 1; from >= 0; from--) {
      const file = files[from]!
      read += file.operations
      // The file is merged with the to - 1 - from newer files that are before `to`: with A, B, C and from = 0, to = 3, two.
      masked += file.masked[to - 1 - from]!
      tombstones += file.tombstones
      const share = (from === 0 ? masked + tombstones : masked) / read
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

/** The level of a file with this number of records: the one that tiered merges of full memtables lead to. */
export function levelOf(records: number, memtableRecords: number, fanout: number): number {
  let level = 0
  for (let size = memtableRecords; size < records; size *= fanout) level++
  return level
}

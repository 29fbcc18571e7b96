/**
 * The tail of a table: what is in memory, and in its log, but in no bucket file on disk yet. A replica publishes it as small
 * bucket files, so that nothing has to be flushed for it, and readers of the published table see files alone.
 *
 * The tail consists of *units*: runs and memtables, oldest first. Of a unit there are *tail files*, each a file with a range of
 * its sequence numbers. A tail file never has parts of two units, so a flush, which takes whole units, takes whole tail files. New
 * rows make a new tail file; where there are many small ones, one tail file takes the place of several: each record is uploaded a
 * few times, and a unit has few tail files. docs/internals.md, Replicas.
 */
import { FlashTableError } from '../base/errors.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { crc32 } from '../format/checksum.js'
import { deleteWhereBytes, writeDeleteWheres } from '../format/delete-where.js'
import { viewOf } from '../format/little-endian.js'
import { MemoryFile, type FileMemory } from '../io/memory-file.js'
import type { Jobs } from '../jobs/jobs.js'
import { tableIdText, type BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { Manifest } from '../manifest/manifest.js'
import type { Memtable } from '../memtable/memtable.js'
import type { LaneColumn } from '../records/lane-columns.js'
import { PUT } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { newMemtable } from '../state/memtable-pool.js'
import { runMemory } from '../state/run-memory.js'
import type { View } from '../state/table-state.js'
import { RefCounts, Version, type MemtableHandle } from '../state/version.js'
import type { ObjectSource } from '../store/object-store.js'

/** Tail files of one rank that become one of the next. */
const FILES_OF_RANK = 4
/** A run with more tail files is made one. */
const FILES_OF_RUN_MAX = 8

export interface TailOptions {
  readonly jobs: Jobs
  readonly directory: string
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly filterBitsPerRecord: number
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
  /**
   * The memtables were read from the log of another process: what was read last may have been a write that failed, and was
   * written over.
   */
  readonly isFollowing: boolean
  /** 16 random bytes: tail files are files of this id, so that nothing else is ever taken for one. */
  readonly tableId: Uint8Array
}

/** A run or a memtable, and the sequence numbers [first, end) that the view has of it. */
interface Unit {
  readonly first: number
  readonly end: number
  /** Of a run; `undefined`: nothing is left of it. */
  readonly file?: BucketFile | undefined
  readonly memtable?: Memtable
}

/** Sequence numbers [from, end) of a unit, which are rows [fromRow, endRow) of a memtable. */
interface Rows {
  readonly from: number
  readonly end: number
  readonly fromRow: number
  readonly endRow: number
}

/** A part of a unit as a file. */
interface TailFile extends Rows {
  readonly rank: number
  /** Of its operations, if they are from a memtable that another process writes. */
  readonly checksum: number
  /** `undefined`: it has no operation that counts. */
  readonly entry: BucketFileEntry | undefined
  /** Its bytes, until they are uploaded. */
  memory: FileMemory | undefined
}

export class Tail {
  readonly #options: TailOptions
  /** By the first sequence number of their units. */
  #tailFiles = new Map<number, readonly TailFile[]>()
  #nextNumber = 1

  constructor(options: TailOptions) {
    this.#options = options
  }

  /**
   * Makes files of the rows of the view that are in none yet. Resolves to all files of the tail, oldest first. `manifest`: that
   * of the view. Requires: the view's version is retained.
   */
  async cover(
    view: View,
    manifest: Manifest,
    signal: AbortSignal | undefined,
  ): Promise<readonly BucketFileEntry[]> {
    this.#nextNumber = Math.max(this.#nextNumber, manifest.nextFileNumber)
    const taken = new Set(manifest.files.map(({ number }) => number))
    const before = this.#tailFiles
    const after = new Map<number, readonly TailFile[]>()
    for (const unit of unitsOf(view)) {
      const known = before.get(unit.first) ?? []
      const isClear = known.every(({ entry }) => entry === undefined || !taken.has(entry.number))
      after.set(
        unit.first,
        await this.#cover(unit, isClear ? known : [], view.version, manifest.epoch, signal),
      )
      // What is done stays done if the next one fails.
      this.#tailFiles = new Map([...before, ...after])
    }
    const kept = new Set([...after.values()].flat())
    for (const tailFile of [...before.values()].flat()) if (!kept.has(tailFile)) release(tailFile)
    this.#tailFiles = after
    return [...kept].flatMap(({ entry }) => entry ?? [])
  }

  /** The content of a tail file that is not uploaded. */
  sourceOf(number: number): ObjectSource {
    const { memory } = this.#all.find(({ entry }) => entry?.number === number)!
    if (memory === undefined) {
      // The store has lost it. All tail files are made anew at the next attempt.
      this.clear()
      throw new FlashTableError('FLASHTABLE_UNAVAILABLE', 'what was published is gone; it is made anew')
    }
    const file = new MemoryFile('a tail file', memory)
    return {
      bytes: memory.bytes,
      read: (position, buffer) => {
        file.readSync(buffer, position)
        return Promise.resolve()
      },
    }
  }

  /** All tail files are in the store: their bytes are needed no more. */
  uploaded(): void {
    for (const tailFile of this.#all) release(tailFile)
  }

  /** Forgets all tail files. */
  clear(): void {
    this.uploaded()
    this.#tailFiles = new Map()
  }

  get #all(): TailFile[] {
    return [...this.#tailFiles.values()].flat()
  }

  async #cover(
    unit: Unit,
    known: readonly TailFile[],
    version: Version,
    epoch: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly TailFile[]> {
    const { first, end, memtable, file } = unit
    const tailFiles = known.filter(tailFile => tailFile.end <= end)
    const covered = tailFiles.at(-1)?.end ?? first
    if (memtable === undefined) {
      if (covered === end && tailFiles.length === known.length && tailFiles.length <= FILES_OF_RUN_MAX)
        return tailFiles
      const whole = { from: first, end, fromRow: 0, endRow: 0, rank: 0, checksum: 0 }
      if (file === undefined) return [{ ...whole, entry: undefined, memory: undefined }]
      return [{ ...whole, ...(await this.#merge(version, [file], [], end - first, epoch, signal)) }]
    }
    const last = tailFiles.at(-1)
    if (last !== undefined && this.#checksumOf(memtable, last) !== last.checksum)
      return this.#cover(unit, [], version, epoch, signal)
    if (covered === end) return tailFiles
    let [keptFiles, rank] = [tailFiles.length, 0]
    for (;;) {
      const first = firstOfRank(tailFiles.slice(0, keptFiles), rank)
      if (first === keptFiles) break
      keptFiles = first
      rank++
    }
    // It takes the place of those.
    const { from, fromRow } = tailFiles[keptFiles] ?? { from: covered, fromRow: last?.endRow ?? 0 }
    const { slice, endRow } = sliceOf(memtable, this.#options.layout, from, fromRow, end)
    const own = new Version(
      {
        stored: [],
        runs: [],
        sealed: [slice],
        active: newMemtable({ layout: memtable.layout, memtableRecords: 1 }, end),
      },
      new RefCounts(() => {}),
    )
    const made = await this.#merge(own, [], [slice], slice.memtable.count, epoch, signal)
    const rows = { from, end, fromRow, endRow }
    const checksum = this.#checksumOf(memtable, rows)
    return [...tailFiles.slice(0, keptFiles), { ...rows, rank, checksum, ...made }]
  }

  /** Of the operations of a tail file; 0 where nobody can change them any more. */
  #checksumOf(memtable: Memtable, { from, end, fromRow, endRow }: Rows): number {
    if (!this.#options.isFollowing) return 0
    const { lanes, kinds, deletes } = memtable
    const own = deletes.filter(({ sequence }) => sequence >= from && sequence < end)
    const bytes = new Uint8Array(deleteWhereBytes(own))
    writeDeleteWheres(own, this.#options.layout, viewOf(bytes), 0)
    let checksum = crc32(bytes)
    for (const lane of lanes) checksum = crc32(bytesOf(lane.subarray(fromRow, endRow)), checksum)
    const ownKinds = kinds?.subarray(fromRow, endRow)
    // Rows that are all puts have no kinds at first.
    return ownKinds?.some(kind => kind !== PUT) === true ? crc32(ownKinds, checksum) : checksum
  }

  /** Makes a file in memory. */
  async #merge(
    version: Version,
    files: readonly BucketFile[],
    memtables: readonly MemtableHandle[],
    rows: number,
    epoch: number,
    signal: AbortSignal | undefined,
  ): Promise<Pick<TailFile, 'entry' | 'memory'>> {
    const { jobs, directory, layout, pageBytes, replace, tableId, filterBitsPerRecord } = this.#options
    const room = runMemory.takeForRows(rows, layout.recordBytes, pageBytes)
    const output = { number: this.#nextNumber++, epoch, level: 0, filterBitsPerRecord, memory: room }
    // Older files may have what the deletes in it hide.
    const target = { directory, tableId, layout, pageBytes, replace, includesOldest: false, output }
    const inputs = { version, files, memtables: memtables.map(memtable => ({ memtable })) }
    let used = 0
    try {
      const { entry, memory } = await jobs.merge(inputs, target, { signal })
      // The job has filled the first blocks, in order.
      used = memory?.blocks.length ?? 0
      return { entry: entry && { ...entry, tableId: tableIdText(tableId) }, memory }
    } finally {
      runMemory.giveBack({ ...room, blocks: room.blocks.slice(used) })
    }
  }
}

/** Where the last tail files of that rank begin, if with a new one they are enough for one of the next; else the end. */
function firstOfRank(tailFiles: readonly TailFile[], rank: number): number {
  const first = tailFiles.length - (FILES_OF_RANK - 1)
  return first >= 0 && tailFiles.slice(first).every(tailFile => tailFile.rank <= rank)
    ? first
    : tailFiles.length
}

/** What the view has besides files on disk, oldest first, without what is empty. */
function unitsOf({ version, active, sequence }: View): Unit[] {
  const starts = [
    ...version.runs.map(({ firstSequence, file }) => ({ first: firstSequence, file })),
    ...[...version.sealed, active].map(({ memtable }) => ({ first: memtable.firstSequence, memtable })),
  ]
  return starts
    .map((unit, i) => ({ ...unit, end: starts[i + 1]?.first ?? sequence }))
    .filter(({ first, end }) => end > first)
}

/** A memtable of its own with the operations [from, end), which begin at row `fromRow`. */
function sliceOf(
  memtable: Memtable,
  layout: RecordLayout,
  from: number,
  fromRow: number,
  end: number,
): { readonly slice: MemtableHandle; readonly endRow: number } {
  const deletes = memtable.deletes.filter(({ sequence }) => sequence >= from && sequence < end)
  const rows = end - from - deletes.length
  const slice = newMemtable({ layout, memtableRecords: Math.max(1, rows) }, from)
  let row = fromRow
  for (const { position, ...entry } of deletes) {
    slice.memtable.append(memtable, row, position)
    slice.memtable.appendDeleteWhere(entry)
    row = position
  }
  const endRow = fromRow + rows
  slice.memtable.append(memtable, row, endRow)
  return { slice, endRow }
}

function bytesOf({ buffer, byteOffset, byteLength }: LaneColumn): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function release(tailFile: TailFile): void {
  if (tailFile.memory !== undefined) runMemory.giveBack(tailFile.memory)
  tailFile.memory = undefined
}

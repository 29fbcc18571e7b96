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
import { MemoryFile, type FileMemory } from '../io/memory-file.js'
import type { Jobs } from '../jobs/jobs.js'
import { tableIdText, type BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { Manifest } from '../manifest/manifest.js'
import type { Memtable } from '../memtable/memtable.js'
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
/** About what a tail file takes: this share of its raw records, and some pages. */
const PACKED_SHARE = 0.8
const PAGES_MIN = 8

export interface TailOptions {
  readonly jobs: Jobs
  readonly directory: string
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly filterBitsPerRecord: number
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
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

/** A part of a unit as a file: sequence numbers [from, end), which are rows [fromRow, endRow) of a memtable. */
interface TailFile {
  readonly from: number
  readonly end: number
  readonly fromRow: number
  readonly endRow: number
  readonly rank: number
  /** Of its rows, if they are from a memtable. */
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
   * Makes the tail files of the view up to date. Gives the files of the tail, oldest first. `manifest`: that of the view.
   * Requires: the view's version is retained.
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
      const bytes = file.memory?.bytes ?? 0
      return [{ ...whole, ...(await this.#merge(version, [file], [], bytes, epoch, signal)) }]
    }
    const last = tailFiles.at(-1)
    // Beside a writer in another process: what was read last may have been a write that failed, and was written over.
    if (last !== undefined && checksumOf(memtable, last.fromRow, last.endRow) !== last.checksum)
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
    const bytes = slice.memtable.count * this.#options.layout.recordBytes * PACKED_SHARE
    const made = await this.#merge(own, [], [slice], bytes, epoch, signal)
    const checksum = checksumOf(memtable, fromRow, endRow)
    return [...tailFiles.slice(0, keptFiles), { from, end, fromRow, endRow, rank, checksum, ...made }]
  }

  /** Makes a file in memory. */
  async #merge(
    version: Version,
    files: readonly BucketFile[],
    memtables: readonly MemtableHandle[],
    bytes: number,
    epoch: number,
    signal: AbortSignal | undefined,
  ): Promise<Pick<TailFile, 'entry' | 'memory'>> {
    const { jobs, directory, layout, pageBytes, replace, tableId, filterBitsPerRecord } = this.#options
    const room = runMemory.take(bytes + PAGES_MIN * pageBytes, pageBytes)
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

function checksumOf({ lanes }: Memtable, from: number, to: number): number {
  let checksum = 0
  for (const lane of lanes) {
    const { buffer, byteOffset, byteLength } = lane.subarray(from, to)
    checksum = crc32(new Uint8Array(buffer, byteOffset, byteLength), checksum)
  }
  return checksum
}

function release(tailFile: TailFile): void {
  if (tailFile.memory !== undefined) runMemory.giveBack(tailFile.memory)
  tailFile.memory = undefined
}

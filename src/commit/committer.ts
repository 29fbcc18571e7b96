/**
 * The path of a put: it joins a commit group, becomes part of one log frame, then of the memtable, then resolves.
 *
 * All calls that wait at the same moment share one frame, one write and, if they ask for it, one sync. A call is never
 * split over two frames, so it is recovered whole or not at all. docs/internals.md, Commit groups.
 */
import { performance } from 'node:perf_hooks'
import { clearTimeout, setTimeout } from 'node:timers'
import { Mutex } from 'async-mutex'
import { newAbortController, runExclusive, unlessAborted } from '../async/abort.js'
import { newDeferred, type Deferred } from '../async/deferred.js'
import { keepAlive } from '../async/keep-alive.js'
import { nextTurn } from '../async/turns.js'
import { assert } from '../base/assert.js'
import { callError } from '../base/errors.js'
import type { TableEvent } from '../base/events.js'
import type { Latency } from '../base/latency.js'
import type { Poison } from '../base/poison.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import type { Memtable } from '../memtable/memtable.js'
import type { LaneColumn } from '../records/lane-columns.js'
import {
  OperationBuffer,
  PUT_IF_ABSENT,
  copyColumn,
  countPuts,
  type DeleteWhere,
  type WhereTerms,
} from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { TableState } from '../state/table-state.js'
import type { WalWriter } from '../wal/writer.js'
import { CallBuffers } from './call-buffers.js'
import { decideConditionalPuts, type Presence } from './conditional-puts.js'
import { PutPace } from './put-pace.js'

/** A group with this many bytes of raw records takes no more calls. */
const GROUP_BYTES = 2 ** 20
/** Calls with this many rows, or a quarter of a memtable, form their own group. Their rows are not copied into one. */
const OWN_GROUP_ROWS = 1024
/** With this many sealed memtables that wait to become runs, puts wait. */
const SEALED_MAX = 2
/** After this many groups that were committed without waiting, the event loop turns. */
const GROUPS_PER_TURN = 16
/** A group takes at most this many *delete where* entries (a frame counts them in 16 bits). */
const GROUP_DELETES_MAX = 65_535

const NO_DELETES: readonly DeleteWhere[] = []

/** A *delete where* that has no sequence number yet: it hides what comes before row `position` of its group. */
export interface PendingDelete extends WhereTerms {
  readonly position: number
}

/** Writes the rows of a call into the lanes, from row `row` on. */
export type Fill = (lanes: readonly LaneColumn[], row: number) => void

/** One call: all of it becomes visible and durable at once. */
export interface Call {
  readonly operations: OperationBuffer
  readonly deletes: readonly PendingDelete[]
}

/** The operations of a group are in a buffer or in the tail of the active memtable. */
interface Group {
  buffer: OperationBuffer
  /**
   * Rows of the group that are in the memory after the last row of the active memtable, its tail. They are puts, and count
   * once they are written. The buffer is empty then. Invariant: at most one group has some, the next one to be committed; see `seal`.
   */
  tailRows: number
  calls: number
  readonly deletes: PendingDelete[]
  /** Settled when the group is with the operating system; set if a call waits for that. */
  written: Deferred | undefined
  /** Settled when the group is on the device; set if a call asked for that. */
  synced: Deferred | undefined
  /** Takes no more calls. */
  full: boolean
  /**
   * Whether there are conditional puts in it: these are decided in its turn. Only calls with some join it, so that no other
   * call fails because a key cannot be looked up.
   */
  readonly conditional: boolean
  /** Once they are decided: 1 for each row, in the order of the calls, that was put. */
  decided: Uint8Array | undefined
  /** Runs in the turn of this group, which is empty then; later groups wait for it. Never rejects. */
  turn: (() => Promise<void>) | undefined
  /** When the calls began that wait until it is written, and those that wait for a sync. Only with `latency`. */
  beganMs: number[] | undefined
  syncsBeganMs: number[] | undefined
}

/** What the committer needs from the compactor. */
export interface Seals {
  /** Called after each seal: there is a memtable that becomes a run. */
  wake(): void
  /** Called after each *delete where*: it may hide whole files. */
  noteDelete(entry: DeleteWhere): void
  /** Resolves when a sealed memtable is a run. Rejects if none will be. */
  sealFinished(): Promise<void>
  /** How far flushes and merges are behind: from 0, they keep up, to 1. */
  readonly debt: number
}

export interface CommitterOptions {
  readonly state: TableState
  readonly wal: WalWriter
  readonly poison: Poison
  readonly layout: RecordLayout
  readonly memtableRecords: number
  readonly syncIntervalMs: number
  readonly presence: Presence
  readonly seals: Seals
  /** Resolves after that number of milliseconds, or when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  readonly publish: (event: TableEvent) => void
  /** Where it is noted how long calls and groups take. A call notes when it began. */
  readonly latency?: Latency | undefined
}

export class Committer {
  readonly #options: CommitterOptions
  readonly #groupRows: number
  readonly #ownGroupRows: number
  /** Held while a group is committed, and while a seal, `clear` or `compact` needs log and memtable to stand still. */
  readonly #committing = new Mutex()
  /** Segments that have ended, by number. */
  readonly #ended = new Map<number, SegmentInfo>()
  #queue: Group[] = []
  #draining: Promise<void> | undefined
  /** Whether the last group was a single call, probably of a caller that awaits each call and is alone. */
  #alone = false
  #groupsThisTurn = 0
  readonly #buffers: CallBuffers
  /** The buffer of groups without one. It stays empty. */
  readonly #noRows: OperationBuffer
  /** The group with rows in the tail of the active memtable. */
  #inTail: Group | undefined
  #syncTimer: NodeJS.Timeout | undefined
  /** A sync that nobody awaits; its failure is latched by the log. */
  #backgroundSync: Promise<void> = Promise.resolve()
  readonly #pace = new PutPace()
  /** Ends the waits for merges. */
  readonly #closing = newAbortController()
  /** Time that puts have waited for seals. */
  waitedMs = 0
  waits = 0
  /** Time that puts were delayed because merges were behind. */
  delayedMs = 0
  delays = 0

  constructor(options: CommitterOptions) {
    this.#options = options
    const rows = Math.floor(GROUP_BYTES / options.layout.recordBytes)
    this.#groupRows = Math.max(1, Math.min(options.memtableRecords, rows))
    this.#ownGroupRows = Math.min(OWN_GROUP_ROWS, Math.ceil(options.memtableRecords / 4))
    this.#buffers = new CallBuffers(options.layout, rows, options.state.options.memoryFreed)
    this.#noRows = new OperationBuffer(options.layout, 1)
  }

  /** Commits one operation. `record`: its lanes, which are copied. Hot. */
  commitRow(kind: number, record: Uint32Array, sync: boolean): Promise<void> {
    const group = this.#openGroup(1, 0)
    group.buffer.appendRecord(kind, record)
    return this.#joined(group, sync)
  }

  /** Commits a put if the key has no record when its turn comes. Resolves to whether it was put. */
  async commitIfAbsent(record: Uint32Array, sync: boolean): Promise<boolean> {
    const group = this.#openGroup(1, 0, true)
    const row = group.buffer.count
    group.buffer.appendRecord(PUT_IF_ABSENT, record)
    await this.#joined(group, sync)
    return group.decided![row] === 1
  }

  /** An empty buffer for a call. */
  takeBuffer(): OperationBuffer {
    return this.#buffers.take()
  }

  /** Commits a call of many operations. The buffer belongs to the committer from now on. */
  commit({ operations, deletes }: Call, sync: boolean): Promise<void> {
    const { count, kinds } = operations
    const isOwn = count >= this.#ownGroupRows
    const conditional = kinds !== undefined && kinds.subarray(0, count).includes(PUT_IF_ABSENT)
    assert(!conditional || deletes.length === 0, 'a call has conditional puts or *delete where* entries')
    const group = isOwn
      ? this.#ownGroup(operations, conditional)
      : this.#openGroup(count, deletes.length, conditional)
    const before = isOwn ? 0 : group.buffer.count
    for (const entry of deletes) group.deletes.push({ ...entry, position: before + entry.position })
    if (!isOwn) {
      group.buffer.append(operations, 0, operations.count)
      this.#buffers.giveBack(operations)
    }
    return this.#joined(group, sync)
  }

  /**
   * Commits a call of puts. `fill` runs before this returns, and runs no code of the caller: if no other call waits, it
   * writes many rows straight into the memtable.
   */
  commitPuts(rows: number, fill: Fill, sync: boolean): Promise<void> {
    if (rows < this.#ownGroupRows) {
      const group = this.#openGroup(rows, 0)
      fillBuffer(group.buffer, rows, fill)
      return this.#joined(group, sync)
    }
    const { memtable } = this.#options.state.active
    if (this.#draining === undefined && !this.#committing.isLocked() && hasRoomFor(memtable, rows)) {
      fill(memtable.lanes, memtable.count)
      const group = this.#ownGroup(this.#noRows)
      group.tailRows = rows
      this.#inTail = group
      return this.#joined(group, sync)
    }
    const buffer = this.takeBuffer()
    fillBuffer(buffer, rows, fill)
    return this.#joined(this.#ownGroup(buffer), sync)
  }

  /** The same for rows that are put if their keys have no record. Resolves to a 1 for each row that was put, else 0. */
  async commitPutsIfAbsent(rows: number, fill: Fill, sync: boolean): Promise<Uint8Array<ArrayBuffer>> {
    const isOwn = rows >= this.#ownGroupRows
    const group = isOwn ? this.#ownGroup(this.takeBuffer(), true) : this.#openGroup(rows, 0, true)
    const from = group.buffer.count
    fillBuffer(group.buffer, rows, fill)
    group.buffer.ensureKinds().fill(PUT_IF_ABSENT, from, from + rows)
    await this.#joined(group, sync)
    return Uint8Array.from(group.decided!.subarray(from, from + rows))
  }

  /** Resolves when all calls that came before have been committed or refused; with `sync`, synced too. */
  async barrier(sync: boolean): Promise<void> {
    if (this.#draining !== undefined) {
      // A separate, empty group: it is settled in its turn, however many calls come later.
      const group = this.#ownGroup(this.#noRows)
      group.written = newDeferred()
      await group.written.promise
    }
    if (sync) await this.#options.wal.sync()
  }

  /**
   * Gives `action` a turn among the calls. When `stopped` runs its argument, all earlier calls have been committed or
   * refused. Later calls wait until the action has settled.
   */
  async inTurn<T>(action: (stopped: (work: () => Promise<void>) => Promise<void>) => Promise<T>): Promise<T> {
    const come = newDeferred()
    const over = newDeferred()
    const group = this.#ownGroup(this.#noRows)
    group.turn = () => {
      come.resolve()
      return over.promise
    }
    this.#draining ??= this.#drain()
    try {
      return await action(async work => {
        await come.promise
        await this.#committing.runExclusive(work)
      })
    } finally {
      over.resolve()
    }
  }

  /** Runs `action` while no group is being committed, after all calls that came before. A signal ends the wait. */
  async exclusive<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await unlessAborted(this.barrier(false), signal)
    return runExclusive(this.#committing, signal, action)
  }

  /**
   * Seals the active memtable unless it is empty and has room for `rows` rows. If too many are sealed already, it waits
   * first, until the signal aborts. If it rejects, nothing has changed. Requires: called within `exclusive`, or while a
   * group is being committed.
   */
  async seal(signal?: AbortSignal, rows = 0): Promise<void> {
    const { state, wal } = this.#options
    const { memtable } = state.active
    const isEmpty = memtable.endSequence === memtable.firstSequence
    if (isEmpty && rows <= memtable.capacity) return
    if (isEmpty) {
      this.#clearTail()
      state.reserveMemory(rows)
      state.replaceActive(rows)
      return
    }
    await this.#waitForSeals(signal)
    // First, because there may be no memory.
    this.#clearTail()
    state.reserveMemory(rows)
    const ended = wal.rotate()
    if (ended !== undefined) this.#ended.set(ended.number, ended)
    const needed = new Set(state.version.segments)
    for (const number of this.#ended.keys()) if (!needed.has(number)) this.#ended.delete(number)
    for (const number of state.active.segments) state.active.logBytes += this.#ended.get(number)?.bytes ?? 0
    state.seal(rows)
  }

  /** The segments of this session that hold what is in no bucket file yet, oldest first. */
  liveSegments(): SegmentInfo[] {
    const { state, wal } = this.#options
    const numbers = [...new Set(state.version.segments)]
    return numbers.flatMap(number => {
      const segment = wal.activeSegment?.number === number ? wal.activeSegment : this.#ended.get(number)
      // A segment holds nothing if the disk had no room for its first frame.
      return segment === undefined || segment.bytes === 0 ? [] : [segment]
    })
  }

  /** Commits what is queued. After that nothing runs any more. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.barrier(false)
    clearTimeout(this.#syncTimer)
    this.#buffers.close()
    await this.#backgroundSync
  }

  #openGroup(rows: number, deletes: number, conditional = false): Group {
    const last = this.#queue.at(-1)
    if (
      last !== undefined &&
      !last.full &&
      last.conditional === conditional &&
      last.buffer.count + rows <= this.#groupRows &&
      last.deletes.length + deletes <= GROUP_DELETES_MAX
    ) {
      return last
    }
    const group = newGroup(this.takeBuffer(), conditional)
    this.#queue.push(group)
    return group
  }

  /** A group that no other call joins. */
  #ownGroup(buffer: OperationBuffer, conditional = false): Group {
    const group = newGroup(buffer, conditional)
    group.full = true
    this.#queue.push(group)
    return group
  }

  /** Moves the rows in the tail of the active memtable, which is about to be replaced, into a buffer. */
  #clearTail(): void {
    const group = this.#inTail
    if (group === undefined) return
    const { memtable } = this.#options.state.active
    const buffer = this.takeBuffer()
    const { count } = memtable
    fillBuffer(buffer, group.tailRows, lanes => {
      for (const [lane, column] of memtable.lanes.entries())
        copyColumn(column, count, count + group.tailRows, lanes[lane]!, 0)
    })
    group.buffer = buffer
    group.tailRows = 0
    this.#inTail = undefined
  }

  #joined(group: Group, sync: boolean): Promise<void> {
    group.calls++
    this.#draining ??= this.#drain()
    const { latency } = this.#options
    if (latency !== undefined) noteBegan(group, sync, latency.calledMs)
    if (!sync) {
      group.written ??= newDeferred()
      return group.written.promise
    }
    group.synced ??= newDeferred()
    return group.synced.promise
  }

  /** Commits groups until none waits. Never rejects: the promises of each group do. */
  async #drain(): Promise<void> {
    const { latency } = this.#options
    // Lets others join: all calls made at this moment or, if the last group had several, in this turn of the event
    // loop.
    let comesAtOnce = this.#alone && this.#groupsThisTurn < GROUPS_PER_TURN
    if (comesAtOnce) await Promise.resolve()
    else await this.#nextTurn()
    for (;;) {
      const group = this.#queue.shift()
      if (group === undefined) break
      const atOnce = comesAtOnce
      comesAtOnce = false
      group.full = true
      // A barrier, or a turn of `inTurn`.
      if (rowsOf(group) + group.deletes.length === 0) {
        group.written?.resolve()
        if (group.turn !== undefined) await group.turn()
        continue
      }
      this.#alone = group.calls === 1
      // It begins with the call of a caller who awaits each: one look at the clock less, some percent of a put.
      const withCall = atOnce && this.#alone && !group.conditional && this.#options.seals.debt <= 0
      if (++this.#groupsThisTurn > GROUPS_PER_TURN) await this.#nextTurn()
      try {
        if (group.conditional) {
          const decided = this.#decide(group)
          group.decided = ArrayBuffer.isView(decided) ? decided : await decided
        }
        if (this.#options.seals.debt > 0) await this.#letMergesCatchUp(group)
        const startMs = latency === undefined ? 0 : withCall ? latency.calledMs : latency.now()
        // Nothing may be left of conditional puts.
        if (rowsOf(group) + group.deletes.length > 0 && !this.#commitAtOnce(group))
          await this.#committing.runExclusive(() => this.#commitGroup(group))
        if (latency !== undefined) noteWritten(group, startMs, latency)
        group.written?.resolve()
      } catch (error) {
        // Nothing counts, so that the next call writes over what is in the tail.
        if (this.#inTail === group) this.#inTail = undefined
        const failure = callError(error, 'the write failed')
        group.written?.reject(failure)
        group.synced?.reject(failure)
        continue
      }
      this.#scheduleSync(group)
      if (group.buffer !== this.#noRows) this.#buffers.giveBack(group.buffer)
    }
    this.#draining = undefined
  }

  #decide({ buffer }: Group): Uint8Array | Promise<Uint8Array> {
    const { layout, presence, poison, state } = this.#options
    poison.check()
    const replace = state.manifest.duplicates === 'replace'
    return decideConditionalPuts(buffer, { layout, replace, presence })
  }

  async #letMergesCatchUp(group: Group): Promise<void> {
    const { seals, layout, wait, publish } = this.#options
    const startMs = performance.now()
    const delayMs = this.#pace.delayOf(rowsOf(group) * layout.recordBytes, seals.debt, startMs)
    if (delayMs === 0 || this.#closing.signal.aborted) return
    await keepAlive(wait(delayMs, this.#closing.signal))
    const durationMs = performance.now() - startMs
    this.delays++
    this.delayedMs += durationMs
    publish({ kind: 'wait', reason: 'merge', again: false, durationMs })
  }

  async #nextTurn(): Promise<void> {
    await nextTurn()
    this.#groupsThisTurn = 0
  }

  /** Commits a group without waiting. Returns false if something must be waited for. */
  #commitAtOnce(group: Group): boolean {
    const { wal, poison } = this.#options
    if (this.#committing.isLocked() || !this.#hasRoom(group)) return false
    const hasKinds = group.buffer.kinds !== undefined
    if (!wal.appendsAtOnce(rowsOf(group), hasKinds, group.deletes.length)) return false
    poison.check()
    const deletes = this.#numberDeletes(group, wal.nextSequence)
    this.#reserve(group.buffer)
    const appended = this.#append(group, deletes)
    assert(appended === undefined, 'an append at once leaves nothing to wait for')
    this.#noteSegment()
    this.#insert(group, deletes)
    return true
  }

  #hasRoom(group: Group): boolean {
    const { state, wal } = this.#options
    const rows = rowsOf(group)
    return (
      rows <= state.active.memtable.room &&
      wal.hasRoom(rows, group.buffer.kinds !== undefined, group.deletes.length)
    )
  }

  #append({ buffer, tailRows }: Group, deletes: readonly DeleteWhere[]): void | Promise<void> {
    const { wal, state } = this.#options
    const { memtable } = state.active
    if (tailRows > 0) return wal.append(memtable, memtable.count, memtable.count + tailRows, deletes)
    return wal.append(buffer, 0, buffer.count, deletes)
  }

  async #commitGroup(group: Group): Promise<void> {
    const { wal, poison, seals } = this.#options
    poison.check()
    if (!this.#hasRoom(group)) {
      await this.seal(undefined, rowsOf(group))
      seals.wake()
    }
    const deletes = this.#numberDeletes(group, wal.nextSequence)
    this.#reserve(group.buffer)
    const appended = this.#append(group, deletes)
    // Crash: from now on a manifest must not say that the log begins after this segment.
    this.#noteSegment()
    if (appended !== undefined) {
      await appended
      // If a spare could not be renamed, the segment got another number.
      this.#noteSegment()
    }
    this.#insert(group, deletes)
  }

  async #waitForSeals(signal: AbortSignal | undefined): Promise<void> {
    const { state, seals, publish } = this.#options
    if (state.version.sealed.length < SEALED_MAX) return
    const startMs = performance.now()
    this.waits++
    while (state.version.sealed.length >= SEALED_MAX) {
      await keepAlive(unlessAborted(seals.sealFinished(), signal))
    }
    const durationMs = performance.now() - startMs
    this.waitedMs += durationMs
    publish({ kind: 'wait', reason: 'seal', again: false, durationMs })
  }

  /** Gives the group's *delete where* entries their sequence numbers; operations take the numbers between them. */
  #numberDeletes(group: Group, firstSequence: number): readonly DeleteWhere[] {
    if (group.deletes.length === 0) return NO_DELETES
    return group.deletes.map(({ position, ...terms }, i) => ({
      sequence: firstSequence + position + i,
      ...terms,
    }))
  }

  /** Allocates the memory that the memtable needs for these operations, before anything is written. */
  #reserve({ kinds, count }: OperationBuffer): void {
    const { memtable } = this.#options.state.active
    memtable.reserveRows(count)
    if (kinds !== undefined) memtable.reserveKinds()
  }

  /** Makes the group, which is in the log, visible. */
  #insert(group: Group, deletes: readonly DeleteWhere[]): void {
    try {
      this.#insertRows(group, deletes)
    } catch (error) {
      // The log is ahead of the memtable now: only recovery puts that right (acoustid-index PR #158).
      throw this.#options.poison.latch(error)
    }
  }

  #insertRows(group: Group, deletes: readonly DeleteWhere[]): void {
    const { state } = this.#options
    const { memtable } = state.active
    const { buffer: operations, tailRows } = group
    if (tailRows > 0) {
      memtable.appendTail(tailRows)
      this.#inTail = undefined
    }
    let from = 0
    for (let i = 0; i < deletes.length; i++) {
      const { position } = group.deletes[i]!
      if (position > from) memtable.append(operations, from, position)
      memtable.appendDeleteWhere(deletes[i]!)
      state.addDelete(deletes[i]!)
      this.#options.seals.noteDelete(deletes[i]!)
      from = position
    }
    if (operations.count > from) memtable.append(operations, from, operations.count)
    state.counters.countPuts(tailRows + countPuts(operations))
    if (memtable.count >= state.nextTold) state.tellBuffered()
  }

  #noteSegment(): void {
    const { state, wal } = this.#options
    const { segments } = state.active
    const number = wal.activeSegment?.number
    if (number !== undefined && segments.at(-1) !== number) segments.push(number)
  }

  #scheduleSync(group: Group): void {
    const { wal, syncIntervalMs, latency } = this.#options
    if (group.synced !== undefined) {
      const synced = wal.sync()
      if (latency !== undefined) synced.then(() => notePuts(group.syncsBeganMs, latency), ignore)
      synced.then(group.synced.resolve, group.synced.reject)
      return
    }
    if (syncIntervalMs === 0) this.#syncInBackground()
    else if (syncIntervalMs !== Infinity && this.#syncTimer === undefined) {
      this.#syncTimer = setTimeout(() => {
        this.#syncTimer = undefined
        if (wal.syncedSequence < wal.nextSequence) this.#syncInBackground()
      }, syncIntervalMs)
      // The data are with the operating system: the process may end.
      this.#syncTimer.unref()
    }
  }

  #syncInBackground(): void {
    const sync = this.#options.wal.sync().catch(() => {})
    this.#backgroundSync = Promise.all([this.#backgroundSync, sync]).then(() => {})
  }
}

function noteBegan(group: Group, sync: boolean, calledMs: number): void {
  if (sync) (group.syncsBeganMs ??= []).push(calledMs)
  else (group.beganMs ??= []).push(calledMs)
}

function noteWritten(group: Group, startMs: number, latency: Latency): void {
  const nowMs = latency.now()
  // Nothing of conditional puts may have been put.
  if (rowsOf(group) + group.deletes.length > 0) latency.commits.add(nowMs - startMs)
  notePuts(group.beganMs, latency, nowMs)
}

function notePuts(beganMs: readonly number[] = [], { puts, now }: Latency, nowMs: number = now()): void {
  for (const began of beganMs) puts.add(nowMs - began)
}

function ignore(): void {}

/** Operations of the group, without *delete where* entries. */
function rowsOf({ buffer, tailRows }: Group): number {
  return buffer.count + tailRows
}

/** Whether the memtable has room for the rows, and the memory for them; it is allocated if need be. */
function hasRoomFor(memtable: Memtable, rows: number): boolean {
  if (rows > memtable.room) return false
  try {
    memtable.reserveRows(rows)
    return true
  } catch {
    // The call fails in its turn if there is no memory then.
    return false
  }
}

/** Appends puts. */
function fillBuffer(buffer: OperationBuffer, rows: number, fill: Fill): void {
  buffer.reserve(rows)
  fill(buffer.lanes, buffer.count)
  buffer.addPuts(rows)
}

function newGroup(buffer: OperationBuffer, conditional: boolean): Group {
  return {
    buffer,
    tailRows: 0,
    calls: 0,
    deletes: [],
    written: undefined,
    synced: undefined,
    full: false,
    conditional,
    decided: undefined,
    turn: undefined,
    beganMs: undefined,
    syncsBeganMs: undefined,
  }
}

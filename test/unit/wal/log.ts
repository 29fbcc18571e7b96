/** The vocabulary of the log's tests: a log on a simulated disk whose rows say which they are. */
import type { FlashTableError } from '../../../src/base/errors.js'
import { Poison } from '../../../src/base/poison.js'
import { walName } from '../../../src/io/file-names.js'
import type { SegmentInfo } from '../../../src/manifest/segment-info.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import type { DeleteWhere } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { checkLog } from '../../../src/wal/check.js'
import type { CheckedLog, LogCheckOptions } from '../../../src/wal/check.js'
import { replayLog } from '../../../src/wal/replay.js'
import type { ReplayResult } from '../../../src/wal/replay.js'
import { WalWriter } from '../../../src/wal/writer.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import type { SimulationOptions } from '../../support/simulated-file-system.js'

export const DIRECTORY = '/t'
export const PAGE = 4096
export const TABLE_ID = Uint8Array.from({ length: 16 }, (_, i) => i * 17)
/** u64 key; u16, u16, i32. */
export const layout = recordLayout([4, 4], [2, 2, 4])

/** A row that contains its sequence number and the tag of its group. Its values hardly compress. */
function fillRow(operations: OperationBuffer, row: number, sequence: number, tag: number): void {
  const lanes = operations.lanes
  lanes[0]![row] = mix(sequence, tag)
  lanes[1]![row] = sequence
  lanes[2]![row] = tag
  lanes[3]![row] = 0
  lanes[4]![row] = mix(tag, sequence)
}

function mix(a: number, b: number): number {
  const mixed = Math.imul(a ^ Math.imul(b + 1, 0x9e3779b1), 0x85ebca6b)
  return (mixed ^ (mixed >>> 15)) >>> 0
}

export function rowsOf(firstSequence: number, count: number, tag: number): OperationBuffer {
  const operations = new OperationBuffer(layout, count)
  operations.count = count
  for (let row = 0; row < count; row++) fillRow(operations, row, firstSequence + row, tag)
  return operations
}

export function pathOf(number: number): string {
  return `${DIRECTORY}/${walName(number)}`
}

export interface LogOptions {
  readonly epoch?: number
  readonly nextNumber?: number
  readonly nextSequence?: number
  readonly segmentBytes?: number
  readonly spares?: readonly number[]
  readonly tableId?: Uint8Array
}

/** A log writer, and what was appended to it. */
export class Log {
  readonly disk: SimulatedFileSystem
  readonly poison = new Poison()
  /** Tests replace it. */
  checkHome = (): Promise<void> => Promise.resolve()
  readonly writer: WalWriter
  nextNumber: number
  /** The tag of the group that put each row, by sequence number. */
  readonly tags: number[] = []
  #nextTag = 1

  constructor(disk: SimulatedFileSystem, options: LogOptions = {}) {
    this.disk = disk
    this.nextNumber = options.nextNumber ?? 1
    this.writer = new WalWriter({
      fileSystem: disk,
      directory: DIRECTORY,
      tableId: options.tableId ?? TABLE_ID,
      layout,
      pageBytes: PAGE,
      epoch: options.epoch ?? 1,
      segmentBytes: options.segmentBytes ?? 1024 * 1024,
      takeFileNumber: () => this.nextNumber++,
      nextSequence: options.nextSequence ?? 0,
      spares: options.spares ?? [],
      sparesMax: 2,
      poison: this.poison,
      checkHome: () => this.checkHome(),
    })
  }

  /** Appends one group of `count` rows; returns its tag. */
  async append(count = 1): Promise<number> {
    const { nextSequence } = this.writer
    const tag = this.#nextTag++
    await this.writer.append(rowsOf(nextSequence, count, tag), 0, count, [])
    for (let row = 0; row < count; row++) this.tags[nextSequence + row] = tag
    return tag
  }

  async sync(): Promise<void> {
    await this.writer.sync()
  }

  /** Calls so far of one kind, on files of the log: `write 000001.wal 4096 at 0`. */
  calls(...ops: string[]): string[] {
    return this.disk.log
      .filter(call => ops.includes(call.op))
      .map(({ op, path, target, bytes, position }) => {
        const name = path.slice(DIRECTORY.length + 1)
        if (target !== undefined) return `${op} ${name} ${target.slice(DIRECTORY.length + 1)}`
        return bytes === undefined ? `${op} ${name}`.trim() : `${op} ${name} ${bytes} at ${position}`
      })
  }
}

/** A disk with the table's directory. No call has been made on it. */
export async function newDisk(options: SimulationOptions = {}): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem()
  await disk.makeDirectory(DIRECTORY)
  await disk.syncDirectory('/')
  return disk.clone(options)
}

export async function newLog(options: LogOptions = {}): Promise<Log> {
  return new Log(await newDisk(), options)
}

export interface Replayed extends ReplayResult {
  /** The tag of each row, by sequence number. */
  readonly tags: readonly number[]
  readonly deletes: readonly DeleteWhere[]
  /** The batches that were handed out. */
  readonly batches: readonly { readonly rows: number; readonly frames: number }[]
}

export interface ReplayChoice {
  readonly closed?: readonly SegmentInfo[]
  readonly epoch?: number
  readonly firstSegment?: number
  readonly firstSequence?: number
  readonly clean?: boolean
  readonly tableId?: Uint8Array
}

/** Replays the log on the disk, and checks that every row is the one that was put with its sequence number. */
export async function replay(disk: SimulatedFileSystem, choice: ReplayChoice = {}): Promise<Replayed> {
  const tags: number[] = []
  const deletes: DeleteWhere[] = []
  const batches: { rows: number; frames: number }[] = []
  const closedNumbers = (choice.closed ?? []).map(segment => segment.number)
  let end = choice.firstSequence ?? 0
  const result = await replayLog({
    fileSystem: disk,
    directory: DIRECTORY,
    tableId: choice.tableId ?? TABLE_ID,
    layout,
    pageBytes: PAGE,
    closed: choice.closed ?? [],
    epoch: choice.epoch ?? 1,
    openSegments: segmentNumbers(disk).filter(
      number => number >= (choice.firstSegment ?? 1) && !closedNumbers.includes(number),
    ),
    firstSequence: choice.firstSequence ?? 0,
    clean: choice.clean ?? false,
    onBatch({ operations, deletes: entries, firstSequence, endSequence, frames }) {
      if (firstSequence !== end) throw new Error(`a batch begins with ${firstSequence} instead of ${end}`)
      if (endSequence !== firstSequence + operations.count + entries.length) {
        throw new Error(`${operations.count} rows from ${firstSequence} to ${endSequence}`)
      }
      end = endSequence
      batches.push({ rows: operations.count, frames })
      const taken = new Set(entries.map(entry => entry.sequence))
      deletes.push(...entries)
      let sequence = firstSequence
      for (let row = 0; row < operations.count; row++) {
        while (taken.has(sequence)) sequence++
        tags[sequence] = checkRow(operations.lanes, row, sequence)
        sequence++
      }
    },
  })
  if (result.endSequence !== end) throw new Error(`the end is ${result.endSequence}, handed out up to ${end}`)
  return { ...result, tags, deletes, batches }
}

function checkRow(lanes: readonly Uint32Array[], row: number, sequence: number): number {
  const values = lanes.map(lane => lane[row]!)
  const tag = values[2]!
  const expected = [mix(sequence, tag), sequence, tag, 0, mix(tag, sequence)]
  if (values.join() !== expected.join()) throw new Error(`row ${sequence}: ${values} instead of ${expected}`)
  return tag
}

/** Numbers of the segments in the directory, ascending. */
export function segmentNumbers(disk: SimulatedFileSystem): number[] {
  return disk
    .files()
    .filter(path => path.endsWith('.wal'))
    .map(path => Number(path.slice(DIRECTORY.length + 1, -'.wal'.length)))
    .sort((a, b) => a - b)
}

export async function failureOf(action: () => unknown): Promise<FlashTableError> {
  try {
    await action()
  } catch (error) {
    return error as FlashTableError
  }
  throw new Error('it succeeded')
}

/** A frame of one row: header and raw record. */
export const ONE = 16 + 16
/** Frames of one row in a page. */
export const ONES_PER_PAGE = Math.floor(PAGE / ONE)

/** Holds back the disk's calls of one kind. `waiting` has a function for each that releases it; `open` releases all. */
export function gate(disk: SimulatedFileSystem, op: string): { waiting: (() => void)[]; open: () => void } {
  const waiting: (() => void)[] = []
  disk.onCall = call => (call.op === op ? new Promise(resolve => void waiting.push(resolve)) : undefined)
  return {
    waiting,
    open: () => {
      disk.onCall = undefined
      for (const resolve of waiting.splice(0)) resolve()
    },
  }
}

/** Paths of the segments with an open handle. */
export function openSegments(log: Log): string[] {
  return log.disk.openPaths.filter(path => path !== DIRECTORY)
}

/** The calls that closed a segment, without those that closed the directory. */
export function closedSegments(log: Log): string[] {
  return log.calls('close').filter(call => call !== 'close')
}

/** Runs everything that waits for nothing but a turn of the event loop. */
export async function settle(): Promise<void> {
  await new Promise(resolve => void setImmediate(resolve))
}

export const FIRST = pathOf(1)

/** Appends groups with these numbers of rows; returns where each frame ends. */
export async function appendAll(log: Log, ...counts: number[]): Promise<number[]> {
  const ends: number[] = []
  for (const count of counts) {
    await log.append(count)
    ends.push(log.writer.activeSegment!.bytes)
  }
  return ends
}

/** A log as a clean end leaves it: the end of its segment is known. */
export async function closedLog(
  ...counts: number[]
): Promise<{ log: Log; closed: SegmentInfo; ends: number[] }> {
  const log = await newLog()
  const ends = await appendAll(log, ...counts)
  await log.sync()
  const closed = log.writer.activeSegment!
  await log.writer.close()
  return { log, closed, ends }
}

/** Changes the bytes of a file. */
export function edit(
  disk: SimulatedFileSystem,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array | void,
): void {
  const bytes = disk.readFile(path)
  disk.writeFile(path, change(bytes) ?? bytes)
}

/** What verify says of the log. */
export function check(log: Log, options: Partial<LogCheckOptions> = {}): Promise<CheckedLog> {
  return checkLog({
    fileSystem: log.disk,
    directory: DIRECTORY,
    tableId: TABLE_ID,
    layout,
    pageBytes: PAGE,
    closed: [],
    epoch: 1,
    openSegments: segmentNumbers(log.disk),
    firstSequence: 0,
    nextSequence: 0,
    clean: false,
    defectOf: () => undefined,
    ...options,
  })
}

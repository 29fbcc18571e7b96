/** The vocabulary of the tests of the log: a log on a simulated disk whose rows say which they are. */
import type { FlashTableError } from '../../../src/base/errors.js'
import { Poison } from '../../../src/base/poison.js'
import { walName } from '../../../src/io/file-names.js'
import type { SegmentInfo } from '../../../src/manifest/segment-info.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import type { DeleteWhere } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
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

/** A row that names its sequence number and the group that put it, and hardly packs. */
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

/** A writer, and what was done with it. */
export class Log {
  readonly disk: SimulatedFileSystem
  readonly poison = new Poison()
  /** Tests put their own here. */
  checkHome = (): Promise<void> => Promise.resolve()
  readonly writer: WalWriter
  nextNumber: number
  /** The group that a sequence number was put by: the index is the sequence number. */
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
      poison: this.poison,
      checkHome: () => this.checkHome(),
    })
  }

  /** Appends one group of so many rows; returns its tag. */
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

/** A disk with the table's directory; no call has been made on it. */
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
  /** Rows of each stretch that was handed out. */
  readonly stretches: readonly number[]
}

export interface ReplayChoice {
  readonly closed?: readonly SegmentInfo[]
  readonly epoch?: number
  readonly firstSegment?: number
  readonly firstSequence?: number
  readonly clean?: boolean
  readonly tableId?: Uint8Array
}

/** Replays what is on the disk, and checks that every row is what was put with its sequence number. */
export async function replay(disk: SimulatedFileSystem, choice: ReplayChoice = {}): Promise<Replayed> {
  const tags: number[] = []
  const deletes: DeleteWhere[] = []
  const stretches: number[] = []
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
    onBatch({ operations, deletes: entries, firstSequence, endSequence }) {
      if (firstSequence !== end) throw new Error(`a stretch begins with ${firstSequence} in place of ${end}`)
      if (endSequence !== firstSequence + operations.count + entries.length) {
        throw new Error(`${operations.count} rows from ${firstSequence} to ${endSequence}`)
      }
      end = endSequence
      stretches.push(operations.count)
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
  return { ...result, tags, deletes, stretches }
}

function checkRow(lanes: readonly Uint32Array[], row: number, sequence: number): number {
  const values = lanes.map(lane => lane[row]!)
  const tag = values[2]!
  const expected = [mix(sequence, tag), sequence, tag, 0, mix(tag, sequence)]
  if (values.join() !== expected.join()) throw new Error(`row ${sequence}: ${values} in place of ${expected}`)
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

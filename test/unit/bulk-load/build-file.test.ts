/** The two steps of a bulk load: memtables become spills, spills become the file that a compaction of them makes. */
import { describe, expect, test } from 'vitest'
import { BucketInput } from '../../../src/bucket-file/input.js'
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { buildInRanges } from '../../../src/bulk-load/build-file.js'
import { inlineExecutor } from '../../../src/executor/inline-executor.js'
import type {
  BuildResult,
  CompactionControl,
  CompactionResult,
  Executor,
  SpillJob,
} from '../../../src/jobs/job.js'
import { Memtable, type MemtableImage } from '../../../src/memtable/memtable.js'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { PUT } from '../../../src/records/operations.js'
import { pieceRows, piecesIn, type FileSpill, type Spill } from '../../../src/spill/spill.js'
import { DIRECTORY, TABLE_ID } from '../../support/bucket-files.js'
import { Random } from '../../support/random.js'
import { columnsOf, rowsOf, wideLayout, type Row } from '../../support/rows.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const layout = wideLayout(1, 2)
const PAGE_BYTES = 4096
const RANGE_ROWS = 1000
const OUTPUT = { number: 9, epoch: 1, level: 0, filterBitsPerRecord: 10 }
const TABLE = { directory: DIRECTORY, tableId: TABLE_ID, layout, pageBytes: PAGE_BYTES }

/** Three memtables of puts with this many different keys. */
function memtablesWith(keys: number, rowsEach = 7000): Memtable[] {
  const random = new Random(3)
  return [0, 1, 2].map(i => {
    const rows = Array.from({ length: rowsEach }, (): Row => ({
      key: BigInt(random.next() % keys),
      values: [random.next(), random.next()],
      kind: PUT,
    }))
    const memtable = new Memtable(layout, rowsEach, 1 + i * rowsEach)
    memtable.append(columnsOf(layout, rows), 0, rowsEach)
    return memtable
  })
}

async function freshDisk(): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem()
  await disk.makeDirectory(DIRECTORY)
  return disk
}

function outputOf(memtables: readonly Memtable[]) {
  return { ...OUTPUT, firstSequence: 1, endSequence: memtables.at(-1)!.endSequence }
}

/** An empty memtable with room for as many rows. */
function scratchFor({ layout, count }: Memtable): MemtableImage {
  const scratch = new Memtable(layout, count, 0)
  scratch.reserveRows(count)
  return scratch.image()
}

/** Sets the memtables aside; the first `inMemory` of them in memory. */
async function spill(
  disk: SimulatedFileSystem,
  memtables: readonly Memtable[],
  inMemory = 0,
): Promise<Spill[]> {
  const executor = inlineExecutor(disk)
  const spills: Spill[] = []
  for (const [i, memtable] of memtables.entries()) {
    const scratch = scratchFor(memtable)
    const numbers = [10, 11, 12, 13].map(number => 10 * i + number)
    const target: SpillJob['target'] =
      i < inMemory ? { kind: 'memory', shares: 4 } : { kind: 'files', numbers, epoch: 1 }
    spills.push(...(await executor.spill({ ...TABLE, memtable: memtable.image(), scratch, target }, {})))
  }
  return spills
}

function filesOf(spills: readonly Spill[]): FileSpill[] {
  return spills.filter(spill => spill.kind === 'file')
}

function build(
  disk: SimulatedFileSystem,
  spills: Spill[],
  memtables: readonly Memtable[],
  replace = false,
  control: CompactionControl = {},
  executor: Executor = { ...inlineExecutor(disk), threads: 3 },
): Promise<BuildResult> {
  const job = { ...TABLE, replace, spills, output: outputOf(memtables) }
  return buildInRanges(disk, executor, job, control, { rangeRows: RANGE_ROWS })
}

/** What a compaction of the memtables makes, on a disk of its own. */
async function compacted(memtables: readonly Memtable[], replace: boolean) {
  const disk = await freshDisk()
  const nothing = { files: [], deletes: [], ownDeletes: [], includesOldest: true }
  const images = memtables.map(memtable => memtable.image())
  const job = { ...TABLE, ...nothing, replace, memtables: images, output: outputOf(memtables) }
  return { disk, result: await inlineExecutor(disk).run(job, {}) }
}

/** The footer of the file, and its rows. */
async function contentOf(disk: SimulatedFileSystem, { entry }: Pick<CompactionResult, 'entry'>) {
  const file = await BucketFile.open({ ...TABLE, fileSystem: disk }, entry!)
  const hiding = { deletes: new DeleteWhereIndex(layout, []), before: Infinity, replace: false }
  const input = new BucketInput(file, { layout, pageBytes: PAGE_BYTES, range: {}, reverse: false, hiding })
  const rows: Row[] = []
  for (;;) {
    const into = columnsOf(layout, [])
    if (!(await input.next(into))) break
    rows.push(...rowsOf(layout, into))
  }
  await input.close()
  await file.close()
  return { footer: file.footer, rows }
}

/** An executor of two threads that counts the ranges it builds, and fails at one of them. */
function counting(disk: SimulatedFileSystem, failing = Infinity) {
  const inline = inlineExecutor(disk)
  let begun = 0
  let running = 0
  let most = 0
  const executor: Executor = {
    ...inline,
    threads: 2,
    async build(job, control) {
      if (++begun === failing) throw new Error('broken')
      most = Math.max(most, ++running)
      return inline.build(job, control).finally(() => running--)
    },
  }
  return { executor, begun: () => begun, running: () => running, most: () => most }
}

function sameRow(a: Row, b: Row): boolean {
  return a.key === b.key && a.values.every((value, lane) => value === b.values[lane])
}

/** Three memtables in which one key has most of the records; others lie before and behind it, among them the greatest. */
function memtablesWithHot(hot: number): Memtable[] {
  const random = new Random(5)
  return [0, 1, 2].map(i => {
    const rows = Array.from({ length: 42_000 }, (_, row): Row => ({
      key: BigInt(random.chance(0.85) ? hot : random.pick([random.next(), 2 ** 32 - 1, hot ^ 1])),
      values: [i, row],
      kind: PUT,
    }))
    const memtable = new Memtable(layout, rows.length, 1 + i * rows.length)
    memtable.append(columnsOf(layout, rows), 0, rows.length)
    return memtable
  })
}

describe('a key with very many records in a file built in ranges', () => {
  test.each([
    ['in files', 2 ** 31, false, 0],
    ['in memory', 2 ** 31, false, 3],
    ['in both, the greatest of all', 2 ** 32 - 1, false, 2],
    ['in both, the least of all', 0, false, 1],
    ['in both, replaced', 2 ** 31, true, 2],
    ['in files, the greatest, replaced', 2 ** 32 - 1, true, 0],
  ])('is as a compaction makes it, and no job has much of it: %s', async (_, hot, replace, inMemory) => {
    const memtables = memtablesWithHot(hot)
    const disk = await freshDisk()
    const inline = inlineExecutor(disk)
    const jobRows: number[] = []
    const executor: Executor = {
      ...inline,
      threads: 2,
      build: (job, control) => {
        jobRows.push(job.spills.reduce((sum, spill) => sum + pieceRows(spill, piecesIn(spill, job.range)), 0))
        return inline.build(job, control)
      },
    }
    const spills = await spill(disk, memtables, inMemory)
    const result = await build(disk, spills, memtables, replace, {}, executor)
    const expected = await compacted(memtables, replace)
    const [found, wanted] = [await contentOf(disk, result), await contentOf(expected.disk, expected.result)]
    expect(found.rows).toEqual(wanted.rows)
    const { dataPages, filterPages } = found.footer
    expect(found.footer).toEqual({ ...wanted.footer, dataPages, filterPages })
    // Of 126,000 in all; a piece has up to 1,024, and of each spill two may be cut.
    expect(Math.max(...jobRows)).toBeLessThan(12_000)
    expect(spills).toEqual([])
    expect(disk.files().filter(file => file.endsWith('.spill'))).toEqual([])
  })
})

describe('a file built in ranges', () => {
  test.each([
    ['random keys', 2 ** 32, false, 0],
    ['random keys, of which some waited in memory', 2 ** 32, false, 2],
    ['random keys, which all waited in memory', 2 ** 32, false, 3],
    ['random keys, replaced', 2 ** 32, true, 1],
    ['keys that fill pages', 20, false, 0],
    ['keys of which most records are replaced', 20, true, 1],
    ['one key', 1, false, 1],
    ['one key, replaced', 1, true, 0],
  ])(
    'is what a compaction makes, with the same counts and bounds: %s',
    async (_, keys, replace, inMemory) => {
      const memtables = memtablesWith(keys)
      const disk = await freshDisk()
      const result = await build(disk, await spill(disk, memtables, inMemory), memtables, replace)
      expect(result.bytesWritten).toBe(result.entry!.pages * PAGE_BYTES)
      const expected = await compacted(memtables, replace)
      const [found, wanted] = [await contentOf(disk, result), await contentOf(expected.disk, expected.result)]
      expect(found.rows).toEqual(wanted.rows)
      const { dataPages, filterPages } = found.footer
      expect(found.footer).toEqual({ ...wanted.footer, dataPages, filterPages })
      // Each range ends with a page that is not full.
      if (keys === 2 ** 32) expect(dataPages).toBeGreaterThan(wanted.footer.dataPages)
      if (!replace) expect(dataPages).toBeLessThan(wanted.footer.dataPages * 1.5)
      expect(disk.openHandles).toBe(0)
    },
  )

  test('counts only once its directory entry is synced, after all of its bytes are', async () => {
    const memtables = memtablesWith(2 ** 32)
    const disk = await freshDisk()
    const spills = await spill(disk, memtables)
    const before = disk.calls
    const { bytesWritten } = await build(disk, spills, memtables)
    const path = `${DIRECTORY}/000009.bucket`
    const calls = disk.log.slice(before).filter(call => call.path === path || call.op === 'syncDirectory')
    expect(calls.filter(call => call.op !== 'write').map(call => call.op)).toEqual([
      'create',
      'sync',
      'close',
      'syncDirectory',
    ])
    expect(disk.crashState(1, { data: 'none', entries: 'none' }).readFile(path)).toHaveLength(bytesWritten)
  })

  test('ends where it is aborted, and where any call fails, without a trace', async () => {
    const memtables = memtablesWith(2 ** 32, 3000)
    const spilled = async () => {
      const disk = await freshDisk()
      return { disk, spills: await spill(disk, memtables) }
    }
    const { disk, spills } = await spilled()
    const reason = new Error('enough')
    const aborted = build(disk, spills, memtables, false, { signal: AbortSignal.abort(reason) })
    await expect(aborted).rejects.toBe(reason)
    const start = disk.calls
    await build(disk, spills, memtables)
    const calls = disk.calls - start
    expect(calls).toBeGreaterThan(30)
    for (let call = 1; call <= calls; call++) {
      const { disk, spills } = await spilled()
      const failing = disk.calls + call
      disk.failAt(failing, 'EIO')
      const failed = await build(disk, spills, memtables).then(
        () => undefined,
        (error: unknown) => error,
      )
      disk.clearFaults()
      const { op, path } = disk.log[failing - 1]!
      // Of a spill that cannot be closed or removed nothing is lost.
      expect(failed !== undefined || ['close', 'unlink'].includes(op), `${op} of ${path}`).toBe(true)
      // Whether a failed create made a file, nobody knows.
      const made = failed === undefined || op === 'create'
      expect(disk.files().filter(file => file.endsWith('.bucket')).length).toBeLessThanOrEqual(made ? 1 : 0)
      expect(disk.openHandles).toBe(0)
    }
  })

  test('removes what it has read while it is written: both at once never take much room', async () => {
    const memtables = memtablesWith(2 ** 32, 20_000)
    const disk = await freshDisk()
    const given = filesOf(await spill(disk, memtables))
    const spills: Spill[] = [...given]
    const spilledBytes = disk.bytesWritten
    const before = disk.calls
    const { bytesWritten } = await build(disk, spills, memtables)
    let written = 0
    let removed = 0
    for (const { op, path, bytes } of disk.log.slice(before)) {
      const spill = given.find(({ number }) => path?.endsWith(`${number}.spill`))
      if (op === 'write') written += bytes!
      if (op === 'unlink' && spill !== undefined) removed += spill.offsets.at(-1)!
      expect(written - removed).toBeLessThan(0.5 * spilledBytes)
    }
    expect(removed).toBe(spilledBytes)
    expect(written).toBe(bytesWritten)
    expect(spills).toEqual([])
  })

  test('has ranges of fewer records where they are large', async () => {
    const wide = wideLayout(1, 255)
    const memtable = new Memtable(wide, 20_000, 1)
    memtable.reserveRows(20_000)
    for (let row = 0; row < 20_000; row++) memtable.lanes[0]![row] = row * 2 ** 16
    memtable.appendTail(20_000)
    const disk = await freshDisk()
    const inline = inlineExecutor(disk)
    const target: SpillJob['target'] = { kind: 'memory', shares: 1 }
    const scratch = scratchFor(memtable)
    const table = { ...TABLE, layout: wide }
    const spills = await inline.spill({ ...table, memtable: memtable.image(), scratch, target }, {})
    const { executor, begun } = counting(disk)
    const job = { ...table, replace: false, spills, output: outputOf([memtable]) }
    const { entry } = await buildInRanges(disk, executor, job, {})
    expect(entry.records).toBe(20_000)
    // Of 20 MB of records, 8 MiB a range.
    expect(begun()).toBe(3)
  })

  test('lets go of what waited in memory while it is written', async () => {
    const memtables = memtablesWith(2 ** 32, 20_000)
    const disk = await freshDisk()
    const spills = await spill(disk, memtables, 3)
    const left: number[] = []
    const inline = inlineExecutor(disk)
    const executor: Executor = {
      ...inline,
      threads: 1,
      build(job, control) {
        left.push(spills.length)
        return inline.build(job, control)
      },
    }
    await build(disk, spills, memtables, false, {}, executor)
    expect(left[0]).toBe(12)
    // Of the four shares of each, two are written by then.
    expect(left[Math.floor(0.6 * left.length)]).toBe(6)
    expect(left.at(-1)).toBe(3)
  })

  test('hands the memory of written pages on, and lets go of the threads before it writes the filter', async () => {
    const memtables = memtablesWith(2 ** 32, 20_000)
    const disk = await freshDisk()
    const spills = await spill(disk, memtables, 3)
    const inline = inlineExecutor(disk)
    const bytesHere = () => disk.log.reduce((sum, { bytes = 0 }) => sum + bytes, 0)
    let handedOn = 0
    let bytesAtEnd: number | undefined
    const executor: Executor = {
      ...inline,
      threads: 1,
      build(job, control) {
        handedOn += job.spareChunks.length
        for (const { length } of job.spareChunks) expect(length).toBe(2 ** 18)
        return inline.build(job, control)
      },
      async endIdle() {
        bytesAtEnd = bytesHere()
      },
    }
    const result = await build(disk, spills, memtables, false, {}, executor)
    const { footer } = await contentOf(disk, result)
    expect(handedOn).toBeGreaterThan(50)
    expect(bytesAtEnd).toBe(footer.dataPages * PAGE_BYTES)
  })

  test('builds as many ranges at once as there are threads', async () => {
    const memtables = memtablesWith(2 ** 32, 20_000)
    const disk = await freshDisk()
    const { executor, most } = counting(disk)
    await build(disk, await spill(disk, memtables), memtables, false, {}, executor)
    expect(most()).toBe(2)
  })

  test.each([false, true])(
    'of ranges of several stretches is what a compaction makes, replace: %s',
    async replace => {
      const memtables = memtablesWith(2 ** 16, 60_000)
      const disk = await freshDisk()
      const job = { ...TABLE, replace, spills: await spill(disk, memtables), output: outputOf(memtables) }
      const result = await buildInRanges(disk, inlineExecutor(disk), job, {})
      const expected = await compacted(memtables, replace)
      const [found, wanted] = [await contentOf(disk, result), await contentOf(expected.disk, expected.result)]
      expect(found.rows.length).toBe(wanted.rows.length)
      expect(found.rows.findIndex((row, i) => !sameRow(row, wanted.rows[i]!))).toBe(-1)
      expect(found.footer).toEqual(wanted.footer)
    },
  )

  test('with combine has one record of a key, of which spills have very many', async () => {
    const last = { operator: 'last', lane: layout.keyLaneCount, laneCount: 1, number: undefined } as const
    const combine = layout.laneBytes
      .slice(layout.keyLaneCount)
      .map((_, i) => ({ ...last, lane: last.lane + i }))
    const combining = { ...TABLE, layout: { ...layout, combine } }
    const memtables = memtablesWith(3, 20_000)
    const disk = await freshDisk()
    const keys = new Set(
      memtables.flatMap(memtable => Array.from(memtable.keyLanes.at(-1)!.subarray(0, memtable.count))),
    )
    // Set aside as they are, so that the parts of a key are many.
    const job = {
      ...combining,
      replace: false,
      spills: await spill(disk, memtables),
      output: outputOf(memtables),
    }
    const result = await buildInRanges(disk, inlineExecutor(disk), job, {}, { rangeRows: RANGE_ROWS })
    const { rows } = await contentOf(disk, result)
    const replaced = await compacted(memtables, true)
    expect(rows).toEqual((await contentOf(replaced.disk, replaced.result)).rows)
    expect(rows.length).toBeLessThanOrEqual(keys.size)
    // And what is set aside for such a table has each key once.
    const [memtable] = memtables
    const target = { kind: 'memory', shares: 4 } as const
    const aside = { ...combining, memtable: memtable!.image(), scratch: scratchFor(memtable!), target }
    const spills = await inlineExecutor(disk).spill(aside, {})
    expect(spills.reduce((sum, { starts }) => sum + starts.at(-1)! - starts[0]!, 0)).toBeLessThanOrEqual(
      keys.size,
    )
  })

  test.each([
    ['a range', 'build'],
    ['a write of pages', 'write'],
  ])('that fails begins no further range, and builds none when it says so: %s', async (_, what) => {
    const memtables = memtablesWith(2 ** 32, 20_000)
    const disk = await freshDisk()
    const spills = await spill(disk, memtables)
    const { executor, begun, running } = counting(disk, what === 'build' ? 2 : Infinity)
    if (what === 'write')
      disk.failAt(({ op, path }) => op === 'write' && path?.endsWith('.bucket') === true, 'EIO')
    await expect(build(disk, spills, memtables, false, {}, executor)).rejects.toThrow()
    expect(running()).toBe(0)
    const atTheEnd = begun()
    for (let turn = 0; turn < 20; turn++) await new Promise(resolve => void setImmediate(resolve))
    expect(begun()).toBe(atTheEnd)
    expect(disk.openHandles).toBe(0)
  })
})

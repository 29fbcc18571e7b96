import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BucketInput } from '../../../src/bucket-file/input.js'
import { BucketFile, type BucketFileOptions } from '../../../src/bucket-file/reader.js'
import { runCompaction } from '../../../src/compaction/run.js'
import type { CompactionControl, CompactionJob, CompactionResult } from '../../../src/jobs/job.js'
import type { BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import { Memtable } from '../../../src/memtable/memtable.js'
import { Merge } from '../../../src/merge/merge.js'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { PUT, type DeleteWhere } from '../../../src/records/operations.js'
import { DIRECTORY, TABLE_ID } from '../../support/bucket-files.js'
import { applied, byKey, histories, without } from '../../support/history.js'
import { Random } from '../../support/random.js'
import { columnsOf, rowsOf, wideLayout, type Row } from '../../support/rows.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const layout = wideLayout(1, 2)
const PAGE_BYTES = 4096

/** A table of bucket files and memtables that are compacted by hand; what the engine keeps in its manifest. */
class HandTable {
  readonly disk = new SimulatedFileSystem()
  readonly replace: boolean
  files: BucketFileEntry[] = []
  memtables: Memtable[] = []
  #deletesOf = new Map<number, readonly DeleteWhere[]>()
  #nextNumber = 1

  constructor(replace: boolean) {
    this.replace = replace
    // Missing directories are not what is tested here.
    void this.disk.makeDirectory(DIRECTORY)
  }

  get #where(): BucketFileOptions {
    return {
      fileSystem: this.disk,
      directory: DIRECTORY,
      tableId: TABLE_ID,
      layout,
      pageBytes: PAGE_BYTES,
    }
  }

  get deletes(): DeleteWhere[] {
    return this.files.flatMap(file => this.#deletesOf.get(file.number)!)
  }

  /** Compacts files [from, to), and the oldest memtables with them, as the compactor would. */
  async compact(
    from: number,
    to: number,
    memtableCount: number,
    control: CompactionControl = {},
  ): Promise<CompactionResult> {
    const files = this.files.slice(from, to)
    const memtables = this.memtables.slice(0, memtableCount)
    const ownDeletes = [
      ...files.flatMap(file => this.#deletesOf.get(file.number)!),
      ...memtables.flatMap(deletesIn),
    ]
    const ranges = [...files, ...memtables]
    const job: CompactionJob = {
      directory: DIRECTORY,
      tableId: TABLE_ID,
      layout,
      pageBytes: PAGE_BYTES,
      replace: this.replace,
      files,
      memtables: memtables.map(memtable => memtable.image()),
      deletes: [...this.deletes, ...memtables.flatMap(memtable => memtable.deletes)],
      ownDeletes,
      includesOldest: from === 0,
      output: {
        number: this.#nextNumber++,
        epoch: 1,
        level: 0,
        filterBitsPerRecord: 10,
        firstSequence: ranges[0]!.firstSequence,
        endSequence: ranges.at(-1)!.endSequence,
      },
    }
    const result = await runCompaction(this.disk, job, control, () => {})
    const { entry } = result
    this.files.splice(from, to - from, ...(entry === undefined ? [] : [entry]))
    this.memtables.splice(0, memtableCount)
    if (entry !== undefined) this.#deletesOf.set(entry.number, from === 0 ? [] : ownDeletes)
    return result
  }

  /** Deletes of keys and of records in the files. */
  async deleteOperations(): Promise<number> {
    let count = 0
    for (const entry of this.files) {
      const file = await BucketFile.open(this.#where, entry)
      count += file.footer.deleteKeys + file.footer.deleteRecords
      await file.close()
    }
    return count
  }

  /** Every record of the files, as a scan finds them. */
  async scan(): Promise<Row[]> {
    const files: BucketFile[] = []
    const { replace } = this
    for (const entry of this.files) files.push(await BucketFile.open(this.#where, entry))
    expect(files.flatMap(file => file.deletes)).toEqual(this.deletes)
    const hiding = { deletes: new DeleteWhereIndex(layout, this.deletes), before: Infinity, replace }
    const inputs = files.map(
      file => new BucketInput(file, { layout, pageBytes: PAGE_BYTES, range: {}, reverse: false, hiding }),
    )
    const merge = new Merge(inputs, { layout, reverse: false, replace, keepDeletes: false })
    const rows: Row[] = []
    for (let next = await merge.next(); next !== undefined; next = await merge.next()) {
      rows.push(...rowsOf(layout, next))
    }
    for (const file of files) await file.close()
    return rows
  }
}

/** Its entries as a file keeps them: without their place among the rows. */
function deletesIn(memtable: Memtable): DeleteWhere[] {
  return memtable.deletes.map(({ sequence, lanes, values, ranges }) =>
    ranges === undefined ? { sequence, lanes, values } : { sequence, lanes, values, ranges },
  )
}

/** What a memtable takes in, in order: operations, or a *delete where* of value lanes. */
type Step = Row | Omit<DeleteWhere, 'sequence'>

const isRow = (step: Step): step is Row => 'kind' in step

const deleteWheres: fc.Arbitrary<Step> = fc
  .record({ lanes: fc.subarray([1, 2], { minLength: 1 }), value: fc.nat(1), other: fc.nat(1) })
  .map(({ lanes, value, other }) => ({ lanes, values: [value, other].slice(0, lanes.length) }))

const comparisons: fc.Arbitrary<Step> = fc.constantFrom<Step>(
  { lanes: [], values: [], ranges: [{ lane: 1, lower: [0], upper: [0] }] },
  { lanes: [2], values: [0], ranges: [{ lane: 1, lower: [1], upper: [7] }] },
  { lanes: [], values: [], ranges: [{ lane: 1, lower: [0, 1], upper: [1, 0] }] },
)

/** The content of a memtable; one in two has *delete where* entries among its operations. */
const contents: fc.Arbitrary<Step[]> = fc
  .tuple(
    histories({ maxLength: 30, keys: 6 }),
    fc.oneof(
      fc.constant([]),
      fc.array(fc.tuple(fc.oneof(deleteWheres, comparisons), fc.nat(30)), { minLength: 1, maxLength: 3 }),
    ),
  )
  .map(([operations, entries]) => {
    const steps: Step[] = [...operations]
    for (const [entry, at] of entries) steps.splice(Math.min(at, steps.length), 0, entry)
    return steps
  })

function memtableOf(steps: readonly Step[], firstSequence: number): Memtable {
  const memtable = new Memtable(layout, Math.max(1, steps.length), firstSequence)
  for (const step of steps) {
    if (isRow(step)) memtable.append(columnsOf(layout, [step]), 0, 1)
    else memtable.appendDeleteWhere({ ...step, sequence: memtable.endSequence })
  }
  return memtable
}

/** What is left after all steps. */
function recordsOf(steps: readonly Step[], replace: boolean): Row[] {
  let records: Row[] = []
  for (const step of steps) {
    records = isRow(step)
      ? applied([step], replace, records)
      : without(records, { ...step, sequence: 0 }, layout.keyLaneCount)
  }
  return records
}

describe.each([
  ['keep', false],
  ['replace', true],
])('compactions with duplicates: %s', (_, replace) => {
  test('in any order leave what the history leaves, at every moment', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(contents, { minLength: 1, maxLength: 6 }),
        fc.nat(0xffffffff),
        async (memtables, seed) => {
          const random = new Random(seed)
          const table = new HandTable(replace)
          const history: Step[] = []
          const waiting = [...memtables]
          let nextSequence = 1000
          while (waiting.length > 0 || table.memtables.length > 0 || table.files.length > 1) {
            const { files } = table
            const seal = random.chance(0.5)
            if (table.memtables.length > 0 && seal) {
              await table.compact(files.length, files.length, 1)
            } else if (table.memtables.length > 0 && random.chance(0.2)) {
              await table.compact(0, files.length, table.memtables.length)
            } else if (files.length > 1 && random.chance(0.5)) {
              const from = random.below(files.length - 1)
              await table.compact(from, random.between(from + 2, files.length), 0)
            } else if (waiting.length > 0) {
              const memtable = memtableOf(waiting[0]!, nextSequence)
              nextSequence = memtable.endSequence
              if (memtable.endSequence > memtable.firstSequence) table.memtables.push(memtable)
              history.push(...waiting.shift()!)
              continue
            }
            if (table.memtables.length > 0) continue
            expect(await table.scan()).toEqual(byKey(recordsOf(history, replace)))
          }
          // All that a delete left behind goes with the merge of everything.
          if (table.files.length > 0) await table.compact(0, table.files.length, 0)
          expect(table.deletes).toEqual([])
          expect(await table.deleteOperations()).toBe(0)
          expect(await table.scan()).toEqual(byKey(recordsOf(history, replace)))
          const records = table.files.reduce((sum, file) => sum + file.records, 0)
          expect(records).toBe(recordsOf(history, replace).length)
          expect(table.disk.openHandles).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })
})

/** A table with two files of many rows and a memtable. */
async function largeTable(rowsEach = 7000): Promise<HandTable> {
  const random = new Random(3)
  const table = new HandTable(false)
  let sequence = 1
  for (let i = 0; i < 3; i++) {
    const rows = Array.from({ length: rowsEach }, (): Row => ({
      key: BigInt(random.next()),
      values: [random.next(), random.next()],
      kind: PUT,
    }))
    const memtable = new Memtable(layout, rows.length, sequence)
    memtable.append(columnsOf(layout, rows), 0, rows.length)
    table.memtables.push(memtable)
    sequence = memtable.endSequence
    if (i < 2) await table.compact(i, i, 1)
  }
  return table
}

describe('a compaction', () => {
  test('counts only once its directory entry is synced, after all of its bytes are', async () => {
    const table = await largeTable()
    const before = table.disk.calls
    const { entry, bytesWritten, operationsRead } = await table.compact(0, 2, 1)
    expect(operationsRead).toBe(21_000)
    expect(bytesWritten).toBe(entry!.pages * PAGE_BYTES)
    const path = `${DIRECTORY}/000003.bucket`
    const calls = table.disk.log
      .slice(before)
      .filter(call => call.path === path || call.op === 'syncDirectory')
    expect(calls.filter(call => call.op !== 'write').map(call => call.op)).toEqual([
      'create',
      'sync',
      'close',
      'syncDirectory',
    ])
    expect(calls.findLastIndex(call => call.op === 'write')).toBeLessThan(
      calls.findIndex(call => call.op === 'sync'),
    )
    // A power cut now leaves it whole.
    const after = table.disk.crashState(1, { data: 'none', entries: 'none' })
    expect(after.readFile(path)).toHaveLength(bytesWritten)
  })

  test('of which nothing is left makes no file', async () => {
    const table = new HandTable(false)
    const put: Row = { key: 1n, values: [0, 0], kind: PUT }
    table.memtables.push(memtableOf([put, { lanes: [1], values: [0] }], 1))
    const { entry, bytesWritten } = await table.compact(0, 0, 1)
    expect(entry).toBeUndefined()
    expect(bytesWritten).toBe(0)
    expect(table.disk.files()).toEqual([])
  })

  test('of a young memtable keeps its delete-where entries, even where no row is left', async () => {
    const table = new HandTable(false)
    const put: Row = { key: 1n, values: [0, 0], kind: PUT }
    table.memtables.push(memtableOf([put], 1), memtableOf([put, { lanes: [1], values: [0] }], 2))
    await table.compact(0, 0, 1)
    expect(await table.scan()).toEqual([put])
    const { entry } = await table.compact(1, 1, 1)
    expect(entry).toMatchObject({ records: 0, firstSequence: 2, endSequence: 4 })
    expect(await table.scan()).toEqual([])
    await table.compact(0, 2, 0)
    expect(table.files).toEqual([])
  })

  test('tells how many operations it has written, and ends where it is aborted, without a trace', async () => {
    const table = await largeTable(20_000)
    const before = table.disk.files()
    const steps: number[] = []
    const controller = new AbortController()
    const reason = new Error('enough')
    const onProgress = (operations: number): void => {
      steps.push(operations)
      if (operations > 30_000) controller.abort(reason)
    }
    await expect(table.compact(0, 2, 1, { signal: controller.signal, onProgress })).rejects.toBe(reason)
    expect(steps.length).toBeGreaterThan(1)
    expect(steps).toEqual(steps.toSorted((a, b) => a - b))
    expect(table.disk.files()).toEqual(before)
    expect(table.disk.openHandles).toBe(0)
    await table.compact(0, 2, 1)
    expect((await table.scan()).length).toBe(60_000)
  })

  test.each(['EIO', 'ENOSPC'])(
    'leaves its inputs and nothing else where any call fails with %s',
    async code => {
      const table = await largeTable()
      const before = table.disk.files()
      const start = table.disk.calls
      await table.compact(0, 2, 1)
      const steps = table.disk.calls - start
      expect(steps).toBeGreaterThan(10)
      for (let step = 1; step <= steps; step++) {
        const table = await largeTable()
        const failing = table.disk.calls + step
        table.disk.failAt(failing, code)
        const failed = await table.compact(0, 2, 1).then(
          () => undefined,
          (error: unknown) => error,
        )
        table.disk.clearFaults()
        const { op } = table.disk.log[failing - 1]!
        // A failed close of an input that was only read loses nothing.
        if (failed === undefined) {
          expect(op).toBe('close')
          continue
        }
        expect(String((failed as { code?: unknown }).code)).toMatch(/EIO|ENOSPC|FLASHTABLE_IO_ERROR/)
        expect(table.disk.openHandles).toBe(0)
        // Whether a failed create made a file, nobody knows; an output whose entry could not be synced is an orphan.
        const orphans = ['create', 'syncDirectory'].includes(op) ? [`${DIRECTORY}/000003.bucket`] : []
        expect([...before, ...orphans]).toEqual(expect.arrayContaining(table.disk.files()))
        expect(table.disk.files()).toEqual(expect.arrayContaining(before))
        expect((await table.compact(0, 2, 1)).entry!.records).toBe(21_000)
      }
    },
  )

  test('breathes between its chunks', async () => {
    const table = await largeTable()
    const job: CompactionJob = {
      directory: DIRECTORY,
      tableId: TABLE_ID,
      layout,
      pageBytes: PAGE_BYTES,
      replace: false,
      files: table.files,
      memtables: [],
      deletes: [],
      ownDeletes: [],
      includesOldest: true,
      output: {
        number: 9,
        epoch: 1,
        level: 1,
        filterBitsPerRecord: 10,
        firstSequence: 1,
        endSequence: 14_001,
      },
    }
    let pauses = 0
    await runCompaction(table.disk, job, {}, () => void pauses++)
    expect(pauses).toBeGreaterThan(1)
  })
})

/** What a replica makes of a tail: which files, of which sequence numbers, and how often a record is in a new one. */
import { expect, test } from 'vitest'
import type { CompactionJob, Executor } from '../../../src/jobs/job.js'
import { Jobs } from '../../../src/jobs/jobs.js'
import type { BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import type { Manifest } from '../../../src/manifest/manifest.js'
import { Tail } from '../../../src/replica/tail.js'
import { newMemtable } from '../../../src/state/memtable-pool.js'
import type { View } from '../../../src/state/table-state.js'
import { RefCounts, Version, type MemtableHandle, type Run } from '../../../src/state/version.js'
import { DELETE_KEY, type OperationBuffer } from '../../../src/records/operations.js'
import { layoutOf, randomOperations } from '../../support/memtables.js'
import { Random } from '../../support/random.js'

const LAYOUT = layoutOf(1)
const ROWS = 4000

/** An executor that makes no files, and notes what it was asked for. */
function notingExecutor(): { executor: Executor; jobs: CompactionJob[] } {
  const jobs: CompactionJob[] = []
  const executor: Executor = {
    threads: 1,
    run: job => {
      jobs.push(job)
      const { number, epoch, level, firstSequence, endSequence, memory } = job.output
      const entry = { number, epoch, level, pages: 4, records: 1, firstSequence, endSequence }
      const [block] = memory!.blocks
      const made = { blocks: [block!], blockBytes: memory!.blockBytes, bytes: 1 }
      return Promise.resolve({ entry, memory: made, bytesWritten: 0, operationsRead: 0 })
    },
    spill: () => Promise.resolve([]),
    build: () => Promise.reject(new Error('not here')),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  return { executor, jobs }
}

function newTail() {
  const { executor, jobs } = notingExecutor()
  const tail = new Tail({
    jobs: new Jobs(executor, 0o600),
    directory: '/table',
    layout: LAYOUT,
    pageBytes: 4096,
    filterBitsPerRecord: 10,
    replace: false,
    isFollowing: true,
    tableId: new Uint8Array(16).fill(7),
  })
  return { tail, jobs }
}

function viewOf(active: MemtableHandle, sealed: MemtableHandle[] = [], runs: Run[] = []): View {
  const version = new Version({ stored: [], runs, sealed, active }, new RefCounts(() => {}))
  const { count: length, endSequence: sequence } = active.memtable
  return { version, active, length, sequence } as unknown as View
}

function manifestWith(numbers: readonly number[], nextFileNumber: number): Manifest {
  return { epoch: 3, nextFileNumber, files: numbers.map(number => ({ number })) } as unknown as Manifest
}

const EMPTY = manifestWith([], 1)

/** Each sequence number from `first` to `end` is in one file, and no two files have one number. */
function expectCovered(files: readonly BucketFileEntry[], first: number, end: number): void {
  let at = first
  for (const file of files) {
    expect(file.firstSequence).toBe(at)
    expect(file.endSequence).toBeGreaterThan(at)
    at = file.endSequence
  }
  expect(at).toBe(end)
  expect(new Set(files.map(({ number }) => number)).size).toBe(files.length)
}

test('a memtable that grows has few files, and each record is in few new ones', async () => {
  const random = new Random(5)
  const operations = randomOperations(random, 1, ROWS, true)
  const { tail, jobs } = newTail()
  const active = newMemtable({ layout: LAYOUT, memtableRecords: ROWS }, 100)
  let most = 0
  for (let row = 0; row < ROWS;) {
    const to = Math.min(ROWS, row + 1 + random.below(8))
    active.memtable.append(operations, row, to)
    if (random.chance(0.1)) {
      const sequence = active.memtable.endSequence
      active.memtable.appendDeleteWhere({ sequence, lanes: [1], values: [row] })
    }
    row = to
    const files = await tail.cover(viewOf(active), EMPTY, undefined)
    expectCovered(files, 100, active.memtable.endSequence)
    most = Math.max(most, files.length)
    tail.uploaded()
  }
  expect(most).toBeLessThanOrEqual(20)
  const rows = jobs.reduce((sum, job) => sum + job.memtables[0]!.count, 0)
  expect(rows / ROWS).toBeLessThan(6)
  // What a file says that it has is what its job was given.
  for (const { memtables, output } of jobs) {
    const { firstSequence, count, deletes } = memtables[0]!
    expect([firstSequence, firstSequence + count + deletes.length]).toEqual([
      output.firstSequence,
      output.endSequence,
    ])
  }
})

test('nothing new makes nothing; a flush takes whole files', async () => {
  const random = new Random(6)
  const { tail, jobs } = newTail()
  const memtables = [0, 1, 2].map(i => {
    const handle = newMemtable({ layout: LAYOUT, memtableRecords: 100 }, i * 50)
    handle.memtable.append(randomOperations(random, 1, 50, false), 0, 50)
    return handle
  }) as [MemtableHandle, MemtableHandle, MemtableHandle]
  const [oldest, older, active] = memtables
  const files = await tail.cover(viewOf(active, [oldest, older]), EMPTY, undefined)
  expectCovered(files, 0, 150)
  expect(await tail.cover(viewOf(active, [oldest, older]), EMPTY, undefined)).toEqual(files)
  expect(jobs).toHaveLength(3)
  // The oldest one was flushed.
  expect(await tail.cover(viewOf(active, [older]), manifestWith([90], 91), undefined)).toEqual(files.slice(1))
  // One has become a run of which nothing is left; it was covered before.
  const run: Run = { file: undefined, firstSequence: 50, segments: [], logBytes: 0 }
  expect(await tail.cover(viewOf(active, [], [run]), manifestWith([90], 91), undefined)).toEqual(
    files.slice(1),
  )
  expect(jobs).toHaveLength(3)
})

test('a file whose number the table has taken is made again, with another one', async () => {
  const { tail } = newTail()
  const active = newMemtable({ layout: LAYOUT, memtableRecords: 100 }, 0)
  active.memtable.append(randomOperations(new Random(7), 1, 50, false), 0, 50)
  const [file] = await tail.cover(viewOf(active), manifestWith([], 5), undefined)
  expect(file!.number).toBe(5)
  const [again] = await tail.cover(viewOf(active), manifestWith([5], 6), undefined)
  expect(again!.number).toBe(6)
  expect(again).toMatchObject({ firstSequence: 0, endSequence: 50, tableId: '07'.repeat(16) })
})

test('what was read of a write that failed, and was written over, is made again', async () => {
  const puts = randomOperations(new Random(8), 1, 50, false)
  const deletes = randomOperations(new Random(8), 1, 50, false)
  deletes.ensureKinds()[49] = DELETE_KEY
  const memtableOf = (operations: OperationBuffer, value?: number): MemtableHandle => {
    const handle = newMemtable({ layout: LAYOUT, memtableRecords: 100 }, 0)
    handle.memtable.append(operations, 0, 50)
    if (value !== undefined) handle.memtable.appendDeleteWhere({ sequence: 50, lanes: [1], values: [value] })
    return handle
  }
  for (const [before, after] of [
    [memtableOf(puts), memtableOf(randomOperations(new Random(9), 1, 50, false))],
    [memtableOf(puts), memtableOf(deletes)],
    [memtableOf(puts, 1), memtableOf(puts, 2)],
  ] as const) {
    const { tail, jobs } = newTail()
    await tail.cover(viewOf(before), EMPTY, undefined)
    // The same operations, read once more, are not.
    await tail.cover(viewOf(before), EMPTY, undefined)
    expect(jobs).toHaveLength(1)
    const files = await tail.cover(viewOf(after), EMPTY, undefined)
    expectCovered(files, 0, after.memtable.endSequence)
    expect(jobs).toHaveLength(2)
  }
})

test('bytes are there until they are uploaded; what the store has lost is made anew', async () => {
  const { tail, jobs } = newTail()
  const active = newMemtable({ layout: LAYOUT, memtableRecords: 100 }, 0)
  active.memtable.append(randomOperations(new Random(10), 1, 50, false), 0, 50)
  const [file] = await tail.cover(viewOf(active), EMPTY, undefined)
  expect(tail.sourceOf(file!.number).bytes).toBe(1)
  tail.uploaded()
  expect(() => tail.sourceOf(file!.number)).toThrowError(
    expect.objectContaining({ code: 'FLASHTABLE_UNAVAILABLE' }),
  )
  await tail.cover(viewOf(active), EMPTY, undefined)
  expect(jobs).toHaveLength(2)
})

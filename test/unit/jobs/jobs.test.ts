/** What a job reads is held from before it begins until the executor says that it has ended. */
import { describe, expect, test } from 'vitest'
import type { CompactionJob, CompactionResult, Executor } from '../../../src/jobs/job.js'
import { Jobs, type JobInputs } from '../../../src/jobs/jobs.js'
import { MemtablePool } from '../../../src/state/memtable-pool.js'
import { Version, type MemtableHandle } from '../../../src/state/version.js'
import { layoutOf, randomOperations } from '../../support/memtables.js'
import { Random } from '../../support/random.js'

const LAYOUT = layoutOf(1)
const RESULT: CompactionResult = { entry: undefined, bytesWritten: 0, operationsRead: 0 }

/** An executor whose jobs end when the test says so. */
function heldExecutor() {
  const jobs: { readonly job: CompactionJob; end(): void; fail(reason: Error): void }[] = []
  const executor: Executor = {
    threads: 1,
    run: job =>
      new Promise((resolve, reject) => jobs.push({ job, end: () => resolve(RESULT), fail: reject })),
    spill: () => Promise.resolve([]),
    build: () => Promise.reject(new Error('not here')),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  return { jobs, executor }
}

/** A version of one sealed memtable and an active one; `freed` is the memory that was given up, in order. */
function sealedVersion() {
  const freed: ArrayBufferLike[] = []
  const options = {
    layout: LAYOUT,
    memtableRecords: 8,
    memoryFreed: ({ buffer }: Uint8Array) => void freed.push(buffer),
  }
  const pool = new MemtablePool(options, 1)
  const [sealed, active] = [pool.make(0), pool.make(0)]
  return {
    freed,
    pool,
    sealed,
    active,
    version: new Version({ stored: [], runs: [], sealed: [sealed], active }, pool.refCounts),
  }
}

const TARGET = {
  directory: '/t',
  tableId: new Uint8Array(16),
  layout: LAYOUT,
  pageBytes: 4096,
  replace: false,
  includesOldest: true,
  output: { number: 1, epoch: 1, level: 0, filterBitsPerRecord: 0 },
}

function inputsOf(version: Version, memtable: MemtableHandle): JobInputs {
  return { version, files: [], memtables: [{ memtable }] }
}

describe('the memory of a memtable', () => {
  test.each([
    ['ends', (job: { end(): void }) => job.end()],
    ['fails', (job: { fail(reason: Error): void }) => job.fail(new Error('no luck'))],
  ])(
    'stays its own until the job that reads it %s, whatever becomes of its version',
    async (_what, settle) => {
      const { freed, pool, sealed, active, version } = sealedVersion()
      const { jobs, executor } = heldExecutor()
      const sealing = new Jobs(executor, 0o600).merge(inputsOf(version, sealed), TARGET).catch(() => {})
      await version.release()
      // The job holds what it reads, not all of the version.
      expect(freed).toEqual([active.memtable.memory])
      expect(pool.make(0).memtable.memory).not.toBe(sealed.memtable.memory)
      expect(jobs[0]!.job.memtables[0]!.lanes).toBe(sealed.memtable.memory)
      settle(jobs[0]!)
      await sealing
      expect(freed).toEqual([active.memtable.memory, sealed.memtable.memory])
      expect(pool.make(0).memtable.memory).toBe(sealed.memtable.memory)
    },
  )

  test('that a version has let go of is not given to a job', async () => {
    const { sealed, version } = sealedVersion()
    const { jobs, executor } = heldExecutor()
    await version.release()
    await expect(new Jobs(executor, 0o600).merge(inputsOf(version, sealed), TARGET)).rejects.toThrow(
      'retained from a version that is in use',
    )
    expect(jobs).toEqual([])
  })

  test('of another version is not given to a job', async () => {
    const { version } = sealedVersion()
    const other = sealedVersion()
    const { jobs, executor } = heldExecutor()
    await expect(new Jobs(executor, 0o600).merge(inputsOf(version, other.sealed), TARGET)).rejects.toThrow(
      'part of the version',
    )
    expect(jobs).toEqual([])
  })
})

test('a job of a part of a memtable has the sequence numbers and delete-where entries of that part alone', async () => {
  const { sealed, version } = sealedVersion()
  const { memtable } = sealed
  const rows = randomOperations(new Random(1), 1, 2, false)
  memtable.append(rows, 0, 1)
  memtable.appendDeleteWhere({ sequence: 1, lanes: [1], values: [7] })
  memtable.append(rows, 1, 2)
  const { jobs, executor } = heldExecutor()
  const part = { version, files: [], memtables: [{ memtable: sealed, rows: 1, before: 1 }] }
  void new Jobs(executor, 0o600).merge(part, TARGET)
  void new Jobs(executor, 0o600).merge(inputsOf(version, sealed), TARGET)
  const told = jobs.map(({ job: { output, deletes, ownDeletes } }) => [
    output.firstSequence,
    output.endSequence,
    deletes.length,
    ownDeletes.length,
  ])
  expect(told).toEqual([
    [0, 1, 0, 0],
    [0, 3, 1, 1],
  ])
})

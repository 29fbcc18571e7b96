/** What a job reads is held from before it begins until the executor says that it has ended. */
import { describe, expect, test } from 'vitest'
import type { CompactionJob, CompactionResult, Executor } from '../../../src/jobs/job.js'
import { Jobs } from '../../../src/jobs/jobs.js'
import { MemtablePool } from '../../../src/state/memtable-pool.js'
import { Version } from '../../../src/state/version.js'
import { layoutOf } from '../../support/memtables.js'

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
  return { freed, pool, sealed, active, version: new Version([], [sealed], active, pool.refCounts) }
}

const TARGET = {
  directory: '/t',
  tableId: new Uint8Array(16),
  layout: LAYOUT,
  pageBytes: 4096,
  replace: false,
  includesOldest: true,
  output: { number: 1, epoch: 1, filterBitsPerRecord: 0 },
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
      const sealing = new Jobs(executor).seal(version, { memtable: sealed }, TARGET).catch(() => {})
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
    await expect(new Jobs(executor).seal(version, { memtable: sealed }, TARGET)).rejects.toThrow(
      'retained from a version that is in use',
    )
    expect(jobs).toEqual([])
  })

  test('of another version is not given to a job', async () => {
    const { version } = sealedVersion()
    const other = sealedVersion()
    const { jobs, executor } = heldExecutor()
    await expect(new Jobs(executor).seal(version, { memtable: other.sealed }, TARGET)).rejects.toThrow(
      'part of the version',
    )
    expect(jobs).toEqual([])
  })
})

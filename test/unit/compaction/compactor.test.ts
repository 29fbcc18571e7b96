/** The compactor: the order of seals and merges, what waits for what, and what a failure means. */
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../../src/base/errors.js'
import type { BucketFile } from '../../../src/bucket-file/reader.js'
import { Compactor } from '../../../src/compaction/compactor.js'
import type { Lacking } from '../../../src/compaction/job-queue.js'
import { inlineExecutor } from '../../../src/executor/inline-executor.js'
import type { Executor } from '../../../src/jobs/job.js'
import { Jobs } from '../../../src/jobs/jobs.js'
import { OperationBuffer, PUT, type DeleteWhere } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { filesOf } from '../../../src/state/version.js'
import { NEW, newState } from '../state/new-state.js'

const LAYOUT = recordLayout([4], [4])
type Run = Executor['run']

/** A compactor on a disk of its own; `around` may delay or refuse a job. */
function newCompactor(
  around: (run: Run) => Run = run => run,
  syncLog = () => Promise.resolve(),
  fanout = 2,
  runsPerFlush = 1,
  retireSegments: (numbers: number[]) => Promise<void> = () => Promise.resolve(),
) {
  const { disk, poison, state } = newState(LAYOUT, 4, NEW, runsPerFlush)
  const executor = inlineExecutor(disk)
  const run = around((job, control) => executor.run(job, control))
  const waits: (Lacking | undefined)[] = []
  const kinds: string[] = []
  const compactor: Compactor = new Compactor({
    state,
    jobs: new Jobs({ ...executor, run }, 0o600),
    fanout,
    runsPerFlush,
    filterBitsPerRecord: 10,
    replace: false,
    retireSegments,
    syncLog,
    wait: async () => {
      waits.push(compactor.waitingFor)
      await turn()
    },
    now: () => 0,
    publish: ({ kind }) => void kinds.push(kind),
  })
  const seal = (first = 0, logBytes = 0): void => {
    const operations = new OperationBuffer(LAYOUT, 4)
    for (let key = first; key < first + 4; key++) operations.appendRecord(PUT, Uint32Array.of(key, key))
    state.active.memtable.append(operations, 0, 4)
    state.active.segments.push(1)
    state.active.logBytes = logBytes
    state.seal()
  }
  const rangesOf = (files: readonly BucketFile[]) =>
    files.map(({ entry }) => [entry.firstSequence, entry.endSequence])
  const ranges = () => rangesOf(state.version.stored)
  const runs = () => rangesOf(filesOf(state.version.runs))
  return { disk, runs, state, poison, compactor, seal, ranges, waits, kinds }
}

/** Waits for a condition: `what` says what was seen when it never came. */
async function until(condition: () => boolean, what: () => unknown): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns === 10_000) throw new Error(`it did not happen: ${JSON.stringify(what())}`)
    await turn()
  }
}

/** Holds the merges back until they are aborted. */
const withoutMerges =
  (started: () => void) =>
  (run: Run): Run =>
  (job, control) => {
    if (job.files.every(({ memory }) => memory !== undefined)) return run(job, control)
    started()
    return new Promise((_, reject) => {
      control.signal!.addEventListener('abort', () => reject(control.signal!.reason as Error))
    })
  }

describe('the compactor', () => {
  test('writes sealed memtables to bucket files, the oldest first, and then merges the files', async () => {
    const jobs: [number, number][] = []
    const { compactor, seal, ranges, state, kinds } = newCompactor(run => (job, control) => {
      if (job.output.memory === undefined) jobs.push([job.output.firstSequence, job.output.endSequence])
      return run(job, control)
    })
    seal()
    seal()
    compactor.wake()
    await until(
      () => kinds.includes('merge'),
      () => kinds,
    )
    expect(jobs).toEqual([
      [0, 4],
      [4, 8],
      [0, 8],
    ])
    expect(ranges()).toEqual([[0, 8]])
    expect(state.version.sealed).toEqual([])
    await compactor.close()
  })

  test('writes a sealed memtable to a bucket file while a merge runs', async () => {
    let merges = 0
    const { compactor, seal, ranges } = newCompactor(withoutMerges(() => merges++))
    seal()
    seal()
    compactor.wake()
    await until(() => merges === 1, ranges)
    seal()
    compactor.wake()
    await until(() => ranges().length === 3, ranges)
    expect(ranges()).toEqual([
      [0, 4],
      [4, 8],
      [8, 12],
    ])
    await compactor.close()
  })

  test('waits for room on a full disk, says so, and tries again', async () => {
    let tries = 0
    const full = new FlashTableError('FLASHTABLE_DISK_FULL', 'full')
    const { compactor, seal, ranges, waits, poison } = newCompactor(run => (job, control) => {
      return tries++ === 0 ? Promise.reject(full) : run(job, control)
    })
    seal()
    await expect(compactor.sealFinished()).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
    await until(
      () => ranges().length === 1,
      () => waits,
    )
    expect([waits, compactor.waitingFor, poison.latched]).toEqual([['space'], undefined, false])
    await compactor.close()
  })

  test('poisons the table when a seal fails for another reason, and rejects those who wait', async () => {
    const failure = Object.assign(new Error('broken'), { code: 'EIO' })
    const { compactor, seal, ranges, poison } = newCompactor(() => () => Promise.reject(failure))
    seal()
    await expect(compactor.sealFinished()).rejects.toThrow(/an earlier failure/)
    expect([poison.latched, ranges()]).toEqual([true, []])
    await expect(compactor.sealFinished()).rejects.toThrow(FlashTableError)
    await compactor.close()
  })

  test('aborts a merge that runs when it closes, and keeps its inputs', async () => {
    let merges = 0
    const { compactor, seal, ranges, poison } = newCompactor(withoutMerges(() => merges++))
    seal()
    seal()
    compactor.wake()
    await until(() => merges === 1, ranges)
    await compactor.close()
    expect([ranges(), poison.latched]).toEqual([
      [
        [0, 4],
        [4, 8],
      ],
      false,
    ])
    await expect(compactor.sealFinished()).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
  })

  test('keeps a delete where entry as long as it may match something older', async () => {
    const kept: [number, number, boolean, number[]][] = []
    const { compactor, seal, ranges, state } = newCompactor(
      run => (job, control) => {
        if (job.output.memory !== undefined) return run(job, control)
        const { firstSequence, endSequence } = job.output
        const sequences = job.ownDeletes.map(({ sequence }) => sequence)
        kept.push([firstSequence, endSequence, job.includesOldest, sequences])
        return run(job, control)
      },
      undefined,
      3,
    )
    const sealThree = async (range: number[]): Promise<void> => {
      for (let i = 0; i < 3; i++) seal()
      compactor.wake()
      await until(() => JSON.stringify(ranges().at(-1)) === JSON.stringify(range), ranges)
    }
    await sealThree([0, 12])
    kept.length = 0
    // Values are 0 to 3: one entry matches a quarter, too little for a merge, and one nothing.
    for (const [lower, upper] of [
      [3, 9],
      [4, 9],
    ]) {
      const sequence = state.active.memtable.endSequence
      const ranges = [{ lane: 1, lower: [lower!], upper: [upper!] }]
      state.active.memtable.appendDeleteWhere({ sequence, lanes: [], values: [], ranges })
    }
    await sealThree([12, 26])
    expect(kept).toEqual([
      [12, 18, false, [12]],
      [18, 22, false, []],
      [22, 26, false, []],
      [12, 26, false, [12]],
    ])
    expect(state.version.stored.map(({ deletes }) => deletes.length)).toEqual([0, 1])
    await compactor.close()
  })

  describe('with several runs to a flush', () => {
    test('seals memtables without a write, and flushes the runs together', async () => {
      const { compactor, seal, runs, ranges, disk, kinds } = newCompactor(undefined, undefined, 2, 3)
      const before = disk.files()
      for (const expected of [1, 2]) {
        seal()
        await compactor.sealFinished()
        expect([runs().length, ranges()]).toEqual([expected, []])
      }
      expect(disk.files()).toEqual(before)
      seal()
      await compactor.sealFinished()
      await until(() => ranges().length === 1, runs)
      expect([runs(), ranges()]).toEqual([[], [[0, 12]]])
      expect(kinds).toEqual(['seal', 'seal', 'seal', 'flush'])
      await compactor.close()
    })

    test('lets seals go on during a flush, but no further than the memory for runs', async () => {
      let go!: () => void
      const held = new Promise<void>(resolve => (go = resolve))
      const { compactor, seal, runs, ranges, state } = newCompactor(
        run => async (job, control) => {
          if (job.output.memory === undefined) await held
          return run(job, control)
        },
        undefined,
        9,
        2,
      )
      for (let i = 0; i < 6; i++) seal()
      compactor.wake()
      // Two are being flushed, and two more have their places.
      await until(() => runs().length === 4, runs)
      for (let i = 0; i < 100; i++) await turn()
      expect([runs().length, state.version.sealed.length]).toEqual([4, 2])
      const waiting = compactor.sealFinished()
      go()
      await waiting
      await until(() => state.version.sealed.length + runs().length === 0, ranges)
      expect(ranges().at(-1)![1]).toBe(24)
      await compactor.close()
    })

    test('rejects those who wait for a seal that a flush without room holds up, and tries again', async () => {
      let isFull = true
      const full = new FlashTableError('FLASHTABLE_DISK_FULL', 'full')
      const { compactor, seal, runs, ranges, poison } = newCompactor(
        run => (job, control) =>
          job.output.memory === undefined && isFull ? Promise.reject(full) : run(job, control),
        undefined,
        9,
        2,
      )
      for (let i = 0; i < 5; i++) seal()
      await compactor.sealFinished()
      await until(() => runs().length === 4, runs)
      await expect(compactor.sealFinished()).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
      isFull = false
      await until(() => ranges().length > 0, runs)
      expect(poison.latched).toBe(false)
      await compactor.close()
    })

    test('ends, when it closes, though seals wait for a flush that fails', async () => {
      const full = new FlashTableError('FLASHTABLE_DISK_FULL', 'full')
      const { compactor, seal, runs } = newCompactor(
        run => (job, control) => (job.output.memory === undefined ? Promise.reject(full) : run(job, control)),
        undefined,
        9,
        2,
      )
      for (let i = 0; i < 6; i++) seal()
      compactor.wake()
      await until(() => runs().length === 4, runs)
      await compactor.close()
      expect(runs()).toHaveLength(4)
    })

    test('does not wait for a flush when the table is poisoned', async () => {
      const { compactor, seal, runs, poison } = newCompactor(undefined, undefined, 9, 2)
      for (let i = 0; i < 3; i++) seal()
      poison.latch(new Error('a sync failed'))
      await expect(compactor.sealFinished()).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
      expect(runs()).toEqual([])
      await compactor.close()
    })

    test('tells how far flushes are behind, unless they wait for room', async () => {
      let isFull = false
      let go!: () => void
      const held = new Promise<void>(resolve => (go = resolve))
      const full = new FlashTableError('FLASHTABLE_DISK_FULL', 'full')
      const { compactor, seal, runs, ranges } = newCompactor(
        run => async (job, control) => {
          if (job.output.memory === undefined) {
            if (isFull) throw full
            await held
            isFull = true
            throw full
          }
          return run(job, control)
        },
        undefined,
        9,
        4,
      )
      for (let i = 0; i < 5; i++) seal()
      compactor.wake()
      await until(() => runs().length === 5, runs)
      expect(compactor.debt).toBe(0)
      seal()
      compactor.wake()
      await until(() => runs().length === 6, runs)
      expect(compactor.debt).toBe(0.5)
      go()
      await until(() => compactor.waitingFor === 'space', ranges)
      expect(compactor.debt).toBe(0)
      await compactor.close()
    })

    test('flushes runs early whose log is mostly padding, once it is longer than a MiB', async () => {
      const { compactor, seal, runs, ranges } = newCompactor(undefined, undefined, 9, 4)
      seal(0, 2 ** 19)
      await compactor.sealFinished()
      for (let i = 0; i < 20; i++) await turn()
      expect([runs().length, ranges().length]).toEqual([1, 0])
      seal(4, 2 ** 19)
      compactor.wake()
      await until(() => ranges().length === 1, runs)
      expect(runs()).toEqual([])
      await compactor.close()
    })

    test('retires the segments of flushed runs, but none that a later memtable needs', async () => {
      const retired: number[][] = []
      const retire = (numbers: number[]) => Promise.resolve(void retired.push(numbers))
      const { compactor, seal, state, ranges } = newCompactor(undefined, undefined, 9, 2, retire)
      // As after a recovery: the end of one memtable and the beginning of the next are in one segment.
      for (const segments of [
        [1, 2],
        [2, 3],
        [3, 4],
      ]) {
        state.active.segments.push(...segments)
        seal()
        state.version.sealed.at(-1)!.segments.pop()
      }
      compactor.wake()
      await until(() => ranges().length === 1, ranges)
      await until(() => retired.length === 1, ranges)
      expect(retired).toEqual([[1, 2, 2]])
      await compactor.close()
    })

    test('compacts runs together with the files of a small table', async () => {
      const { compactor, seal, runs, ranges, kinds } = newCompactor(undefined, undefined, 9, 4)
      seal()
      await compactor.compactAll(() => Promise.resolve(), {})
      seal()
      seal()
      await compactor.compactAll(() => Promise.resolve(), {})
      expect([runs(), ranges()]).toEqual([[], [[0, 12]]])
      expect(kinds.filter(kind => kind !== 'seal')).toEqual(['compact', 'compact'])
      await compactor.close()
    })
  })

  describe('drops a file that a delete where hides', () => {
    const everything = (sequence: number, upper = 0xffff_ffff): DeleteWhere => ({
      sequence,
      lanes: [],
      values: [],
      ranges: [{ lane: 1, lower: [0], upper: [upper] }],
    })

    /** Two files that a merge reads which ends only when it is aborted. */
    async function merging() {
      let merges = 0
      const parts = newCompactor(withoutMerges(() => merges++))
      parts.seal()
      parts.seal()
      parts.compactor.wake()
      await until(() => merges === 1, parts.ranges)
      const put = (where: DeleteWhere): void => {
        parts.state.active.memtable.appendDeleteWhere(where)
        parts.state.addDelete(where)
        parts.compactor.noteDelete(where)
      }
      return { ...parts, put, merges: () => merges }
    }

    test('though a merge reads it, which is aborted', async () => {
      const { compactor, put, ranges, kinds } = await merging()
      put(everything(8))
      await until(() => ranges().length === 0, ranges)
      expect(kinds.filter(kind => kind !== 'seal')).toEqual(['flush', 'flush', 'drop'])
      await compactor.close()
    })

    test('and lets a merge go on where it hides no whole file', async () => {
      const { compactor, put, ranges, merges } = await merging()
      put(everything(8, 2))
      for (let i = 0; i < 100; i++) await turn()
      expect([ranges().length, merges()]).toEqual([2, 1])
      await compactor.close()
    })

    test('and lets a merge of other files go on', async () => {
      const { compactor, seal, put, ranges, merges } = await merging()
      seal(100)
      compactor.wake()
      await until(() => ranges().length === 3, ranges)
      put({ ...everything(12), ranges: [{ lane: 1, lower: [100], upper: [200] }] })
      for (let i = 0; i < 100; i++) await turn()
      expect([ranges().length, merges()]).toEqual([3, 1])
      await compactor.close()
    })

    test('only when the log is on the device', async () => {
      let release!: () => void
      const synced = new Promise<void>(resolve => (release = resolve))
      const { compactor, seal, state, ranges } = newCompactor(
        run => run,
        () => synced,
      )
      seal()
      compactor.wake()
      await until(() => ranges().length === 1, ranges)
      const where = everything(4)
      state.active.memtable.appendDeleteWhere(where)
      compactor.noteDelete(where)
      for (let i = 0; i < 100; i++) await turn()
      expect(ranges()).toHaveLength(1)
      release()
      await until(() => ranges().length === 0, ranges)
      await compactor.close()
    })

    test('and poisons the table if the log cannot be synced', async () => {
      const failure = Object.assign(new Error('broken'), { code: 'EIO' })
      const { compactor, seal, state, ranges, poison } = newCompactor(
        run => run,
        () => Promise.reject(failure),
      )
      seal()
      compactor.wake()
      await until(() => ranges().length === 1, ranges)
      const where = everything(4)
      state.active.memtable.appendDeleteWhere(where)
      compactor.noteDelete(where)
      await until(() => poison.latched, ranges)
      expect(ranges()).toHaveLength(1)
      await compactor.close()
    })
  })

  test('tells how far merges are behind: from three quarters of the files that there may be', async () => {
    const { compactor, seal, ranges } = newCompactor(withoutMerges(() => {}))
    const debts: number[] = []
    for (let files = 1; files <= 33; files++) {
      seal(4 * files)
      compactor.wake()
      await until(() => ranges().length === files, ranges)
      debts.push(compactor.debt)
    }
    expect(debts.slice(0, 23)).toEqual(Array<number>(23).fill(0))
    expect(debts.slice(23, 31)).toEqual(debts.slice(23, 31).toSorted((a, b) => a - b))
    expect([debts[29]! < 1, debts[30], debts[32]]).toEqual([true, 1, 1])
    await compactor.close()
  })

  test('refuses to hold the seals for a caller that does not hold the merges', async () => {
    const { compactor } = newCompactor()
    const nothing = () => Promise.resolve()
    await expect(compactor.holdSeals(nothing)).rejects.toMatchObject({ code: 'FLASHTABLE_INTERNAL_ERROR' })
    await compactor.holdMerges(() => compactor.holdSeals(nothing))
    await compactor.close()
  })
})

/** Commit groups: which calls share a frame, when a memtable is sealed, who waits, what a failure means. */
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { TableEvent } from '../../../src/base/events.js'
import { Committer } from '../../../src/commit/committer.js'
import { DELETE_KEY, OperationBuffer, PUT } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import type { TableState } from '../../../src/state/table-state.js'
import { WalWriter } from '../../../src/wal/writer.js'
import { NEW, newState } from '../state/new-state.js'

const LAYOUT = recordLayout([4], [4])

/** A committer on a disk of its own; `seals` has the promises that puts wait for, and `end` settles them. */
function newCommitter({
  memtableRecords = 10_000,
  syncIntervalMs = Infinity,
  segmentBytes = 2 ** 20,
  has = (keys: readonly Uint32Array[]): Uint8Array | Promise<Uint8Array> => new Uint8Array(keys[0]!.length),
} = {}) {
  const { disk, poison, options, state } = newState(LAYOUT, memtableRecords, NEW)
  const wal = new WalWriter({
    ...options,
    epoch: 1,
    segmentBytes,
    takeFileNumber: () => state.takeFileNumber(),
    nextSequence: 0,
    spares: [],
    sparesMax: 2,
    checkHome: () => Promise.resolve(),
  })
  const seals: { end(): void }[] = []
  const waits: { ms: number; end(): void }[] = []
  const events: TableEvent[] = []
  let sealed = 0
  let debt = 0
  const committer = new Committer({
    state,
    wal,
    poison,
    layout: LAYOUT,
    memtableRecords,
    syncIntervalMs,
    presence: {
      hasEach: keys => has(keys),
      recordsOf: () => Promise.resolve(new OperationBuffer(LAYOUT)),
    },
    seals: {
      wake: () => void sealed++,
      noteDelete: () => {},
      sealFinished: () => new Promise(resolve => seals.push({ end: resolve })),
      get debt() {
        return debt
      },
    },
    wait: (ms, signal) =>
      new Promise(resolve => {
        waits.push({ ms, end: resolve })
        signal.addEventListener('abort', () => resolve())
      }),
    publish: event => void events.push(event),
  })
  /** Puts of ascending keys from `first` on, with one value. */
  const putRows = (first: number, count: number, value: number) =>
    committer.commitPuts(
      count,
      (lanes, row) => {
        for (let i = 0; i < count; i++) {
          lanes[0]![row + i] = first + i
          lanes[1]![row + i] = value
        }
      },
      false,
    )
  const setDebt = (share: number): void => void (debt = share)
  const put = (key: number, sync = false) => committer.commitRow(PUT, Uint32Array.of(key, key + 1), sync)
  /** Frames that were written: each is one write call. */
  const writes = () => disk.log.filter(({ op, path }) => op === 'write' && path.endsWith('.wal')).length
  const syncs = () => disk.log.filter(({ op, path }) => op === 'sync' && path.endsWith('.wal')).length
  return {
    disk,
    poison,
    state,
    wal,
    committer,
    put,
    putRows,
    writes,
    syncs,
    seals,
    waits,
    events,
    setDebt,
    sealsAsked: () => sealed,
  }
}

/** The keys that are visible in the active memtable. */
function keysOf({ active }: TableState): number[] {
  const { lanes, count } = active.memtable
  return Array.from(lanes[0]!.subarray(0, count))
}

/** `count` numbers from `first` on. */
function ascending(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

/** Operations for one call. */
function rows(count: number): OperationBuffer {
  const operations = new OperationBuffer(LAYOUT, count)
  for (let i = 0; i < count; i++) operations.appendRecord(PUT, Uint32Array.of(i, i))
  return operations
}

describe('a commit group', () => {
  test('has all calls of one moment in one frame', async () => {
    const { put, writes, state } = newCommitter()
    await put(0)
    const before = writes()
    await Promise.all([1, 2, 3, 4, 5].map(key => put(key)))
    expect(writes() - before).toBe(1)
    expect(state.active.memtable.count).toBe(6)
  })

  test('of a caller who awaits each put is committed without a turn of the event loop', async () => {
    const { put } = newCommitter()
    await put(0)
    let turned = false
    void turn().then(() => (turned = true))
    await put(1)
    expect(turned).toBe(false)
  })

  test('lets the event loop turn after sixteen single puts', async () => {
    const { put } = newCommitter()
    let turns = 0
    const ended = new AbortController()
    const counted = (async () => {
      for (; !ended.signal.aborted; turns++) await turn()
    })()
    for (let key = 0; key < 160; key++) await put(key)
    ended.abort()
    await counted
    expect(turns).toBeGreaterThanOrEqual(9)
    expect(turns).toBeLessThanOrEqual(20)
  })

  test('of many columns is the caller\u2019s own and is not copied', async () => {
    const { committer, put, writes, state } = newCommitter()
    const operations = rows(2000)
    const before = writes()
    await Promise.all([put(1), committer.commit({ operations, deletes: [] }, false), put(2)])
    expect(writes() - before).toBe(3)
    expect(state.active.memtable.count).toBe(2002)
  })

  test('keeps the order of the calls', async () => {
    const { committer, put, state } = newCommitter()
    await Promise.all([put(7), committer.commit({ operations: rows(3), deletes: [] }, false), put(8)])
    const { memtable } = state.active
    const keys = Array.from({ length: memtable.count }, (_, row) => memtable.lanes[0]![row])
    expect(keys).toEqual([7, 0, 1, 2, 8])
  })

  test('gives delete-where entries their place between the rows', async () => {
    const { committer, put, state } = newCommitter()
    const deletes = [{ position: 0, lanes: [1], values: [5] }]
    await Promise.all([
      put(1),
      committer.commit({ operations: new OperationBuffer(LAYOUT, 1), deletes }, false),
      put(2),
    ])
    expect(state.active.memtable.deletes).toMatchObject([{ sequence: 1, lanes: [1], values: [5] }])
    expect(state.active.memtable.endSequence).toBe(3)
  })
})

describe('many puts at once', () => {
  test('lie in the memtable before they are written, and are seen only then', async () => {
    const { putRows, state } = newCommitter()
    await putRows(0, 10, 1)
    const put = putRows(100, 2000, 2)
    const { memtable } = state.active
    expect([memtable.lanes[0]![10], memtable.lanes[0]![2009]]).toEqual([100, 2099])
    expect([memtable.count, state.view().length]).toEqual([10, 10])
    expect(memtable.findNewest(Uint32Array.of(100), memtable.count)).toBe(-1)
    await put
    expect([memtable.count, state.view().length]).toEqual([2010, 2010])
    expect(memtable.findNewest(Uint32Array.of(100), memtable.count)).toBe(10)
  })

  test.each([2000, 9000])(
    'of %d rows that cannot be written leave nothing, and others take their place',
    async count => {
      const { putRows, put, state, disk, wal } = newCommitter()
      await put(1)
      const { records } = state.counters.read()
      disk.failAt(({ op, path }) => op === 'write' && path.endsWith('.wal'), 'ENOSPC')
      await expect(putRows(100, count, 1)).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
      expect([keysOf(state), wal.nextSequence, state.counters.read().records]).toEqual([[1], 1, records])
      disk.clearFaults()
      await putRows(5, 1500, 2)
      await put(9)
      expect(keysOf(state)).toEqual([1, ...ascending(5, 1500), 9])
      expect(wal.nextSequence).toBe(1502)
    },
  )

  test('keep their order among other calls of the same moment, in the memtable or in a buffer', async () => {
    const { putRows, put, state, committer } = newCommitter()
    await put(1)
    await Promise.all([
      putRows(100, 1500, 1),
      putRows(2000, 1500, 2),
      put(7),
      putRows(20, 10, 3),
      putRows(4000, 1024, 4),
    ])
    await Promise.all([
      put(8),
      putRows(6000, 1500, 5),
      committer.commit({ operations: rows(3), deletes: [{ position: 3, lanes: [1], values: [9] }] }, false),
    ])
    const first = [1, ...ascending(100, 1500), ...ascending(2000, 1500), 7, ...ascending(20, 10)]
    expect(keysOf(state)).toEqual([...first, ...ascending(4000, 1024), 8, ...ascending(6000, 1500), 0, 1, 2])
    expect(state.active.memtable.deletes[0]!.sequence).toBe(state.active.memtable.count)
  })

  test('come into the next memtable where the active one is sealed before they are written', async () => {
    const { putRows, put, state, committer } = newCommitter()
    await put(1)
    // Waits for no group, and has the memtable and the log to itself when the rows lie in the memtable already.
    const sealed = committer.exclusive(() => committer.seal())
    const { memtable } = state.active
    const put2 = putRows(100, 2000, 2)
    expect(memtable.lanes[0]![1]).toBe(100)
    await Promise.all([sealed, put2])
    expect([memtable.count, state.version.sealed.length]).toEqual([1, 1])
    expect(keysOf(state)).toEqual(ascending(100, 2000))
  })

  test('that fit the memtable, but not the segment, come into the next one', async () => {
    const { putRows, state } = newCommitter({ memtableRecords: 200_000, segmentBytes: 2 ** 16 })
    await putRows(0, 7000, 1)
    await putRows(10_000, 7000, 2)
    expect(state.version.sealed.map(({ memtable }) => memtable.count)).toEqual([7000])
    expect(keysOf(state)).toEqual(ascending(10_000, 7000))
  })

  test('are puts where the memtable has other operations', async () => {
    const { putRows, committer, state } = newCommitter()
    await committer.commitRow(DELETE_KEY, Uint32Array.of(5, 0), false)
    await putRows(0, 2000, 1)
    expect(state.active.memtable.kinds!.subarray(0, 2001)).toEqual(
      Uint8Array.of(DELETE_KEY, ...new Uint8Array(2000)),
    )
    expect(state.active.memtable.puts).toBe(2000)
  })

  test('take the buffers of calls before them, which may have had other operations', async () => {
    const { putRows, committer, state } = newCommitter()
    for (let i = 0; i < 3; i++) {
      const deletes = committer.takeBuffer()
      for (let key = 0; key < 1100; key++) deletes.appendRecord(DELETE_KEY, Uint32Array.of(key, 0))
      await Promise.all([
        putRows(0, 1, 1),
        committer.commit({ operations: deletes, deletes: [] }, false),
        putRows(0, 1100, 1),
      ])
    }
    expect(state.active.memtable.puts).toBe(3 * 1101)
  })
})

describe('a call with sync', () => {
  test('resolves after a sync that began after its frame was written', async () => {
    const { put, wal, syncs } = newCommitter()
    await put(1)
    expect(syncs()).toBe(0)
    await put(2, true)
    expect(syncs()).toBe(1)
    expect(wal.syncedSequence).toBe(2)
  })

  test('that fails rejects, and so does every later write', async () => {
    const { disk, put, poison } = newCommitter()
    disk.failAt(({ op, path }) => op === 'sync' && path.endsWith('.wal'), 'EIO')
    await expect(put(1, true)).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
    expect(poison.latched).toBe(true)
    await expect(put(2)).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
  })
})

describe('a memtable that is full', () => {
  test('is sealed, and the compactor is woken', async () => {
    const { put, state, sealsAsked } = newCommitter({ memtableRecords: 4 })
    for (let key = 0; key < 5; key++) await put(key)
    expect([state.version.sealed.length, state.active.memtable.count, sealsAsked()]).toEqual([1, 1, 1])
  })

  test('makes puts wait when two are sealed already, until one of them is a run', async () => {
    const { put, state, committer, seals } = newCommitter({ memtableRecords: 4 })
    for (let key = 0; key < 12; key++) await put(key)
    expect(state.version.sealed).toHaveLength(2)
    let done = false
    const waiting = put(12).then(() => (done = true))
    for (let i = 0; i < 20; i++) await turn()
    expect([done, committer.waits, seals.length]).toEqual([false, 1, 1])
    await state.installRun(undefined, undefined)
    seals[0]!.end()
    await waiting
    expect(state.version.sealed).toHaveLength(2)
    expect(committer.waitedMs).toBeGreaterThan(0)
  })

  test('keeps the segments of its records', async () => {
    const { put, state, committer } = newCommitter({ memtableRecords: 4 })
    for (let key = 0; key < 5; key++) await put(key)
    const [sealed] = state.version.sealed
    expect([sealed!.segments, sealed!.logBytes]).toEqual([[1], committer.liveSegments()[0]!.bytes])
    expect(sealed!.logBytes).toBeGreaterThan(0)
    expect(committer.liveSegments().map(({ number }) => number)).toEqual([1, 2])
  })
})

describe('a debt of merges', () => {
  test('delays puts before they are written, and is told', async () => {
    const { committer, put, waits, events, setDebt, writes } = newCommitter()
    await put(0)
    setDebt(0.99)
    const before = writes()
    const waiting = committer.commit({ operations: rows(5000), deletes: [] }, false)
    for (let i = 0; i < 20; i++) await turn()
    expect([waits.length, writes()]).toEqual([1, before])
    waits[0]!.end()
    await waiting
    expect([writes(), committer.delays]).toEqual([before + 1, 1])
    expect(committer.delayedMs).toBeGreaterThan(0)
    expect(events).toMatchObject([{ kind: 'wait', reason: 'merge' }])
    setDebt(0)
    await committer.commit({ operations: rows(5000), deletes: [] }, false)
    expect(waits.length).toBe(1)
  })

  test('delays nothing once the table is being closed', async () => {
    const { committer, setDebt, state } = newCommitter()
    setDebt(1)
    const puts = [1, 2, 3].map(() => committer.commit({ operations: rows(2000), deletes: [] }, false))
    await committer.close()
    await Promise.all(puts)
    expect(state.active.memtable.count).toBe(6000)
  })
})

test('a failure after the frame was written poisons the table: the log is ahead of the memtable', async () => {
  const { put, state, poison } = newCommitter()
  await put(1)
  state.active.memtable.append = () => {
    throw new Error('no memory')
  }
  await expect(put(2)).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
  expect(poison.latched).toBe(true)
})

describe('a barrier', () => {
  test('resolves when the calls before it are committed, and does not wait for those after it', async () => {
    const { committer, put, state } = newCommitter()
    void put(1)
    const barrier = committer.barrier(false)
    const later = put(2)
    await barrier
    expect(state.active.memtable.count).toBeGreaterThanOrEqual(1)
    await later
    expect(state.active.memtable.count).toBe(2)
  })
})

describe('a turn among the commits', () => {
  test('comes after the calls before it, and the calls after it wait until it has ended', async () => {
    const { committer, put, state } = newCommitter()
    const counts: number[] = []
    const first = put(1)
    const inTurn = committer.inTurn(stopped =>
      stopped(async () => {
        counts.push(state.active.memtable.count)
        for (let i = 0; i < 5; i++) await turn()
        counts.push(state.active.memtable.count)
      }),
    )
    const second = put(2)
    await Promise.all([first, inTurn, second])
    expect([...counts, state.active.memtable.count]).toEqual([1, 1, 2])
  })
})

describe('conditional puts', () => {
  test('fail alone where a key cannot be looked up: other calls of that moment do not', async () => {
    const has = (): Promise<Uint8Array> => Promise.reject(new Error('a page is damaged'))
    const { committer, put, state } = newCommitter({ has })
    const before = put(1)
    const conditional = committer.commitIfAbsent(Uint32Array.of(2, 3), false)
    const after = put(3)
    await expect(conditional).rejects.toThrow('a page is damaged')
    await Promise.all([before, after])
    expect(state.active.memtable.count).toBe(2)
    await put(4)
    expect(state.active.memtable.count).toBe(3)
  })

  test('are decided in their turn: later calls wait for the lookup, and come after it', async () => {
    const answers: ((has: Uint8Array) => void)[] = []
    const has = (): Promise<Uint8Array> => new Promise(resolve => answers.push(resolve))
    const { committer, put, state } = newCommitter({ has })
    const order: string[] = []
    const conditional = [1, 2].map(key => committer.commitIfAbsent(Uint32Array.of(key, 0), false))
    const later = put(1).then(() => order.push('later'))
    for (let i = 0; i < 5; i++) await turn()
    expect(state.active.memtable.count).toBe(0)
    expect(answers).toHaveLength(1)
    void Promise.all(conditional).then(() => order.push('conditional'))
    answers[0]!(Uint8Array.of(0, 1))
    expect(await Promise.all(conditional)).toEqual([true, false])
    await later
    expect(order.toSorted()).toEqual(['conditional', 'later'])
    expect(state.active.memtable.count).toBe(2)
  })

  test('of one moment share a frame', async () => {
    const { committer, writes } = newCommitter()
    const calls = Array.from({ length: 20 }, (_, i) =>
      committer.commitIfAbsent(Uint32Array.of(i % 7, i), false),
    )
    expect((await Promise.all(calls)).filter(put => put)).toHaveLength(7)
    expect(writes()).toBe(1)
  })
})

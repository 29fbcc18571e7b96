import { describe, expect, test } from 'vitest'
import { OperationBuffer } from '../../../src/records/operations.js'
import { Random } from '../../support/random.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { systemError } from '../../support/system-error.js'
import {
  DIRECTORY,
  failureOf,
  layout,
  Log,
  newDisk,
  newLog,
  PAGE,
  pathOf,
  replay,
  rowsOf,
  segmentNumbers,
} from './log.js'

/** A frame of one row: header and raw record. */
const ONE = 32 + 16
/** Frames of one row in a page. */
const ONES_PER_PAGE = Math.floor(PAGE / ONE)

/** Lets a test hold back calls of one kind and let them go one by one. */
function gate(disk: SimulatedFileSystem, op: string): { waiting: (() => void)[]; open: () => void } {
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

/** Lets everything run that can. */
function openSegments(log: Log): string[] {
  return log.disk.openPaths.filter(path => path !== DIRECTORY)
}

function closedSegments(log: Log): string[] {
  return log.calls('close').filter(call => call !== 'close')
}

async function settle(): Promise<void> {
  await new Promise(resolve => void setImmediate(resolve))
}

describe('appending', () => {
  test('creates nothing before the first append', async () => {
    const log = await newLog()
    const before = log.disk.calls
    await log.sync()
    expect(log.writer.rotate()).toBeUndefined()
    expect(log.writer.activeSegment).toBeUndefined()
    await log.writer.close()
    expect(log.disk.calls).toBe(before)
  })

  test('groups of all sizes come back in their order', async () => {
    const log = await newLog()
    for (const count of [1, 2, 3, 100, 1, 5000, 1, 20_000, 1, 1, 7]) await log.append(count)
    const replayed = await replay(log.disk)
    expect(replayed.tags).toEqual(log.tags)
    expect(replayed.endSequence).toBe(log.writer.nextSequence)
    expect(replayed.segments).toEqual([log.writer.activeSegment])
    expect(replayed.tornAt).toBeUndefined()
  })

  test('a part of the rows can be appended', async () => {
    const log = await newLog()
    await log.writer.append(rowsOf(-40, 100, 9), 40, 70, [])
    expect((await replay(log.disk)).tags).toEqual(Array<number>(30).fill(9))
  })

  test('delete-where entries come back with their sequence numbers, alone and among rows', async () => {
    const log = await newLog()
    await log.append(3)
    const alone = [{ sequence: 3, lanes: [4], values: [7] }]
    await log.writer.append(new OperationBuffer(layout), 0, 0, alone)
    const among = [
      { sequence: 4, lanes: [2, 4], values: [1, 0xffffffff] },
      { sequence: 6, lanes: [2], values: [2] },
    ]
    const operations = rowsOf(5, 1, 50)
    operations.append(rowsOf(7, 2, 50), 0, 2)
    await log.writer.append(operations, 0, 3, among)
    const replayed = await replay(log.disk)
    expect(replayed.deletes).toEqual([...alone, ...among])
    expect(replayed.tags[5]).toBe(50)
    expect(replayed.tags[8]).toBe(50)
    expect(replayed.endSequence).toBe(9)
  })

  test('writes that transfer less than asked are gone on with', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const log = new Log(await newDisk({ seed, shortTransfers: 0.8 }))
      for (const count of [1, 100, 6000, 1]) await log.append(count)
      await log.sync()
      await log.append(2)
      expect((await replay(log.disk)).tags).toEqual(log.tags)
    }
  })

  test('small groups are written without waiting, large ones and the first of a segment are waited for', async () => {
    const log = await newLog()
    expect(log.writer.append(rowsOf(0, 1, 1), 0, 1, [])).toBeInstanceOf(Promise)
    await settle()
    expect(log.writer.append(rowsOf(1, 1, 1), 0, 1, [])).toBeUndefined()
    expect(log.writer.append(rowsOf(2, 9000, 1), 0, 9000, [])).toBeInstanceOf(Promise)
    await settle()
    expect(log.writer.nextSequence).toBe(9002)
    expect((await replay(log.disk)).endSequence).toBe(9002)
  })

  test('two appends at a time are a bug of the caller', async () => {
    const log = await newLog()
    const first = log.append()
    expect((await failureOf(() => log.append())).message).toMatch(/one append at a time/)
    await first
    expect((await replay(log.disk)).endSequence).toBe(1)
  })
})

describe('full pages', () => {
  test('the first touch of a page writes it whole, later groups add only their bytes', async () => {
    const log = await newLog()
    await log.append()
    await log.append()
    await log.append(1000)
    const bytes = log.writer.activeSegment!.bytes
    await log.append()
    expect(log.calls('write')).toEqual([
      `write 000001.wal ${PAGE} at 0`,
      `write 000001.wal ${ONE} at ${ONE}`,
      `write 000001.wal ${Math.ceil(bytes / PAGE) * PAGE - 2 * ONE} at ${2 * ONE}`,
      `write 000001.wal ${ONE} at ${bytes}`,
    ])
  })

  test('a group that runs over the end of a touched page writes to the end of the next one', async () => {
    const log = await newLog()
    for (let i = 0; i < ONES_PER_PAGE; i++) await log.append()
    const written = log.calls('write').length
    await log.append()
    const at = ONES_PER_PAGE * ONE
    expect(log.calls('write').slice(written)).toEqual([`write 000001.wal ${2 * PAGE - at} at ${at}`])
  })

  test('behind the last frame are zeros to the end of the page, also in a recycled segment', async () => {
    const disk = await newDisk()
    disk.writeFile(pathOf(1), new Uint8Array(20 * PAGE).fill(0xee))
    const log = new Log(disk, { nextNumber: 2, spares: [1] })
    await log.append(300)
    const { bytes } = log.writer.activeSegment!
    const file = disk.readFile(pathOf(2))
    const pageEnd = Math.ceil(bytes / PAGE) * PAGE
    expect(file.subarray(bytes, pageEnd)).toEqual(new Uint8Array(pageEnd - bytes))
    expect(file[pageEnd]).toBe(0xee)
  })

  test('no page with a synced frame is written again', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed)
      const log = new Log(await newDisk({ seed }), { segmentBytes: 8 * PAGE })
      const frames: { path: string; end: number; endSequence: number }[] = []
      const syncs: Promise<void>[] = []
      const touched: string[] = []
      log.disk.onCall = ({ op, path, position }) => {
        if (op !== 'write') return
        const synced = frames.findLast(
          frame => frame.path === path && frame.endSequence <= log.writer.syncedSequence,
        )
        if (synced !== undefined && position! < Math.ceil(synced.end / PAGE) * PAGE) {
          touched.push(`seed ${seed}: write at ${position} of ${path}, synced up to ${synced.end}`)
        }
      }
      for (let step = 0; step < 60; step++) {
        const count = random.pick([1, 1, 1, 20, 300])
        if (!log.writer.hasRoom(rowsOf(0, count, 0), 0, count, 0)) log.writer.rotate()
        await log.append(count)
        const { number, bytes, endSequence } = log.writer.activeSegment!
        frames.push({ path: pathOf(number), end: bytes, endSequence })
        if (random.chance(0.3)) syncs.push(log.sync())
        if (random.chance(0.2)) await settle()
      }
      await Promise.all(syncs)
      expect(touched).toEqual([])
      expect((await replay(log.disk)).tags).toEqual(log.tags)
    }
  })
})

describe('syncing', () => {
  test('makes durable what was appended, entry in the directory included', async () => {
    const log = await newLog()
    await log.append(10)
    expect(log.writer.syncedSequence).toBe(0)
    await log.sync()
    expect(log.writer.syncedSequence).toBe(10)
    await log.append(5)
    const after = log.disk.crashState(0, { data: 'none', entries: 'none' })
    expect((await replay(after)).endSequence).toBe(10)
  })

  test('with nothing new does nothing', async () => {
    const log = await newLog()
    await log.append()
    await log.sync()
    const before = log.disk.calls
    await log.sync()
    expect(log.disk.calls).toBe(before)
  })

  test('is shared by all calls that wait together', async () => {
    const log = await newLog()
    await log.append()
    await Promise.all([log.sync(), log.sync(), log.sync()])
    expect(log.calls('sync', 'syncDirectory')).toEqual(['sync 000001.wal', 'syncDirectory'])
  })

  test('that is asked for while another runs waits, is shared, and covers what was appended before it', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'sync')
    const first = log.sync()
    await settle()
    await log.append()
    const second = log.sync()
    await log.append()
    const third = log.sync()
    await settle()
    expect(waiting.length).toBe(1)
    expect(log.writer.syncedSequence).toBe(0)
    waiting.shift()!()
    await first
    expect(log.writer.syncedSequence).toBe(1)
    await settle()
    expect(waiting.length).toBe(1)
    open()
    await Promise.all([second, third])
    expect(log.writer.syncedSequence).toBe(3)
    expect(log.calls('sync')).toEqual(['sync 000001.wal', 'sync 000001.wal'])
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).endSequence).toBe(3)
  })

  test('does not hold up appends, which go to the next page and are not covered', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'syncDirectory')
    const sync = log.sync()
    await settle()
    expect(waiting.length).toBe(1)
    await log.append()
    await log.append()
    expect(log.calls('write').slice(1)).toEqual([
      `write 000001.wal ${PAGE} at ${PAGE}`,
      `write 000001.wal ${ONE} at ${PAGE + ONE}`,
    ])
    open()
    await sync
    expect(log.writer.syncedSequence).toBe(1)
    expect((await replay(log.disk)).tags).toEqual(log.tags)
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).endSequence).toBe(1)
  })

  test('waits for a large append that is being written, so that its page is not synced half-way', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'write')
    const append = log.append(20_000)
    const sync = log.sync()
    await settle()
    expect(waiting.length).toBe(1)
    expect(log.calls('sync')).toEqual([])
    open()
    await Promise.all([append, sync])
    expect(log.writer.syncedSequence).toBe(20_001)
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).endSequence).toBe(20_001)
  })

  test('is not kept waiting by large appends that follow each other without a pause', async () => {
    const log = await newLog({ segmentBytes: 64 * 1024 * 1024 })
    await log.append()
    const sync = log.sync()
    let appends = 0
    while (log.writer.syncedSequence === 0 && appends < 20) {
      await log.append(5000)
      appends++
    }
    await sync
    expect(appends).toBeLessThan(20)
  })

  test('covers an ended segment before the one that came after it', async () => {
    const log = await newLog()
    await log.append(3)
    expect(log.writer.rotate()).toEqual({ number: 1, epoch: 1, bytes: 80, firstSequence: 0, endSequence: 3 })
    await log.append(4)
    expect(log.writer.syncedSequence).toBe(0)
    await log.sync()
    expect(log.calls('sync', 'syncDirectory')).toEqual([
      'sync 000001.wal',
      'sync 000002.wal',
      'syncDirectory',
    ])
    expect(log.writer.syncedSequence).toBe(7)
    await log.append()
    await log.sync()
    expect(log.calls('sync').slice(2)).toEqual(['sync 000002.wal'])
    expect((await replay(log.disk.crashState(0, { data: 'none', entries: 'none' }))).endSequence).toBe(8)
  })

  test('of a new segment syncs the directory again', async () => {
    const log = await newLog()
    await log.append()
    await log.sync()
    log.writer.rotate()
    await log.append()
    await log.sync()
    expect(log.calls('syncDirectory').length).toBe(2)
    expect((await replay(log.disk.crashState(0, { data: 'none', entries: 'none' }))).endSequence).toBe(2)
  })
})

describe('segments', () => {
  test('room is what surely fits, and an empty segment takes any frame', async () => {
    const log = await newLog({ segmentBytes: 2 * PAGE + 100 })
    const rows = rowsOf(0, 10_000, 0)
    expect(log.writer.hasRoom(rows, 0, 10_000, 0)).toBe(true)
    await log.append()
    expect(log.writer.hasRoom(rows, 0, 10_000, 0)).toBe(false)
    const left = Math.floor((2 * PAGE - ONE - 32) / 16)
    expect(log.writer.hasRoom(rows, 0, left, 0)).toBe(true)
    expect(log.writer.hasRoom(rows, 0, left + 1, 0)).toBe(false)
    expect(log.writer.hasRoom(rows, 0, left, 1)).toBe(false)
    await log.sync()
    expect(log.writer.hasRoom(rows, 0, left, 0)).toBe(false)
    log.writer.rotate()
    expect(log.writer.hasRoom(rows, 0, 10_000, 0)).toBe(true)
  })

  test('the number of a segment is known from the moment that it is taken', async () => {
    const log = await newLog({ nextNumber: 8, nextSequence: 100, epoch: 3 })
    const append = log.append()
    expect(log.nextNumber).toBe(9)
    expect(log.writer.activeSegment).toEqual({
      number: 8,
      epoch: 3,
      bytes: 0,
      firstSequence: 100,
      endSequence: 100,
    })
    await append
    expect(log.writer.activeSegment).toMatchObject({ number: 8, bytes: ONE, endSequence: 101 })
  })

  test('a segment without frames takes any frame, is ended too, and retired like others', async () => {
    const log = await newLog()
    log.disk.failAt(call => call.op === 'write', 'ENOSPC', { effect: 'none' })
    await failureOf(() => log.append())
    expect(log.writer.activeSegment).toMatchObject({ number: 1, bytes: 0 })
    expect(log.writer.hasRoom(rowsOf(0, 100_000, 0), 0, 100_000, 0)).toBe(true)
    expect(log.writer.rotate()).toBeUndefined()
    expect(log.writer.activeSegment).toBeUndefined()
    await log.append()
    expect(segmentNumbers(log.disk)).toEqual([1, 2])
    expect((await replay(log.disk)).tags).toEqual(log.tags)
    await log.writer.retire([1])
    expect(openSegments(log)).toEqual([pathOf(2)])
    await log.append()
    expect((await replay(log.disk, { firstSegment: 2 })).tags).toEqual(log.tags)
    expect(log.writer.spares).toEqual([1])
  })

  test('a number that was taken and never became a file is retired like others', async () => {
    const log = await newLog()
    log.disk.failAt(call => call.op === 'create', 'ENOSPC')
    await failureOf(() => log.append())
    expect(log.writer.activeSegment).toBeUndefined()
    expect(log.writer.rotate()).toBeUndefined()
    await log.writer.retire([1])
    await log.append(3)
    await log.sync()
    const after = log.disk.crashState(0, { data: 'none', entries: 'none' })
    expect((await replay(after, { firstSegment: 2 })).tags).toEqual(log.tags)
  })

  test('an ended segment stays, its handle open, until it is retired', async () => {
    const log = await newLog()
    await log.append()
    log.writer.rotate()
    await log.append()
    expect(openSegments(log)).toEqual([pathOf(1), pathOf(2)])
    await log.sync()
    await log.writer.retire([1])
    expect(openSegments(log)).toEqual([pathOf(2)])
  })

  test('two retired segments are kept, others removed, the oldest first', async () => {
    const log = await newLog()
    for (let number = 1; number <= 5; number++) {
      await log.append()
      log.writer.rotate()
    }
    await log.append()
    await log.writer.retire([4, 2, 1, 3])
    expect(log.writer.spares).toEqual([1, 2])
    expect(log.calls('unlink')).toEqual(['unlink 000003.wal', 'unlink 000004.wal'])
    expect(segmentNumbers(log.disk)).toEqual([1, 2, 5, 6])
  })

  test('a kept segment is renamed and overwritten from the start', async () => {
    const log = await newLog()
    await log.append(2000)
    log.writer.rotate()
    await log.append()
    await log.writer.retire([1])
    log.writer.rotate()
    const { length } = log.disk.readFile(pathOf(1))
    await log.append()
    expect(log.calls('rename')).toEqual(['rename 000001.wal 000003.wal'])
    expect(log.writer.activeSegment!.number).toBe(3)
    expect(log.calls('write').at(-1)).toBe(`write 000003.wal ${PAGE} at 0`)
    expect(log.disk.readFile(pathOf(3)).length).toBe(length)
    expect(log.writer.spares).toEqual([])
    await log.sync()
    expect(log.calls('syncDirectory').length).toBe(1)
    const choice = { firstSegment: 2, firstSequence: 2000 }
    const after = log.disk.crashState(0, { data: 'none', entries: 'none' })
    expect((await replay(after, choice)).endSequence).toBe(2002)
  })

  test('segments of earlier epochs are retired too', async () => {
    const disk = await newDisk()
    for (const number of [3, 4, 5]) disk.writeFile(pathOf(number), new Uint8Array(PAGE))
    const log = new Log(disk, { nextNumber: 9, spares: [3] })
    await log.writer.retire([4, 5])
    expect(log.writer.spares).toEqual([3, 4])
    expect(segmentNumbers(disk)).toEqual([3, 4])
  })

  test('a spare that cannot be renamed is replaced by a new file', async () => {
    for (const code of ['ENOENT', 'EIO', 'EACCES', 'ENOSPC']) {
      for (const effect of ['none', 'all'] as const) {
        const disk = await newDisk()
        disk.writeFile(pathOf(1), new Uint8Array(PAGE).fill(1))
        const log = new Log(disk, { nextNumber: 2, spares: [1] })
        disk.failAt(call => call.op === 'rename', code, { effect })
        await log.append(3)
        await log.sync()
        expect(log.poison.latched).toBe(false)
        const after = disk.crashState(0, { data: 'none', entries: 'none' })
        expect((await replay(after, { firstSegment: 2 })).tags, `${code} ${effect}`).toEqual(log.tags)
        log.writer.rotate()
        await log.append()
        expect((await replay(disk, { firstSegment: 2 })).tags).toEqual(log.tags)
      }
    }
  })

  test('retiring waits for the sync that uses the file', async () => {
    const log = await newLog()
    await log.append()
    log.writer.rotate()
    await log.append()
    const { open } = gate(log.disk, 'sync')
    const sync = log.sync()
    await settle()
    const retire = log.writer.retire([1])
    await settle()
    expect(closedSegments(log)).toEqual([])
    open()
    await Promise.all([sync, retire])
    expect(closedSegments(log)).toEqual(['close 000001.wal'])
    expect(log.writer.syncedSequence).toBe(2)
  })

  test('a retired segment needs no sync any more', async () => {
    const log = await newLog()
    await log.append()
    log.writer.rotate()
    await log.append()
    await log.writer.retire([1])
    await log.sync()
    expect(log.calls('sync')).toEqual(['sync 000002.wal'])
    expect(log.writer.syncedSequence).toBe(2)
  })

  test('files that cannot be closed or removed on retiring are left behind', async () => {
    const log = await newLog()
    for (let number = 1; number <= 4; number++) {
      await log.append()
      log.writer.rotate()
    }
    log.disk.failAt(call => call.op === 'close' || call.op === 'unlink', 'EIO', {
      repeat: 'sticky',
      effect: 'none',
    })
    await log.writer.retire([1, 2, 3, 4])
    expect(log.poison.latched).toBe(false)
    log.disk.clearFaults()
    await log.append()
    expect((await replay(log.disk, { firstSegment: 5, firstSequence: 4 })).endSequence).toBe(5)
  })
})

describe('closing', () => {
  test('waits for what is in flight, closes all handles, and does not sync', async () => {
    const log = await newLog()
    await log.append()
    log.writer.rotate()
    const append = log.append(20_000)
    await log.writer.close()
    await append
    expect(log.calls('sync')).toEqual([])
    expect(log.disk.openHandles).toBe(0)
    expect((await replay(log.disk)).endSequence).toBe(20_001)
  })

  test('lets a sync end that was asked for', async () => {
    const log = await newLog()
    await log.append()
    const sync = log.sync()
    await log.writer.close()
    await sync
    expect(log.writer.syncedSequence).toBe(1)
    expect(log.disk.openHandles).toBe(0)
  })

  test('reports a handle that cannot be closed, and closes the others', async () => {
    const log = await newLog()
    await log.append()
    log.writer.rotate()
    await log.append()
    log.disk.failAt(call => call.op === 'close' && call.path !== DIRECTORY, 'EIO', { effect: 'all' })
    expect((await failureOf(() => log.writer.close())).code).toBe('FLASHTABLE_IO_ERROR')
    expect(closedSegments(log).length).toBe(2)
  })
})

describe('a full disk', () => {
  test('rejects the group, changes nothing, and the next append with room is taken', async () => {
    for (const count of [1, 200, 20_000]) {
      const log = await newLog()
      await log.append()
      await log.append()
      for (let i = 0; i < ONES_PER_PAGE - 2; i++) await log.append()
      log.disk.capacityBytes = log.disk.usedBytes
      const { nextSequence, activeSegment } = log.writer
      for (let attempt = 0; attempt < 3; attempt++) {
        const error = await failureOf(() => log.append(count))
        expect(error.code).toBe('FLASHTABLE_DISK_FULL')
        expect(error.message).toBe('cannot write /t/000001.wal: no space left; make room and try again')
      }
      expect(log.poison.latched).toBe(false)
      expect(log.writer.nextSequence).toBe(nextSequence)
      expect(log.writer.activeSegment).toEqual(activeSegment)
      expect((await replay(log.disk)).tags).toEqual(log.tags)
      log.disk.capacityBytes = Infinity
      await log.append(count)
      await log.append()
      await log.sync()
      expect((await replay(log.disk)).tags).toEqual(log.tags)
    }
  })

  test('can be synced, with what was acknowledged', async () => {
    const log = await newLog()
    await log.append(100)
    log.disk.capacityBytes = log.disk.usedBytes
    await failureOf(() => log.append(5000))
    await log.sync()
    expect(log.writer.syncedSequence).toBe(100)
    await failureOf(() => log.append(5000))
    await log.sync()
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).tags).toEqual(log.tags)
    log.disk.capacityBytes = Infinity
    await log.append(7)
    await log.sync()
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).tags).toEqual(log.tags)
  })

  test('has no room for a new segment: rejected, and tried again with the next append', async () => {
    for (const op of ['create', 'write']) {
      const log = await newLog()
      await log.append()
      log.writer.rotate()
      log.disk.failAt(call => call.op === op, 'ENOSPC')
      const error = await failureOf(() => log.append())
      expect(error.code).toBe('FLASHTABLE_DISK_FULL')
      expect(log.poison.latched).toBe(false)
      expect(log.writer.nextSequence).toBe(1)
      await log.append(2)
      await log.sync()
      const after = log.disk.crashState(0, { data: 'none', entries: 'none' })
      expect((await replay(after)).tags).toEqual(log.tags)
      expect(openSegments(log).length).toBe(2)
    }
  })

  test('with a short frame after a long one that failed half-way: nothing of the long one comes back', async () => {
    for (let room = 1; room <= 6; room++) {
      const log = await newLog()
      await log.append(3)
      log.disk.capacityBytes = log.disk.usedBytes + room * PAGE
      await failureOf(() => log.append(5000))
      log.disk.capacityBytes = Infinity
      await log.append()
      expect((await replay(log.disk)).tags).toEqual(log.tags)
      for (let i = 0; i < 3 * ONES_PER_PAGE; i++) await log.append()
      await log.sync()
      await log.append()
      expect((await replay(log.disk)).tags).toEqual(log.tags)
    }
  })

  // A write may fail for its padding, or for what was written before it: then the rejected frame is there, whole.
  describe('that is reported although the frame has been written whole', () => {
    const wholeButFailed = (log: Log) =>
      log.disk.failAt(call => call.op === 'write', 'ENOSPC', { effect: 'all' })

    for (const count of [1, 3000, 20_000]) {
      test(`a rejected group of ${count} does not come back after kill -9`, async () => {
        const log = await newLog()
        await log.append(5)
        wholeButFailed(log)
        await failureOf(() => log.append(count))
        expect((await replay(log.disk.clone())).tags).toEqual(log.tags)
      })

      test(`a rejected group of ${count} does not come back after a sync and a power cut`, async () => {
        const log = await newLog()
        await log.append(5)
        wholeButFailed(log)
        await failureOf(() => log.append(count))
        await log.sync()
        await log.append(2)
        await log.sync()
        expect((await replay(log.disk.crashState(0, { data: 'none' }))).tags).toEqual(log.tags)
      })

      test(`a rejected group of ${count} does not hide what is put into the next segment`, async () => {
        const log = await newLog()
        await log.append(5)
        wholeButFailed(log)
        await failureOf(() => log.append(count))
        log.writer.rotate()
        await log.append(2)
        expect((await replay(log.disk.clone())).tags).toEqual(log.tags)
        await log.sync()
        expect((await replay(log.disk.crashState(0, { data: 'none' }))).tags).toEqual(log.tags)
      })
    }

    test('a rejected group is not brought back by a power cut once the next segment has been synced', async () => {
      for (let seed = 0; seed < 30; seed++) {
        const log = await newLog()
        await log.append(5)
        await log.sync()
        wholeButFailed(log)
        await failureOf(() => log.append(3))
        log.writer.rotate()
        await log.append(2)
        await log.sync()
        expect((await replay(log.disk.crashState(seed, { data: 'pages' }))).tags).toEqual(log.tags)
      }
    })

    /** The frame is there whole, and for its header to be wiped the disk is full too. */
    async function withLeftover(): Promise<Log> {
      const log = await newLog()
      await log.append(5)
      let failures = 0
      log.disk.failAt(call => call.op === 'write' && failures++ === 0, 'ENOSPC', { effect: 'all' })
      log.disk.failAt(call => call.op === 'write' && failures > 0, 'ENOSPC', {
        effect: 'none',
        repeat: 'sticky',
      })
      expect((await failureOf(() => log.append(3))).code).toBe('FLASHTABLE_DISK_FULL')
      return log
    }

    test('no sync moves on from a rejected group that cannot be wiped', async () => {
      const log = await withLeftover()
      expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_DISK_FULL')
      expect(log.poison.latched).toBe(false)
      expect(log.writer.syncedSequence).toBe(0)
      log.disk.clearFaults()
      await log.sync()
      await log.append(2)
      await log.sync()
      expect((await replay(log.disk.crashState(0, { data: 'none' }))).tags).toEqual(log.tags)
    })

    test('nothing is put into the next segment before a rejected group is wiped', async () => {
      const log = await withLeftover()
      log.writer.rotate()
      for (let attempt = 0; attempt < 2; attempt++) {
        expect((await failureOf(() => log.append(2))).code).toBe('FLASHTABLE_DISK_FULL')
      }
      log.disk.clearFaults()
      await log.append(2)
      expect((await replay(log.disk.clone())).tags).toEqual(log.tags)
    })

    test('a rejected group that cannot be wiped for another reason than a full disk latches', async () => {
      const log = await newLog()
      await log.append(5)
      wholeButFailed(log)
      const first = log.disk.calls + 1
      log.disk.failAt(call => call.op === 'write' && call.step > first, 'EIO')
      expect((await failureOf(() => log.append(3))).code).toBe('FLASHTABLE_POISONED')
      expect(log.poison.latched).toBe(true)
    })

    test('the next frame in its place is enough', async () => {
      const log = await withLeftover()
      log.disk.clearFaults()
      await log.append(2)
      await log.sync()
      expect((await replay(log.disk.crashState(0, { data: 'none' }))).tags).toEqual(log.tags)
      expect(log.calls('write').at(-1)).toBe(`write 000001.wal ${PAGE - 108} at 108`)
    })

    test('a segment that is retired takes its rejected group along', async () => {
      const log = await withLeftover()
      log.writer.rotate()
      log.disk.clearFaults()
      await log.writer.retire([1])
      await log.append(2)
      await log.sync()
      const choice = { firstSegment: 2, firstSequence: 5 }
      expect((await replay(log.disk, choice)).endSequence).toBe(7)
    })
  })
})

describe('a failure', () => {
  test.each([1, 20_000])(
    'to write a group of %i latches: nothing is appended or synced any more',
    async count => {
      const log = await newLog()
      await log.append(4)
      log.disk.failAt(call => call.op === 'write', 'EIO')
      expect((await failureOf(() => log.append(count))).code).toBe('FLASHTABLE_POISONED')
      expect(log.poison.latched).toBe(true)
      const calls = log.disk.calls
      expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_POISONED')
      expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
      expect(log.disk.calls).toBe(calls)
      expect(log.writer.nextSequence).toBe(4)
      const { tags } = await replay(log.disk.clone())
      expect(tags.slice(0, 4)).toEqual(log.tags)
    },
  )

  test.each(['create', 'update'])('to %s a segment latches', async op => {
    const disk = await newDisk()
    disk.writeFile(pathOf(1), new Uint8Array(PAGE))
    const log = new Log(disk, { nextNumber: 2, spares: op === 'update' ? [1] : [] })
    disk.failAt(call => call.op === op, 'EIO')
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_POISONED')
    expect(log.poison.latched).toBe(true)
  })

  test.each([
    ['openDirectory', 'EMFILE'],
    ['create', 'EMFILE'],
    ['update', 'EMFILE'],
    ['rename', 'ENOMEM'],
    ['create', 'ENOMEM'],
  ] as const)(
    'to %s a segment for want of something (%s) rejects, and the next append works',
    async (op, code) => {
      const disk = await newDisk()
      disk.writeFile(pathOf(1), new Uint8Array(PAGE))
      const log = new Log(disk, { nextNumber: 2, spares: op === 'update' || op === 'rename' ? [1] : [] })
      disk.failAt(call => call.op === op, code)
      const first = await failureOf(() => log.append()).catch(() => undefined)
      // Where a spare cannot be renamed, a new file serves as well.
      expect(first?.code).toBe(op === 'rename' ? undefined : 'FLASHTABLE_IO_ERROR')
      expect(log.poison.latched).toBe(false)
      await log.append()
      await log.sync()
      // No spare is lost.
      expect(log.writer.spares.length).toBe(op === 'rename' ? 1 : 0)
      expect((await replay(log.disk.crashState(1))).tags.at(-1)).toBe(log.tags.at(-1))
    },
  )

  test.each(['EIO', 'ENOSPC'])('of a sync with %s latches and is never tried again', async code => {
    const log = await newLog()
    await log.append(4)
    await log.sync()
    await log.append(4)
    log.disk.failAt(call => call.op === 'sync', code)
    const [first, second] = await Promise.all([failureOf(() => log.sync()), failureOf(() => log.sync())])
    expect([first.code, second.code]).toEqual(['FLASHTABLE_POISONED', 'FLASHTABLE_POISONED'])
    expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_POISONED')
    expect(log.calls('sync').length).toBe(2)
    expect(log.writer.syncedSequence).toBe(4)
    // The kernel calls the pages clean: whatever it has kept, the log is a prefix with all that was synced.
    for (let seed = 0; seed < 50; seed++) {
      const { tags, endSequence } = await replay(log.disk.crashState(seed))
      expect(endSequence).toBeGreaterThanOrEqual(4)
      expect(tags).toEqual(log.tags.slice(0, endSequence))
    }
    log.disk.dropCache()
    expect((await replay(log.disk)).endSequence).toBeGreaterThanOrEqual(4)
  })

  test('of the directory sync latches', async () => {
    const log = await newLog()
    await log.append()
    log.disk.failAt(call => call.op === 'syncDirectory', 'EIO')
    expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
    expect(log.writer.syncedSequence).toBe(0)
  })

  test.each(['EACCES', 'EMFILE'])(
    'to look at the directory with %s rejects the sync, latches nothing, and the next one looks again',
    async code => {
      const log = await newLog()
      await log.append(4)
      log.checkHome = () => Promise.reject(systemError(code, 'stat', DIRECTORY))
      expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_IO_ERROR')
      expect(log.writer.syncedSequence).toBe(0)
      await log.append(4)
      log.checkHome = () => Promise.resolve()
      await log.sync()
      expect(log.writer.syncedSequence).toBe(8)
      for (let seed = 0; seed < 20; seed++) {
        expect((await replay(log.disk.crashState(seed))).tags).toEqual(log.tags)
      }
    },
  )

  test('of a sync also rejects the sync that waits behind it, and the append in flight', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'sync')
    const first = failureOf(() => log.sync())
    await settle()
    const second = failureOf(() => log.sync())
    log.disk.failAt(call => call.op === 'sync', 'EIO')
    const write = gateWrites(log)
    const append = failureOf(() => log.append(20_000))
    await settle()
    expect(waiting.length).toBe(1)
    open()
    waiting.forEach(resolve => resolve())
    expect((await first).code).toBe('FLASHTABLE_POISONED')
    write()
    expect((await append).code).toBe('FLASHTABLE_POISONED')
    expect((await second).code).toBe('FLASHTABLE_POISONED')
    expect(log.writer.nextSequence).toBe(1)
  })

  test('elsewhere, latched, stops the log', async () => {
    const log = await newLog()
    await log.append()
    log.poison.latch(new Error('the manifest'))
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_POISONED')
    expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
    await log.writer.close()
    expect(log.disk.openHandles).toBe(0)
  })
})

/** Holds back writes as well as what is held already; returns how to let them go. */
function gateWrites(log: Log): () => void {
  const before = log.disk.onCall
  const held: (() => void)[] = []
  log.disk.onCall = call =>
    call.op === 'write' ? new Promise(resolve => void held.push(resolve)) : before?.(call)
  return () => {
    for (const resolve of held.splice(0)) resolve()
  }
}

test('files are those of the directory alone', async () => {
  const log = await newLog()
  await log.append()
  expect(log.disk.files()).toEqual([`${DIRECTORY}/000001.wal`])
})

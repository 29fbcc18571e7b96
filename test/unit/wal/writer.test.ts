/** Appends: frames, pages, and what a failed write leaves. Syncs, segment files and full disks have files of their own. */
import { describe, expect, test } from 'vitest'
import { OperationBuffer } from '../../../src/records/operations.js'
import { Random } from '../../support/random.js'
import {
  closedSegments,
  DIRECTORY,
  failureOf,
  layout,
  Log,
  newDisk,
  newLog,
  ONE,
  ONES_PER_PAGE,
  PAGE,
  pathOf,
  replay,
  rowsOf,
  settle,
} from './log.js'

describe('WalWriter.append', () => {
  test('a writer creates nothing before the first append', async () => {
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

  test('writes that transfer less than asked are completed', async () => {
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

  test('delete-where entries with sequence numbers outside their frame, or out of order, are a bug of the caller', async () => {
    const entry = (sequence: number) => ({ sequence, lanes: [2], values: [1] })
    for (const entries of [[entry(0)], [entry(4)], [entry(2), entry(1)], [entry(2), entry(2)]]) {
      const log = await newLog({ nextSequence: 1 })
      await log.append()
      const error = await failureOf(() => log.writer.append(rowsOf(2, 0, 1), 0, 0, entries))
      expect(error.message).toMatch(/sequence numbers of delete-where entries ascend/)
      expect(log.writer.nextSequence).toBe(2)
    }
  })

  test('an empty frame is a bug of the caller', async () => {
    const log = await newLog()
    await log.append()
    const error = await failureOf(() => log.writer.append(rowsOf(1, 0, 1), 0, 0, []))
    expect(error.message).toMatch(/a frame holds an operation/)
  })

  test('a writer creates no files but its segments', async () => {
    const log = await newLog()
    await log.append()
    expect(log.disk.files()).toEqual([`${DIRECTORY}/000001.wal`])
  })
})

describe('the pages of a segment', () => {
  /** A log whose first segment has had another life. */
  async function recycledLog(): Promise<Log> {
    const disk = await newDisk()
    disk.writeFile(pathOf(1), new Uint8Array(20 * PAGE).fill(0xee))
    return new Log(disk, { nextNumber: 2, spares: [1] })
  }

  test('of a recycled one are written whole by the first touch, later groups add only their bytes', async () => {
    const log = await recycledLog()
    await log.append()
    await log.append()
    await log.append(1000)
    const bytes = log.writer.activeSegment!.bytes
    await log.append()
    expect(log.calls('write')).toEqual([
      `write 000002.wal ${PAGE} at 0`,
      `write 000002.wal ${ONE} at ${ONE}`,
      `write 000002.wal ${Math.ceil(bytes / PAGE) * PAGE - 2 * ONE} at ${2 * ONE}`,
      `write 000002.wal ${ONE} at ${bytes}`,
    ])
  })

  test('of a new one take the bytes of the groups alone, until a write has failed', async () => {
    const log = await newLog()
    await log.append()
    await log.append(1000)
    const { bytes } = log.writer.activeSegment!
    await log.sync()
    await log.append()
    const end = Math.ceil(bytes / PAGE) * PAGE
    expect(log.calls('write')).toEqual([
      `write 000001.wal ${ONE} at 0`,
      `write 000001.wal ${bytes - ONE} at ${ONE}`,
      `write 000001.wal ${ONE} at ${end}`,
    ])
    log.disk.failAt(call => call.op === 'write', 'ENOSPC')
    await failureOf(() => log.append(5000))
    const written = log.calls('write').length
    await log.append()
    await log.append(1000)
    const last = log.writer.activeSegment!.bytes
    expect(log.calls('write').slice(written)).toEqual([
      `write 000001.wal ${PAGE - ONE} at ${end + ONE}`,
      `write 000001.wal ${Math.ceil(last / PAGE) * PAGE - end - 2 * ONE} at ${end + 2 * ONE}`,
    ])
  })

  test('a group that runs over the end of a touched page writes to the end of the next one', async () => {
    const log = await recycledLog()
    for (let i = 0; i < ONES_PER_PAGE - 1; i++) await log.append()
    const written = log.calls('write').length
    await log.append(3)
    const at = (ONES_PER_PAGE - 1) * ONE
    expect(log.calls('write').slice(written)).toEqual([`write 000002.wal ${2 * PAGE - at} at ${at}`])
  })

  test('after the last frame there are zeros to the end of the page, also in a recycled segment', async () => {
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
        if (!log.writer.hasRoom(count, false, 0)) log.writer.rotate()
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

describe('WalWriter.setNextSequence', () => {
  test('an empty log goes on at the number that is set, and everything below it counts as synced', async () => {
    const log = await newLog()
    log.writer.setNextSequence(40)
    expect(log.writer.syncedSequence).toBe(40)
    await log.append(2)
    await log.sync()
    expect(log.writer.syncedSequence).toBe(42)
    expect((await replay(log.disk, { firstSequence: 40 })).endSequence).toBe(42)
  })

  test('a sync that began before cannot take back what it says is durable', async () => {
    const log = await newLog()
    let looked = (): void => {}
    log.checkHome = () => new Promise(resolve => (looked = resolve))
    const sync = log.sync()
    await settle()
    log.writer.setNextSequence(40)
    looked()
    await sync
    expect(log.writer.syncedSequence).toBe(40)
  })

  test('a log that has a segment cannot be set to another number', async () => {
    const log = await newLog()
    await log.append()
    const error = await failureOf(() => log.writer.setNextSequence(40))
    expect(error.message).toMatch(/only a log without a frame can start at another sequence number/)
  })
})

describe('WalWriter.hasRoom', () => {
  test('room is what surely fits, and an empty segment takes any frame', async () => {
    const log = await newLog({ segmentBytes: 2 * PAGE + 100 })
    expect(log.writer.hasRoom(10_000, false, 0)).toBe(true)
    await log.append()
    expect(log.writer.hasRoom(10_000, false, 0)).toBe(false)
    const left = Math.floor((2 * PAGE - ONE - 32) / 16)
    expect(log.writer.hasRoom(left, false, 0)).toBe(true)
    expect(log.writer.hasRoom(left + 1, false, 0)).toBe(false)
    expect(log.writer.hasRoom(left, false, 1)).toBe(false)
    await log.sync()
    expect(log.writer.hasRoom(left, false, 0)).toBe(false)
    log.writer.rotate()
    expect(log.writer.hasRoom(10_000, false, 0)).toBe(true)
  })
})

describe('WalWriter.close', () => {
  test('close waits for what is in flight, closes all handles, and does not sync', async () => {
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

  test('close waits for a sync that was asked for', async () => {
    const log = await newLog()
    await log.append()
    const sync = log.sync()
    await log.writer.close()
    await sync
    expect(log.writer.syncedSequence).toBe(1)
    expect(log.disk.openHandles).toBe(0)
  })

  test('close reports a handle that cannot be closed, and closes the others', async () => {
    const log = await newLog()
    await log.append()
    log.writer.rotate()
    await log.append()
    log.disk.failAt(call => call.op === 'close' && call.path !== DIRECTORY, 'EIO', { effect: 'all' })
    expect((await failureOf(() => log.writer.close())).code).toBe('FLASHTABLE_IO_ERROR')
    expect(closedSegments(log).length).toBe(2)
  })
})

describe('a failed append', () => {
  test.each([1, 20_000])(
    'a failure to write a group of %i latches: nothing is appended or synced any more',
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

  test('a failure that was latched elsewhere stops the log', async () => {
    const log = await newLog()
    await log.append()
    log.poison.latch(new Error('the manifest'))
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_POISONED')
    expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
    await log.writer.close()
    expect(log.disk.openHandles).toBe(0)
  })
})

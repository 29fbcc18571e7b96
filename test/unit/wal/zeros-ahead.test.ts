/** A trickle of small syncs: zeros ahead of the frames, where a file would grow, and segments that end early. */
import { describe, expect, test } from 'vitest'
import { AHEAD_BYTES_MAX, AHEAD_BYTES_MIN, SMALL_SYNC_BYTES, Trickle } from '../../../src/wal/trickle.js'
import {
  check,
  edit,
  failureOf,
  FIRST,
  Log,
  newDisk,
  newLog,
  ONE,
  ONES_PER_PAGE,
  PAGE,
  pathOf,
  replay,
} from './log.js'

const MIB = 2 ** 20
const KIB = 1024

/** Appends one row and syncs, `count` times. */
async function trickle(log: Log, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await log.append()
    await log.sync()
  }
}

/** The writes of zeros: those that begin where no frame does. */
function zeros(log: Log): string[] {
  return log.calls('write').filter(call => !call.includes(` ${ONE} at `))
}

/** A log whose first segment, number 2, has had a life of these pages. */
async function recycledLog(pages: number): Promise<Log> {
  const disk = await newDisk()
  disk.writeFile(pathOf(1), new Uint8Array(pages * PAGE).fill(0xee))
  return new Log(disk, { nextNumber: 2, spares: [1], segmentBytes: 64 * MIB })
}

describe('Trickle', () => {
  function after(...covered: number[]): number {
    const trickle = new Trickle()
    for (const bytes of covered) trickle.note(bytes)
    return trickle.aheadBytes
  }

  test('it begins with the second small sync in a row', () => {
    expect(after()).toBe(0)
    expect(after(PAGE)).toBe(0)
    expect(after(PAGE, PAGE)).toBe(AHEAD_BYTES_MIN)
    expect(after(PAGE, SMALL_SYNC_BYTES, PAGE)).toBe(0)
    expect(after(SMALL_SYNC_BYTES - 4, 4)).toBe(AHEAD_BYTES_MIN)
    expect(after(PAGE, PAGE, SMALL_SYNC_BYTES)).toBe(0)
  })

  test('a sync that covers nothing says nothing', () => {
    expect(after(0, 0, PAGE)).toBe(0)
    expect(after(PAGE, 0, PAGE)).toBe(AHEAD_BYTES_MIN)
  })

  test('it asks for as much as it has written, 16 KiB to 1 MiB, by powers of two', () => {
    const covered: number[] = []
    for (let bytes = 0; bytes < 4 * MIB; bytes += PAGE) {
      covered.push(PAGE)
      if (covered.length < 2) continue
      const power = 2 ** Math.floor(Math.log2(bytes + PAGE))
      const expected = Math.min(AHEAD_BYTES_MAX, Math.max(AHEAD_BYTES_MIN, power))
      if (covered.length % 64 < 2) expect(after(...covered), `${bytes}`).toBe(expected)
    }
  })
})

describe('zeros ahead', () => {
  test('come with the sync of a page that makes the file longer, as many as there are bytes already', async () => {
    const log = await newLog({ segmentBytes: 64 * MIB })
    await trickle(log, 514)
    const growth = [
      [8, 16],
      [20, 32],
      [36, 64],
      [68, 128],
      [132, 256],
      [260, 512],
      [516, 1024],
      [1028, 2048],
      [2052, 3072],
    ] as const
    expect(zeros(log)).toEqual(
      growth.map(([from, to]) => `write 000001.wal ${(to - from) * KIB} at ${from * KIB}`),
    )
    expect((await replay(log.disk)).tags).toEqual(log.tags)
  })

  test('are written before the sync, which covers them', async () => {
    const log = await newLog()
    await trickle(log, 2)
    expect(log.calls('write', 'sync').slice(-2)).toEqual([
      `write 000001.wal ${2 * PAGE} at ${2 * PAGE}`,
      'sync 000001.wal',
    ])
    const after = log.disk.crashState(0, { data: 'none', entries: 'none' })
    expect(after.readFile(FIRST).length).toBe(4 * PAGE)
  })

  test('save the next syncs from a file that grows, and its pages from padding', async () => {
    const log = await newLog()
    await trickle(log, 2)
    for (let page = 2; page < 4; page++) {
      await trickle(log, 1)
      expect(log.calls('write').at(-1)).toBe(`write 000001.wal ${ONE} at ${page * PAGE}`)
      expect(log.disk.readFile(FIRST).length).toBe(4 * PAGE)
    }
  })

  test('come too where frames fill their pages to the last byte', async () => {
    const log = await newLog()
    for (let sync = 0; sync < 3; sync++) {
      for (let i = 0; i < ONES_PER_PAGE; i++) await log.append()
      await log.sync()
    }
    expect(zeros(log)).toEqual([`write 000001.wal ${2 * PAGE} at ${2 * PAGE}`])
  })

  test('never come in a bulk load, in large or small parts, nor for single small syncs among large ones', async () => {
    for (const counts of [[2000], [400, 400, 400, 400, 400, 400], [2000, 1], [1, 2000, 1, 2000]]) {
      const log = await newLog({ segmentBytes: 64 * MIB })
      for (let round = 0; round < 20; round++) {
        for (const count of counts) {
          await log.append(count)
          if (counts.length < 6) await log.sync()
        }
        await log.sync()
      }
      const end = log.writer.activeSegment!.bytes
      expect(log.disk.readFile(FIRST).length, counts.join()).toBe(end)
    }
  })

  test('are not written for a table that is synced once', async () => {
    const log = await newLog()
    await log.append()
    await log.sync()
    await log.sync()
    expect(log.disk.readFile(FIRST).length).toBe(ONE)
  })

  test('end where the segment is full', async () => {
    for (const segmentBytes of [2 * PAGE, 2 * PAGE + 5, 3 * PAGE, 3 * PAGE + 4095, 6 * PAGE + 100]) {
      const log = await newLog({ segmentBytes })
      for (let i = 0; i < 40; i++) {
        if (!log.writer.hasRoom(1, false, 0)) log.writer.rotate()
        await trickle(log, 1)
      }
      const sizes = log.disk.files().map(path => log.disk.readFile(path).length)
      expect(Math.max(...sizes), `${segmentBytes}`).toBeLessThanOrEqual(
        Math.floor(segmentBytes / PAGE) * PAGE,
      )
      expect((await replay(log.disk)).tags).toEqual(log.tags)
    }
  })

  test('are as many in the next segment as in the one before it', async () => {
    const log = await newLog()
    await trickle(log, 40)
    log.writer.rotate()
    await trickle(log, 2)
    expect(zeros(log).at(-1)).toBe(`write 000002.wal ${128 * KIB - PAGE} at ${PAGE}`)
  })

  test('are not written into a segment that has ended', async () => {
    const log = await newLog()
    await trickle(log, 4)
    await log.append()
    log.writer.rotate()
    await log.sync()
    expect(log.disk.readFile(FIRST).length).toBe(4 * PAGE + ONE)
  })

  test('come in a recycled file only where it has to grow', async () => {
    const log = await recycledLog(40)
    await trickle(log, 40)
    expect(log.disk.readFile(pathOf(2)).length).toBe(40 * PAGE)
    await trickle(log, 1)
    expect(log.disk.readFile(pathOf(2)).length).toBe(64 * PAGE)
    expect(log.calls('write').at(-1)).toBe(`write 000002.wal ${23 * PAGE} at ${41 * PAGE}`)
    expect((await replay(log.disk, { firstSegment: 2 })).tags).toEqual(log.tags)
  })

  test('do not come in a recycled file of unknown size', async () => {
    const log = await recycledLog(4)
    log.disk.failAt(call => call.op === 'size', 'EIO')
    await trickle(log, 20)
    expect(log.poison.latched).toBe(false)
    expect(log.disk.readFile(pathOf(2)).length).toBe(20 * PAGE)
  })

  test('for which there is no room cost no call anything, and come when there is room', async () => {
    const log = await newLog()
    await trickle(log, 1)
    await log.append()
    log.disk.capacityBytes = log.disk.usedBytes
    await log.sync()
    expect(log.disk.readFile(FIRST).length).toBe(PAGE + ONE)
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_DISK_FULL')
    log.disk.capacityBytes = Infinity
    await trickle(log, 1)
    expect(log.poison.latched).toBe(false)
    expect(log.disk.readFile(FIRST).length).toBe(4 * PAGE)
    expect((await replay(log.disk)).tags).toEqual(log.tags)
  })

  test('take what room there is on a disk that is nearly full, and frames use it', async () => {
    const log = await newLog()
    await trickle(log, 4)
    log.disk.capacityBytes = log.disk.usedBytes + 3 * PAGE
    await trickle(log, 3)
    expect(log.disk.readFile(FIRST).length).toBe(7 * PAGE)
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_DISK_FULL')
    expect(log.writer.syncedSequence).toBe(7)
    log.disk.capacityBytes = Infinity
    await trickle(log, 1)
    expect(log.disk.readFile(FIRST).length).toBe(16 * PAGE)
    expect((await replay(log.disk)).tags).toEqual(log.tags)
  })

  test.each(['ENOSPC', 'EDQUOT'])('that fail with %s, whatever they leave, latch nothing', async code => {
    for (const effect of ['none', 'any', 'all'] as const) {
      const log = await newLog()
      log.disk.failAt(call => call.op === 'write' && call.bytes! > ONE, code, { effect })
      await trickle(log, 8)
      expect(log.poison.latched).toBe(false)
      expect(log.writer.syncedSequence).toBe(8)
      expect(log.disk.readFile(FIRST).length).toBe(8 * PAGE)
      expect((await replay(log.disk)).tags).toEqual(log.tags)
    }
  })

  test('poison the table if they fail for another reason than a full disk, as any write to the log does', async () => {
    const log = await newLog()
    await trickle(log, 1)
    await log.append()
    log.disk.failAt(call => call.op === 'write' && call.bytes! > ONE, 'EIO')
    expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
    expect(log.poison.latched).toBe(true)
    expect(log.writer.syncedSequence).toBe(1)
    expect(log.calls('sync').length).toBe(1)
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_POISONED')
    await log.writer.close()
    expect(log.disk.openHandles).toBe(0)
  })

  test('that are written in part leave the rest for the next time', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const log = new Log(await newDisk({ seed, shortTransfers: 0.7 }))
      await trickle(log, 30)
      expect((await replay(log.disk)).tags).toEqual(log.tags)
    }
  })

  test('are the end of the log for replay and for verify', async () => {
    for (const firstSequence of [0, 5]) {
      const log = await newLog({ nextSequence: firstSequence, segmentBytes: 64 * MIB })
      await trickle(log, 130)
      expect(log.disk.readFile(FIRST).length).toBeGreaterThan(131 * PAGE)
      const replayed = await replay(log.disk, { firstSequence })
      expect(replayed.tags).toEqual(log.tags)
      expect(replayed.tornAt).toBeUndefined()
      expect(replayed.segments).toEqual([log.writer.activeSegment])
      expect(await check(log, { firstSequence, nextSequence: firstSequence })).toMatchObject({
        problems: [],
        frames: 130,
        tornAt: undefined,
      })
    }
  })

  test('do not hide that a synced page was lost', async () => {
    const log = await newLog()
    await trickle(log, 6)
    edit(log.disk, FIRST, bytes => void bytes.fill(0, 3 * PAGE, 4 * PAGE))
    expect((await failureOf(() => replay(log.disk))).code).toBe('FLASHTABLE_CORRUPTION')
  })

  test('a power cut anywhere among frames and zeros leaves a prefix with all that was synced', async () => {
    const sizes = new Set<number>()
    for (let crashAt = 1; crashAt < 75; crashAt++) {
      const disk = await newDisk({ crashAt })
      const log = new Log(disk, { segmentBytes: 64 * KIB })
      await trickle(log, 20).catch(() => {})
      const synced = log.writer.syncedSequence
      for (let seed = 0; seed < 12; seed++) {
        const after = disk.crashState(seed)
        const files = after.files().filter(path => path === FIRST)
        if (files.length > 0) sizes.add(after.readFile(FIRST).length)
        const { tags, endSequence } = await replay(after)
        expect(endSequence).toBeGreaterThanOrEqual(synced)
        // The frame in flight may be there.
        expect(tags.slice(0, log.tags.length)).toEqual(log.tags.slice(0, tags.length))
      }
    }
    // With all of the zeros, and with some of them.
    expect(sizes.has(16 * KIB) && sizes.has(32 * KIB) && sizes.has(64 * KIB)).toBe(true)
    expect(sizes.size).toBeGreaterThan(6)
  })
})

describe('a segment that is mostly padding', () => {
  const hasRoom = (log: Log) => log.writer.hasRoom(1, false, 0)

  /** Rounds of puts and a sync, up to this position. */
  async function fill(log: Log, rows: number, bytes: number): Promise<void> {
    while ((log.writer.activeSegment?.bytes ?? 0) <= bytes - PAGE) {
      expect(hasRoom(log)).toBe(true)
      await log.append(rows)
      await log.sync()
    }
  }

  test('ends at 2 MiB', async () => {
    const log = await newLog({ segmentBytes: 64 * MIB })
    await fill(log, 1, 2 * MIB)
    expect(hasRoom(log)).toBe(false)
    log.writer.rotate()
    expect(hasRoom(log)).toBe(true)
    await trickle(log, 1)
    expect(hasRoom(log)).toBe(true)
  })

  test('ends only there if less than half of it is frames', async () => {
    // Frames of about 2,040 and 2,130 bytes in pages of 4,096.
    for (const [rows, room] of [
      [219, false],
      [230, true],
    ] as const) {
      const log = await newLog({ segmentBytes: 64 * MIB })
      await fill(log, rows, 2 * MIB)
      expect(hasRoom(log), `${rows}`).toBe(room)
    }
  })

  test('ends earlier where a segment is full earlier', async () => {
    const log = await newLog({ segmentBytes: MIB })
    await fill(log, 1, MIB)
    expect(hasRoom(log)).toBe(false)
  })

  test('ends at twice the size that its file had in an older life', async () => {
    for (const [pages, mib] of [
      [3, 2],
      [256, 2],
      [512, 4],
    ] as const) {
      const log = await recycledLog(pages)
      await fill(log, 1, mib * MIB)
      expect(hasRoom(log), `${pages} pages`).toBe(false)
    }
  })
})

/** The log on a full disk: a rejected group changes nothing, and never comes back. */
import { describe, expect, test } from 'vitest'
import { failureOf, Log, newLog, ONES_PER_PAGE, openSegments, PAGE, replay } from './log.js'

describe('a full disk', () => {
  test('a full disk rejects the group and changes nothing, and the next append with room succeeds', async () => {
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

  test('a log on a full disk can be synced, with what was acknowledged', async () => {
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

  test('an append without room for a new segment rejects, and the next append tries again', async () => {
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

  test('nothing of a long frame that failed half-way comes back after a short frame in its place', async () => {
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

  // A write may fail for its padding, or for what was written before it. Then the rejected frame is whole on the disk.
  describe('an error although the frame has been written whole', () => {
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

    /** A log with a rejected frame that is whole on the disk, which is too full even to wipe its header. */
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

    test('a frame in the place of a rejected group wipes it', async () => {
      const log = await withLeftover()
      log.disk.clearFaults()
      await log.append(2)
      await log.sync()
      expect((await replay(log.disk.crashState(0, { data: 'none' }))).tags).toEqual(log.tags)
      expect(log.calls('write').at(-1)).toBe(`write 000001.wal ${PAGE - 108} at 108`)
    })

    test('a rejected group in a retired segment needs no wiping', async () => {
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

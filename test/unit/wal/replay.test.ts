/** Replay: where the log ends, which frames belong to it, and what a reader beside a writer sees. */
import { describe, expect, test } from 'vitest'
import { Random } from '../../support/random.js'
import { appendAll, failureOf, FIRST, Log, newDisk, newLog, PAGE, pathOf, replay, TABLE_ID } from './log.js'

describe('the end of the log', () => {
  test('an empty log ends at its beginning', async () => {
    const disk = await newDisk()
    expect(await replay(disk, { firstSequence: 42 })).toMatchObject({
      endSequence: 42,
      segments: [],
      bytes: 0,
    })
    disk.writeFile(FIRST, new Uint8Array(0))
    disk.writeFile(pathOf(2), new Uint8Array(3 * PAGE))
    const replayed = await replay(disk, { firstSequence: 42 })
    expect(replayed).toMatchObject({ endSequence: 42, segments: [], bytes: 0 })
    expect(replayed.tornAt).toBeUndefined()
  })

  test('the log ends where the file ends, at a frame or after it', async () => {
    const log = await newLog()
    const [, , end] = await appendAll(log, 1, 2, 3)
    for (const length of [end!, end! + 8, PAGE]) {
      log.disk.truncateFile(FIRST, length)
      const replayed = await replay(log.disk)
      expect(replayed.endSequence).toBe(6)
      expect(replayed.tornAt).toBeUndefined()
    }
  })

  test('the log goes on at the next page after each sync', async () => {
    const log = await newLog()
    for (const count of [1, 300, 1, 1, 20]) {
      await log.append(count)
      await log.sync()
    }
    const replayed = await replay(log.disk)
    expect(replayed.tags).toEqual(log.tags)
    expect(replayed.tornAt).toBeUndefined()
    expect(replayed.bytes).toBeLessThan(log.disk.readFile(FIRST).length)
  })

  test('the log is the same when it is replayed again', async () => {
    const log = await newLog()
    const [, end] = await appendAll(log, 10, 20, 30)
    log.disk.truncateFile(FIRST, end! + 50)
    const before = log.disk.readFile(FIRST)
    expect(await replay(log.disk)).toEqual(await replay(log.disk))
    expect(log.disk.readFile(FIRST)).toEqual(before)
    expect(log.disk.openPaths.filter(path => path.endsWith('.wal')).length).toBe(1)
  })

  test('the end is found in logs larger than one read, whatever the frames', async () => {
    for (const counts of [[200_000], Array<number>(30).fill(10_000), Array<number>(25_000).fill(1)]) {
      const log = await newLog({ segmentBytes: 64 * 1024 * 1024 })
      await appendAll(log, ...counts)
      const replayed = await replay(log.disk)
      expect(replayed.tags).toEqual(log.tags)
      expect(replayed.segments).toEqual([log.writer.activeSegment])
    }
  })

  test('a batch holds many small frames or one large one, and counts them', async () => {
    const log = await newLog({ segmentBytes: 64 * 1024 * 1024 })
    await appendAll(log, ...Array<number>(20_000).fill(1), 50_000, 1)
    const { batches, endSequence } = await replay(log.disk)
    expect(endSequence).toBe(70_001)
    expect(batches).toEqual([
      { rows: 16_384, frames: 16_384 },
      { rows: 3616 + 50_000, frames: 3617 },
      { rows: 1, frames: 1 },
    ])
  })

  test('the end is found although reads transfer less than asked', async () => {
    const log = await newLog()
    await appendAll(log, 1, 3000, 1, 50)
    const disk = log.disk.clone({ shortTransfers: 0.9, seed: 5 })
    expect((await replay(disk)).tags).toEqual(log.tags)
  })
})

describe('frames that do not belong', () => {
  test('frames of an older life of a recycled segment are not replayed, however much they look alike', async () => {
    // The same rows in the same places, twice: only the number of the file differs.
    const log = await newLog()
    await appendAll(log, 10, 10, 10)
    await log.writer.close()
    const second = new Log(log.disk.clone(), { nextNumber: 2, spares: [1] })
    await second.append(10)
    expect(second.calls('rename').length).toBe(1)
    const replayed = await replay(second.disk, { firstSegment: 2 })
    expect(replayed.tags).toEqual(second.tags)
    expect(replayed.tornAt).toBeUndefined()
  })

  test('frames of an older life at page starts are not replayed after a sync either', async () => {
    const log = await newLog()
    for (let i = 0; i < 5; i++) {
      await log.append(1)
      await log.sync()
    }
    await log.writer.close()
    const second = new Log(log.disk.clone(), { nextNumber: 2, spares: [1] })
    await second.append(1)
    await second.sync()
    await second.append(1)
    expect((await replay(second.disk, { firstSegment: 2 })).tags).toEqual(second.tags)
  })

  test('frames of another table, epoch, segment or position are not replayed', async () => {
    const log = await newLog()
    await appendAll(log, 3)
    const page = log.disk.readFile(FIRST)
    const other = Uint8Array.from(TABLE_ID, byte => byte ^ 0x80)
    expect((await replay(log.disk, { tableId: other })).endSequence).toBe(0)
    expect((await replay(log.disk, { epoch: 2 })).endSequence).toBe(0)
    const disk = await newDisk()
    disk.writeFile(pathOf(2), page)
    expect((await replay(disk)).endSequence).toBe(0)
    disk.removeFile(pathOf(2))
    disk.writeFile(FIRST, Buffer.concat([new Uint8Array(PAGE), page]))
    expect((await replay(disk)).endSequence).toBe(0)
    disk.writeFile(FIRST, page)
    expect((await replay(disk)).endSequence).toBe(3)
  })

  test('frames with sequence numbers that are not the next ones are not replayed', async () => {
    const log = await newLog()
    await appendAll(log, 3, 4)
    expect((await replay(log.disk, { firstSequence: 3 })).endSequence).toBe(3)
    expect((await replay(log.disk, { firstSequence: 100 })).endSequence).toBe(100)
  })
})

describe('a reader beside a writer', () => {
  /** A log that fills a reader's first window, in a recycled file that is much longer. */
  async function longLog(): Promise<Log> {
    const disk = await newDisk()
    disk.writeFile(FIRST, new Random(1).bytes(3 * 1024 * 1024))
    const log = new Log(disk, { nextNumber: 2, spares: [1], segmentBytes: 64 * 1024 * 1024 })
    for (let i = 0; i < 9; i++) await log.append(10_000)
    expect(log.writer.activeSegment!.bytes).toBeLessThan(1024 * 1024)
    return log
  }

  test('a reader does not take for damage what it read before the writer wrote it', async () => {
    const log = await longLog()
    let reads = 0
    let written: Promise<void> | undefined
    log.disk.onCall = call => {
      if (call.op !== 'read' || ++reads !== 2) return
      // The first window has been read, with the end of the log in it. Now the log goes on.
      written = (async () => {
        for (let i = 0; i < 10; i++) {
          await log.append(10_000)
          await log.sync()
        }
      })()
      return written
    }
    const replayed = await replay(log.disk, { firstSegment: 2 })
    await written
    expect(replayed.tags).toEqual(log.tags)
    expect(log.writer.syncedSequence).toBe(190_000)
  })

  test('a reader beside a writer still finds damage', async () => {
    const log = await longLog()
    const { bytes } = log.writer.activeSegment!
    for (let i = 0; i < 10; i++) {
      await log.append(10_000)
      await log.sync()
    }
    log.disk.flipByte(pathOf(2), bytes + 100)
    const error = await failureOf(() => replay(log.disk, { firstSegment: 2 }))
    expect(error.code).toBe('FLASHTABLE_CORRUPTION')
    expect(error.message).toMatch(
      new RegExp(`^${pathOf(2)} is damaged at offset ${bytes}: .* 90000, which was synced`),
    )
  })

  test('a reader that finds a segment shorter than before replays what is there', async () => {
    for (const length of [0, 30, 50, PAGE, PAGE + 100]) {
      const log = await newLog()
      await appendAll(log, 1, 1, 1000)
      log.disk.onCall = call => {
        if (call.op === 'read') log.disk.truncateFile(FIRST, length)
      }
      expect((await replay(log.disk)).endSequence).toBe(length < 32 ? 0 : length < 64 ? 1 : 2)
    }
  })

  test('a reader that finds a segment gone reports it with its cause, for the caller to look at the manifest', async () => {
    const log = await newLog()
    await log.append()
    log.disk.onCall = call => {
      if (call.op === 'open') log.disk.removeFile(FIRST)
    }
    const error = await failureOf(() => replay(log.disk))
    expect(error.code).toBe('FLASHTABLE_CORRUPTION')
    expect(error.cause).toMatchObject({ code: 'ENOENT' })
  })
})

test('a read that fails is an I/O error, not damage, and closes the file', async () => {
  const log = await newLog()
  await log.append(3)
  await log.writer.close()
  for (const op of ['open', 'size', 'read']) {
    const disk = log.disk.clone()
    disk.failAt(call => call.op === op, 'EIO')
    const error = await failureOf(() => replay(disk))
    expect(error.code).toBe('FLASHTABLE_IO_ERROR')
    expect(disk.openHandles).toBe(0)
    expect((await replay(disk)).endSequence).toBe(3)
  }
})

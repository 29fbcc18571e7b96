/** Replay after a crash: a torn tail ends the log, and is no error. */
import { describe, expect, test } from 'vitest'
import { appendAll, edit, FIRST, Log, newLog, PAGE, pathOf, replay } from './log.js'

describe('a torn tail', () => {
  test('a torn header ends the log', async () => {
    const log = await newLog()
    const [, second] = await appendAll(log, 1, 1, 1)
    for (const length of [second! + 1, second! + 16, second! + 31]) {
      log.disk.truncateFile(FIRST, length)
      const { endSequence, segments } = await replay(log.disk)
      expect(endSequence).toBe(2)
      expect(segments).toEqual([{ number: 1, epoch: 1, bytes: second, firstSequence: 0, endSequence: 2 }])
    }
    log.disk.truncateFile(FIRST, second! + 32)
    expect((await replay(log.disk)).endSequence).toBe(2)
  })

  test('a torn payload ends the log', async () => {
    const log = await newLog()
    const [first, second] = await appendAll(log, 1, 500)
    for (const length of [first! + 32, first! + 33, first! + PAGE, second! - 1, second! - 4]) {
      log.disk.truncateFile(FIRST, length)
      expect((await replay(log.disk)).endSequence).toBe(1)
    }
  })

  test('a header or payload that was not written ends the log, and says where', async () => {
    const log = await newLog()
    const [first, second] = await appendAll(log, 1, 1000)
    for (let page = 0; page * PAGE < second!; page++) {
      const disk = log.disk.clone()
      edit(disk, FIRST, bytes => void bytes.fill(0, Math.max(first!, page * PAGE), (page + 1) * PAGE))
      const replayed = await replay(disk)
      expect(replayed.endSequence).toBe(1)
      expect(replayed.tornAt).toEqual(page === 0 ? undefined : { path: FIRST, offset: first })
    }
  })

  test('a flipped bit in the last group ends the log before it, and says where', async () => {
    const log = await newLog()
    const [first, second] = await appendAll(log, 4, 4)
    for (let at = first!; at < second!; at++) {
      const disk = log.disk.clone()
      disk.flipByte(FIRST, at, 1 << (at & 7))
      const { endSequence, tornAt } = await replay(disk)
      expect(endSequence).toBe(4)
      expect(tornAt).toEqual({ path: FIRST, offset: first })
    }
  })

  test('a bad group ends the log although later ones are whole, if none of them was synced', async () => {
    const log = await newLog()
    await log.append(3)
    await log.sync()
    const [bad] = await appendAll(log, 100, 200, 300, 400)
    log.disk.flipByte(FIRST, bad! + 60)
    expect((await replay(log.disk)).endSequence).toBe(103)
    log.disk.flipByte(FIRST, bad! - 60)
    const { endSequence, tornAt } = await replay(log.disk)
    expect(endSequence).toBe(3)
    expect(tornAt).toEqual({ path: FIRST, offset: PAGE })
  })

  test('a bad group at the end of a segment ends the log for later segments too', async () => {
    const log = await newLog()
    const [first] = await appendAll(log, 10, 10)
    log.writer.rotate()
    await log.append(10)
    log.disk.flipByte(FIRST, first! + 40)
    const { endSequence, tornAt } = await replay(log.disk)
    expect(endSequence).toBe(10)
    expect(tornAt).toEqual({ path: FIRST, offset: first })
  })

  test('a missing segment ends the log if nothing after it was synced', async () => {
    const log = await newLog()
    await log.append(10)
    log.writer.rotate()
    await log.append(10)
    log.writer.rotate()
    await log.append(10)
    log.disk.removeFile(pathOf(2))
    expect((await replay(log.disk)).endSequence).toBe(10)
  })

  test('a torn tail does not hide what is put after it, on the second restart either', async () => {
    const log = await newLog()
    const [first] = await appendAll(log, 5, 5)
    log.disk.truncateFile(FIRST, first! + 20)
    const { endSequence } = await replay(log.disk)
    expect(endSequence).toBe(5)
    // Recovery begins a new epoch with new segments; the old one may still be there.
    const second = new Log(log.disk.clone(), { epoch: 2, nextNumber: 2, nextSequence: 5 })
    await second.append(7)
    await second.sync()
    const after = second.disk.crashState(1)
    expect((await replay(after, { epoch: 2, firstSegment: 2, firstSequence: 5 })).tags).toEqual(second.tags)
    const third = new Log(after, { epoch: 3, nextNumber: 3, nextSequence: 12 })
    await third.append(1)
    const choice = { epoch: 3, firstSegment: 3, firstSequence: 12 }
    expect((await replay(third.disk.clone(), choice)).tags).toEqual(third.tags)
  })

  test('a torn tail of an earlier epoch never continues in a later one, with the same sequence numbers', async () => {
    const log = await newLog()
    const [first] = await appendAll(log, 5, 5)
    log.disk.truncateFile(FIRST, first!)
    const second = new Log(log.disk.clone(), { epoch: 2, nextNumber: 1, nextSequence: 5 })
    // A new file of the same number: as a restored backup would have it.
    second.disk.removeFile(FIRST)
    await second.append(5)
    expect((await replay(second.disk, { firstSequence: 5 })).endSequence).toBe(5)
    expect((await replay(second.disk, { epoch: 2, firstSequence: 5 })).endSequence).toBe(10)
  })
})

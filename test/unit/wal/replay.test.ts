import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../../src/base/errors.js'
import { crc32Words } from '../../../src/format/checksum-words.js'
import { fileSeed, positionSeed } from '../../../src/format/checksum.js'
import { FRAME_HEADER_BYTES, PAYLOAD_BYTES_AT } from '../../../src/format/frame-layout.js'
import { viewOf, wordsOf } from '../../../src/format/little-endian.js'
import type { SegmentInfo } from '../../../src/manifest/segment-info.js'
import { Random } from '../../support/random.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { failureOf, Log, newDisk, newLog, PAGE, pathOf, replay, TABLE_ID } from './log.js'

const FIRST = pathOf(1)

/** Appends groups of so many rows; returns where each frame ends. */
async function appendAll(log: Log, ...counts: number[]): Promise<number[]> {
  const ends: number[] = []
  for (const count of counts) {
    await log.append(count)
    ends.push(log.writer.activeSegment!.bytes)
  }
  return ends
}

/** A log as a clean close leaves it: the segment's end is known. */
async function closedLog(...counts: number[]): Promise<{ log: Log; closed: SegmentInfo; ends: number[] }> {
  const log = await newLog()
  const ends = await appendAll(log, ...counts)
  await log.sync()
  const closed = log.writer.activeSegment!
  await log.writer.close()
  return { log, closed, ends }
}

function edit(
  disk: SimulatedFileSystem,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array | void,
): void {
  const bytes = disk.readFile(path)
  disk.writeFile(path, change(bytes) ?? bytes)
}

describe('the end of the log', () => {
  test('of an empty log is its beginning', async () => {
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

  test('is where the file ends, at a frame or behind it', async () => {
    const log = await newLog()
    const [, , end] = await appendAll(log, 1, 2, 3)
    for (const length of [end!, end! + 8, PAGE]) {
      log.disk.truncateFile(FIRST, length)
      const replayed = await replay(log.disk)
      expect(replayed.endSequence).toBe(6)
      expect(replayed.tornAt).toBeUndefined()
    }
  })

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

  test('a bad group ends the log although later ones are whole, where none of them was synced', async () => {
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

  test('a bad group at the end of a segment ends the log for the segments behind it', async () => {
    const log = await newLog()
    const [first] = await appendAll(log, 10, 10)
    log.writer.rotate()
    await log.append(10)
    log.disk.flipByte(FIRST, first! + 40)
    const { endSequence, tornAt } = await replay(log.disk)
    expect(endSequence).toBe(10)
    expect(tornAt).toEqual({ path: FIRST, offset: first })
  })

  test('a segment that is not there ends the log where nothing behind it was synced', async () => {
    const log = await newLog()
    await log.append(10)
    log.writer.rotate()
    await log.append(10)
    log.writer.rotate()
    await log.append(10)
    log.disk.removeFile(pathOf(2))
    expect((await replay(log.disk)).endSequence).toBe(10)
  })

  test('goes on behind each sync at the next page', async () => {
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

  test('is the same when the log is replayed again', async () => {
    const log = await newLog()
    const [, end] = await appendAll(log, 10, 20, 30)
    log.disk.truncateFile(FIRST, end! + 50)
    const before = log.disk.readFile(FIRST)
    expect(await replay(log.disk)).toEqual(await replay(log.disk))
    expect(log.disk.readFile(FIRST)).toEqual(before)
    expect(log.disk.openPaths.filter(path => path.endsWith('.wal')).length).toBe(1)
  })

  test('is found in logs larger than what is read at once, whatever the frames', async () => {
    for (const counts of [[200_000], Array<number>(30).fill(10_000), Array<number>(25_000).fill(1)]) {
      const log = await newLog({ segmentBytes: 64 * 1024 * 1024 })
      await appendAll(log, ...counts)
      const replayed = await replay(log.disk)
      expect(replayed.tags).toEqual(log.tags)
      expect(replayed.segments).toEqual([log.writer.activeSegment])
    }
  })

  test('is reached in stretches of many small groups, or one large one', async () => {
    const log = await newLog({ segmentBytes: 64 * 1024 * 1024 })
    await appendAll(log, ...Array<number>(20_000).fill(1), 50_000, 1)
    const { stretches, endSequence } = await replay(log.disk)
    expect(endSequence).toBe(70_001)
    expect(stretches).toEqual([16_384, 3616 + 50_000, 1])
  })

  test('is found over reads that transfer less than asked', async () => {
    const log = await newLog()
    await appendAll(log, 1, 3000, 1, 50)
    const disk = log.disk.clone({ shortTransfers: 0.9, seed: 5 })
    expect((await replay(disk)).tags).toEqual(log.tags)
  })
})

describe('a torn tail', () => {
  test('in a segment does not hide what is put after it, on the second restart either', async () => {
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

  test('from an earlier epoch never goes on in a later one, with the same sequence numbers', async () => {
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

describe('damage in what was synced', () => {
  /** Rows [0,3), [3,103) and [103,104) were each synced before the next was put; [104,105) was not. */
  async function syncedLog(): Promise<Log> {
    const log = await newLog()
    for (const count of [3, 100, 1]) {
      await log.append(count)
      await log.sync()
    }
    await log.append(1)
    return log
  }

  test('is reported with file, offset, what was expected and what was found', async () => {
    const log = await syncedLog()
    log.disk.flipByte(FIRST, PAGE + 50)
    const error = await failureOf(() => replay(log.disk))
    expect(error.code).toBe('FLASHTABLE_CORRUPTION')
    expect(error.message).toBe(
      `${FIRST} is damaged at offset ${PAGE}: expected the frame that begins with sequence number 3, which was synced, ` +
        'found a payload that does not fit its checksum',
    )
  })

  test('is found at every byte of every synced frame that a later frame vouches for', async () => {
    const log = await syncedLog()
    const ends = [80, PAGE + (await frameBytes(100)), 2 * PAGE + (await frameBytes(1))]
    for (const [page, end] of ends.entries()) {
      for (let at = page * PAGE; at < end; at += 3) {
        const disk = log.disk.clone()
        disk.flipByte(FIRST, at)
        expect((await failureOf(() => replay(disk))).code, `byte ${at}`).toBe('FLASHTABLE_CORRUPTION')
      }
    }
    // What was not synced may be lost.
    log.disk.flipByte(FIRST, 3 * PAGE + 40)
    expect((await replay(log.disk)).endSequence).toBe(104)
  })

  async function frameBytes(count: number): Promise<number> {
    return (await appendAll(await newLog(), count))[0]!
  }

  test('is found when zeros, random bytes or the page of another place stand there', async () => {
    const log = await syncedLog()
    const random = new Random(7)
    const pages = [
      new Uint8Array(PAGE),
      random.bytes(PAGE),
      log.disk.readFile(FIRST).slice(0, PAGE),
      log.disk.readFile(FIRST).slice(2 * PAGE, 3 * PAGE),
    ]
    for (const page of pages) {
      const disk = log.disk.clone()
      edit(disk, FIRST, bytes => bytes.set(page, PAGE))
      expect((await failureOf(() => replay(disk))).code).toBe('FLASHTABLE_CORRUPTION')
    }
  })

  test('is found by a frame in a later segment', async () => {
    const log = await newLog()
    const [, second] = await appendAll(log, 5, 6)
    log.writer.rotate()
    await log.append(7)
    await log.sync()
    await log.append(8)
    const damages: ((disk: SimulatedFileSystem) => void)[] = [
      disk => disk.flipByte(FIRST, second! - 2),
      disk => disk.truncateFile(FIRST, second! - 2),
      disk => disk.truncateFile(FIRST, 0),
      disk => disk.removeFile(FIRST),
      disk => disk.flipByte(pathOf(2), 40),
    ]
    for (const damage of damages) {
      const disk = log.disk.clone()
      damage(disk)
      const error = await failureOf(() => replay(disk))
      expect(error.code).toBe('FLASHTABLE_CORRUPTION')
    }
  })

  test('in padding is nothing: it holds nothing', async () => {
    const log = await syncedLog()
    for (const at of [80, 200, PAGE - 1, 4 * PAGE - 4]) log.disk.flipByte(FIRST, at)
    const replayed = await replay(log.disk)
    expect(replayed.tags).toEqual(log.tags)
    expect(replayed.tornAt).toBeUndefined()
    // It does not draw the report away from what comes behind it either.
    log.disk.flipByte(FIRST, 2 * PAGE)
    expect((await failureOf(() => replay(log.disk))).message).toMatch(/damaged at offset 8192: /)
  })
})

describe('a closed segment', () => {
  test('is replayed to its known end, whatever stands behind it', async () => {
    const { log, closed } = await closedLog(1, 200, 30)
    const replayed = await replay(log.disk, { closed: [closed], clean: true })
    expect(replayed.tags).toEqual(log.tags)
    expect(replayed.segments).toEqual([closed])
    edit(log.disk, FIRST, bytes =>
      Buffer.concat([bytes.fill(0xee, closed.bytes), new Uint8Array(PAGE).fill(0xdd)]),
    )
    expect((await replay(log.disk, { closed: [closed], clean: true })).tags).toEqual(log.tags)
    log.disk.truncateFile(FIRST, closed.bytes)
    expect((await replay(log.disk, { closed: [closed], clean: true })).tags).toEqual(log.tags)
  })

  test('has no byte in its frames that can be changed unnoticed, also in those that were never vouched for', async () => {
    const { log, closed, ends } = await closedLog(1, 50, 2)
    expect(ends.at(-1)).toBe(closed.bytes)
    for (let at = 0; at < closed.bytes; at++) {
      const disk = log.disk.clone()
      disk.flipByte(FIRST, at, 1 << (at & 7))
      const error = await failureOf(() => replay(disk, { closed: [closed], clean: true }))
      expect(error.code, `byte ${at}`).toBe('FLASHTABLE_CORRUPTION')
    }
  })

  test('ends where the manifest says, although a frame follows', async () => {
    const { log, closed, ends } = await closedLog(1, 50, 2)
    const earlier = { ...closed, bytes: ends[1]!, endSequence: 51 }
    const replayed = await replay(log.disk, { closed: [earlier], clean: true })
    expect(replayed).toMatchObject({ endSequence: 51, segments: [earlier] })
    expect(replayed.tornAt).toBeUndefined()
  })

  test('that is damaged names the place of the frame', async () => {
    const { log, closed, ends } = await closedLog(1, 50, 2)
    log.disk.flipByte(FIRST, ends[1]! + 3)
    expect((await failureOf(() => replay(log.disk, { closed: [closed], clean: true }))).message).toBe(
      `${FIRST} is damaged at offset ${ends[1]}: expected the frame that begins with sequence number 51, found no frame`,
    )
  })

  test('that is cut short, empty or gone is damage', async () => {
    const { log, closed } = await closedLog(1, 200, 30)
    for (const length of [closed.bytes - 4, closed.bytes - 300, 32, 0]) {
      const disk = log.disk.clone()
      disk.truncateFile(FIRST, length)
      const error = await failureOf(() => replay(disk, { closed: [closed], clean: true }))
      expect(error.code).toBe('FLASHTABLE_CORRUPTION')
      expect(error.message).toMatch(/found (no frame|the end of the file)$/)
    }
    log.disk.removeFile(FIRST)
    const error = await failureOf(() => replay(log.disk, { closed: [closed], clean: true }))
    expect(error.message).toBe(`${FIRST} is damaged at offset 0: expected a log segment, found no file`)
    expect(error.cause).toMatchObject({ code: 'ENOENT' })
  })

  test('that is not what the manifest says is damage', async () => {
    const { log, closed, ends } = await closedLog(1, 50, 2)
    const wrong: SegmentInfo[] = [
      { ...closed, bytes: ends[1]! },
      { ...closed, bytes: closed.bytes + 4 },
      { ...closed, endSequence: closed.endSequence - 1 },
      { ...closed, endSequence: closed.endSequence + 1 },
      { ...closed, bytes: ends[1]!, endSequence: closed.endSequence - 1 },
      { ...closed, firstSequence: 1 },
      { ...closed, epoch: 2 },
    ]
    for (const claim of wrong) {
      const error = await failureOf(() => replay(log.disk, { closed: [claim], clean: true }))
      expect(error.code, JSON.stringify(claim)).toBe('FLASHTABLE_CORRUPTION')
    }
    const other = Uint8Array.from(TABLE_ID, byte => byte ^ 1)
    const error = await failureOf(() => replay(log.disk, { closed: [closed], clean: true, tableId: other }))
    expect(error.code).toBe('FLASHTABLE_CORRUPTION')
  })

  test('of an earlier epoch is followed by open ones', async () => {
    const { log, closed } = await closedLog(1, 50, 2)
    const second = new Log(log.disk.clone(), { epoch: 2, nextNumber: 2, nextSequence: 53 })
    await second.append(10)
    await second.sync()
    await second.writer.close()
    const choice = { closed: [closed], epoch: 2, firstSegment: 2 }
    expect((await replay(second.disk, choice)).tags).toEqual([...log.tags, ...second.tags.slice(53)])
    // After a clean end nothing counts but the closed ones.
    expect((await replay(second.disk, { ...choice, clean: true })).endSequence).toBe(53)
    const both = [closed, { number: 2, epoch: 2, bytes: 0, firstSequence: 53, endSequence: 63 }]
    const bytes = (await replay(second.disk, choice)).segments[1]!.bytes
    both[1] = { ...both[1]!, bytes }
    expect((await replay(second.disk, { closed: both, clean: true })).endSequence).toBe(63)
    const error = await failureOf(() => replay(second.disk, { closed: [both[1]!, closed], clean: true }))
    expect(error.message).toBe(`${pathOf(2)} is damaged at offset 0: expected sequence number 0, found 53`)
  })
})

describe('frames that do not belong', () => {
  test('of an older life of a recycled segment are not replayed, however much they look alike', async () => {
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

  test('of an older life are not replayed behind a sync either, at page starts', async () => {
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

  test('of another table, epoch, segment or place are not replayed', async () => {
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

  test('with sequence numbers that were already replayed are not replayed', async () => {
    const log = await newLog()
    await appendAll(log, 3, 4)
    expect((await replay(log.disk, { firstSequence: 3 })).endSequence).toBe(3)
    expect((await replay(log.disk, { firstSequence: 100 })).endSequence).toBe(100)
  })
})

describe('bytes of any kind', () => {
  /** A header whose checksum fits at this place of the first segment. */
  function signedHeader(header: Uint8Array, position: number): Uint8Array {
    const seed = positionSeed(fileSeed(TABLE_ID, 1, 1), position / 4)
    viewOf(header).setUint32(0, crc32Words(wordsOf(header), 1, FRAME_HEADER_BYTES / 4, seed), true)
    return header
  }

  test('never make replay throw anything but damage, hang, or make up records', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new Random(seed)
      const disk = await newDisk()
      const bytes = random.bytes(random.below(5 * PAGE))
      if (random.chance(0.5)) bytes.fill(0, random.below(bytes.length + 1))
      disk.writeFile(FIRST, bytes)
      const { endSequence } = await replay(disk)
      expect(endSequence, `seed ${seed}`).toBe(0)
    }
  })

  test('as headers with a checksum that fits do not either', async () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = new Random(seed)
      const disk = await newDisk()
      const bytes = random.bytes(3 * PAGE)
      for (const position of [0, PAGE, 2 * PAGE]) {
        const header = random.bytes(FRAME_HEADER_BYTES)
        const view = viewOf(header)
        // Some headers say what could be true.
        if (random.chance(0.7)) view.setUint32(PAYLOAD_BYTES_AT, random.below(1024) * 4, true)
        if (random.chance(0.7)) header.fill(0, 16, 28)
        if (random.chance(0.7)) header.fill(0, 28, 32)
        bytes.set(signedHeader(header, position), position)
      }
      disk.writeFile(FIRST, bytes)
      try {
        expect((await replay(disk)).endSequence, `seed ${seed}`).toBe(0)
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(FlashTableError)
      }
    }
  })

  test('in a header that promises more than the file holds end the log', async () => {
    const log = await newLog()
    const [end] = await appendAll(log, 1)
    for (const payloadBytes of [PAGE, 0x7fff_0000, 0xffff_fffc, 0]) {
      const disk = log.disk.clone()
      edit(disk, FIRST, bytes => {
        const header = bytes.slice(0, FRAME_HEADER_BYTES)
        const view = viewOf(header)
        view.setUint32(PAYLOAD_BYTES_AT, payloadBytes, true)
        view.setUint32(16, 1, true)
        bytes.set(signedHeader(header, end!), end)
      })
      expect((await replay(disk)).endSequence).toBe(1)
    }
  })

  test('that pass both checksums and yet make no sense are damage', async () => {
    const log = await newLog()
    await appendAll(log, 50)
    edit(log.disk, FIRST, bytes => {
      const view = viewOf(bytes)
      const seed = positionSeed(fileSeed(TABLE_ID, 1, 1), 0)
      // A bit width of 77.
      bytes[FRAME_HEADER_BYTES + 24] = 77
      const end = FRAME_HEADER_BYTES + view.getUint32(PAYLOAD_BYTES_AT, true)
      view.setUint32(4, crc32Words(wordsOf(bytes), 8, end / 4, seed), true)
      bytes.set(signedHeader(bytes.slice(0, FRAME_HEADER_BYTES), 0))
    })
    expect((await failureOf(() => replay(log.disk))).message).toBe(
      `${FIRST} is damaged at offset 0: expected a well-formed frame, found a bit width above 32`,
    )
  })
})

describe('a reader beside a writer', () => {
  /** Fills the first window of a reader, and has a long recycled file behind it. */
  async function longLog(): Promise<Log> {
    const disk = await newDisk()
    disk.writeFile(FIRST, new Random(1).bytes(3 * 1024 * 1024))
    const log = new Log(disk, { nextNumber: 2, spares: [1], segmentBytes: 64 * 1024 * 1024 })
    for (let i = 0; i < 9; i++) await log.append(10_000)
    expect(log.writer.activeSegment!.bytes).toBeLessThan(1024 * 1024)
    return log
  }

  test('takes no late look at what it had read too early for damage', async () => {
    const log = await longLog()
    let reads = 0
    let written: Promise<void> | undefined
    log.disk.onCall = call => {
      if (call.op !== 'read' || ++reads !== 2) return
      // The first window has been read, and its end seen: now the log goes on over it.
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

  test('still finds damage', async () => {
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

  test('that finds a segment shorter than it was replays what is there', async () => {
    for (const length of [0, 30, 90, PAGE, PAGE + 100]) {
      const log = await newLog()
      await appendAll(log, 1, 1, 1000)
      log.disk.onCall = call => {
        if (call.op === 'read') log.disk.truncateFile(FIRST, length)
      }
      expect((await replay(log.disk)).endSequence).toBe(length < 80 ? 0 : length < 96 ? 1 : 2)
    }
  })

  test('that finds a segment gone reports it with its cause, for the caller to look at the manifest', async () => {
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

/** Replay of a damaged log: what had been synced, closed segments, and bytes that nobody wrote. */
import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../../src/base/errors.js'
import { crc32Words } from '../../../src/format/checksum-words.js'
import { fileSeed, positionSeed } from '../../../src/format/checksum.js'
import {
  ENCODING_AT,
  FIRST_SEQUENCE_AT,
  FRAME_HEADER_BYTES,
  OPERATION_COUNT_AT,
  PAYLOAD_BYTES_AT,
  PAYLOAD_CHECKSUM_AT,
  PAYLOAD_WORDS_AT,
  SYNCED_SEQUENCE_AT,
} from '../../../src/format/frame-layout.js'
import { viewOf, wordsOf } from '../../../src/format/little-endian.js'
import type { SegmentInfo } from '../../../src/manifest/segment-info.js'
import { Random } from '../../support/random.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import {
  appendAll,
  closedLog,
  edit,
  failureOf,
  FIRST,
  Log,
  newDisk,
  newLog,
  PAGE,
  pathOf,
  replay,
  TABLE_ID,
} from './log.js'

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

  test('damage is reported with file, offset, what was expected and what was found', async () => {
    const log = await syncedLog()
    log.disk.flipByte(FIRST, PAGE + 50)
    const error = await failureOf(() => replay(log.disk))
    expect(error.code).toBe('FLASHTABLE_CORRUPTION')
    expect(error.message).toBe(
      `${FIRST} is damaged at offset ${PAGE}: expected the frame that begins with sequence number 3, which was synced, ` +
        'found a payload that does not fit its checksum',
    )
  })

  test('damage is found at every byte of every synced frame that a later frame vouches for', async () => {
    const log = await syncedLog()
    const ends = [64, PAGE + (await frameBytes(100)), 2 * PAGE + (await frameBytes(1))]
    for (const [page, end] of ends.entries()) {
      for (let at = page * PAGE; at < end; at += 3) {
        const disk = log.disk.clone()
        disk.flipByte(FIRST, at)
        expect((await failureOf(() => replay(disk))).code, `byte ${at}`).toBe('FLASHTABLE_CORRUPTION')
      }
    }
    // What was not synced may be lost.
    log.disk.flipByte(FIRST, 3 * PAGE + 20)
    expect((await replay(log.disk)).endSequence).toBe(104)
  })

  async function frameBytes(count: number): Promise<number> {
    return (await appendAll(await newLog(), count))[0]!
  }

  test('damage is found when zeros, random bytes or another page of the log replace a page', async () => {
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

  test('damage is found by a frame in a later segment', async () => {
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

  test('changed bytes in padding are no damage: padding holds nothing', async () => {
    const log = await syncedLog()
    for (const at of [80, 200, PAGE - 1, 3 * PAGE - 4]) log.disk.flipByte(FIRST, at)
    const replayed = await replay(log.disk)
    expect(replayed.tags).toEqual(log.tags)
    expect(replayed.tornAt).toBeUndefined()
    // Nor does it keep the error from naming the damage after it.
    log.disk.flipByte(FIRST, 2 * PAGE)
    expect((await failureOf(() => replay(log.disk))).message).toMatch(/damaged at offset 8192: /)
  })
})

describe('a closed segment', () => {
  test('a closed segment is replayed to its known end, whatever follows', async () => {
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

  test('a closed segment has no byte in its frames that can be changed unnoticed, also in those that were never vouched for', async () => {
    const { log, closed, ends } = await closedLog(1, 50, 2)
    expect(ends.at(-1)).toBe(closed.bytes)
    for (let at = 0; at < closed.bytes; at++) {
      const disk = log.disk.clone()
      disk.flipByte(FIRST, at, 1 << (at & 7))
      const error = await failureOf(() => replay(disk, { closed: [closed], clean: true }))
      expect(error.code, `byte ${at}`).toBe('FLASHTABLE_CORRUPTION')
    }
  })

  test('a closed segment ends where the manifest says, although a frame follows', async () => {
    const { log, closed, ends } = await closedLog(1, 50, 2)
    const earlier = { ...closed, bytes: ends[1]!, endSequence: 51 }
    const replayed = await replay(log.disk, { closed: [earlier], clean: true })
    expect(replayed).toMatchObject({ endSequence: 51, segments: [earlier] })
    expect(replayed.tornAt).toBeUndefined()
  })

  test('the error for a damaged closed segment names the offset of the frame', async () => {
    const { log, closed, ends } = await closedLog(1, 50, 2)
    log.disk.flipByte(FIRST, ends[1]! + 3)
    expect((await failureOf(() => replay(log.disk, { closed: [closed], clean: true }))).message).toBe(
      `${FIRST} is damaged at offset ${ends[1]}: expected the frame that begins with sequence number 51, found no frame`,
    )
  })

  test('a closed segment that is cut short, empty or gone is damage', async () => {
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

  test('a closed segment that is not what the manifest says is damage', async () => {
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

  test('a closed segment of an earlier epoch is followed by open ones', async () => {
    const { log, closed } = await closedLog(1, 50, 2)
    const second = new Log(log.disk.clone(), { epoch: 2, nextNumber: 2, nextSequence: 53 })
    await second.append(10)
    await second.sync()
    await second.writer.close()
    const choice = { closed: [closed], epoch: 2, firstSegment: 2 }
    expect((await replay(second.disk, choice)).tags).toEqual([...log.tags, ...second.tags.slice(53)])
    // After a clean end only the closed segments count.
    expect((await replay(second.disk, { ...choice, clean: true })).endSequence).toBe(53)
    const both = [closed, { number: 2, epoch: 2, bytes: 0, firstSequence: 53, endSequence: 63 }]
    const bytes = (await replay(second.disk, choice)).segments[1]!.bytes
    both[1] = { ...both[1]!, bytes }
    expect((await replay(second.disk, { closed: both, clean: true })).endSequence).toBe(63)
    const error = await failureOf(() => replay(second.disk, { closed: [both[1]!, closed], clean: true }))
    expect(error.message).toBe(`${pathOf(2)} is damaged at offset 0: expected sequence number 0, found 53`)
  })
})

describe('bytes of any kind', () => {
  /** Gives a header the checksum that it needs at this position of the first segment. */
  function signedHeader(header: Uint8Array, position: number): Uint8Array {
    const seed = positionSeed(fileSeed(TABLE_ID, 1, 1), position / 4)
    viewOf(header).setUint32(0, crc32Words(wordsOf(header), 1, FRAME_HEADER_BYTES / 4, seed), true)
    return header
  }

  test('random bytes never make replay throw anything but damage, hang, or make up records', async () => {
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

  test('random headers with a valid checksum never make replay throw anything but damage, or make up records', async () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = new Random(seed)
      const disk = await newDisk()
      const bytes = random.bytes(3 * PAGE)
      for (const position of [0, PAGE, 2 * PAGE]) {
        const header = random.bytes(FRAME_HEADER_BYTES)
        const view = viewOf(header)
        // Some headers are plausible.
        if (random.chance(0.7)) view.setUint32(PAYLOAD_BYTES_AT, random.below(1024) * 4, true)
        if (random.chance(0.7)) header[ENCODING_AT]! %= 6
        if (random.chance(0.7)) header.fill(0, PAYLOAD_WORDS_AT, OPERATION_COUNT_AT)
        if (random.chance(0.7)) header.fill(0, SYNCED_SEQUENCE_AT, 32)
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

  test('a header that promises more than the file holds ends the log', async () => {
    const log = await newLog()
    const [end] = await appendAll(log, 50)
    log.disk.writeFile(FIRST, Buffer.concat([log.disk.readFile(FIRST), new Uint8Array(PAGE)]))
    for (const payloadBytes of [PAGE, 0x7fff_0000, 0xffff_fffc, 0]) {
      const disk = log.disk.clone()
      edit(disk, FIRST, bytes => {
        const header = bytes.slice(0, FRAME_HEADER_BYTES)
        const view = viewOf(header)
        view.setUint32(PAYLOAD_BYTES_AT, payloadBytes, true)
        view.setUint32(FIRST_SEQUENCE_AT, 50, true)
        bytes.set(signedHeader(header, end!), end)
      })
      expect((await replay(disk)).endSequence).toBe(50)
    }
  })

  test('a frame that passes both checksums and yet makes no sense is damage', async () => {
    const log = await newLog()
    await appendAll(log, 50)
    edit(log.disk, FIRST, bytes => {
      const view = viewOf(bytes)
      const seed = positionSeed(fileSeed(TABLE_ID, 1, 1), 0)
      // A bit width of 77.
      bytes[FRAME_HEADER_BYTES + 24] = 77
      const end = FRAME_HEADER_BYTES + view.getUint32(PAYLOAD_BYTES_AT, true)
      view.setUint32(PAYLOAD_CHECKSUM_AT, crc32Words(wordsOf(bytes), 8, end / 4, seed), true)
      bytes.set(signedHeader(bytes.slice(0, FRAME_HEADER_BYTES), 0))
    })
    expect((await failureOf(() => replay(log.disk))).message).toBe(
      `${FIRST} is damaged at offset 0: expected a well-formed frame, found a bit width above 32`,
    )
  })
})

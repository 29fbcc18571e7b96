/** The files of the log: when segments are opened, ended, retired, renamed and removed. */
import { describe, expect, test } from 'vitest'
import {
  closedSegments,
  failureOf,
  gate,
  Log,
  newDisk,
  newLog,
  ONE,
  openSegments,
  PAGE,
  pathOf,
  replay,
  segmentNumbers,
  settle,
} from './log.js'

describe('SegmentPool', () => {
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
    expect(log.writer.hasRoom(100_000, false, 0)).toBe(true)
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

  test('spares that come back from a failed rename and retired segments are two together at most', async () => {
    const disk = await newDisk()
    for (const number of [1, 5, 6]) disk.writeFile(pathOf(number), new Uint8Array(PAGE))
    const log = new Log(disk, { nextNumber: 9, spares: [1] })
    const { open } = gate(disk, 'rename')
    disk.failAt(call => call.op === 'rename', 'ENOSPC', { effect: 'none' })
    const append = log.append()
    await settle()
    await log.writer.retire([5, 6])
    open()
    await append
    expect(log.writer.spares).toEqual([5, 6])
    expect(segmentNumbers(disk)).toEqual([5, 6, 10])
  })

  test('a spare that cannot be opened under its new number is a spare once, also when that number is retired', async () => {
    const disk = await newDisk()
    disk.writeFile(pathOf(1), new Uint8Array(PAGE))
    const log = new Log(disk, { nextNumber: 2, spares: [1] })
    disk.failAt(call => call.op === 'update', 'EMFILE')
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_IO_ERROR')
    expect(log.writer.spares).toEqual([2])
    await log.writer.retire([2])
    expect(log.writer.spares).toEqual([2])
  })

  test('the active segment is never retired, from the moment its number is taken', async () => {
    const log = await newLog()
    const append = log.append()
    const early = await failureOf(() => log.writer.retire([1]))
    expect(early.message).toMatch(/the active segment is not retired/)
    await append
    const late = await failureOf(() => log.writer.retire([1]))
    expect(late.message).toMatch(/the active segment is not retired/)
    expect((await replay(log.disk)).tags).toEqual(log.tags)
  })

  test('trimming keeps spares of up to 4 MiB together and removes the others', async () => {
    for (const [mib, kept] of [
      [
        [1, 1],
        [1, 2],
      ],
      [[3, 3], [1]],
      [[5, 1], [2]],
      [[5, 5], []],
    ] as const) {
      const disk = await newDisk()
      for (const [i, size] of mib.entries()) disk.writeFile(pathOf(i + 1), new Uint8Array(size * 2 ** 20))
      const log = new Log(disk, { nextNumber: 3, spares: [1, 2] })
      await log.writer.trimSpares()
      expect(log.writer.spares, `${mib.join()} MiB`).toEqual(kept)
      expect(segmentNumbers(disk)).toEqual(kept)
    }
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

describe('opening a segment', () => {
  test.each(['create', 'update'])('a failure to %s a segment latches', async op => {
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
    'a failed %s for want of resources (%s) latches nothing, and the next append works',
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
})

/** Bugs that other storage engines had in the log, each a named test. The numbers: docs/durability.md, Crash cases. */
import { crc32 } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { fileSeed, positionSeed } from '../../src/format/checksum.js'
import { Memtable } from '../../src/memtable/memtable.js'
import { Random } from '../support/random.js'
import type { Call } from '../support/simulated-file-system.js'
import {
  codeOf,
  columns,
  filesOf,
  found,
  isOn,
  MANIFEST,
  manifestOf,
  newDisk,
  put,
  records,
  SEED,
} from './cases.js'
import { type CrashRecord, stateText } from './history.js'
import { contents, openOn } from './table.js'

describe(`the log (seed ${SEED})`, () => {
  test('case 1: a torn tail does not hide what is acknowledged after it, however often the table is opened', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    await columns(table, records(0, 10), true)
    await columns(table, records(10, 10))
    const [segment] = filesOf(disk, '.wal')
    const torn = disk.clone()
    const { length } = torn.readFile(segment!)
    torn.truncateFile(segment!, length - 60)
    torn.writeFile(segment!, torn.readFile(segment!).fill(0xee, 4096 + 40))
    const expected = [...records(0, 10)]
    for (let life = 0; life < 4; life++) {
      const again = await openOn(torn)
      expect(await contents(again)).toBe(stateText(expected))
      expected.push(...records(100 + life, 1))
      await put(again, records(100 + life, 1), true)
      // kill -9: the next life replays the log behind the torn one.
    }
    expect(await found(torn)).toBe(stateText(expected))
  })

  test('case 2: after a failed sync no put is accepted and no number used again, until the table is opened', async () => {
    for (let k = 1; k <= 4; k++) {
      const disk = newDisk()
      const table = await openOn(disk)
      let syncs = 0
      disk.failAt(call => isOn('.wal', 'sync')(call) && ++syncs === k, 'EIO')
      for (let i = 0; i < k - 1; i++) await put(table, records(i, 1), true)
      expect(await codeOf(put(table, records(k - 1, 1), true))).toBe('FLASHTABLE_POISONED')
      for (let i = 0; i < 3; i++) {
        expect(await codeOf(put(table, records(50 + i, 1)))).toBe('FLASHTABLE_POISONED')
        expect(await codeOf(table.sync())).toBe('FLASHTABLE_POISONED')
      }
      expect(await codeOf(table.close())).toBe('FLASHTABLE_POISONED')
      const left = await found(disk.crashState(SEED))
      expect([stateText(records(0, k - 1)), stateText(records(0, k))]).toContain(left)
    }
  })

  test('case 3: a sync that failed is not tried again, though the pages are clean and it would succeed', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = newDisk({ seed })
      const table = await openOn(disk)
      await columns(table, records(0, 20), true)
      await columns(table, records(20, 20))
      disk.failAt(isOn('.wal', 'sync'), 'EIO')
      expect(await codeOf(table.sync())).toBe('FLASHTABLE_POISONED')
      const syncs = disk.log.filter(({ op }) => op === 'sync').length
      expect(await codeOf(table.sync())).toBe('FLASHTABLE_POISONED')
      await table.close().catch(() => {})
      expect(disk.log.filter(({ op }) => op === 'sync').length).toBe(syncs)
      disk.dropCache()
      expect([stateText(records(0, 20)), stateText(records(0, 40))]).toContain(await found(disk.clone()))
    }
  })

  test('case 4: a failed write brings no old value back and loses no key, whatever it left, went on, or was evicted', async () => {
    const options = { duplicates: 'replace' }
    const value = (time: number) => ({ time, id: time })
    for (const effect of ['none', 'all', 'any'] as const) {
      for (const evicted of [false, true]) {
        const disk = newDisk()
        const table = await openOn(disk, options)
        await table.put(1, value(1), { sync: true })
        await table.put(2, value(1), { sync: true })
        disk.failAt(isOn('.wal', 'write'), 'EIO', { effect })
        expect(await codeOf(table.put(1, value(2)))).toBe('FLASHTABLE_POISONED')
        // Going on: the old value stays, and no later put is accepted.
        expect(await table.getAll(1)).toEqual([value(1)])
        expect(await codeOf(table.put(2, value(2)))).toBe('FLASHTABLE_POISONED')
        await table.close().catch(() => {})
        if (evicted) disk.dropCache()
        // Restart: the failed put is there whole or not at all, and stays what it is.
        const first = await found(disk, options)
        expect(['1:1:1 2:1:1', '1:2:2 2:1:1']).toContain(first)
        const again = await openOn(disk, options)
        await again.put(3, value(3), { sync: true })
        await again.close()
        expect(await found(disk.crashState(SEED), options)).toBe(`${first} 3:3:3`)
      }
    }
  })

  test('case 6: a batch larger than a page that is torn in the middle is there whole or not at all', async () => {
    const seen = new Set<string>()
    for (const data of ['pages', 'pieces', 'prefix'] as const) {
      for (let seed = 0; seed < 25; seed++) {
        const disk = newDisk()
        const table = await openOn(disk, { bufferBytes: 65_536, walBytes: 65_536 })
        await columns(table, records(0, 5), true)
        const batch = Array.from({ length: 1500 }, (_, i) => ({
          key: (i * 7919) % 100_003,
          time: i,
          id: i * 77_777,
        }))
        await columns(table, batch)
        expect(disk.log.some(({ op, bytes }) => op === 'write' && bytes! > 2 * 4096)).toBe(true)
        const left = await found(disk.crashState(seed, { data }))
        seen.add(left)
        expect([stateText(records(0, 5)), stateText([...records(0, 5), ...batch])]).toContain(left)
      }
    }
    expect(seen.size).toBe(2)
  })

  test('case 7: a file that grew without its data - zeros, noise, blocks of old files - ends the log, no more', async () => {
    const prefixes = Array.from({ length: 31 }, (_, i) => stateText(records(0, 30 + i)))
    for (let seed = 0; seed < 80; seed++) {
      const disk = newDisk()
      const table = await openOn(disk)
      await columns(table, records(0, 30), true)
      for (let i = 30; i < 60; i++) await put(table, records(i, 1))
      const left = await found(disk.crashState(seed, { data: 'size' }))
      // A block of an old file may be what was being written.
      expect(prefixes).toContain(left)
    }
  })

  test('case 8: any bytes in place of a header, and huge lengths under a right checksum, neither throw nor allocate', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    await columns(table, records(0, 20), true)
    await columns(table, records(20, 20))
    const [segment] = filesOf(disk, '.wal')
    const { tableId, epoch } = manifestOf(disk)
    const seed = fileSeed(Uint8Array.from(Buffer.from(tableId, 'hex')), epoch, 1)
    const random = new Random(SEED)
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 200; i++) {
      const damaged = disk.clone()
      const bytes = damaged.readFile(segment!)
      // The second group begins at the second page: what is not known to be synced.
      const header = random.bytes(32)
      const view = new DataView(header.buffer)
      if (i % 2 === 0) {
        view.setUint32(8, i % 4 === 0 ? 0xffff_fffc : 4 * random.next(), true)
        view.setUint32(12, random.next(), true)
        view.setUint32(16, 20, true)
        view.setUint32(20, 0, true)
        view.setUint32(24, 0, true)
        view.setUint8(28, i % 3 === 0 ? 0 : 1)
        view.setUint32(0, crc32(header.subarray(4), positionSeed(seed, 1024)), true)
      }
      bytes.set(header, 4096)
      damaged.writeFile(segment!, bytes)
      expect(await found(damaged)).toBe(stateText(records(0, 20)))
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(500e6)
  })

  test('case 9: whole frames of an earlier life, behind the end of a recycled segment, are not replayed', async () => {
    const options = { bufferBytes: 4096, walBytes: 65_536 }
    const disk = newDisk()
    const table = await openOn(disk, options)
    const expected: CrashRecord[] = []
    const add = async (count: number): Promise<void> => {
      const rows = records(expected.length, count)
      expected.push(...rows)
      await columns(table, rows, true)
    }
    const recycling = (): Call | undefined =>
      disk.log.findLast(({ op, target }) => op === 'rename' && target?.endsWith('.wal'))
    // Each frame begins at a page start, as those of the segment's next life do.
    for (let i = 0; recycling() === undefined; i++) {
      expect(i, 'calls until a segment is overwritten').toBeLessThan(1000)
      await add(30)
    }
    await add(30)
    const recycled = recycling()!
    const { target } = recycled
    const active = filesOf(disk, '.wal').at(-1)!
    expect(active).toBe(target)
    const bytes = disk.readFile(active)
    const written = disk.log.filter(
      ({ op, path, step }) => op === 'write' && path === active && step > recycled.step,
    )
    const end = Math.max(...written.map(({ position, bytes }) => position! + bytes!))
    expect(bytes.subarray(end).some(byte => byte !== 0)).toBe(true)
    for (const data of ['all', 'none'] as const) {
      expect(await found(disk.crashState(SEED, { data }), options)).toBe(stateText(expected))
    }
  })

  test('case 10: no newer write is recovered where an older one is lost', async () => {
    let holes = 0
    for (let seed = 0; seed < 100; seed++) {
      // Unsynced groups of more than a page each: the first may be lost and the second be there.
      const rows = (from: number) =>
        records(from, 70).map(record => ({
          ...record,
          key: (record.key * 48_271) % 1e9,
          id: record.id * 30_011,
        }))
      const wide = { bufferBytes: 65_536, walBytes: 65_536 }
      const wideDisk = newDisk()
      const wideTable = await openOn(wideDisk, wide)
      const batches = [0, 1, 2, 3, 4, 5, 6, 7].map(i => rows(1000 * i))
      for (const batch of batches) await columns(wideTable, batch)
      const cut = wideDisk.crashState(seed, { data: 'pages' })
      const [whole, left] = [wideDisk, cut].map(each => each.readFile(filesOf(each, '.wal')[0] ?? MANIFEST))
      const same = (page: number): boolean =>
        Buffer.compare(
          whole!.subarray(page * 4096, page * 4096 + 4096),
          left!.subarray(page * 4096, page * 4096 + 4096),
        ) === 0
      if (!same(0) && same(1)) holes++
      const prefixes = batches.map((_, i) => stateText(batches.slice(0, i).flat()))
      expect([...prefixes, stateText(batches.flat())]).toContain(await found(cut, wide))
    }
    expect(holes).toBeGreaterThan(5)
  })

  test('case 23: a failure behind the write of the log latches: memory must not fall behind the log', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    await put(table, records(0, 1))
    const append = vi.spyOn(Memtable.prototype, 'append').mockImplementationOnce(() => {
      throw new RangeError('Array buffer allocation failed')
    })
    try {
      const error = await put(table, records(1, 1)).catch((error: unknown) => error)
      expect(error).toMatchObject({ code: 'FLASHTABLE_POISONED', cause: { name: 'RangeError' } })
    } finally {
      append.mockRestore()
    }
    expect(await codeOf(put(table, records(2, 1)))).toBe('FLASHTABLE_POISONED')
    expect(await contents(table)).toBe(stateText(records(0, 1)))
    await table.close().catch(() => {})
    expect(await found(disk)).toBe(stateText(records(0, 2)))
  })
})

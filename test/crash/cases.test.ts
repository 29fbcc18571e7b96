/**
 * Bugs that other storage engines had, each a named test. The numbers are those of the table in docs/durability.md,
 * which says where each was seen; rows that other tests cover are named there.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { fileSeed, positionSeed } from '../../src/format/checksum.js'
import { FlashTable, FlashTableError } from '../../src/index.js'
import {
  MANIFEST_VERSION,
  parseManifest,
  serializeManifest,
  type Manifest,
} from '../../src/manifest/manifest.js'
import { Memtable } from '../../src/memtable/memtable.js'
import { allSealed } from '../support/all-sealed.js'
import { Random } from '../support/random.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem, type Call, type DataMode } from '../support/simulated-file-system.js'
import { explore } from './explorer.js'
import { stateText, type CrashRecord } from './history.js'
import {
  DIRECTORY,
  MEMTABLE_RECORDS,
  OPTIONS,
  columnsOf,
  contents,
  openOn,
  type CrashTable,
  type OpenOptions,
} from './table.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
const MANIFEST = `${DIRECTORY}/MANIFEST`

function newDisk(options: ConstructorParameters<typeof SimulatedFileSystem>[0] = {}): SimulatedFileSystem {
  const disk = new SimulatedFileSystem({ seed: SEED, ...options })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  return disk
}

/** Records [from, from + count), which differ in all fields. */
function records(from: number, count: number): CrashRecord[] {
  return Array.from({ length: count }, (_, i) => ({ key: (from + i) * 31, time: from + i, id: -(from + i) }))
}

function put(table: CrashTable, [record]: readonly CrashRecord[], sync = false): Promise<void> {
  return table.put(record!.key, { time: record!.time, id: record!.id }, { sync })
}

const columns = (table: CrashTable, rows: readonly CrashRecord[], sync = false): Promise<void> =>
  table.putColumns(columnsOf(rows), { sync })

async function found(disk: SimulatedFileSystem, options: OpenOptions = {}): Promise<string> {
  const table = await openOn(disk, options)
  const text = await contents(table)
  await table.close()
  return text
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (error !== undefined && !(error instanceof FlashTableError)) throw error
  return error?.code
}

const filesOf = (disk: SimulatedFileSystem, suffix: string): string[] =>
  disk.files().filter(path => path.startsWith(`${DIRECTORY}/`) && path.endsWith(suffix))

const manifestOf = (disk: SimulatedFileSystem): Manifest => parseManifest(disk.readFile(MANIFEST), MANIFEST)

/** Everything on the disk, to be compared. */
const image = (disk: SimulatedFileSystem): [string, Uint8Array][] =>
  disk.files().map(path => [path, disk.readFile(path)])

const isOn =
  (suffix: string, ...ops: Call['op'][]) =>
  (call: Call): boolean =>
    ops.includes(call.op) && (call.target ?? call.path).endsWith(suffix)

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
        const table = await openOn(disk, { memtableBytes: 65_536, walBytes: 65_536 })
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
    const options = { memtableBytes: 4096, walBytes: 65_536 }
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
      const wide = { memtableBytes: 65_536, walBytes: 65_536 }
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

describe(`files, directories and the manifest (seed ${SEED})`, () => {
  test('case 5: files whose directory entries a power cut may drop are not needed yet', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    const expected: CrashRecord[] = []
    for (let i = 0; i < 8; i++) {
      expected.push(...records(100 * i, 60))
      await columns(table, records(100 * i, 60), true)
      for (const data of ['all', 'none'] as DataMode[]) {
        for (const entries of ['none', 'any'] as const) {
          expect(await found(disk.crashState(SEED + i, { data, entries }))).toBe(stateText(expected))
        }
      }
    }
    expect(manifestOf(disk).files.length).toBeGreaterThan(0)
  })

  test('case 11: no stop between log and manifest looks like damage', async () => {
    const { states } = await explore('mixed', 150, SEED)
    expect(states).toBeGreaterThan(100)
  })

  test('case 12: what is put while a compaction ends and the log is recycled is not skipped', async () => {
    for (const during of ['rename', 'syncDirectory', 'unlink', 'close'] as const) {
      const disk = newDisk()
      const table = await openOn(disk)
      const expected: CrashRecord[] = []
      let more = 1000
      const putting: Promise<void>[] = []
      for (let i = 0; i < 6; i++) {
        expected.push(...records(100 * i, MEMTABLE_RECORDS))
        await columns(table, records(100 * i, MEMTABLE_RECORDS))
        const compacting = table.compact()
        disk.onCall = ({ op }) => {
          if (op !== during) return
          disk.onCall = undefined
          expected.push(...records(more, 7))
          putting.push(columns(table, records(more, 7), true))
          more += 7
        }
        await compacting
        await Promise.all(putting)
      }
      disk.onCall = undefined
      expect(putting.length).toBeGreaterThan(4)
      expect(await found(disk.crashState(SEED))).toBe(stateText(expected))
      expect(await found(disk.clone())).toBe(stateText(expected))
    }
  })

  test('case 13: a deleted key does not come back when newer files are merged without the oldest', async () => {
    const disk = newDisk()
    const table = await openOn(disk, { fanout: 3 })
    const rows = records(0, MEMTABLE_RECORDS)
    const seal = async (): Promise<void> => {
      const sealed = manifestOf(disk).nextSequence
      for (let i = 0; i < 50 && manifestOf(disk).nextSequence === sealed; i++) {
        await new Promise(resolve => void setImmediate(resolve))
      }
    }
    await columns(table, rows)
    const older = records(20_000, 9 * MEMTABLE_RECORDS)
    for (let i = 0; i < 9; i++)
      await columns(table, older.slice(i * MEMTABLE_RECORDS, (i + 1) * MEMTABLE_RECORDS))
    await table.compact()
    const oldest = manifestOf(disk).files[0]!.number
    await table.del(rows[3]!.key)
    const { key, time, id } = rows[5]!
    await table.delRecord(key, { time, id })
    await table.delWhere({ id: rows[7]!.id })
    const expected = [...rows.filter((_, i) => ![3, 5, 7].includes(i)), ...older]
    for (let i = 1; i < 12; i++) {
      const more = records(1000 + 100 * i, MEMTABLE_RECORDS - 2)
      expected.push(...more)
      await columns(table, more)
      await seal()
      expect(await contents(table)).toBe(stateText(expected))
    }
    const merged = disk.log.filter(isOn('.bucket', 'unlink')).map(({ path }) => path)
    expect(merged.length).toBeGreaterThan(2)
    expect(manifestOf(disk).files[0]!.number).toBe(oldest)
    await table.close()
    expect(await found(disk)).toBe(stateText(expected))
    const last = await openOn(disk)
    await last.compact()
    expect(await contents(last)).toBe(stateText(expected))
    expect(manifestOf(disk).files.length).toBe(1)
  })

  test('case 14: a stop between the removals of old files and segments loses nothing', async () => {
    const live = async (disk: SimulatedFileSystem): Promise<CrashRecord[]> => {
      const acknowledged: CrashRecord[] = []
      const table = await openOn(disk)
      for (let i = 0; i < 7; i++) {
        await columns(table, records(100 * i, MEMTABLE_RECORDS), true)
        acknowledged.push(...records(100 * i, MEMTABLE_RECORDS))
      }
      await table.compact()
      return acknowledged
    }
    const whole = newDisk()
    const all = await live(whole)
    const removals = whole.log.filter(({ op }) => op === 'unlink' || op === 'rename')
    expect(removals.length).toBeGreaterThan(8)
    for (const { step } of removals) {
      const disk = newDisk({ crashAt: step })
      await live(disk).catch(() => {})
      for (const entries of ['none', 'all', 'any'] as const) {
        const left = await found(disk.crashState(step, { entries }))
        const prefixes = all.map((_, i) => i + 1).filter(count => count % MEMTABLE_RECORDS === 0)
        expect(['', ...prefixes.map(count => stateText(all.slice(0, count)))]).toContain(left)
      }
    }
  })

  test('case 15: a log that could not be written any more is kept, and replayed', async () => {
    for (const code of ['EIO', 'ENOSPC']) {
      const disk = newDisk()
      const table = await openOn(disk)
      await columns(table, records(0, 60))
      await put(table, records(60, 1))
      disk.failAt(({ op }) => op === 'write' || op === 'create', code, { repeat: 'sticky', effect: 'none' })
      expect(await codeOf(columns(table, records(61, 60)))).toBe(
        code === 'EIO' ? 'FLASHTABLE_POISONED' : 'FLASHTABLE_DISK_FULL',
      )
      await table.close().catch(() => {})
      expect(disk.openHandles).toBe(0)
      disk.clearFaults()
      expect(await found(disk)).toBe(stateText(records(0, 61)))
    }
  })

  test('case 16: a reader of a damaged or unfinished table leaves it as it is, byte for byte', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    for (let i = 0; i < 4; i++) await columns(table, records(100 * i, 60), i % 2 === 0)
    const random = new Random(SEED)
    const damages: ((disk: SimulatedFileSystem) => void)[] = [
      () => {},
      disk => disk.writeFile(`${DIRECTORY}/000077.bucket`, random.bytes(8192)),
      disk => disk.writeFile(`${MANIFEST}.tmp`, random.bytes(100)),
      disk => disk.flipByte(MANIFEST, 100),
      disk => disk.flipByte(filesOf(disk, '.bucket')[0]!, 5000),
      disk => disk.flipByte(filesOf(disk, '.wal').at(-1)!, 10),
      disk => disk.removeFile(filesOf(disk, '.bucket')[0]!),
    ]
    for (const [i, damage] of damages.entries()) {
      const damaged = disk.crashState(SEED + i)
      damage(damaged)
      const before = image(damaged)
      const calls = damaged.calls
      const code = await codeOf(found(damaged, { readOnly: true }))
      expect([undefined, 'FLASHTABLE_CORRUPTION']).toContain(code)
      expect(image(damaged)).toEqual(before)
      const changing = damaged.log
        .slice(calls)
        .filter(({ op }) => !['open', 'read', 'size', 'close', 'list', 'info'].includes(op))
      expect(changing).toEqual([])
      expect(damaged.openHandles).toBe(0)
    }
  })

  test('case 17: recovery twice gives the same, and takes order from numbers, not from names', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    await put(table, records(0, 1))
    await table.close()
    const manifest = manifestOf(disk)
    // Six digits run out: 999999.wal, then 1000000.wal, which as text comes before.
    const { log } = manifest
    disk.writeFile(
      MANIFEST,
      serializeManifest({ ...manifest, log: { ...log, firstSegment: 999_998 }, nextFileNumber: 999_998 }),
    )
    const later = await openOn(disk)
    await columns(later, records(1, 60))
    await columns(later, records(61, 60))
    await columns(later, records(121, 60))
    await put(later, records(181, 1))
    const names = filesOf(disk, '.wal').map(path => path.slice(DIRECTORY.length + 1))
    expect(names.some(name => name.length > 10)).toBe(true)
    const left = disk.crashState(SEED, { data: 'all', entries: 'all' })
    const first = await found(left.clone())
    expect(first).toBe(stateText(records(0, 182)))
    expect(await found(left.clone())).toBe(first)
    const twice = left.clone()
    await openOn(twice)
    expect(await found(twice)).toBe(first)
  })

  test('case 20: after kill -9 a plain open works, without a flag and without help', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    for (let i = 0; i < 5; i++) await columns(table, records(100 * i, 60))
    const opened = await FlashTable.openIn(DIRECTORY, {}, simulatedEnvironment(disk.clone()))
    expect(await contents(opened as unknown as CrashTable)).toBe(
      stateText([0, 1, 2, 3, 4].flatMap(i => records(100 * i, 60))),
    )
  })

  test('case 22: a manifest torn in any way is reported, and a torn new one beside it does not matter', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    await columns(table, records(0, 10))
    await table.close()
    const manifest = disk.readFile(MANIFEST)
    for (let bytes = 0; bytes < manifest.length; bytes += 7) {
      const torn = disk.clone()
      torn.writeFile(MANIFEST, manifest.subarray(0, bytes))
      expect(await codeOf(openOn(torn))).toBe('FLASHTABLE_CORRUPTION')
      const beside = disk.clone()
      beside.writeFile(`${MANIFEST}.tmp`, manifest.subarray(0, bytes))
      expect(await found(beside)).toBe(stateText(records(0, 10)))
      expect(beside.files()).not.toContain(`${MANIFEST}.tmp`)
    }
    const zeroed = disk.clone()
    zeroed.writeFile(MANIFEST, manifest.slice().fill(0, 512))
    expect(await codeOf(openOn(zeroed))).toBe('FLASHTABLE_CORRUPTION')
    const gone = disk.clone()
    gone.removeFile(MANIFEST)
    // Not a new, empty table beside the files of the old one.
    expect(await codeOf(openOn(gone))).toBe('FLASHTABLE_CORRUPTION')
  })

  test('case 28: numbers of files, epochs and sequences come from counters, where randomness always gives the same', async () => {
    const disk = newDisk()
    const epochs: number[] = []
    const created: string[] = []
    let sequence = 0
    for (let life = 0; life < 5; life++) {
      const before = disk.calls
      const table = await openOn(disk)
      for (let i = 0; i < 3; i++) await columns(table, records(1000 * life + 100 * i, 60))
      if (life % 2 === 0) await table.close()
      const manifest = manifestOf(disk)
      epochs.push(manifest.epoch)
      expect(manifest.nextSequence).toBeGreaterThanOrEqual(sequence)
      sequence = manifest.nextSequence
      const names = disk.log.slice(before).flatMap(call => {
        if (call.op === 'create' && /\d\.(wal|bucket)$/.test(call.path)) return [call.path]
        return call.op === 'rename' && call.target!.endsWith('.wal') ? [call.target!] : []
      })
      created.push(...names)
    }
    expect(epochs).toEqual([...new Set(epochs)].toSorted((a, b) => a - b))
    expect(epochs.length).toBe(5)
    const numbers = created.map(path => path.replace(/\.\w+$/, ''))
    expect(new Set(numbers).size).toBe(numbers.length)
  })
})

describe(`reads (seed ${SEED})`, () => {
  test('case 18: what reads gave, and scans that run, stay the same over seals, merges and evicted pages', async () => {
    const disk = newDisk()
    const table = await openOn(disk, { cacheBytes: 65_536 })
    const rows = records(0, 65)
    for (let i = 0; i < 10; i++)
      await columns(
        table,
        rows.map(row => ({ ...row, time: row.time + 100 * i })),
      )
    const before = await contents(table)
    const keys = BigUint64Array.from(rows, ({ key }) => BigInt(key))
    const value = await table.get(rows[5]!.key)
    const all = await table.getAll(rows[5]!.key)
    const hits = await table.getColumns(keys)
    const kept = structuredClone({ value, all, hits })
    const scan = table.scanColumns()
    const scanned: { key: bigint; time: number }[] = []
    const take = ({ key, time }: { key: BigUint64Array; time: Uint16Array }): void => {
      for (let i = 0; i < key.length; i++) scanned.push({ key: key[i]!, time: time[i]! })
    }
    const first = await scan.next()
    if (first.done !== true) take(first.value)
    for (let i = 10; i < 25; i++)
      await columns(
        table,
        rows.map(row => ({ ...row, time: row.time + 100 * i })),
      )
    await table.compact()
    await table.getColumns(keys)
    expect({ value, all, hits }).toEqual(kept)
    for await (const stretch of scan) take(stretch)
    expect(scanned.map(({ key, time }) => `${key}:${time}`).join(' ')).toBe(
      before.replace(/:-?\d+(?= |$)/g, ''),
    )
  })

  test(
    'case 21: a flip of any byte of any file is told, or changes nothing; it is never returned',
    { timeout: 300_000 },
    async () => {
      const disk = newDisk()
      const table = await openOn(disk)
      await columns(table, records(0, 30))
      await table.delWhere({ id: -3 })
      await table.compact()
      await columns(table, records(100, 8), true)
      const right = await contents(table)
      await table.close()
      const { files, log } = manifestOf(disk)
      expect([files.length, log.closed.length]).toEqual([1, 1])
      let told = 0
      let bytes = 0
      for (const path of filesOf(disk, '')) {
        const { length } = disk.readFile(path)
        for (let offset = 0; offset < length; offset++) {
          const damaged = disk.clone()
          damaged.flipByte(path, offset, 1 << (offset % 8))
          bytes++
          try {
            const reader = await openOn(damaged, { readOnly: true })
            if ((await contents(reader)) !== right) throw new Error(`${path} at ${offset}: a wrong answer`)
            await reader.close()
          } catch (error) {
            if (!(error instanceof FlashTableError)) throw error
            expect(['FLASHTABLE_CORRUPTION', 'FLASHTABLE_UNSUPPORTED_FORMAT']).toContain(error.code)
            expect(error.path).toBe(path)
            told++
          }
        }
      }
      // What may be flipped unseen: the padding of the log behind its last frame.
      expect(told).toBeGreaterThan(0.8 * bytes)
    },
  )

  test('case 25: a page, a segment or a file in the place of another is damage, though its checksum was right there', async () => {
    const disk = newDisk()
    const options = { memtableBytes: 8192, walBytes: 32_768, fanout: 8 }
    const table = await openOn(disk, options)
    const rows = (from: number) =>
      records(from, 500).map(row => ({ ...row, key: (row.key * 48_271) % 1e9, id: row.id * 30_011 }))
    for (let i = 0; i < 3; i++) await columns(table, rows(500 * i))
    await put(table, records(9000, 1), true)
    await allSealed(table)
    await table.close()
    const [first, second] = filesOf(disk, '.bucket')
    const bytes = disk.readFile(first!)
    expect(bytes.length).toBeGreaterThan(3 * 4096)
    const swapped = bytes.slice()
    swapped.set(bytes.subarray(0, 4096), 4096)
    swapped.set(bytes.subarray(4096, 8192), 0)
    const foreign = disk.readFile(second!)
    const onePage = bytes.slice()
    onePage.set(foreign.subarray(0, 4096), 0)
    const segments = manifestOf(disk).log.closed.map(
      ({ number }) => `${DIRECTORY}/${String(number).padStart(6, '0')}.wal`,
    )
    expect(segments.length).toBe(1)
    const spare = filesOf(disk, '.wal').find(path => !segments.includes(path))
    const misplaced: (readonly [string, Uint8Array])[] = [
      [first!, swapped],
      [first!, foreign],
      [first!, onePage],
      ...(spare === undefined ? [] : [[segments[0]!, disk.readFile(spare)] as const]),
    ]
    for (const [path, content] of misplaced) {
      const damaged = disk.clone()
      damaged.writeFile(path, content)
      expect(await codeOf(found(damaged, options))).toBe('FLASHTABLE_CORRUPTION')
    }
  })
})

describe('formats and processes', () => {
  let directory = ''
  afterEach(async () => {
    if (directory !== '') await rm(directory, { recursive: true })
    directory = ''
  })

  test('case 24: a table of a later format is refused, with both versions, and not touched', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    await table.close()
    const text = Buffer.from(disk.readFile(MANIFEST)).toString()
    disk.writeFile(
      MANIFEST,
      Buffer.from(text.replace(/^flashtable manifest \d+/, `flashtable manifest ${MANIFEST_VERSION + 1}`)),
    )
    const before = image(disk)
    const error: unknown = await openOn(disk).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'FLASHTABLE_UNSUPPORTED_FORMAT' })
    expect((error as Error).message).toContain(`version ${MANIFEST_VERSION + 1}`)
    expect((error as Error).message).toContain(`up to ${MANIFEST_VERSION}`)
    expect(image(disk)).toEqual(before)
  })

  test('case 26: a second writer is refused, whatever the path, and a restored backup does not mix with what came later', async () => {
    directory = await mkdtemp(join(tmpdir(), 'flashtable-case-26-'))
    const location = join(directory, 'table')
    const table = await FlashTable.open(location, OPTIONS)
    await table.put(1, { time: 1, id: 1 })
    expect(await codeOf(FlashTable.open(location, OPTIONS))).toBe('FLASHTABLE_LOCKED')
    expect(await codeOf(FlashTable.open(join(location, '..', 'table'), OPTIONS))).toBe('FLASHTABLE_LOCKED')
    await table.put(2, { time: 2, id: 2 })
    await table.close()

    // A backup put back over a table that went on: segments and files of a later life lie beside the old manifest.
    const disk = newDisk()
    const first = await openOn(disk)
    await columns(first, records(0, 20))
    await first.close()
    const backup = image(disk)
    const later = await openOn(disk)
    for (let i = 1; i < 5; i++) await columns(later, records(100 * i, 60), true)
    for (const [path, bytes] of backup) disk.writeFile(path, bytes)
    expect(await found(disk)).toBe(stateText(records(0, 20)))
  })
})

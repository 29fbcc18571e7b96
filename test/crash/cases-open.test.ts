/** Bugs that other storage engines had when a table is opened, each a named test. The numbers: docs/durability.md, Crash cases. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { MANIFEST_VERSION, serializeManifest } from '../../src/manifest/manifest.js'
import { Random } from '../support/random.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { allSealed } from '../support/all-sealed.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import {
  codeOf,
  columns,
  filesOf,
  found,
  image,
  MANIFEST,
  manifestOf,
  newDisk,
  put,
  records,
  SEED,
} from './cases.js'
import { stateText } from './history.js'
import { contents, type CrashTable, DIRECTORY, openOn, OPTIONS } from './table.js'

describe(`an open (seed ${SEED})`, () => {
  let directory = ''
  afterEach(async () => {
    if (directory !== '') await rm(directory, { recursive: true })
    directory = ''
  })

  test('case 16: a reader of a damaged or unfinished table leaves it as it is, byte for byte', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    for (let i = 0; i < 4; i++) await columns(table, records(100 * i, 60), i % 2 === 0)
    await allSealed(table)
    const random = new Random(SEED)
    // A power cut may leave nothing of a segment that was not synced.
    const lastWal = (disk: SimulatedFileSystem): string | undefined =>
      filesOf(disk, '.wal').findLast(path => disk.readFile(path).byteLength > 10)
    const damages: ((disk: SimulatedFileSystem) => void)[] = [
      () => {},
      disk => disk.writeFile(`${DIRECTORY}/000077.bucket`, random.bytes(8192)),
      disk => disk.writeFile(`${MANIFEST}.tmp`, random.bytes(100)),
      disk => disk.flipByte(MANIFEST, 100),
      disk => disk.flipByte(filesOf(disk, '.bucket')[0]!, 5000),
      disk => {
        const path = lastWal(disk)
        if (path !== undefined) disk.flipByte(path, 10)
      },
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
    expect((error as Error).message).toContain(`reads version ${MANIFEST_VERSION}`)
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

/**
 * What `verify` compares: everything that footers and manifest say, changed with checksums made right, is told; and what
 * is right is counted right, beside a writer too.
 */
import { describe, expect, test } from 'vitest'
import { fileSeed } from '../../src/format/checksum.js'
import { viewOf } from '../../src/format/little-endian.js'
import { FOOTER, dataPageLayout } from '../../src/format/page-layout.js'
import { setPageChecksum } from '../../src/format/section.js'
import { FlashTable, struct } from '../../src/index.js'
import { bucketName, walName } from '../../src/io/file-names.js'
import type { FileSystem } from '../../src/io/file-system.js'
import { parseManifest, serializeManifest, type Manifest } from '../../src/manifest/manifest.js'
import { verifyTable } from '../../src/offline/verify.js'
import { recordLayout } from '../../src/records/record-layout.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

const DIRECTORY = '/tables/verified'
const MANIFEST = `${DIRECTORY}/MANIFEST`
const PAGE_BYTES = 4096
const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', id: 'i32' }),
  pageBytes: PAGE_BYTES,
  bufferBytes: 16_384,
  walBytes: 65_536,
  syncIntervalMs: Infinity,
}

/** For logs that stay in one segment. */
const ONE_SEGMENT = { ...OPTIONS, walBytes: 2 ** 20 }

function newDisk(): SimulatedFileSystem {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  return disk
}

const open = (disk: SimulatedFileSystem, options: object = OPTIONS) =>
  FlashTable.openIn(DIRECTORY, options, simulatedEnvironment(disk))

const manifestOf = (disk: SimulatedFileSystem): Manifest => parseManifest(disk.readFile(MANIFEST), MANIFEST)

const verify = (disk: SimulatedFileSystem) => verifyTable(DIRECTORY, { fileSystem: disk })

/** A table with two files, deletes of all kinds in the newer one, and records in the log; ended cleanly. */
async function table(): Promise<SimulatedFileSystem> {
  const disk = newDisk()
  const table = await open(disk)
  for (let i = 0; i < 500; i++) await table.put(i, { time: i % 100, id: i % 7 })
  await table.compact()
  for (let i = 0; i < 1000; i++) await table.put(1000 + i, { time: 100 + (i % 50), id: 7 })
  await table.del(5)
  await table.delRecord(6, { time: 6, id: 6 })
  await table.delWhere({ id: 3 })
  for (let i = 0; i < 400; i++) await table.put(3000 + i, { time: 1, id: 1 })
  await table.put(9999, { time: 1, id: 1 })
  await table.close()
  return disk
}

/** Changes the footer of the newest file, and makes its checksum right. */
function changeFooter(disk: SimulatedFileSystem, change: (view: DataView) => void): void {
  const manifest = manifestOf(disk)
  const entry = manifest.files.at(-1)!
  const path = `${DIRECTORY}/${bucketName(entry.number)}`
  const bytes = Uint8Array.from(disk.readFile(path))
  const page = bytes.subarray((entry.pages - 1) * PAGE_BYTES)
  change(viewOf(page))
  const tableId = Uint8Array.from(Buffer.from(manifest.tableId, 'hex'))
  setPageChecksum(page, fileSeed(tableId, entry.epoch, entry.number), entry.pages - 1)
  disk.writeFile(path, bytes)
}

function changeManifest(disk: SimulatedFileSystem, change: (manifest: Manifest) => object): void {
  const manifest = manifestOf(disk)
  disk.writeFile(MANIFEST, serializeManifest({ ...manifest, ...change(manifest) }))
}

describe('verify', () => {
  test('counts frames, not batches of them: 50 awaited puts are 50 frames', async () => {
    const disk = newDisk()
    const table = await open(disk)
    for (let i = 0; i < 50; i++) await table.put(i, { time: 1, id: 1 })
    await table.close()
    expect(await verify(disk)).toMatchObject({ frames: 50, records: 50, problems: [], orphans: [] })
  })

  test('finds a directory whose samples do not fit it, which lookups would follow', async () => {
    const disk = newDisk()
    const table = await open(disk)
    // Keys that are not even: their pages have a directory.
    for (let i = 0; i < 100; i++) await table.put(i * i, { time: 1, id: 1 })
    await table.compact()
    await table.close()
    const manifest = manifestOf(disk)
    const entry = manifest.files.at(-1)!
    const path = `${DIRECTORY}/${bucketName(entry.number)}`
    const bytes = Uint8Array.from(disk.readFile(path))
    const page = bytes.subarray(0, PAGE_BYTES)
    const { directoryWord } = dataPageLayout(recordLayout([4, 4], [2, 4]), PAGE_BYTES)
    // The second sample: of bucket 16.
    page[4 * directoryWord + 1]! ^= 4
    const tableId = Uint8Array.from(Buffer.from(manifest.tableId, 'hex'))
    setPageChecksum(page, fileSeed(tableId, entry.epoch, entry.number), 0)
    disk.writeFile(path, bytes)
    const { problems } = await verify(disk)
    expect(problems).toMatchObject([
      { file: path, offset: 0, message: 'the samples of the directory do not fit it' },
    ])
  })

  test('finds nothing in a sound table, and counts its puts', async () => {
    const disk = await table()
    const { problems, records, frames, tornAt } = await verify(disk)
    expect(problems).toEqual([])
    expect(tornAt).toBeUndefined()
    expect(records).toBeGreaterThanOrEqual(500 + 1000 + 400)
    expect(frames).toBeGreaterThan(0)
  })

  test.each([
    ['records', FOOTER.records],
    ['deletes of keys', FOOTER.deleteKeys],
    ['deletes of records', FOOTER.deleteRecords],
    ['delete-where entries', FOOTER.deleteWhereCount],
    ['different keys', FOOTER.distinctKeys],
    ['the first sequence number', FOOTER.firstSequence],
    ['the end sequence number', FOOTER.endSequence],
    ['filter probes', FOOTER.filterProbes],
    ['filter pages', FOOTER.filterPages],
    ['data pages', FOOTER.dataPages],
    ['delete-where pages', FOOTER.deleteWherePages],
    ['fence pages', FOOTER.fencePages],
    ['a byte of the table id', FOOTER.tableId + 3],
    ...Array.from({ length: 8 }, (_, i): [string, number] => [
      ['high', 'low'][i % 2]! + ` word ${i} of the bounds`,
      FOOTER.bounds + 4 * i,
    ]),
  ])('finds that the footer tells other %s than there are', async (_, offset) => {
    const disk = await table()
    const small = offset === FOOTER.filterProbes
    changeFooter(disk, view => view.setUint8(offset, small ? 0 : view.getUint8(offset) ^ 1))
    expect((await verify(disk)).problems.length).toBeGreaterThan(0)
  })

  test('finds that the log ends before the manifest says so, and what is missing of it', async () => {
    const disk = newDisk()
    const table = await open(disk, ONE_SEGMENT)
    for (let i = 0; i < 100; i++) await table.put(i, { time: 1, id: 1 }, { sync: true })
    await table.close()
    const [closed] = manifestOf(disk).log.closed
    const path = `${DIRECTORY}/${walName(closed!.number)}`
    disk.writeFile(path, disk.readFile(path).subarray(0, 40 * PAGE_BYTES))
    const { problems, frames, records } = await verify(disk)
    expect(problems).toHaveLength(1)
    expect(problems[0]!.message).toContain('operations to 99 are missing')
    expect({ frames, records }).toEqual({ frames: 40, records: 40 })
  })

  test('finds each gap of the log, and goes on behind it', async () => {
    const disk = newDisk()
    const table = await open(disk, ONE_SEGMENT)
    for (let i = 0; i < 100; i++) await table.put(i, { time: 1, id: 1 }, { sync: true })
    await table.close()
    const path = `${DIRECTORY}/${walName(manifestOf(disk).log.closed[0]!.number)}`
    for (const page of [10, 11, 50]) disk.flipByte(path, page * PAGE_BYTES + 20)
    const { problems, frames } = await verify(disk)
    expect(problems.map(problem => problem.offset! / PAGE_BYTES)).toEqual([
      expect.closeTo(9, 0),
      expect.closeTo(49, 0),
    ])
    expect(frames).toBe(97)
  })

  test('finds damaged pages of a file whose footer is damaged too', async () => {
    const disk = await table()
    const entry = manifestOf(disk).files[0]!
    const path = `${DIRECTORY}/${bucketName(entry.number)}`
    disk.flipByte(path, 100)
    disk.flipByte(path, (entry.pages - 1) * PAGE_BYTES + 40)
    const offsets = (await verify(disk)).problems.map(problem => problem.offset)
    expect(offsets).toEqual([(entry.pages - 1) * PAGE_BYTES, 0])
  })

  test('finds counters that cannot be', async () => {
    const disk = await table()
    changeManifest(disk, ({ counters }) => ({ counters: { ...counters, records: 3 } }))
    expect((await verify(disk)).problems.length).toBeGreaterThan(0)
  })

  test('tells orphans, which are no problem', async () => {
    const disk = await table()
    disk.writeFile(`${DIRECTORY}/000777.bucket`, new Uint8Array(PAGE_BYTES))
    const { problems, orphans } = await verify(disk)
    expect({ problems, orphans }).toEqual({ problems: [], orphans: [`${DIRECTORY}/000777.bucket`] })
  })

  test('of an unclean end without the last frames tells where the log ends, and finds no problem', async () => {
    const disk = newDisk()
    const table = await open(disk, ONE_SEGMENT)
    for (let i = 0; i < 20; i++) await table.put(i, { time: 1, id: 1 }, { sync: true })
    const killed = disk.clone()
    await table.close()
    const path = killed.files().find(name => name.endsWith('.wal'))!
    killed.flipByte(path, 19 * PAGE_BYTES + 2)
    expect(await verify(killed)).toMatchObject({
      problems: [],
      frames: 19,
      tornAt: { path, offset: 19 * PAGE_BYTES },
    })
  })

  test('beside a writer that replaces the files while they are read reports no damage', async () => {
    const disk = newDisk()
    const table = await open(disk)
    for (let i = 0; i < 2000; i++) await table.put(i, { time: 1, id: 1 })
    let files = 0
    const busy: Pick<FileSystem, 'open' | 'list' | 'info'> = {
      open: async (path, mode) => {
        if (path.endsWith('.bucket') && files++ < 4) {
          await table.put(files, { time: 2, id: 2 })
          await table.compact()
        }
        return disk.open(path, mode)
      },
      list: directory => disk.list(directory),
      info: path => disk.info(path),
    }
    const { problems } = await verifyTable(DIRECTORY, { fileSystem: busy as FileSystem })
    expect(files).toBeGreaterThan(3)
    expect(problems).toEqual([])
    await table.close()
  })
})

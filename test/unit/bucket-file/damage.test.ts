import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../../src/base/errors.js'
import { PageCache } from '../../../src/bucket-file/page-cache.js'
import { BucketFile, type BucketFileOptions } from '../../../src/bucket-file/reader.js'
import type { BucketFileTarget } from '../../../src/bucket-file/writer.js'
import { fileSeed } from '../../../src/format/checksum.js'
import { viewOf } from '../../../src/format/little-endian.js'
import { FOOTER } from '../../../src/format/page-layout.js'
import { setPageChecksum } from '../../../src/format/section.js'
import type { FileHandle, FileSystem } from '../../../src/io/file-system.js'
import type { BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import { PUT, type DeleteWhere } from '../../../src/records/operations.js'
import { TABLE_ID, fileTarget, optionsFor, readAllRows, writeBucketFile } from '../../support/bucket-files.js'
import { Random } from '../../support/random.js'
import { columnsOf, rowsOf, sortedRowsOf, wideLayout, type Row } from '../../support/rows.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const PAGE = 4096
const PATH = '/table/000007.bucket'
const layout = wideLayout(2, 3)
const deletes: DeleteWhere[] = [{ sequence: 150, lanes: [4], values: [42] }]
const rows = sortedRowsOf({
  keyLanes: 2,
  valueLanes: 3,
  rows: 500,
  keys: 'random',
  values: ['wide', 'constant', 'narrow'],
  kinds: [PUT],
  seed: 11,
})

interface Written {
  readonly disk: SimulatedFileSystem
  readonly entry: BucketFileEntry
  readonly options: BucketFileOptions
  /** The file as it was written. */
  readonly bytes: Uint8Array
}

async function written(changes: Partial<BucketFileTarget> = {}, content: Row[] = rows): Promise<Written> {
  const disk = new SimulatedFileSystem()
  const target = fileTarget(disk, layout, { deletes, ...changes })
  const entry = await writeBucketFile(target, columnsOf(layout, content))
  const [path] = disk.files()
  return { disk, entry, options: optionsFor(target), bytes: disk.readFile(path!) }
}

/** Opens the file and reads all of it; the first error, or `undefined` where it came in whole, and then right. */
async function errorIn({ options, entry }: Written): Promise<unknown> {
  let file: BucketFile | undefined
  try {
    file = await BucketFile.open(options, entry)
    const found = rowsOf(layout, await readAllRows(file, layout))
    expect(found).toEqual(rows)
    await readAllPages(file)
    expect(file.deletes).toEqual(deletes)
    return undefined
  } catch (error) {
    return error
  } finally {
    await file?.close()
  }
}

/** Reads the pages that an open does not read: those of data and of the filter. */
function readAllPages(file: BucketFile): Promise<unknown> {
  const { dataPages, filterPages } = file.footer
  return file.readPages(0, dataPages + filterPages)
}

/** A disk with one file that is only read: all that 20,000 opens need. */
function oneFile(bytes: Uint8Array): FileSystem {
  const readSync = (buffer: Uint8Array, position: number): number => {
    const part = bytes.subarray(position, position + buffer.byteLength)
    buffer.set(part)
    return part.byteLength
  }
  const handle: Partial<FileHandle> = {
    path: PATH,
    readSync,
    read: (buffer, position) => Promise.resolve(readSync(buffer, position)),
    size: () => Promise.resolve(bytes.byteLength),
    close: () => Promise.resolve(),
  }
  return { open: () => Promise.resolve(handle) } as Partial<FileSystem> as FileSystem
}

/** The damage was found, and the message tells where. */
function expectCorruption(error: unknown): void {
  expect(error).toBeInstanceOf(FlashTableError)
  expect(error).toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
  expect((error as Error).message).toContain(PATH)
}

describe('damage of a bucket file is found', () => {
  test('wherever a byte of it is flipped, before a wrong record comes out', async () => {
    const file = await written({}, rows.slice(0, 100))
    const { bytes, entry } = file
    expect(entry.pages).toBe(5)
    expect(bytes.length).toBe(entry.pages * PAGE)
    const others: { at: number; verdict: unknown }[] = []
    const damaged = bytes.slice()
    const options = { ...file.options, fileSystem: oneFile(damaged) }
    for (let at = 0; at < bytes.length; at++) {
      damaged[at]! ^= 1 << ((at * 5 + (at >> 3)) % 8)
      let error: unknown
      try {
        const opened = await BucketFile.open(options, entry)
        await readAllPages(opened).catch((reason: unknown) => (error = reason))
        await opened.close()
      } catch (reason) {
        error = reason
      }
      damaged[at] = bytes[at]!
      const verdict = error instanceof FlashTableError ? error.code : error
      if (verdict !== 'FLASHTABLE_CORRUPTION') others.push({ at, verdict })
    }
    // A newer version is told as such: its checksums may be others.
    const versionAt = (entry.pages - 1) * PAGE + FOOTER.version
    const verdict = 'FLASHTABLE_UNSUPPORTED_FORMAT'
    expect(others).toEqual([0, 1, 2, 3].map(i => ({ at: versionAt + i, verdict })))
  })

  test('where it is cut, and where it has grown', async () => {
    const file = await written()
    const { disk, bytes } = file
    const sizes = [0, 1, PAGE - 1, PAGE, bytes.length - PAGE, bytes.length - 1]
    for (const size of sizes) {
      disk.writeFile(PATH, bytes.subarray(0, size))
      expectCorruption(await errorIn(file))
    }
    for (const more of [1, PAGE, 10 * PAGE]) {
      const grown = new Uint8Array(bytes.length + more)
      grown.set(bytes)
      disk.writeFile(PATH, grown)
      expectCorruption(await errorIn(file))
    }
    disk.writeFile(PATH, bytes)
    expect(await errorIn(file)).toBeUndefined()
  })

  test('where two of its pages have changed places', async () => {
    const file = await written()
    const { disk, bytes, entry } = file
    expect(entry.pages).toBeGreaterThan(5)
    for (let a = 0; a < entry.pages; a++) {
      for (let b = 0; b < a; b++) {
        const swapped = bytes.slice()
        swapped.copyWithin(a * PAGE, b * PAGE, (b + 1) * PAGE)
        swapped.set(bytes.subarray(a * PAGE, (a + 1) * PAGE), b * PAGE)
        disk.writeFile(PATH, swapped)
        expectCorruption(await errorIn(file))
      }
    }
  })

  test('where a page of another file lies in its place: other number, other epoch, other table', async () => {
    const file = await written()
    const { disk, bytes, entry } = file
    for (const other of [{ number: 8 }, { epoch: 4 }, { tableId: new Random(1).bytes(16) }]) {
      const stranger = (await written(other)).bytes
      expect(stranger.length).toBe(bytes.length)
      for (let page = 0; page < entry.pages; page++) {
        const mixed = bytes.slice()
        mixed.set(stranger.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE)
        disk.writeFile(PATH, mixed)
        expectCorruption(await errorIn(file))
      }
      disk.writeFile(PATH, stranger)
      expectCorruption(await errorIn(file))
    }
  })

  test('where it is zeros', async () => {
    const file = await written()
    file.disk.writeFile(PATH, new Uint8Array(file.bytes.length))
    expectCorruption(await errorIn(file))
  })

  test.each([
    { epoch: 4 },
    { pages: 7 },
    { pages: 1 },
    { pages: 0 },
    { records: 499 },
    { firstSequence: 99 },
    { endSequence: 201 },
  ])('where the manifest says %o of it', async change => {
    const file = await written()
    expectCorruption(await errorIn({ ...file, entry: { ...file.entry, ...change } }))
    expect(file.disk.openHandles).toBe(0)
  })

  test('where the table has another layout or page size', async () => {
    const file = await written()
    for (const other of [wideLayout(1, 4), wideLayout(2, 2), wideLayout(2, 4)]) {
      const opening = BucketFile.open({ ...file.options, layout: other }, file.entry)
      await expect(opening).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
      await expect(opening).rejects.toThrow(/lanes/)
    }
    expectCorruption(await errorIn({ ...file, options: { ...file.options, pageBytes: 8192 } }))
  })

  test('of a page that was in the cache: not before it is read again', async () => {
    const file = await written()
    const cache = new PageCache(0, PAGE)
    const opened = await BucketFile.open({ ...file.options, cache }, file.entry)
    opened.loadPageSync(0)
    file.disk.flipByte(PATH, 2000)
    file.disk.flipByte(PATH, PAGE + 2000)
    expect(opened.cachedPage(0)).toBeGreaterThanOrEqual(0)
    expect(() => opened.loadPageSync(1)).toThrow(/page|checksum/)
    expect(opened.cachedPage(1)).toBe(-1)
    await expect(opened.loadPages(0, 2)).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
    file.disk.flipByte(PATH, PAGE + 2000)
    opened.loadPageSync(1)
    expect(opened.cachedPage(1)).toBeGreaterThanOrEqual(0)
  })
})

describe('what is no damage', () => {
  test.each([1, 9])('a file of version %i is named as such, with the version that is read', async version => {
    const file = await written()
    const { disk, bytes, entry } = file
    const later = bytes.slice()
    const footer = later.subarray((entry.pages - 1) * PAGE)
    viewOf(footer).setUint32(FOOTER.version, version, true)
    setPageChecksum(footer, fileSeed(TABLE_ID, entry.epoch, entry.number), entry.pages - 1)
    disk.writeFile(PATH, later)
    const error = await errorIn(file)
    expect(error).toMatchObject({ code: 'FLASHTABLE_UNSUPPORTED_FORMAT' })
    expect((error as Error).message).toMatch(new RegExp(`version ${version}; .* version 2$`))
  })

  test('a missing file is ENOENT, for the reader of a directory that changes to judge', async () => {
    const file = await written()
    file.disk.removeFile(PATH)
    expect(await errorIn(file)).toMatchObject({ code: 'ENOENT' })
  })

  test('a failed read is an I/O error with its cause, and the next one may succeed', async () => {
    const file = await written()
    const cache = new PageCache(0, PAGE)
    const opened = await BucketFile.open({ ...file.options, cache }, file.entry)
    file.disk.failAt(call => call.op === 'read', 'EIO')
    expect(() => opened.loadPageSync(1)).toThrow(/offset 4096/)
    file.disk.failAt(call => call.op === 'read', 'EIO')
    const error: unknown = await opened.loadPages(0, 2).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      cause: { code: 'EIO' },
      message: expect.stringMatching(/ cannot be read at offset \d+: .*; the device failed: /) as string,
    })
    expect(opened.cachedPage(1)).toBe(-1)
    expect(await opened.loadPages(0, 2)).toHaveLength(2)
    expect(opened.cachedPage(1)).toBeGreaterThanOrEqual(0)
  })

  test('and an open that fails leaves no handle', async () => {
    const { disk, options, entry } = await written()
    for (let read = 1; ; read++) {
      let reads = 0
      disk.failAt(call => call.op === 'read' && ++reads === read, 'EIO')
      const result: unknown = await BucketFile.open(options, entry).catch((error: unknown) => error)
      disk.clearFaults()
      if (result instanceof BucketFile) {
        await result.close()
        expect(read).toBeGreaterThan(3)
        break
      }
      expect(disk.openHandles).toBe(0)
    }
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { BucketFileWriter } from '../../../src/bucket-file/writer.js'
import { DataPageDecoder } from '../../../src/format/data-page-decoder.js'
import { hashKeyLanes } from '../../../src/records/hash.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  PUT,
  type DeleteWhere,
} from '../../../src/records/operations.js'
import {
  DIRECTORY,
  fileTarget,
  filterOf,
  optionsFor,
  readAllRows,
  writeBucketFile,
} from '../../support/bucket-files.js'
import { Random } from '../../support/random.js'
import {
  columnsOf,
  keyLanesOf,
  meaningOf,
  rowsOf,
  shapes,
  sortedRowsOf,
  wideLayout,
  type Row,
} from '../../support/rows.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const MIB = 2 ** 20
const fingerprints = wideLayout(2, 3)

/** First key and rows of each data page, one page read at a time. */
async function pagesOf(file: BucketFile, layout = fingerprints, pageBytes = 4096): Promise<Row[][]> {
  const decoder = new DataPageDecoder(layout, pageBytes)
  const pages: Row[][] = []
  for (let page = 0; page < file.footer.dataPages; page++) {
    const rows = new OperationBuffer(layout)
    decoder.decode(await file.readPages(page, page + 1), 0, rows)
    pages.push(rowsOf(layout, rows))
  }
  return pages
}

describe('a bucket file', () => {
  test('gives back what was written, in stretches of any size, over short reads and writes', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes({ rowsMax: 3000 }),
        fc.constantFrom(4096, 8192),
        fc.constantFrom(0, 4, 10),
        fc.boolean(),
        async (shape, pageBytes, filterBitsPerRecord, short) => {
          const random = new Random(shape.seed)
          const layout = wideLayout(shape.keyLanes, shape.valueLanes)
          const rows = sortedRowsOf(shape)
          const disk = new SimulatedFileSystem({ seed: shape.seed, shortTransfers: short ? 0.5 : 0 })
          const target = fileTarget(disk, layout, { pageBytes, filterBitsPerRecord, level: 2 })
          const longest = random.pick([40, 500, 5000])
          const entry = await writeBucketFile(target, columnsOf(layout, rows), () =>
            random.between(1, longest),
          )
          const file = await BucketFile.open(optionsFor(target), entry)
          expect(rowsOf(layout, await readAllRows(file, layout, pageBytes))).toEqual(meaningOf(rows))

          // In full pages, as if all had come at once.
          const other = fileTarget(new SimulatedFileSystem(), layout, { pageBytes, filterBitsPerRecord })
          await writeBucketFile(other, columnsOf(layout, rows))
          const bytes = (other.fileSystem as SimulatedFileSystem).readFile(file.path)
          expect(Buffer.compare(disk.readFile(file.path), bytes)).toBe(0)

          const count = (kind: number) => rows.filter(row => row.kind === kind).length
          expect(entry).toEqual({
            number: 7,
            epoch: 3,
            level: 2,
            pages: disk.readFile(file.path).length / pageBytes,
            records: count(PUT),
            firstSequence: 100,
            endSequence: 200,
          })
          expect(file.footer).toMatchObject({
            records: count(PUT),
            deleteKeys: count(DELETE_KEY),
            deleteRecords: count(DELETE_RECORD),
            distinctKeys: new Set(rows.map(row => row.key)).size,
            firstKey: keyLanesOf(rows[0]!.key, shape.keyLanes),
            lastKey: keyLanesOf(rows.at(-1)!.key, shape.keyLanes),
          })
          await file.close()
          expect(disk.openHandles).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('knows in which pages a key may be', async () => {
    await fc.assert(
      fc.asyncProperty(shapes({ rowsMax: 2500, keyLanesMax: 3 }), async shape => {
        const layout = wideLayout(shape.keyLanes, shape.valueLanes)
        const target = fileTarget(new SimulatedFileSystem(), layout)
        const file = await BucketFile.open(
          optionsFor(target),
          await writeBucketFile(target, columnsOf(layout, sortedRowsOf(shape))),
        )
        const pages = await pagesOf(file, layout)
        const mayContain = await filterOf(file)
        const random = new Random(shape.seed)
        const near = pages.flatMap(rows => [rows[0]!, random.pick(rows), rows.at(-1)!].map(row => row.key))
        const greatest = 2n ** BigInt(32 * shape.keyLanes) - 1n
        const keys = [...near.flatMap(key => [key - 1n, key, key + 1n]), 0n, greatest]
        for (const key of new Set(keys.filter(key => key >= 0n && key <= greatest))) {
          const lanes = keyLanesOf(key, shape.keyLanes)
          const first = pages.findIndex(rows => rows[0]!.key >= key)
          expect(file.firstPageFor(lanes)).toBe(Math.max(0, (first < 0 ? pages.length : first) - 1))
          expect(file.lastPageFor(lanes)).toBe(pages.findLastIndex(rows => rows[0]!.key <= key))
          pages.forEach((rows, page) => {
            expect(file.startsWith(page, lanes)).toBe(rows[0]!.key === key)
            if (!rows.some(row => row.key === key)) return
            expect(mayContain(page, hashKeyLanes(lanes))).toBe(true)
            expect(page).toBeGreaterThanOrEqual(file.firstPageFor(lanes))
            expect(page).toBeLessThanOrEqual(file.lastPageFor(lanes))
          })
        }
        await file.close()
      }),
      { numRuns: 40 },
    )
  })

  test('holds 10,000 records of one key in pages side by side', async () => {
    const random = new Random(1)
    const rows = [10n, ...Array<bigint>(10_000).fill(11n), 12n].map((key): Row => ({
      key,
      values: [random.next(), random.next(), random.next()],
      kind: PUT,
    }))
    const target = fileTarget(new SimulatedFileSystem(), fingerprints)
    const entry = await writeBucketFile(target, columnsOf(fingerprints, rows), () => 3000)
    const file = await BucketFile.open(optionsFor(target), entry)
    const pages = await pagesOf(file)
    const mayContain = await filterOf(file)
    expect(pages.length).toBeGreaterThan(25)
    expect(pages.flat()).toEqual(rows)
    const key = keyLanesOf(11n, 2)
    expect(file.firstPageFor(key)).toBe(0)
    expect(file.lastPageFor(key)).toBe(pages.length - 1)
    for (let page = 0; page < pages.length; page++) {
      expect(mayContain(page, hashKeyLanes(key))).toBe(true)
      expect(file.startsWith(page, key)).toBe(page > 0)
    }
    expect(file.footer.distinctKeys).toBe(3)
  })

  test('may hold delete-where entries alone', async () => {
    const deletes: DeleteWhere[] = Array.from({ length: 500 }, (_, i) => ({
      sequence: 100 + i,
      lanes: [2, 4],
      values: [i, 0xffffffff - i],
    }))
    const target = fileTarget(new SimulatedFileSystem(), fingerprints, { deletes, endSequence: 600 })
    const entry = await writeBucketFile(target, new OperationBuffer(fingerprints))
    const file = await BucketFile.open(optionsFor(target), entry)
    expect(entry).toMatchObject({ records: 0, pages: 4 })
    expect(file.footer).toMatchObject({ dataPages: 0, filterPages: 0, deleteWherePages: 3, fencePages: 0 })
    expect(file.deletes).toEqual(deletes)
    for (const key of [0n, 1n, 2n ** 64n - 1n]) {
      expect(file.lastPageFor(keyLanesOf(key, 2))).toBe(-1)
      expect(file.firstPageFor(keyLanesOf(key, 2))).toBe(0)
    }
  })

  test('has the least and greatest values of all but deleted keys', async () => {
    const rows: Row[] = [
      { key: 1n, values: [5, 60, 0xffffffff], kind: PUT },
      { key: 2n, values: [0, 0, 0], kind: DELETE_KEY },
      { key: 3n, values: [4, 70, 0x80000000], kind: PUT },
      { key: 3n, values: [1, 99, 1], kind: DELETE_RECORD },
    ]
    const target = fileTarget(new SimulatedFileSystem(), fingerprints)
    const file = await BucketFile.open(
      optionsFor(target),
      await writeBucketFile(target, columnsOf(fingerprints, rows)),
    )
    expect([...file.footer.minValues]).toEqual([1, 60, 1])
    expect([...file.footer.maxValues]).toEqual([5, 99, 0xffffffff])
  })

  test('without a filter may contain every key in every page', async () => {
    const rows = Array.from({ length: 2000 }, (_, i): Row => ({
      key: BigInt(i) << 30n,
      values: [i, i, i],
      kind: PUT,
    }))
    const target = fileTarget(new SimulatedFileSystem(), fingerprints, { filterBitsPerRecord: 0 })
    const file = await BucketFile.open(
      optionsFor(target),
      await writeBucketFile(target, columnsOf(fingerprints, rows)),
    )
    expect(file.footer).toMatchObject({ filterPages: 0, filterProbes: 0 })
    const mayContain = await filterOf(file)
    for (let page = 0; page < file.footer.dataPages; page++) expect(mayContain(page, page * 7919)).toBe(true)
  })

  test('opened reads no page of data or of the filter', async () => {
    const rows = Array.from({ length: 2000 }, (_, i): Row => ({
      key: BigInt(i) << 30n,
      values: [i, i, i],
      kind: PUT,
    }))
    const disk = new SimulatedFileSystem()
    const target = fileTarget(disk, fingerprints)
    const entry = await writeBucketFile(target, columnsOf(fingerprints, rows))
    const before = disk.calls
    const file = await BucketFile.open(optionsFor(target), entry)
    const { dataPages, filterPages } = file.footer
    expect(filterPages).toBeGreaterThan(0)
    for (const { op, position } of disk.log.slice(before)) {
      if (op === 'read') expect(position).toBeGreaterThanOrEqual((dataPages + filterPages) * 4096)
    }
    expect(rowsOf(fingerprints, await readAllRows(file, fingerprints))).toEqual(rows)
  })

  test('answers most keys that are not there by its filter', async () => {
    const random = new Random(3)
    const keys = Array.from({ length: 20_000 }, () => (BigInt(random.next()) << 32n) | BigInt(random.next()))
    const rows = keys
      .sort((a, b) => (a < b ? -1 : 1))
      .map((key): Row => ({ key, values: [0, 0, 0], kind: PUT }))
    const target = fileTarget(new SimulatedFileSystem(), fingerprints)
    const file = await BucketFile.open(
      optionsFor(target),
      await writeBucketFile(target, columnsOf(fingerprints, rows)),
    )
    const mayContain = await filterOf(file)
    let passed = 0
    for (let i = 0; i < 20_000; i++) {
      const key = Uint32Array.of(random.next(), random.next())
      if (mayContain(Math.max(0, file.lastPageFor(key)), hashKeyLanes(key))) passed++
    }
    expect(passed / 20_000).toBeLessThan(0.012)
  })
})

describe('the writer of a bucket file', () => {
  test('writes front to back in calls of 256 KiB, each page once, and syncs every 16 MiB', async () => {
    const random = new Random(5)
    const rows = new OperationBuffer(fingerprints, 60_000)
    const disk = new SimulatedFileSystem()
    const target = fileTarget(disk, fingerprints, { filterBitsPerRecord: 16 })
    await disk.makeDirectory(DIRECTORY)
    const writer = await BucketFileWriter.create(target)
    const total = 1_080_000
    for (let done = 0; done < total; done += rows.count) {
      rows.count = 60_000
      for (let row = 0; row < rows.count; row++) {
        rows.lanes[0]![row] = done + row
        for (let lane = 1; lane < 5; lane++) rows.lanes[lane]![row] = random.next()
      }
      await writer.add(rows)
    }
    const entry = await writer.finish()
    const calls = disk.log.filter(call => call.op === 'write' || call.op === 'sync')
    let position = 0
    let synced = 0
    for (const call of calls) {
      if (call.op === 'sync') {
        synced = position
        continue
      }
      expect(call.position).toBe(position)
      position += call.bytes!
      expect(position - synced).toBeLessThanOrEqual(16 * MIB)
      if (position < entry.pages * 4096) expect(call.bytes).toBe(MIB / 4)
    }
    expect(position).toBe(entry.pages * 4096)
    expect(writer.writtenBytes).toBe(position)
    expect(calls.at(-1)!.op).toBe('sync')
    expect(calls.filter(call => call.op === 'sync')).toHaveLength(Math.ceil(position / (16 * MIB)))
    expect(disk.openHandles).toBe(0)

    // Its sections are longer than what the reader takes in at once.
    const file = await BucketFile.open(optionsFor(target), entry)
    expect(file.footer.filterPages).toBeGreaterThan(256)
    const found = await readAllRows(file, fingerprints)
    expect(found.count).toBe(total)
    const mayContain = await filterOf(file)
    const key = new Uint32Array(2)
    let denied = 0
    let wrong = 0
    for (let row = 0; row < total; row++) {
      if (found.lanes[0]![row] !== row) wrong++
      key.set([found.lanes[0]![row]!, found.lanes[1]![row]!])
      if (!mayContain(file.lastPageFor(key), hashKeyLanes(key))) denied++
    }
    expect({ denied, wrong }).toEqual({ denied: 0, wrong: 0 })
  })

  test('leaves no file when it is abandoned, before and after it wrote', async () => {
    const rowsFrom = (first: number) =>
      columnsOf(
        fingerprints,
        Array.from({ length: 5000 }, (_, i): Row => ({
          key: BigInt(first + i),
          values: [i * 7919, i, i],
          kind: PUT,
        })),
      )
    for (const batches of [0, 1, 40]) {
      const disk = new SimulatedFileSystem()
      await disk.makeDirectory(DIRECTORY)
      const writer = await BucketFileWriter.create(fileTarget(disk, fingerprints))
      for (let i = 0; i < batches; i++) await writer.add(rowsFrom(5000 * i))
      await writer.abandon()
      expect(disk.files()).toEqual([])
      expect(disk.openHandles).toBe(0)
    }
  })

  test('the writer of a bucket file refuses rows that are not sorted, and rows after the end', async () => {
    const disk = new SimulatedFileSystem()
    await disk.makeDirectory(DIRECTORY)
    const rows = (keys: readonly bigint[]) =>
      columnsOf(
        fingerprints,
        keys.map((key): Row => ({ key, values: [1, 2, 3], kind: PUT })),
      )
    const unsorted = await BucketFileWriter.create(fileTarget(disk, fingerprints))
    await unsorted.add(rows([5n, 4n]))
    await expect(unsorted.finish()).rejects.toThrow(/the rows of pages come in the order of their keys/)
    await unsorted.abandon()
    const finished = await BucketFileWriter.create(fileTarget(disk, fingerprints))
    await finished.finish()
    await expect(finished.add(rows([6n]))).rejects.toThrow(/a finished bucket file takes no more rows/)
    await expect(finished.finish()).rejects.toThrow(/a bucket file is finished once/)
  })

  test('passes on a failed write and a failed sync, and can be abandoned then', async () => {
    const rows = columnsOf(fingerprints, [{ key: 1n, values: [1, 2, 3], kind: PUT }])
    for (const op of ['write', 'sync', 'close']) {
      const disk = new SimulatedFileSystem()
      await disk.makeDirectory(DIRECTORY)
      const writer = await BucketFileWriter.create(fileTarget(disk, fingerprints))
      disk.failAt(call => call.op === op, 'EIO')
      await writer.add(rows)
      await expect(writer.finish()).rejects.toMatchObject({ code: 'EIO' })
      await writer.abandon()
      expect(disk.files()).toEqual([])
      expect(disk.openHandles).toBe(0)
    }
  })

  test('refuses a number that has a file already', async () => {
    const disk = new SimulatedFileSystem()
    const target = fileTarget(disk, fingerprints)
    await writeBucketFile(target, new OperationBuffer(fingerprints))
    await expect(BucketFileWriter.create(target)).rejects.toMatchObject({ code: 'EEXIST' })
  })
})

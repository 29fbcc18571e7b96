/** Lookups over the parts of a table, without the face: active memtable, sealed ones and files, in the cache or not. */
import { describe, expect, test, vi } from 'vitest'
import { resolveOptions } from '../../../src/options/options.js'
import type { PageSpan } from '../../../src/query/page-source.js'
import { PageSource } from '../../../src/query/page-source.js'
import { DELETE_KEY, OperationBuffer, PUT, type WideOperations } from '../../../src/records/operations.js'
import { openTable } from '../../../src/table/open.js'
import type { TableParts } from '../../../src/table/table-parts.js'
import { ALL, NEWEST } from '../../../src/query/reader.js'
import { simulatedEnvironment } from '../../support/simulated-environment.js'
import { Random } from '../../support/random.js'
import { newest } from '../../support/wanted.js'
import { closeParts } from '../table/close.js'
import { DIRECTORY, newDisk, openParts, OPTIONS, putKeys, sealed } from '../table/parts.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Math.floor(Math.random() * 1e6))

async function commit({ schema, writer }: TableParts, kind: number, key: number, value = 0): Promise<void> {
  const record = kind === DELETE_KEY ? schema.encodeDeleteKey(key) : schema.encodeRecord(key, value)
  await writer!.committer.commitRow(kind, record, false)
}

function lanesOf({ schema }: TableParts, key: number): Uint32Array {
  const lanes = new Uint32Array(schema.layout.keyLaneCount)
  schema.encodeKey(key, lanes)
  return lanes
}

/** The values of the rows, in their order. */
function valuesIn({ schema }: TableParts, rows: WideOperations, from = 0, to = rows.count): unknown[] {
  return Array.from({ length: to - from }, (_, i) => schema.decodeValue(rows.lanes, from + i))
}

function valuesOf(parts: TableParts, key: number, limit = Infinity): unknown[] {
  const { reader, state } = parts
  return reader.findSync(state.view(), lanesOf(parts, key), newest(limit), rows => valuesIn(parts, rows))
}

describe('a lookup', () => {
  test('finds records of files, of sealed memtables and of the active one, newest first', async () => {
    const parts = await openParts(newDisk())
    await commit(parts, PUT, 7, 1)
    await putKeys(parts, 1000, 1128)
    await sealed(parts)
    await commit(parts, PUT, 7, 2)
    await putKeys(parts, 2000, 2128)
    await commit(parts, PUT, 7, 3)
    expect(valuesOf(parts, 7)).toEqual([3, 2, 1])
    expect(valuesOf(parts, 7, 2)).toEqual([3, 2])
    await closeParts(parts)
  })

  test('ends at a delete of the key, wherever the delete is', async () => {
    const parts = await openParts(newDisk())
    await commit(parts, PUT, 7, 1)
    await commit(parts, DELETE_KEY, 7)
    await commit(parts, PUT, 7, 2)
    await putKeys(parts, 1000, 1128)
    await sealed(parts)
    expect(valuesOf(parts, 7)).toEqual([2])
    await commit(parts, DELETE_KEY, 7)
    expect(valuesOf(parts, 7)).toEqual([])
    await closeParts(parts)
  })

  test('sees the view that it is given, whatever was put later', async () => {
    const parts = await openParts(newDisk())
    await commit(parts, PUT, 7, 1)
    const view = parts.state.view()
    view.version.retain()
    await commit(parts, PUT, 7, 2)
    await putKeys(parts, 1000, 1200)
    const found = parts.reader.findSync(view, lanesOf(parts, 7), newest(Infinity), rows =>
      valuesIn(parts, rows),
    )
    expect(found).toEqual([1])
    await view.version.release()
    await closeParts(parts)
  })

  test('inside the answer of another one leaves the rows of both whole', async () => {
    const parts = await openParts(newDisk())
    await commit(parts, PUT, 1, 10)
    await commit(parts, PUT, 2, 20)
    const { reader, state } = parts
    const both = reader.findSync(state.view(), lanesOf(parts, 1), newest(1), outer => {
      const inner = valuesOf(parts, 2, 1)
      return [...valuesIn(parts, outer), ...inner]
    })
    expect(both).toEqual([10, 20])
    await closeParts(parts)
  })
})

describe('a lookup without blocking', () => {
  test('answers from memory, or says that a page must be read', async () => {
    const disk = newDisk()
    const parts = await openParts(disk)
    await putKeys(parts, 0, 128)
    await putKeys(parts, 1000, 1001)
    await sealed(parts)
    const { reader, state } = parts
    const find = (key: number) =>
      reader.findInMemory(state.view(), lanesOf(parts, key), NEWEST, rows => rows.count)
    expect(await find(1000)).toBe(1)
    expect(find(5)).toBeUndefined()
    const rows = await reader.find(state.view(), lanesOf(parts, 5), newest(1))
    expect(valuesIn(parts, rows)).toEqual([5])
    // The page is in the cache now.
    expect(await find(5)).toBe(1)
    await closeParts(parts)
  })

  test('reads a page of the filter, then one of data only where the filter says so', async () => {
    const parts = await openParts(newDisk())
    await putKeys(parts, 0, 129)
    await sealed(parts)
    const { reader, state } = parts
    const [file] = state.version.files
    const missing = async (key: number): Promise<number> => {
      const before = file!.pageReads
      expect((await reader.find(state.view(), lanesOf(parts, key), newest(1))).count).toBe(0)
      return file!.pageReads - before
    }
    const reads: number[] = []
    for (let key = 1000; key < 1020; key++) reads.push(await missing(key))
    // At most one of the first is let through by chance: later ones find both pages in the cache.
    expect(reads[0]).toBeGreaterThanOrEqual(1)
    expect(reads.reduce((sum, some) => sum + some)).toBeLessThanOrEqual(2)
    expect(file!.filterBytes).toBe(4096)
    expect(await reader.find(state.view(), lanesOf(parts, 5), newest(1))).toMatchObject({ count: 1 })
    expect(file!.pageReads).toBe(2)
    await closeParts(parts)
  })

  test.each(['getSync', 'get', 'getColumns'])(
    'reads no page of the filter once nearly all keys were found: %s',
    async call => {
      const parts = await openParts(newDisk())
      await putKeys(parts, 0, 129)
      await sealed(parts)
      const { reader, state, schema } = parts
      const [file] = state.version.files
      for (let i = 0; i < 300; i++) file!.noteLookups(1, 1)
      const view = state.view()
      const key = lanesOf(parts, 5)
      if (call === 'getSync') expect(reader.newestSync(view, key, schema)).toBe(5)
      else if (call === 'get') expect(await reader.find(view, key, newest(1))).toMatchObject({ count: 1 })
      else expect((await reader.findMany(view, [key], 1)).rows.count).toBe(1)
      expect([file!.pageReads, file!.filterBytes]).toEqual([1, 0])
      await closeParts(parts)
    },
  )

  test('counts as many records as the limit allows', async () => {
    const parts = await openParts(newDisk())
    for (let i = 0; i < 10; i++) await commit(parts, PUT, 3, i)
    const { reader, state } = parts
    const key = lanesOf(parts, 3)
    expect(await reader.count(state.view(), key, Infinity)).toBe(10)
    expect(await reader.count(state.view(), key, 4)).toBe(4)
    await putKeys(parts, 1000, 1128)
    await sealed(parts)
    expect(await reader.count(state.view(), key, Infinity)).toBe(10)
    expect(await reader.count(state.view(), key, 4)).toBe(4)
    await closeParts(parts)
  })
})

test.each([
  // A cache of sixteen pages: most pages must be read again, and keys are looked up in their order.
  ['deletes, a small cache', { cacheBytes: 4096 }, 10],
  ['puts alone, a small cache', { cacheBytes: 4096 }, Infinity],
  ['deletes, all pages in the cache', { cacheBytes: 2 ** 22 }, 10],
  ['puts alone, all pages in the cache', { cacheBytes: 2 ** 22 }, Infinity],
  ['replaced records', { cacheBytes: 2 ** 22, duplicates: 'replace' }, Infinity],
  ['replaced records and deletes, a small cache', { cacheBytes: 4096, duplicates: 'replace' }, 10],
])(
  `a lookup of many keys finds what lookups of each key find: %s (seed ${SEED})`,
  async (_, options, deleteEvery) => {
    const random = new Random(SEED)
    const parts = await openParts(newDisk(), { ...OPTIONS, ...options })
    for (let i = 0; i < 1500; i++) {
      const kind = deleteEvery < Infinity && random.below(deleteEvery) === 0 ? DELETE_KEY : PUT
      await commit(parts, kind, random.below(300), i)
    }
    const { reader, state } = parts
    const view = state.view()
    view.version.retain()
    const keys = Uint32Array.from({ length: 400 }, () => random.below(330))
    const { rows, ends } = await reader.findMany(view, [keys], Infinity)
    const newestOnes = await reader.findMany(view, [keys], 1)
    for (const [i, key] of keys.entries()) {
      const single = reader.findSync(view, lanesOf(parts, key), newest(Infinity), rows =>
        valuesIn(parts, rows),
      )
      const start = i === 0 ? 0 : ends[i - 1]!
      expect(valuesIn(parts, rows, start, ends[i]), `key ${key}`).toEqual(single.toReversed())
      const first = i === 0 ? 0 : newestOnes.ends[i - 1]!
      expect(valuesIn(parts, newestOnes.rows, first, newestOnes.ends[i]), `key ${key}`).toEqual(
        single.slice(0, 1),
      )
      expect(reader.newestSync(view, lanesOf(parts, key), parts.schema)).toEqual(single[0])
    }
    await view.version.release()
    await closeParts(parts)
  },
)

test.each([
  ['keep', [10], 10],
  ['replace', [], undefined],
])(
  'of a hidden record the older one shows only if it was not replaced: duplicates %s',
  async (duplicates, all, newest) => {
    const parts = await openParts(newDisk(), { ...OPTIONS, duplicates })
    for (const value of [10, 20]) {
      await commit(parts, PUT, 7, value)
      await putKeys(parts, 1000 + 200 * value, 1128 + 200 * value)
      await sealed(parts)
    }
    const operations = new OperationBuffer(parts.schema.layout, 1)
    await parts.writer!.committer.commit(
      { operations, deletes: [{ position: 0, lanes: [1], values: [20] }] },
      false,
    )
    const { reader, state, schema } = parts
    const view = state.view()
    expect(view.version.files.length).toBeGreaterThan(1)
    for (const limit of [1, Infinity]) {
      const { rows } = await reader.findMany(view, [Uint32Array.of(7)], limit)
      // Once more: now the pages are in the cache, and the block answers.
      const again = await reader.findMany(view, [Uint32Array.of(7)], limit)
      expect([valuesIn(parts, rows), valuesIn(parts, again.rows)]).toEqual([all, all])
    }
    expect(reader.newestSync(view, lanesOf(parts, 7), schema)).toBe(newest)
    await closeParts(parts)
  },
)

describe('a page source', () => {
  test('reads neighbouring pages that are missing in one read, and forgets them when it is told to', async () => {
    const reads: [number, number][] = []
    const words = new Uint32Array(1024)
    const file = {
      entry: { number: 1 },
      readsAtOnce: 16,
      cache: { pages: 64 },
      cachedPage: () => -1,
      loadPageIfFast: () => false,
      loadPages: (from: number, to: number) => {
        reads.push([from, to])
        return Promise.resolve(Array.from({ length: to - from }, () => ({ words, base: 0 })))
      },
    }
    const asFile = file as unknown as PageSpan['file']
    const source = new PageSource(false)
    expect(source.find(asFile, 4)).toBe(false)
    for (const page of [4, 9, 5, 6]) source.missing.push({ file: asFile, from: page, to: page + 1 })
    await source.load()
    expect(reads).toEqual([
      [4, 7],
      [9, 10],
    ])
    expect([4, 5, 6, 7, 9].map(page => source.find(asFile, page))).toEqual([true, true, true, false, true])
    source.release()
    expect(source.find(asFile, 4)).toBe(false)
  })

  test('reads blocking while that is fast and the pages are few beside the cache, the others without blocking', async () => {
    const cached = new Set<number>()
    const reads: [number, number][] = []
    let fast = true
    const file = {
      entry: { number: 1 },
      readsAtOnce: 16,
      cache: { pages: 16 },
      cachedPage: (page: number) => (cached.has(page) ? 1 : -1),
      loadPageIfFast: (page: number) => fast && cached.add(page) !== undefined,
      loadPages: (from: number, to: number) => {
        reads.push([from, to])
        return Promise.resolve(
          Array.from({ length: to - from }, () => ({ words: new Uint32Array(1), base: 0 })),
        )
      },
    }
    const asFile = file as unknown as PageSpan['file']
    const source = new PageSource(false)
    const load = async (from: number, to: number): Promise<unknown> => {
      source.missing.push({ file: asFile, from, to })
      await source.load()
      return [[...cached], reads]
    }
    expect(await load(0, 3)).toEqual([[0, 1, 2], []])
    // Those that are there are not read again; of the others one has room.
    expect(await load(1, 6)).toEqual([[0, 1, 2, 3], [[4, 6]]])
    source.release()
    fast = false
    expect(await load(8, 9)).toEqual([
      [0, 1, 2, 3],
      [
        [4, 6],
        [8, 9],
      ],
    ])
  })
})

test('what a lookup of all records lacks in several files is read together; one of the newest reads no more than it needs', async () => {
  const disk = newDisk()
  const parts = await openParts(disk, { ...OPTIONS, fanout: 64 })
  for (let file = 0; file < 5; file++) {
    await commit(parts, PUT, 7, file)
    await putKeys(parts, 1000 * file + 100, 1000 * file + 227)
  }
  await commit(parts, PUT, 9999)
  await sealed(parts)
  await closeParts(parts)
  const options = resolveOptions({ ...OPTIONS, fanout: 64 })
  const again = await openTable(DIRECTORY, options, simulatedEnvironment(disk), () => {})
  const { reader, state } = again
  const view = state.view()
  expect(view.version.files.length).toBe(5)
  const load = vi.spyOn(PageSource.prototype, 'load')
  const before = disk.log.length
  const newest = await reader.find(view, lanesOf(again, 7), NEWEST)
  expect(valuesIn(again, newest)).toEqual([4])
  // The filter of the newest file, and a page.
  expect(disk.log.slice(before).filter(({ op }) => op === 'read')).toHaveLength(2)
  load.mockClear()
  const all = await reader.find(view, lanesOf(again, 7), ALL)
  expect(valuesIn(again, all)).toEqual([0, 1, 2, 3, 4])
  // The filters of the four other files, then their pages.
  expect(load).toHaveBeenCalledTimes(2)
  load.mockRestore()
  await closeParts(again)
})

describe('many keys on a slow disk', () => {
  test('block the event loop for one read now and then, and the others are in flight together', async () => {
    const disk = newDisk()
    const parts = await openParts(disk, { ...OPTIONS, fanout: 64, cacheBytes: 2 ** 20 })
    for (let from = 0; from < 128 * 20; from += 128) await putKeys(parts, from, from + 128)
    await putKeys(parts, 10_000, 10_001)
    await sealed(parts)
    await closeParts(parts)
    // Each look at the clock is a millisecond later: all reads are slow.
    let now = 0
    const environment = { ...simulatedEnvironment(disk), now: () => now++ }
    const options = resolveOptions({ ...OPTIONS, fanout: 64, cacheBytes: 2 ** 20 })
    const again = await openTable(DIRECTORY, options, environment, () => {})
    const view = again.state.view()
    expect(view.version.files.length).toBeGreaterThan(10)
    const keys = Uint32Array.from({ length: 128 * 20 }, (_, key) => key)
    const from = disk.log.length
    const found = await again.reader.findMany(view, [keys], 1)
    expect(found.rows.count).toBe(128 * 20)
    const reads = disk.log.slice(from).filter(({ op }) => op === 'read')
    expect(reads.length).toBeGreaterThan(20)
    // After each slow one comes a pause, of 10 ms at first.
    expect(reads.filter(({ blocking }) => blocking).length).toBeLessThan(reads.length / 4)
    await closeParts(again)
  })
})

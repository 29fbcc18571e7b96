import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BucketInput } from '../../../src/bucket-file/input.js'
import { PageCache, type CachedFile } from '../../../src/bucket-file/page-cache.js'
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { OperationBuffer, PUT } from '../../../src/records/operations.js'
import { fileTarget, optionsFor, writeBucketFile } from '../../support/bucket-files.js'
import { Random } from '../../support/random.js'
import { columnsOf, sortedRowsOf, wideLayout } from '../../support/rows.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const PAGE_BYTES = 4096
const PAGE_WORDS = PAGE_BYTES / 4

function cachedFile(pages: number): CachedFile {
  return { slots: new Int32Array(pages).fill(-1) }
}

/** What a page of a file holds, so that another one in its slot is noticed. */
const stamp = (file: number, page: number): number => file * 1000 + page + 1

/** As `toEqual`, in a hundredth of its time. */
function samePage(words: Uint32Array, base: number, expected: Uint32Array): boolean {
  return expected.every((word, i) => word === words[base + i])
}

/** The first word of the page in the slot. */
function stampIn(cache: PageCache, slot: number): number {
  return cache.wordsOf(slot)[cache.baseOf(slot)]!
}

/** Finds the page or places it, as a reader does. */
function load(cache: PageCache, files: readonly CachedFile[], file: number, page: number): boolean {
  const found = cache.find(files[file]!, page)
  if (found >= 0) {
    expect(stampIn(cache, found)).toBe(stamp(file, page))
    return true
  }
  const slot = cache.place(files[file]!, page)
  cache.wordsOf(slot)[cache.baseOf(slot)] = stamp(file, page)
  return false
}

/** Invariant: every slot holds one page at most, and a page is where its file says. */
function checkSlots(cache: PageCache, files: readonly CachedFile[], slotCount: number): number {
  const owners = new Map<number, string>()
  files.forEach((file, f) =>
    file.slots.forEach((slot, page) => {
      if (slot < 0) return
      expect(slot).toBeLessThan(slotCount)
      expect(owners.get(slot)).toBeUndefined()
      owners.set(slot, `${f}/${page}`)
      expect(stampIn(cache, slot)).toBe(stamp(f, page))
    }),
  )
  return owners.size
}

describe('the page cache', () => {
  test('keeps each page in one slot, and what it finds is that page, through any use', () => {
    const step = fc.record({
      do: fc.constantFrom('load', 'load', 'load', 'load', 'load', 'load', 'drop', 'dropFile'),
      file: fc.nat(3),
      page: fc.nat(29),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.constantFrom(16, 20, 64), (steps, slotCount) => {
        const cache = new PageCache(slotCount * PAGE_BYTES, PAGE_BYTES)
        const files = Array.from({ length: 4 }, () => cachedFile(30))
        for (const step of steps) {
          const file = files[step.file]!
          if (step.do === 'load') load(cache, files, step.file, step.page)
          else if (step.do === 'drop') cache.drop(file, step.page)
          else {
            cache.dropFile(file)
            expect([...new Set(file.slots)]).toEqual([-1])
          }
          expect(checkSlots(cache, files, slotCount)).toBeLessThanOrEqual(slotCount)
          expect(cache.find(file, step.page) >= 0).toBe(step.do === 'load')
        }
      }),
      { numRuns: 200 },
    )
  })

  test('leaves room for what is reserved, drops pages for it, and takes the room back', () => {
    const step = fc.record({
      do: fc.constantFrom('load', 'load', 'load', 'load', 'reserve', 'release'),
      page: fc.nat(99),
      bytes: fc.nat(30 * PAGE_BYTES),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.constantFrom(16, 20, 64), (steps, slotCount) => {
        const cache = new PageCache(slotCount * PAGE_BYTES, PAGE_BYTES)
        const files = [cachedFile(100)]
        const reserved: number[] = []
        for (const step of steps) {
          if (step.do === 'load') load(cache, files, 0, step.page)
          else if (step.do === 'reserve') {
            reserved.push(step.bytes)
            cache.reserve(step.bytes)
          } else if (reserved.length > 0) cache.release(reserved.pop()!)
          const bytes = reserved.reduce((sum, some) => sum + some, 0)
          const room = Math.max(16, slotCount - Math.ceil(bytes / PAGE_BYTES))
          expect([cache.pages, cache.bytes]).toEqual([room, slotCount * PAGE_BYTES])
          expect(checkSlots(cache, files, room)).toBe(cache.usedBytes / PAGE_BYTES)
          expect(cache.usedBytes).toBeLessThanOrEqual(room * PAGE_BYTES)
        }
        // All that is free gets used, and in the end all of it.
        for (const bytes of reserved) cache.release(bytes)
        for (let page = 0; page < 100; page++) load(cache, files, 0, page)
        expect(checkSlots(cache, files, slotCount)).toBe(slotCount)
      }),
      { numRuns: 200 },
    )
    expect(() => {
      new PageCache(0, PAGE_BYTES).release(1)
    }).toThrow(/reserved/)
  })

  test('gives whole chunks back for what is reserved', () => {
    const cache = new PageCache(3 * 4096 * PAGE_BYTES, PAGE_BYTES)
    const files = [cachedFile(3 * 4096)]
    for (let page = 0; page < 3 * 4096; page++) load(cache, files, 0, page)
    cache.reserve(4097 * PAGE_BYTES)
    expect(checkSlots(cache, files, 2 * 4096 - 1)).toBe(2 * 4096 - 1)
    expect(() => cache.wordsOf(2 * 4096)[0]).toThrow(TypeError)
    cache.release(4097 * PAGE_BYTES)
    for (let page = 0; page < 3 * 4096; page++) load(cache, files, 0, page)
    expect(checkSlots(cache, files, 3 * 4096)).toBe(3 * 4096)
  })

  test('has a place for as many pages as fit its bytes, sixteen at least', () => {
    for (const [bytes, slotCount] of [
      [0, 16],
      [20 * PAGE_BYTES + 100, 20],
    ] as const) {
      const cache = new PageCache(bytes, PAGE_BYTES)
      const files = [cachedFile(100)]
      for (let page = 0; page < 100; page++) load(cache, files, 0, page)
      expect(checkSlots(cache, files, slotCount)).toBe(slotCount)
      expect([cache.pages, cache.bytes, cache.usedBytes]).toEqual([
        slotCount,
        slotCount * PAGE_BYTES,
        slotCount * PAGE_BYTES,
      ])
      // A reader of bits may touch the word after the last page.
      const last = slotCount - 1
      expect(cache.wordsOf(last).length).toBeGreaterThan(cache.baseOf(last) + PAGE_WORDS)
    }
  })

  test('takes memory chunk by chunk as pages come in, and fills each before it replaces a page', () => {
    const cache = new PageCache(3 * 4096 * PAGE_BYTES - PAGE_BYTES, PAGE_BYTES)
    const files = [cachedFile(3 * 4096)]
    const chunks = new Set<Uint32Array>()
    for (let page = 0; page < 3 * 4096 - 1; page++) {
      load(cache, files, 0, page)
      chunks.add(cache.wordsOf(files[0]!.slots[page]!))
      expect(chunks.size).toBe(Math.floor(page / 4096) + 1)
    }
    expect([...files[0]!.slots].filter(slot => slot >= 0).length).toBe(3 * 4096 - 1)
    expect([...chunks].map(chunk => chunk.length)).toEqual(
      [4096, 4096, 4095].map(pages => pages * PAGE_WORDS + 1),
    )
    load(cache, files, 0, 3 * 4096 - 1)
    expect([...files[0]!.slots].filter(slot => slot < 0).length).toBe(1)
  })

  test('makes do with the chunks that it has where there is no memory for another', () => {
    const cache = new PageCache(2 * 4096 * PAGE_BYTES, PAGE_BYTES)
    const files = [cachedFile(5000)]
    for (let page = 0; page < 4096; page++) load(cache, files, 0, page)
    const { Uint32Array: real } = globalThis
    globalThis.Uint32Array = function () {
      throw new RangeError('Array buffer allocation failed')
    } as unknown as typeof Uint32Array
    try {
      for (let page = 4096; page < 5000; page++) load(cache, files, 0, page)
      expect(() => load(new PageCache(0, PAGE_BYTES), files, 0, 0)).toThrow(RangeError)
    } finally {
      globalThis.Uint32Array = real
    }
    expect(checkSlots(cache, files, 4096)).toBe(4096)
  })

  test('keeps the pages that are used while others stream through', () => {
    const cache = new PageCache(20 * PAGE_BYTES, PAGE_BYTES)
    const files = [cachedFile(5), cachedFile(500)]
    for (let page = 0; page < 5; page++) load(cache, files, 0, page)
    let misses = 0
    for (let page = 0; page < 500; page++) {
      if (!load(cache, files, 0, page % 5)) misses++
      load(cache, files, 1, page)
    }
    expect(misses).toBe(0)
    // And drops them when they are no longer used.
    for (let page = 0; page < 40; page++) load(cache, files, 1, page)
    expect([...files[0]!.slots]).toEqual([-1, -1, -1, -1, -1])
  })

  test('gives the slots of a dropped file to others and never back to it', () => {
    const cache = new PageCache(16 * PAGE_BYTES, PAGE_BYTES)
    const files = [cachedFile(16), cachedFile(16)]
    for (let page = 0; page < 16; page++) load(cache, files, 0, page)
    cache.dropFile(files[0]!)
    for (let page = 0; page < 16; page++) load(cache, files, 1, page)
    expect(checkSlots(cache, files, 16)).toBe(16)
    for (let page = 0; page < 16; page++) expect(load(cache, files, 1, page)).toBe(true)
    cache.dropFile(files[0]!)
    expect(checkSlots(cache, files, 16)).toBe(16)
  })

  test('does not lose a page that was dropped and came in again', () => {
    const cache = new PageCache(16 * PAGE_BYTES, PAGE_BYTES)
    const files = [cachedFile(1), cachedFile(40)]
    load(cache, files, 0, 0)
    cache.drop(files[0]!, 0)
    load(cache, files, 0, 0)
    // One of these gets the slot where it lay first.
    for (let page = 0; page < 40; page++) {
      load(cache, files, 1, page)
      expect(load(cache, files, 0, 0)).toBe(true)
    }
  })
})

describe('pages of a bucket file in the cache', () => {
  const layout = wideLayout(2, 3)

  async function openFile(cache: PageCache): Promise<BucketFile> {
    const disk = new SimulatedFileSystem()
    const rows = sortedRowsOf({
      keyLanes: 2,
      valueLanes: 3,
      rows: 6000,
      keys: 'random',
      values: ['wide', 'constant', 'narrow'],
      kinds: [PUT],
      seed: 1,
    })
    const target = fileTarget(disk, layout)
    const entry = await writeBucketFile(target, columnsOf(layout, rows))
    return BucketFile.open({ ...optionsFor(target), cache }, entry)
  }

  test('are the same however they came in', async () => {
    const cache = new PageCache(0, PAGE_BYTES)
    const file = await openFile(cache)
    const all = await file.readPages(0, file.footer.dataPages)
    const random = new Random(2)
    for (let round = 0; round < 300; round++) {
      const page = random.below(file.footer.dataPages)
      const expected = all.subarray(page * PAGE_WORDS, (page + 1) * PAGE_WORDS)
      if (random.chance(0.3)) {
        const loaded = await file.loadPages(page, page + 1)
        const { words, base } = loaded[0]!
        expect(samePage(words, base, expected)).toBe(true)
      }
      const found = file.cachedPage(page)
      const slot = found >= 0 ? found : file.loadPageSync(page)
      expect(samePage(cache.wordsOf(slot), cache.baseOf(slot), expected)).toBe(true)
    }
    const slots = file.slots.filter(slot => slot >= 0)
    expect(new Set(slots).size).toBe(slots.length)
    expect(cache.pages).toBe(16)
    await file.close()
    expect(file.slots.every(slot => slot === -1)).toBe(true)
  })

  test('are in one slot each when several reads bring them in at once', async () => {
    const cache = new PageCache(64 * PAGE_BYTES, PAGE_BYTES)
    const file = await openFile(cache)
    const loads = [file.loadPages(0, 6), file.loadPages(3, 9), file.loadPages(2, 4), file.loadPages(0, 9)]
    file.loadPageSync(4)
    await Promise.all(loads)
    const slots = [...file.slots.subarray(0, 9)]
    expect(new Set(slots).size).toBe(9)
    expect(Math.min(...slots)).toBeGreaterThanOrEqual(0)
    // Nine pages took nine slots: seven more find a free one each.
    const other = cachedFile(64 - 9)
    for (let page = 0; page < other.slots.length; page++) cache.place(other, page)
    expect([...file.slots.subarray(0, 9)]).toEqual(slots)
    expect(file.pageReads).toBe(6 + 6 + 2 + 9 + 1)
  })

  test('are searched without the filter once nearly all keys were found, until some are not', async () => {
    const file = await openFile(new PageCache(0, PAGE_BYTES))
    expect(file.skipsFilter).toBe(false)
    for (let i = 0; i < 500; i++) file.noteLookups(1, 1)
    expect(file.skipsFilter).toBe(true)
    file.noteLookups(20, 0)
    expect(file.skipsFilter).toBe(true)
    file.noteLookups(20, 0)
    expect(file.skipsFilter).toBe(false)
    // Where one key of five is missing, or more, the filter is asked.
    for (let i = 0; i < 500; i++) file.noteLookups(5, 4)
    expect(file.skipsFilter).toBe(false)
    await file.close()
  })

  test('leave room for the fences of the file as long as it is open', async () => {
    const cache = new PageCache(64 * PAGE_BYTES, PAGE_BYTES)
    const file = await openFile(cache)
    expect(file.fenceBytes).toBeGreaterThan(0)
    expect(cache.pages).toBe(64 - Math.ceil(file.fenceBytes / PAGE_BYTES))
    await file.close()
    expect(cache.pages).toBe(64)
  })

  test('of the beginning of a scan come from it, those of a long scan go past it', async () => {
    const cache = new PageCache(64 * PAGE_BYTES, PAGE_BYTES)
    const file = await openFile(cache)
    const layoutOfPages = { layout, pageBytes: PAGE_BYTES }
    const hiding = { deletes: new DeleteWhereIndex(layout), before: Infinity, replace: false }
    const scan = async (steps: number, reverse = false): Promise<number> => {
      const input = new BucketInput(file, { ...layoutOfPages, range: {}, reverse, hiding })
      const rows = new OperationBuffer(layout)
      for (let step = 0; step < steps && (await input.next(rows)); step++);
      return rows.count
    }
    const first = await scan(1)
    expect(file.pageReads).toBe(1)
    expect(await scan(1)).toBe(first)
    expect(file.pageReads).toBe(1)
    expect(await scan(Infinity)).toBe(6000)
    // One page, two more, four more.
    expect([file.pageReads, cache.usedBytes]).toEqual([7, 7 * PAGE_BYTES])
    expect(await scan(Infinity, true)).toBe(6000)
    expect(file.pageReads).toBeLessThanOrEqual(14)
    await file.close()
  })

  test('stay what they are in the hands of who read them, whatever the cache does meanwhile', async () => {
    const cache = new PageCache(0, PAGE_BYTES)
    const file = await openFile(cache)
    const [page] = await file.loadPages(0, 1)
    const before = page!.words.slice(page!.base, page!.base + PAGE_WORDS)
    for (let other = 1; other < file.footer.dataPages; other++) await file.loadPages(other, other + 1)
    expect(file.cachedPage(0)).toBe(-1)
    expect(samePage(page!.words, page!.base, before)).toBe(true)
  })
})

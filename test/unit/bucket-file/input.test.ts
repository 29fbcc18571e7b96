import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BucketInput, type BucketInputOptions } from '../../../src/bucket-file/input.js'
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import type { Hiding } from '../../../src/records/hide-rows.js'
import type { KeyRange } from '../../../src/records/key-range.js'
import { DELETE_KEY, OperationBuffer, PUT, type DeleteWhere } from '../../../src/records/operations.js'
import { fileTarget, optionsFor, writeBucketFile } from '../../support/bucket-files.js'
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

const PAGE_BYTES = 4096
const END_SEQUENCE = 200
const NOTHING_HIDDEN: Hiding = {
  deletes: new DeleteWhereIndex(wideLayout(1, 1)),
  before: Infinity,
  replace: false,
}

interface Prepared {
  readonly disk: SimulatedFileSystem
  readonly file: BucketFile
  input(options: Partial<BucketInputOptions>): BucketInput
}

async function fileOf(rows: readonly Row[], keyLanes: number, valueLanes: number): Promise<Prepared> {
  const disk = new SimulatedFileSystem()
  const layout = wideLayout(keyLanes, valueLanes)
  const target = fileTarget(disk, layout, { endSequence: END_SEQUENCE })
  const file = await BucketFile.open(
    optionsFor(target),
    await writeBucketFile(target, columnsOf(layout, rows)),
  )
  const common = { layout, pageBytes: PAGE_BYTES, range: {}, reverse: false, hiding: NOTHING_HIDDEN }
  return { disk, file, input: options => new BucketInput(file, { ...common, ...options }) }
}

/** The stretches of an input; each comes behind a row that is in the buffer already. */
async function stretchesOf(input: BucketInput, keyLanes: number, valueLanes: number): Promise<Row[][]> {
  const layout = wideLayout(keyLanes, valueLanes)
  const before: Row = { key: 1n, values: Array<number>(valueLanes).fill(9), kind: PUT }
  const stretches: Row[][] = []
  for (;;) {
    const into = columnsOf(layout, [before])
    const more = await input.next(into)
    const rows = rowsOf(layout, into)
    expect(rows[0]).toEqual(before)
    if (more) stretches.push(rows.slice(1))
    else {
      expect(rows).toHaveLength(1)
      return stretches
    }
  }
}

interface Bounds {
  readonly lower: bigint | undefined
  readonly lowerExclusive: boolean
  readonly upper: bigint | undefined
  readonly upperExclusive: boolean
}

function contains({ lower, lowerExclusive, upper, upperExclusive }: Bounds, key: bigint): boolean {
  const above = lower === undefined || (lowerExclusive ? key > lower : key >= lower)
  return above && (upper === undefined || (upperExclusive ? key < upper : key <= upper))
}

function rangeOf({ lower, upper, lowerExclusive, upperExclusive }: Bounds, keyLanes: number): KeyRange {
  return {
    lower: lower === undefined ? undefined : keyLanesOf(lower, keyLanes),
    upper: upper === undefined ? undefined : keyLanesOf(upper, keyLanes),
    lowerExclusive,
    upperExclusive,
  }
}

/** Bounds at keys that are there, next to them, and at the ends; the lower one may lie above the upper one. */
function boundsOf(rows: readonly Row[], keyLanes: number, random: Random): Bounds {
  const greatest = 2n ** BigInt(32 * keyLanes) - 1n
  const bound = (): bigint | undefined => {
    if (random.chance(0.2)) return undefined
    const key = random.pick([0n, greatest, ...Array<bigint>(8).fill(random.pick(rows).key)])
    const moved = key + BigInt(random.between(-1, 1))
    return moved < 0n || moved > greatest ? key : moved
  }
  return {
    lower: bound(),
    lowerExclusive: random.chance(0.5),
    upper: bound(),
    upperExclusive: random.chance(0.5),
  }
}

describe('a bucket file as an input', () => {
  test('hands out what a filter of all its rows would, either way round', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes({ rowsMax: 2500, keyLanesMax: 3 }),
        fc.constantFrom(undefined, 1, 3, 64),
        fc.boolean(),
        async (shape, firstReadPages, replace) => {
          const { keyLanes, valueLanes } = shape
          const rows = sortedRowsOf(shape)
          const random = new Random(shape.seed)
          const { file, input } = await fileOf(rows, keyLanes, valueLanes)
          // Newer than the file, of the same age as its last record, and not seen any more.
          const deletes = [END_SEQUENCE + 50, END_SEQUENCE - 1, END_SEQUENCE + 150].flatMap(
            (sequence): DeleteWhere[] => {
              const lane = random.below(valueLanes)
              const put = rows.find(row => row.kind === PUT)
              if (valueLanes === 0 || put === undefined) return []
              return [{ sequence, lanes: [keyLanes + lane], values: [put.values[lane]!] }]
            },
          )
          const isHidden = (row: Row): boolean =>
            row.kind === PUT &&
            deletes.length > 0 &&
            row.values[deletes[0]!.lanes[0]! - keyLanes] === deletes[0]!.values[0]
          const hiding = {
            deletes: new DeleteWhereIndex(wideLayout(keyLanes, valueLanes), deletes),
            before: END_SEQUENCE + 100,
            replace,
          }
          for (let round = 0; round < 8; round++) {
            const bounds = boundsOf(rows, keyLanes, random)
            const expected = meaningOf(
              rows
                .filter(row => contains(bounds, row.key))
                .flatMap(row => (!isHidden(row) ? [row] : replace ? [{ ...row, kind: DELETE_KEY }] : [])),
            )
            const range = rangeOf(bounds, keyLanes)
            const first = firstReadPages === undefined ? {} : { firstReadPages }
            for (const reverse of [false, true]) {
              const made = input({ range, reverse, hiding, ...first })
              const found = (await stretchesOf(made, keyLanes, valueLanes)).flat()
              expect(found).toEqual(reverse ? expected.toReversed() : expected)
            }
          }
          await file.close()
        },
      ),
      { numRuns: 40 },
    )
  })

  test('reads one page for a short scan, and twice as many each time for a long one, up to 256 KiB', async () => {
    const random = new Random(1)
    const keys = Array.from({ length: 110_000 }, (_, i) => (BigInt(i) << 32n) | BigInt(random.next()))
    const rows = keys.map((key): Row => ({ key, values: [random.next()], kind: PUT }))
    const { disk, file, input } = await fileOf(rows, 2, 1)
    expect(file.footer.dataPages).toBeGreaterThan(200)
    for (const reverse of [false, true]) {
      const before = disk.calls
      await stretchesOf(input({ reverse }), 2, 1)
      const reads = disk.log.slice(before).filter(call => call.op === 'read')
      const pages = reads.map(read => read.bytes! / PAGE_BYTES)
      expect(pages.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 64, 64])
      expect(pages.reduce((a, b) => a + b)).toBe(file.footer.dataPages)
      expect(disk.log.slice(before).every(call => call.op === 'read')).toBe(true)
    }
    // Past the first key, not one page is read that the range does not touch.
    const before = disk.calls
    const lower = keyLanesOf(rows[45_000]!.key, 2)
    const upper = keyLanesOf(rows[45_010]!.key, 2)
    const found = await stretchesOf(input({ range: { lower, upper } }), 2, 1)
    expect(found.flat()).toEqual(rows.slice(45_000, 45_011))
    const bytes = disk.log.slice(before).reduce((sum, call) => sum + call.bytes!, 0)
    expect(bytes).toBeLessThanOrEqual(3 * PAGE_BYTES)
  })

  test('reads nothing where the range lies beside the keys of the file', async () => {
    const rows = [100n, 200n, 300n].map((key): Row => ({ key, values: [], kind: PUT }))
    const { disk, input } = await fileOf(rows, 1, 0)
    const before = disk.calls
    const key = (value: number) => Uint32Array.of(value)
    for (const range of [
      { upper: key(99) },
      { upper: key(100), upperExclusive: true },
      { lower: key(301) },
      { lower: key(300), lowerExclusive: true },
    ]) {
      expect(await stretchesOf(input({ range }), 1, 0)).toEqual([])
      expect(await stretchesOf(input({ range, reverse: true }), 1, 0)).toEqual([])
    }
    expect(disk.calls).toBe(before)
  })

  test.each([
    ['for a scan', undefined],
    ['for a merge', 64],
  ])('does not read pages of cleared keys alone, %s', async (_, firstReadPages) => {
    const rows = Array.from({ length: 60_000 }, (_, i): Row => ({
      key: BigInt(3 * i),
      values: [i * 7919],
      kind: PUT,
    }))
    const { disk, file, input } = await fileOf(rows, 1, 1)
    const { dataPages } = file.footer
    const read = async (
      reverse: boolean,
      clears: readonly (readonly [number, number, number?])[],
      before = Infinity,
    ) => {
      const deletes = clears.map(([lower, upper, sequence = END_SEQUENCE]): DeleteWhere => ({
        sequence,
        lanes: [],
        values: [],
        ranges: [{ lane: 0, lower: [lower], upper: [upper] }],
      }))
      const hiding = { deletes: new DeleteWhereIndex(wideLayout(1, 1), deletes), before, replace: true }
      const at = disk.calls
      const options = firstReadPages === undefined ? {} : { firstReadPages }
      const found = (await stretchesOf(input({ hiding, reverse, ...options }), 1, 1)).flat()
      const seen = clears.filter(
        ([, , sequence = END_SEQUENCE]) => sequence >= END_SEQUENCE && sequence < before,
      )
      const left = rows.filter(({ key }) => !seen.some(([lower, upper]) => key >= lower && key <= upper))
      expect(found).toEqual(reverse ? left.toReversed() : left)
      return disk.log.slice(at).reduce((sum, call) => sum + call.bytes!, 0) / PAGE_BYTES
    }
    for (const reverse of [false, true]) {
      expect(await read(reverse, [])).toBe(dataPages)
      expect(await read(reverse, [[0, 179_997]])).toBe(0)
      expect(
        await read(reverse, [
          [0, 90_000],
          [90_001, 180_000],
        ]),
      ).toBe(0)
      expect(await read(reverse, [[3, 179_996]])).toBeLessThanOrEqual(2)
      expect(
        await read(reverse, [
          [30_000, 60_000],
          [100_000, 150_000],
        ]),
      ).toBeLessThan(dataPages * 0.65)
      expect(await read(reverse, [[0, 170_000]])).toBeLessThan(dataPages * 0.12)
      expect(await read(reverse, [[10_000, 180_000]])).toBeLessThan(dataPages * 0.12)
      // Of the same age as the file, or not seen yet.
      expect(await read(reverse, [[0, 180_000, END_SEQUENCE - 1]])).toBe(dataPages)
      expect(await read(reverse, [[0, 180_000, END_SEQUENCE + 5]], END_SEQUENCE + 5)).toBe(dataPages)
    }
  })

  test('of no data pages has no rows', async () => {
    const { input } = await fileOf([], 2, 1)
    expect(await stretchesOf(input({}), 2, 1)).toEqual([])
    expect(await stretchesOf(input({ reverse: true, range: { lower: new Uint32Array(2) } }), 2, 1)).toEqual(
      [],
    )
  })

  test('that was closed hands out nothing more and leaves the file open', async () => {
    const rows = Array.from({ length: 5000 }, (_, i): Row => ({
      key: BigInt(i),
      values: [i * 99],
      kind: PUT,
    }))
    const { disk, file, input } = await fileOf(rows, 1, 1)
    const scan = input({})
    expect(await scan.next(new OperationBuffer(wideLayout(1, 1)))).toBe(true)
    await scan.close()
    expect(await scan.next(new OperationBuffer(wideLayout(1, 1)))).toBe(false)
    expect(disk.openHandles).toBe(1)
    await file.close()
  })
})

test('pages whose keys are out of order are damage, whatever their checksums say', async () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({
    key: BigInt(i),
    values: [Math.imul(i, 0x9e37_79b1) >>> 0],
    kind: PUT,
  }))
  const { file, input } = await fileOf(rows, 1, 1)
  const readPages = file.readPages.bind(file)
  file.readPages = async (from, to) => {
    const words = await readPages(from, to)
    const pageWords = PAGE_BYTES / 4
    const first = words.slice(0, pageWords)
    words.copyWithin(0, pageWords, 2 * pageWords)
    words.set(first, pageWords)
    return words
  }
  // A merge gets them one after another.
  const merged = input({ firstReadPages: 2 })
  const into = new OperationBuffer(wideLayout(1, 1))
  expect(await merged.next(into)).toBe(true)
  into.clear()
  await expect(merged.next(into)).rejects.toMatchObject({
    code: 'FLASHTABLE_CORRUPTION',
    path: file.path,
    offset: PAGE_BYTES,
  })
})

describe('a bucket file whose records are not all wanted', () => {
  /** Pages of many rows, and then of few. */
  const ROWS = Array.from({ length: 60_000 }, (_, i): Row => ({
    key: 5n,
    values: [i < 50_000 ? 0 : Math.imul(i, 0x9e3779b1) >>> 0, i],
    kind: PUT,
  }))

  test.each([false, true])(
    'leaves out the next ones alone, whatever is asked for (reverse: %s)',
    async reverse => {
      const { input, file } = await fileOf(ROWS, 1, 2)
      expect(file.footer.dataPages).toBeGreaterThan(30)
      const inOrder = reverse ? ROWS.toReversed() : ROWS
      // At the border of large and small pages a small one follows rows that are wanted.
      const atBorder = Array.from({ length: 30 }, (_, i) => 50_000 - 100 * i)
      for (const wanted of [0, 1, 700, 9990, ...atBorder, 59_999, 10 ** 6]) {
        const some = input({
          reverse,
          range: rangeOf({ lower: 5n, upper: 5n, lowerExclusive: false, upperExclusive: false }, 1),
        })
        let at = 0
        let wrong = 0
        for (;;) {
          // Rows that were handed out although nobody wanted them count as well.
          some.skip = Math.max(0, wanted - at)
          const asked = some.skip
          const into = new OperationBuffer(wideLayout(1, 2))
          if (!(await some.next(into))) break
          at += asked - some.skip
          for (let row = 0; row < into.count; row++)
            if (into.lanes[2]![row] !== inOrder[at++]!.values[1]) wrong++
        }
        expect([at, wrong]).toEqual([ROWS.length, 0])
        await some.close()
      }
    },
  )

  test.each([false, true])(
    'come in batches that are no longer than they must be (reverse: %s)',
    async reverse => {
      const rows = Array.from({ length: 300_000 }, (): Row => ({ key: 5n, values: [1], kind: PUT }))
      const { input } = await fileOf(rows, 1, 1)
      const some = input({ reverse })
      let count = 0
      for (
        let into = new OperationBuffer(wideLayout(1, 1));
        await some.next(into);
        into = new OperationBuffer(wideLayout(1, 1))
      ) {
        expect(into.count).toBeLessThan(2 ** 16)
        count += into.count
      }
      expect(count).toBe(rows.length)
    },
  )
})

/** Estimates of what newer files hide: what is seen in samples, what filters and footers tell, what is read for it. */
import { describe, expect, test } from 'vitest'
import { BucketFile } from '../../../src/bucket-file/reader.js'
import { GarbageEstimates } from '../../../src/compaction/garbage-estimate.js'
import type { EstimatedFile } from '../../../src/compaction/policy.js'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { DELETE_KEY, DELETE_RECORD, PUT, type DeleteWhere } from '../../../src/records/operations.js'
import { recordLayout, type RecordLayout } from '../../../src/records/record-layout.js'
import { fileTarget, optionsFor, writeBucketFile } from '../../support/bucket-files.js'
import { Random } from '../../support/random.js'
import { columnsOf, wideLayout, type Row } from '../../support/rows.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

/** A key lane, and two value lanes: 1 and 2. */
const wide = wideLayout(1, 2)
const PAGE_BYTES = 4096
/** Sequence numbers of each file. */
const SEQUENCES = 100_000

interface FileContent {
  readonly rows: readonly Row[]
  /** Each hides the records whose lane 1 has this value. */
  readonly deletes?: readonly number[]
  readonly clears?: readonly DeleteWhere[]
}

/** Files of a table, and its estimates. */
class EstimatedTable {
  readonly disk = new SimulatedFileSystem()
  readonly files: BucketFile[] = []
  readonly layout: RecordLayout
  readonly #estimates: GarbageEstimates
  readonly #filterBitsPerRecord: number

  constructor({ replace = false, filterBitsPerRecord = 10, layout = wide } = {}) {
    this.layout = layout
    this.#estimates = new GarbageEstimates({ layout, pageBytes: PAGE_BYTES, replace })
    this.#filterBitsPerRecord = filterBitsPerRecord
  }

  /** Adds the newest file. */
  async add({ rows, deletes = [], clears = [] }: FileContent): Promise<void> {
    const { layout } = this
    const number = this.files.length + 1
    const target = fileTarget(this.disk, layout, {
      number,
      filterBitsPerRecord: this.#filterBitsPerRecord,
      firstSequence: number * SEQUENCES,
      endSequence: (number + 1) * SEQUENCES,
      deletes: [
        ...deletes.map((value, i) => ({ sequence: number * SEQUENCES + i, lanes: [1], values: [value] })),
        ...clears,
      ],
    })
    const sorted = [...rows].sort((a, b) => Number(a.key - b.key))
    const entry = await writeBucketFile(target, columnsOf(layout, sorted))
    this.files.push(await BucketFile.open(optionsFor(target), entry))
  }

  /** `inLog`: entries that are in no file yet. */
  estimate(inLog: readonly DeleteWhere[] = []): Promise<EstimatedFile[]> {
    const deletes = new DeleteWhereIndex(this.layout, [...this.files.flatMap(file => file.deletes), ...inLog])
    return this.#estimates.of(this.files, deletes, new AbortController().signal)
  }

  /** Data pages read while `action` ran. */
  async readsDuring(action: () => Promise<unknown>): Promise<number> {
    const before = this.disk.calls
    await action()
    return this.disk.log.slice(before).filter(({ op }) => op === 'read').length
  }
}

async function tableOf(contents: readonly FileContent[], options = {}): Promise<EstimatedTable> {
  const table = new EstimatedTable(options)
  for (const content of contents) await table.add(content)
  return table
}

/** Puts of `count` keys, from the `from`th on; lane 1 goes around over 0, 1 and 2, lane 2 is random. */
function puts(from: number, count: number, kind = PUT): Row[] {
  const random = new Random(from)
  return Array.from({ length: count }, (_, i) => ({
    key: spreadKey(from + i),
    values: [i % 3, random.next()],
    kind,
  }))
}

function spreadKey(n: number): bigint {
  return BigInt(Math.imul(n, 0x9e3779b1) >>> 0)
}

const small = (estimates: readonly EstimatedFile[]) =>
  estimates.map(({ masked, tombstones }) => ({ masked, tombstones }))

describe('what delete where entries hide', () => {
  test('is counted in files of a page, whoever is merged with them', async () => {
    const table = await tableOf([
      { rows: puts(0, 90) },
      { rows: puts(100, 60) },
      { rows: puts(200, 30), deletes: [1] },
    ])
    expect(small(await table.estimate())).toEqual([
      { masked: [30, 30, 30], tombstones: 0 },
      { masked: [20, 20], tombstones: 0 },
      // The file has been rid of what its own entry hides.
      { masked: [0], tombstones: 1 },
    ])
    expect((await table.estimate()).map(({ operations }) => operations)).toEqual([90, 60, 31])
  })

  test.each([
    ['a NaN of other bits', 0x7fc00000, 0xffffffff],
    ['a zero of the other sign', 0x80000000, 0],
    ['a zero with the sign', 0, 0x80000000],
  ])('is found where bounds of bits do not hold %s', async (_, deleted, stored) => {
    const layout = recordLayout([4], [4, 4], [{ lane: 1, laneCount: 1 }])
    const rows = puts(0, 90).map(row => ({ ...row, values: [stored, row.values[1]!] }))
    const table = await tableOf([{ rows }, { rows: puts(200, 1), deletes: [deleted] }], { layout })
    expect(small(await table.estimate())[0]).toEqual({ masked: [90, 90], tombstones: 0 })
  })

  test('is not what entries of the log alone would hide: merges do not apply them', async () => {
    const table = await tableOf([{ rows: puts(0, 90) }, { rows: [], deletes: [2] }])
    const inLog = { sequence: 3 * SEQUENCES, lanes: [1], values: [0] }
    expect((await table.estimate([inLog]))[0]).toMatchObject({ masked: [30, 30] })
  })

  test('is estimated in large files from few pages, which are read once', async () => {
    const table = await tableOf([{ rows: puts(0, 40_000) }, { rows: [], deletes: [0, 1] }])
    expect(table.files[0]!.footer.dataPages).toBeGreaterThan(50)
    const reads = await table.readsDuring(async () => {
      const [oldest] = await table.estimate()
      expect(oldest!.masked[0]! / 40_000).toBeGreaterThan(0.6)
      expect(oldest!.masked[0]! / 40_000).toBeLessThan(0.73)
    })
    expect(reads).toBe(16)
    await table.add({ rows: [], deletes: [2] })
    expect(await table.readsDuring(() => table.estimate())).toBe(0)
    expect((await table.estimate())[0]!.masked).toEqual([40_000, 40_000, 40_000])
  })

  test('is nothing, without a read, where no value of the file can match', async () => {
    const table = await tableOf([{ rows: puts(0, 90) }, { rows: puts(100, 60), deletes: [3, 77] }])
    expect(await table.readsDuring(() => table.estimate())).toBe(0)
    await table.add({ rows: [], deletes: [2] })
    expect(await table.readsDuring(() => table.estimate())).toBe(2)
  })
})

describe('what was cleared', () => {
  const clear = (lower: number, upper: number, sequence = SEQUENCES): DeleteWhere => ({
    sequence,
    lanes: [],
    values: [],
    ranges: [{ lane: 0, lower: [lower], upper: [upper] }],
  })
  const rows = puts(0, 40_000).map((row, i) => ({ ...row, key: BigInt(10 * i) }))

  test('is told by the fences, and nearly exactly', async () => {
    const table = await tableOf([{ rows }, { rows: [], clears: [clear(100_000, 299_999, 2 * SEQUENCES)] }])
    const [oldest] = await table.estimate()
    expect(oldest!.masked[0]! / 40_000).toBeGreaterThan(0.45)
    expect(oldest!.masked[0]! / 40_000).toBeLessThan(0.55)
    expect(oldest!.masked[1]).toBe(oldest!.masked[0])
  })

  test('is told by the fences where no page of the sample has any of it', async () => {
    const many = puts(0, 120_000).map((row, i) => ({ ...row, key: BigInt(10 * i) }))
    const table = await tableOf([{ rows: many }])
    const second = new Uint32Array(1)
    table.files[0]!.readFirstKey(1, second)
    await table.add({ rows: [], clears: [clear(0, second[0]!, 2 * SEQUENCES)] })
    const { dataPages } = table.files[0]!.footer
    expect((await table.estimate())[0]!.masked[0]).toBeCloseTo(120_000 / dataPages)
  })

  test('is estimated from the sample, where it is less than a page here and there', async () => {
    const clears = Array.from({ length: 4000 }, (_, i) => clear(100 * i, 100 * i + 49, 2 * SEQUENCES + i))
    const table = await tableOf([{ rows }, { rows: [], clears }])
    const [oldest] = await table.estimate()
    expect(oldest!.masked[0]! / 40_000).toBeGreaterThan(0.42)
    expect(oldest!.masked[0]! / 40_000).toBeLessThan(0.58)
  })

  test("with duplicates: 'replace' leaves no deletes", async () => {
    const table = await tableOf([{ rows }, { rows: [], clears: [clear(0, 400_000, 2 * SEQUENCES)] }], {
      replace: true,
    })
    expect((await table.estimate())[0]).toMatchObject({ masked: [40_000, 40_000], tombstones: 0 })
  })

  test('by the log alone does not count', async () => {
    const table = await tableOf([{ rows }])
    expect((await table.estimate([clear(0, 400_000, 9 * SEQUENCES)]))[0]).toMatchObject({ masked: [0] })
  })

  test('counts the deletes of its keys', async () => {
    const kinds = rows.map(row => ({ ...row, kind: DELETE_KEY }))
    const table = await tableOf([{ rows: kinds }, { rows: [], clears: [clear(0, 400_000, 2 * SEQUENCES)] }])
    expect((await table.estimate())[0]).toMatchObject({ masked: [40_000, 40_000], tombstones: 0 })
  })
})

test('files without deletes are not read', async () => {
  const table = await tableOf([{ rows: puts(0, 90) }, { rows: puts(0, 60) }])
  const reads = await table.readsDuring(async () => {
    expect(small(await table.estimate())).toEqual([
      { masked: [0, 0], tombstones: 0 },
      { masked: [0], tombstones: 0 },
    ])
  })
  expect(reads).toBe(0)
})

describe('what deletes of keys and of records hide', () => {
  test('goes with the file that holds them', async () => {
    const table = await tableOf([
      { rows: puts(0, 400) },
      { rows: puts(1000, 400) },
      { rows: puts(0, 200, DELETE_KEY) },
      { rows: puts(1000, 100, DELETE_RECORD) },
    ])
    const [oldest, second, third, fourth] = await table.estimate()
    expect(oldest!.masked.slice(0, 2)).toEqual([0, 0])
    expect(oldest!.masked[2]! / 400).toBeCloseTo(0.5, 1)
    expect(oldest!.masked[3]! / 400).toBeCloseTo(0.5, 1)
    expect(second!.masked.slice(0, 2)).toEqual([0, 0])
    expect(second!.masked[2]! / 400).toBeCloseTo(0.25, 1)
    expect([third, fourth].map(file => [file!.operations, file!.tombstones])).toEqual([
      [200, 200],
      [100, 100],
    ])
  })

  test('is little where a few records of long keys are deleted', async () => {
    const long = Array.from({ length: 400 }, (_, i) => ({ key: spreadKey(i % 4), values: [i, i], kind: PUT }))
    const table = await tableOf([{ rows: long }, { rows: puts(0, 4, DELETE_RECORD) }])
    const [oldest] = await table.estimate()
    expect(oldest!.masked[1]).toBeCloseTo(4, 0)
  })

  test('is little where few of many operations are deletes', async () => {
    const mixed = [...puts(0, 190), ...puts(190, 10, DELETE_KEY)]
    const table = await tableOf([{ rows: puts(0, 200) }, { rows: mixed }])
    const [oldest] = await table.estimate()
    expect(oldest!.masked[1]).toBeCloseTo(10, 0)
  })

  test('is not known without filters, and taken for nothing', async () => {
    const contents = [{ rows: puts(0, 400) }, { rows: puts(0, 400, DELETE_KEY) }]
    const table = await tableOf(contents, { filterBitsPerRecord: 0 })
    expect((await table.estimate())[0]!.masked).toEqual([0, 0])
  })
})

/** The records of a key become one. */
const combining: RecordLayout = {
  ...wide,
  combine: [
    {
      operator: 'last',
      lane: wide.keyLaneCount,
      laneCount: wide.laneCount - wide.keyLaneCount,
      number: undefined,
    },
  ],
}

describe("with duplicates: 'replace'", () => {
  test.each([
    ['and', { replace: true }, 1],
    // Half: a merge that only combines must drop more to be worth it.
    ['or combine', { layout: combining }, 0.5],
  ])('%s: records of keys that a newer file has go in a merge with it', async (_, options, share) => {
    const contents = [{ rows: puts(0, 400) }, { rows: puts(200, 300) }, { rows: puts(100, 200) }]
    const table = await tableOf(contents, options)
    const [oldest, second] = await table.estimate()
    expect(oldest!.masked[0]).toBe(0)
    expect(oldest!.masked[1]! / 400).toBeCloseTo(0.5 * share, 1)
    // A quarter of its keys is in both newer files.
    expect(oldest!.masked[2]! / 400).toBeCloseTo((2 * share + 1 - (1 - share) ** 2) / 4, 1)
    expect(second!.masked[1]! / 300).toBeCloseTo(share / 3, 1)
  })

  test('or combine: records of keys that a newer file deletes go as a whole', async () => {
    const contents = [{ rows: puts(0, 400) }, { rows: puts(200, 400, DELETE_KEY) }]
    const [oldest] = await (await tableOf(contents, { layout: combining })).estimate()
    expect(oldest!.masked[1]! / 400).toBeCloseTo(0.5, 1)
  })

  test.each([10, 4])('filters of %i bits that are wrong now and then do not add up', async bits => {
    const contents = Array.from({ length: 40 }, (_, i) => ({ rows: puts(i * 1000, 400) }))
    const table = await tableOf(contents, { replace: true, filterBitsPerRecord: bits })
    const [oldest] = await table.estimate()
    expect(oldest!.masked.at(-1)! / 400).toBeLessThan(0.05)
  })

  test('what delete where entries hide goes with the oldest file alone: it leaves deletes of its keys', async () => {
    const contents = [{ rows: puts(0, 90) }, { rows: puts(100, 60) }, { rows: [], deletes: [1] }]
    const table = await tableOf(contents, { replace: true })
    expect(small(await table.estimate())).toEqual([
      { masked: [0, 0, 0], tombstones: 30 },
      { masked: [0, 0], tombstones: 20 },
      { masked: [0], tombstones: 1 },
    ])
  })
})

test('of a file that cannot be read nothing is taken to be hidden', async () => {
  const table = await tableOf([{ rows: puts(0, 90) }, { rows: puts(100, 60) }, { rows: [], deletes: [1] }])
  table.disk.flipByte(table.files[0]!.path, 100)
  expect(small(await table.estimate()).map(({ masked }) => masked[0])).toEqual([0, 20, 0])
})

test('an abort ends it', async () => {
  const table = await tableOf([{ rows: puts(0, 90) }])
  const estimates = new GarbageEstimates({ layout: wide, pageBytes: PAGE_BYTES, replace: false })
  const reason = new Error('enough')
  const estimated = estimates.of(table.files, new DeleteWhereIndex(wide), AbortSignal.abort(reason))
  await expect(estimated).rejects.toBe(reason)
})

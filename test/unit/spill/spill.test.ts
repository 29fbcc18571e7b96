/** Spills: what a bulk load sets aside comes back sorted, range by range, and damage is met. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { spillName } from '../../../src/io/file-names.js'
import type { KeyRange } from '../../../src/records/key-range.js'
import type { LaneColumn } from '../../../src/records/lane-columns.js'
import { OperationBuffer, type Operations } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { SpillInput } from '../../../src/spill/input.js'
import { deltasToKeys, keysToDeltas } from '../../../src/spill/key-deltas.js'
import { bytesInMemory, memorySpillBytes, spillToMemory } from '../../../src/spill/memory-spill.js'
import { splitIntoPieces } from '../../../src/spill/pieces.js'
import {
  endsBefore,
  pieceRows,
  piecesIn,
  splitRange,
  type FileSpill,
  type MemorySpill,
  type Spill,
} from '../../../src/spill/spill.js'
import { writeSpills } from '../../../src/spill/writer.js'
import { DIRECTORY, TABLE_ID } from '../../support/bucket-files.js'
import { LANE_SPREADS, randomKeyColumns } from '../../support/key-columns.js'
import { Random } from '../../support/random.js'
import { keyOf } from '../../support/rows.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const KEY_LANES = 2
/** Wide and narrow lanes; one has the same value everywhere, the last one nearly. */
const layout = recordLayout([4, 4], [4, 4, 2, 1, 3, 2, 1])
const SHARED = 777

/** Puts with these keys; their values say where they came from, in two lanes and again in narrow ones. */
function rowsWith(keyLanes: readonly Uint32Array[], spill: number): OperationBuffer {
  const count = keyLanes[0]!.length
  // Behind them other values stand, as in a memtable that is not full.
  const rows = new OperationBuffer(layout, count + 3)
  rows.count = count
  for (const [lane, column] of keyLanes.entries()) rows.lanes[lane]!.set(column)
  for (let row = 0; row < count; row++) {
    for (const [lane, value] of valuesOf(spill, row).entries()) rows.lanes[KEY_LANES + lane]![row] = value
  }
  return rows
}

function valuesOf(spill: number, row: number): number[] {
  return [spill, row, row & 0xffff, row & 0xff, 0xffffff - row, SHARED, row % 97 === 96 ? 1 : 0]
}

/** Writes spills of these rows, one for each number at most. */
function spillToFiles(
  disk: SimulatedFileSystem,
  rows: Operations,
  numbers: readonly number[],
  onWrite = async (): Promise<void> => {},
): Promise<FileSpill[]> {
  const lanes = rows.lanes.map(() => new Uint32Array(rows.count))
  const pieces = splitIntoPieces(layout, rows, lanes, true)
  const target = { fileSystem: disk, directory: DIRECTORY, tableId: TABLE_ID, epoch: 4, layout, numbers }
  return writeSpills(target, lanes, pieces, onWrite)
}

/** Keeps these rows in memory, in at most `shares` spills. */
function keep(rows: Operations, shares = 1): MemorySpill[] {
  const scratch = rows.lanes.map(() => new Uint32Array(rows.count))
  return spillToMemory(layout, rows, scratch, shares)
}

/** A disk with spills of these rows, each in at most this many files. */
async function spillsOf(memtables: readonly OperationBuffer[], files = 1) {
  const disk = new SimulatedFileSystem()
  await disk.makeDirectory(DIRECTORY)
  const spills: FileSpill[] = []
  for (const [i, rows] of memtables.entries()) {
    const numbers = Array.from({ length: files }, (_, file) => 1 + files * i + file)
    spills.push(...(await spillToFiles(disk, rows, numbers)))
  }
  return { disk, spills }
}

/** The same, of which the first `inMemory` memtables stay in memory. */
async function mixedSpillsOf(memtables: readonly OperationBuffer[], inMemory: number, files = 1) {
  const kept = memtables.slice(0, inMemory).flatMap(rows => keep(rows, files))
  const { disk, spills } = await spillsOf(memtables.slice(inMemory), files)
  return { disk, spills: [...kept, ...spills] }
}

function inputOf(disk: SimulatedFileSystem, spills: readonly Spill[], range: KeyRange): SpillInput {
  return new SpillInput({ fileSystem: disk, directory: DIRECTORY, tableId: TABLE_ID, layout, spills, range })
}

async function readAll(disk: SimulatedFileSystem, spills: readonly Spill[], ranges: readonly KeyRange[]) {
  const rows = new OperationBuffer(layout)
  for (const range of ranges) {
    const input = inputOf(disk, spills, range)
    while (await input.next(rows));
    await input.close()
  }
  return rows
}

/** Key, number of the spill and of the row, as one number that sorts: what a row is, and where it belongs. */
function placesOf(rows: Operations): bigint[] {
  return Array.from(
    { length: rows.count },
    (_, row) => (keyOf(rows.lanes, row, KEY_LANES) << 64n) + keyOf(rows.lanes.slice(KEY_LANES), row, 2),
  )
}

function expectAll(found: Operations, memtables: readonly OperationBuffer[]): void {
  const expected = memtables.flatMap(placesOf).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const places = placesOf(found)
  expect(places.length).toBe(expected.length)
  expect(places.findIndex((place, i) => place !== expected[i])).toBe(-1)
  const [spills, numbers] = found.lanes.slice(KEY_LANES)
  for (let row = 0; row < found.count; row++) {
    const values = valuesOf(spills![row]!, numbers![row]!)
    if (values.some((value, lane) => found.lanes[KEY_LANES + lane]![row] !== value))
      throw new Error(`row ${row} has values of another`)
  }
}

const ALL: KeyRange = {}

describe('records set aside', () => {
  test('come back sorted by key, then by age, whatever their keys, in one range or in many', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(0xffffffff),
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(1, 300, 2 ** 20),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 5 }),
        async (seed, counts, rangeRows, files, inMemory) => {
          const random = new Random(seed)
          const memtables = counts.map((count, i) => rowsWith(randomKeyColumns(random, KEY_LANES, count), i))
          const { disk, spills } = await mixedSpillsOf(memtables, inMemory, files)
          const ranges = splitRange(spills, KEY_LANES, ALL, rangeRows)
          expectAll(await readAll(disk, spills, ranges), memtables)
          expect(disk.openHandles).toBe(0)
        },
      ),
      { numRuns: 100 },
    )
  })

  test.each(Object.keys(LANE_SPREADS))(
    'come back where memtables are large and keys cluster: %s',
    async spread => {
      const random = new Random(7)
      const count = 50_000
      const memtables = [0, 1].map(i =>
        rowsWith([new Uint32Array(count).fill(3), LANE_SPREADS[spread]!(random, count)], i),
      )
      const { disk, spills } = await mixedSpillsOf(memtables, 1)
      const ranges = splitRange(spills, KEY_LANES, ALL, 2 ** 13)
      expectAll(await readAll(disk, spills, ranges), memtables)
    },
  )

  test('come back from a range of several stretches', async () => {
    const random = new Random(12)
    const memtables = [0, 1, 2].map(i => {
      // Where keys drift, pieces are cut by the ends of stretches.
      const high = Uint32Array.from({ length: 60_000 }, () => i * 2 ** 20 + random.below(2 ** (20 + i)))
      return rowsWith([high, LANE_SPREADS['random']!(random, 60_000)], i)
    })
    for (const inMemory of [0, 1, 3]) {
      const { disk, spills } = await mixedSpillsOf(memtables, inMemory, 3)
      const input = inputOf(disk, spills, ALL)
      const rows = new OperationBuffer(layout)
      let stretches = 0
      while (await input.next(rows)) stretches++
      expect(stretches).toBeGreaterThan(4)
      expectAll(rows, memtables)
    }
  })

  test.each([0, 1])(
    'of which most share a bin are cut, so that ranges stay small; in memory: %i',
    async inMemory => {
      const random = new Random(5)
      const keys = Uint32Array.from({ length: 60_000 }, (_, row) =>
        row === 0 ? 0xffffffff : random.below(2 ** 16),
      )
      const memtable = rowsWith([new Uint32Array(60_000), keys], 0)
      const { disk, spills } = await mixedSpillsOf([memtable], inMemory)
      expect(spills[0]!.pieces).toBeGreaterThan(50)
      const ranges = splitRange(spills, KEY_LANES, ALL, 2 ** 12)
      expect(ranges.length).toBeGreaterThan(10)
      for (const range of ranges) expect(rowsIn(spills, range)).toBeLessThan(2 ** 13)
      expectAll(await readAll(disk, spills, ranges), [memtable])
    },
  )

  test('take as many bytes as their packed columns, and are written front to back, not synced', async () => {
    const random = new Random(6)
    const rows = rowsWith(randomRows(random, 100_000), 1)
    const { disk, spills } = await spillsOf([rows])
    // Two keys that follow each other differ by 64 - 16.6 bits, a few more where it is most; rows have 17 + 16 + 8 + 17 + 1.
    const bits = 64 - 16.6 + 4 + 59
    const bytes = spills[0]!.offsets.at(-1)!
    expect(bytes).toBeLessThan((100_000 * bits) / 8 + spills[0]!.pieces * 100)
    const calls = disk.log.filter(call => call.path?.endsWith('.spill'))
    expect(new Set(calls.map(call => call.op))).toEqual(new Set(['create', 'write', 'close']))
    let position = 0
    for (const call of calls.filter(call => call.op === 'write')) {
      expect(call.position).toBe(position)
      position += call.bytes!
    }
    expect(position).toBe(bytes)
  })
})

/** Rows of the pieces in which the range is. */
function rowsIn(spills: readonly Spill[], range: KeyRange): number {
  return spills.reduce((sum, spill) => sum + pieceRows(spill, piecesIn(spill, range)), 0)
}

function randomRows(random: Random, count: number): Uint32Array[] {
  return [0, 1].map(() => LANE_SPREADS['random']!(random, count))
}

describe('ranges of spills', () => {
  test('follow each other, cover all keys, and have about the rows that were asked for', async () => {
    const random = new Random(8)
    const memtables = [0, 1, 2].map(i => rowsWith(randomRows(random, 20_000), i))
    const { spills } = await mixedSpillsOf(memtables, 3)
    const ranges = splitRange(spills, KEY_LANES, ALL, 6000)
    expect(ranges[0]!.lower).toBeUndefined()
    expect(ranges.at(-1)!.upper).toBeUndefined()
    for (let i = 1; i < ranges.length; i++) {
      expect(ranges[i]!.lower).toEqual(ranges[i - 1]!.upper)
      expect(ranges[i - 1]!.upperExclusive).toBe(true)
    }
    for (const range of ranges) expect(rowsIn(spills, range)).toBeLessThanOrEqual(6000)
    expect(ranges.length).toBeLessThan(20)
  })

  test('do not cut keys, and name every piece that may have one of theirs', async () => {
    const keys = Uint32Array.from({ length: 40_000 }, (_, row) => row % 3)
    const { spills } = await spillsOf([rowsWith([keys, keys], 0)])
    const [spill] = spills
    const ranges = splitRange(spills, KEY_LANES, ALL, 1)
    expect(ranges).toHaveLength(3)
    for (const [key, range] of ranges.entries()) {
      const { from, to } = piecesIn(spill!, range)
      for (let piece = 0; piece < spill!.pieces; piece++) {
        const has = spill!.firstKeys[0]![piece]! <= key && key <= spill!.lastKeys[0]![piece]!
        if (has) expect(from <= piece && piece < to).toBe(true)
      }
    }
  })
})

describe('a spill', () => {
  test('that fails is removed, with those before it', async () => {
    const rows = rowsWith(randomRows(new Random(9), 30_000), 1)
    const calls = (await spillsOf([rows], 3)).disk.calls
    expect(calls).toBeGreaterThan(9)
    for (let step = 2; step <= calls; step++) {
      const disk = new SimulatedFileSystem()
      await disk.makeDirectory(DIRECTORY)
      disk.failAt(step, 'ENOSPC')
      const failed = spillToFiles(disk, rows, [1, 2, 3])
      await expect(failed).rejects.toMatchObject({ code: 'ENOSPC' })
      disk.clearFaults()
      // Whether a failed create made a file, nobody knows.
      expect(disk.files().length).toBeLessThanOrEqual(disk.log[step - 1]!.op === 'create' ? 1 : 0)
      expect(disk.openHandles).toBe(0)
    }
  })

  test('ends with what it is told after a write, and is removed', async () => {
    const rows = rowsWith(randomRows(new Random(9), 60_000), 1)
    const disk = new SimulatedFileSystem()
    await disk.makeDirectory(DIRECTORY)
    const enough = new Error('enough')
    const ended = spillToFiles(disk, rows, [1], () => Promise.reject(enough))
    await expect(ended).rejects.toBe(enough)
    expect(disk.files()).toEqual([])
  })

  test.each([
    ['random', randomRows(new Random(11), 80_000)],
    [
      'in one bin',
      [
        Uint32Array.from({ length: 80_000 }, (_, row) => (row === 0 ? 0xffffffff : row % 1000)),
        LANE_SPREADS['random']!(new Random(1), 80_000),
      ],
    ],
  ])('is one of several with about as many bytes each, and ascending keys: %s', async (_, keys) => {
    const { spills } = await spillsOf([rowsWith(keys, 1)], 4)
    expect(spills.map(spill => spill.number)).toEqual([1, 2, 3, 4])
    const bytes = spills.map(spill => spill.offsets.at(-1)!)
    expect(Math.max(...bytes)).toBeLessThan(1.1 * Math.min(...bytes))
    for (let i = 1; i < spills.length; i++) {
      const first = Uint32Array.from(spills[i]!.firstKeys, column => column[0]!)
      expect(endsBefore(spills[i - 1]!, first)).toBe(true)
      expect(endsBefore(spills[i]!, first)).toBe(false)
    }
    for (const spill of spills) {
      const last = Uint32Array.from(spill.lastKeys, column => column[spill.pieces - 1]!)
      expect(endsBefore(spill, last)).toBe(false)
    }
    expect(endsBefore(spills[3]!, undefined)).toBe(true)
  })

  test.each([
    ['a flipped bit', (bytes: Uint8Array) => ((bytes[5000]! ^= 4), bytes)],
    ['an end that is missing', (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['nothing in it', () => new Uint8Array(0)],
  ])('with %s is told as damage, with file and offset', async (_, damage) => {
    const { disk, spills } = await spillsOf([rowsWith(randomRows(new Random(10), 5000), 0)])
    const path = `${DIRECTORY}/${spillName(1)}`
    disk.writeFile(path, damage(disk.readFile(path).slice()))
    await expect(readAll(disk, spills, [ALL])).rejects.toMatchObject({
      code: 'FLASHTABLE_CORRUPTION',
      path,
      offset: expect.any(Number),
    })
    expect(disk.openHandles).toBe(0)
  })

  test('of another epoch, or that is not there, is not taken for this one', async () => {
    const { disk, spills } = await spillsOf([rowsWith(randomRows(new Random(10), 5000), 0)])
    const other = spills.map(spill => ({ ...spill, epoch: 5 }))
    await expect(readAll(disk, other, [ALL])).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
    await disk.unlink(`${DIRECTORY}/${spillName(1)}`)
    await expect(readAll(disk, spills, [ALL])).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR' })
  })
})

describe('a spill in memory', () => {
  test('has columns as narrow as their lanes, and none for a value that all rows share', () => {
    // An odd number: columns of words follow those of bytes.
    const rows = rowsWith(randomRows(new Random(13), 4999), 3)
    const [{ lanes }] = keep(rows) as [MemorySpill]
    const kinds = lanes.map(column => (typeof column === 'number' ? column : column.constructor.name))
    expect(kinds.slice(0, KEY_LANES)).toEqual(['Uint32Array', 'Uint32Array'])
    expect(kinds.slice(KEY_LANES)).toEqual([
      3,
      'Uint32Array',
      'Uint16Array',
      'Uint8Array',
      'Uint32Array',
      SHARED,
      'Uint8Array',
    ])
    const stored = 4 + 4 + 4 + 2 + 1 + 4 + 1
    expect(bytesInMemory(keep(rows))).toBe(4999 * stored)
    // Before it is known what rows share.
    expect(memorySpillBytes(layout, 4999)).toBe(4999 * (stored + 4 + 2))
  })

  test('shares its memory with other threads', () => {
    for (const spill of keep(rowsWith(randomRows(new Random(14), 5000), 3), 3)) {
      const { starts, firstKeys, lastKeys, lanes } = spill
      for (const column of [starts, ...firstKeys, ...lastKeys, ...lanes]) {
        if (typeof column !== 'number') expect(column.buffer).toBeInstanceOf(SharedArrayBuffer)
      }
    }
  })

  test('is one of several, with about as many rows each and one piece of memory of its own', () => {
    const spills = keep(rowsWith(randomRows(new Random(15), 80_000), 3), 4)
    expect(spills).toHaveLength(4)
    for (const { starts, pieces, lanes } of spills) {
      expect(starts[0]).toBe(0)
      for (const column of columnsOf(lanes)) expect(column.length).toBe(starts[pieces])
      expect(Math.abs(starts[pieces]! - 20_000)).toBeLessThan(1000)
    }
    expect(new Set(spills.flatMap(({ lanes }) => columnsOf(lanes).map(({ buffer }) => buffer))).size).toBe(4)
  })

  test('has memory of the kind that V8 maps by itself where it is much', () => {
    const [small, large] = [5000, 100_000].map(
      count => columnsOf(keep(rowsWith(randomRows(new Random(16), count), 3))[0]!.lanes)[0]!.buffer,
    )
    expect(small).toMatchObject({ growable: false })
    expect(large).toMatchObject({ growable: true, byteLength: 100_000 * (4 + 4 + 4 + 2 + 1 + 4 + 1) })
  })
})

function columnsOf(lanes: MemorySpill['lanes']): LaneColumn[] {
  return lanes.filter(column => typeof column !== 'number')
}

describe('sorted keys as differences', () => {
  test.each([[[4]], [[1]], [[4, 1]], [[4, 2]], [[4, 4]], [[4, 4, 3]], [[4, 4, 4]]])(
    'keep to the widths of the lanes, and become the keys again: lanes of %j bytes',
    laneBytes => {
      fc.assert(
        fc.property(
          fc.array(fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }), { minLength: 1 }),
          picks => {
            const values = laneBytes.map(bytes => [0, 1, 2 ** (8 * bytes) - 2, 2 ** (8 * bytes) - 1])
            const keys = picks.map(pick => laneBytes.map((_, lane) => values[lane]![pick[lane]!]!))
            keys.sort(
              (a, b) => a.map((value, lane) => value - b[lane]!).find(difference => difference !== 0) ?? 0,
            )
            const lanes = laneBytes.map((_, lane) => Uint32Array.from(keys, key => key[lane]!))
            const rows = laneBytes.map(() => new Uint32Array(keys.length))
            keysToDeltas(lanes, laneBytes, 0, keys.length, rows)
            for (const [lane, bytes] of laneBytes.entries()) {
              for (const delta of rows[lane]!) expect(delta).toBeLessThan(2 ** (8 * bytes))
            }
            deltasToKeys(rows, laneBytes, 0, keys.length, lanes, 0)
            expect(rows).toEqual(lanes)
          },
        ),
      )
    },
  )
})

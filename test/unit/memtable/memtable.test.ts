import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Memtable, MEMTABLE_ROWS_MAX, type MemtableImage } from '../../../src/memtable/memtable.js'
import { DELETE_KEY, OperationBuffer, PUT } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { layoutOf, memtableOf, plainRows, randomOperations, textOf } from '../../support/memtables.js'
import { Random } from '../../support/random.js'

const layout = layoutOf(1)

/** `rows` puts with the key `row` and the values 0. */
function puts(rows: number): OperationBuffer {
  const operations = new OperationBuffer(layout, rows)
  for (let row = 0; row < rows; row++) operations.lanes[0]![row] = row
  operations.count = rows
  return operations
}

/** The rows of the memtable as a buffer of their own. */
function copyOf(memtable: Memtable): OperationBuffer {
  const copy = new OperationBuffer(memtable.layout)
  copy.append(memtable, 0, memtable.count)
  return copy
}

describe('a memtable', () => {
  test('holds rows as they were appended, in whatever pieces they came', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(200), fc.boolean(), fc.nat(10), (seed, rows, kinds, entries) => {
        const random = new Random(seed)
        const operations = randomOperations(random, random.between(1, 8), rows, kinds)
        const memtable = memtableOf(random, operations, entries)
        expect(memtable.count).toBe(rows)
        expect(textOf(plainRows(copyOf(memtable)))).toEqual(textOf(plainRows(operations)))
      }),
    )
  })

  test('has columns of values as narrow as they are stored, and keeps every bit while it grows', () => {
    const mixed = recordLayout([4, 1], [1, 2, 3, 4, 1])
    const random = new Random(7)
    const operations = new OperationBuffer(mixed, 1000)
    for (const [lane, column] of operations.lanes.entries())
      for (let row = 0; row < 1000; row++) column[row] = random.next() >>> (32 - 8 * mixed.laneBytes[lane]!)
    operations.count = 1000
    const memtable = new Memtable(mixed, 1001, 0)
    for (let row = 0; row < 1000; row += 7) memtable.append(operations, row, Math.min(1000, row + 7))
    expect(memtable.lanes.map(column => column.BYTES_PER_ELEMENT)).toEqual([4, 4, 1, 2, 4, 4, 1])
    expect(memtable.keyLanes).toEqual(memtable.lanes.slice(0, 2))
    const twin = Memtable.fromImage(mixed, memtable.image())
    for (const { lanes } of [memtable, twin, copyOf(twin)])
      expect(lanes.map(lane => [...lane.subarray(0, 1000)])).toEqual(
        operations.lanes.map(lane => [...lane.subarray(0, 1000)]),
      )
    const key = Uint32Array.from(operations.lanes.slice(0, 2), lane => lane[999]!)
    expect(memtable.findNewest(key, 1000)).toBe(999)
  })

  test('grows by doubling, and to its whole room once it needs a quarter', () => {
    const memtable = new Memtable(layout, 100_000, 0)
    const roomAfter = (rows: number): number => {
      memtable.reserveRows(rows)
      return memtable.image().capacity
    }
    expect([1, 256, 257, 513, 24_999, 25_000].map(roomAfter)).toEqual([256, 256, 512, 1024, 24_999, 100_000])
    expect(memtable.hasFullMemory).toBe(true)
  })

  test('takes as many bytes as the raw records, where no key and no rest of bytes is narrow', () => {
    const fingerprints = recordLayout([4, 4], [2, 2, 4])
    const memtable = new Memtable(fingerprints, 1001, 0)
    memtable.reserveRows(1001)
    expect(memtable.memory.byteLength).toBeLessThan(1001 * fingerprints.recordBytes + 16)
    memtable.appendTail(1000)
    expect(memtable.residentBytes).toBe(16_000)
  })

  test('has no column of kinds while all are puts, even where the source has one', () => {
    const operations = puts(3)
    operations.ensureKinds()
    const memtable = new Memtable(layout, 10, 0)
    memtable.append(operations, 0, 3)
    expect(memtable.kinds).toBeUndefined()
    expect(memtable.image().kinds).toBeUndefined()
  })

  test('has puts before its first delete, and puts from a source without kinds behind it', () => {
    const deletion = puts(1)
    deletion.ensureKinds()[0] = DELETE_KEY
    const memtable = new Memtable(layout, 10, 0)
    memtable.append(puts(2), 0, 2)
    memtable.append(deletion, 0, 1)
    memtable.append(puts(2), 0, 2)
    expect([...memtable.kinds!.subarray(0, 5)]).toEqual([PUT, PUT, DELETE_KEY, PUT, PUT])
  })

  test('gives each row and each delete where entry a sequence number of its own, in the order in which they came', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 30 }), pieces => {
        const memtable = new Memtable(layout, 200, 500)
        const expected: number[] = []
        let sequence = 500
        for (const piece of pieces) {
          memtable.append(puts(piece), 0, piece)
          for (let row = 0; row < piece; row++) expected.push(sequence++)
          memtable.appendDeleteWhere({ sequence: sequence++, lanes: [1], values: [piece] })
          expect(memtable.endSequence).toBe(sequence)
        }
        expect(expected.map((_, row) => memtable.sequenceOf(row))).toEqual(expected)
        expect(memtable.deletes.map(entry => entry.values[0])).toEqual(pieces)
      }),
    )
  })

  test('knows of each delete where entry how many rows came before it', () => {
    const memtable = new Memtable(layout, 10, 7)
    memtable.append(puts(3), 0, 3)
    memtable.appendDeleteWhere({ sequence: 10, lanes: [1, 2], values: [5, 6] })
    expect(memtable.deletes).toEqual([{ sequence: 10, lanes: [1, 2], values: [5, 6], position: 3 }])
  })

  test('takes no more rows than it has room for', () => {
    const memtable = new Memtable(layout, 4, 0)
    memtable.append(puts(3), 0, 3)
    expect(() => memtable.append(puts(2), 0, 2)).toThrow('no more rows than it has room for')
    expect(memtable.count).toBe(3)
  })

  test('has room for one row at least, and for no more than can be sorted', () => {
    expect(() => new Memtable(layout, 0, 0)).toThrow('room for 1 to 2^29 rows')
    expect(() => new Memtable(layout, MEMTABLE_ROWS_MAX + 1, 0)).toThrow('room for 1 to 2^29 rows')
  })

  test('refuses a delete where entry that is out of sequence', () => {
    const memtable = new Memtable(layout, 4, 10)
    expect(() => memtable.appendDeleteWhere({ sequence: 11, lanes: [1], values: [0] })).toThrow('dense')
    expect(memtable.deletes).toEqual([])
  })
})

describe('an image of a memtable', () => {
  test('makes a memtable with the same rows, entries and sequence numbers', () => {
    const random = new Random(5)
    const memtable = memtableOf(random, randomOperations(random, 2, 500, true), 7, 42)
    const twin = Memtable.fromImage(memtable.layout, structuredClone(memtable.image()))
    expect(textOf(plainRows(copyOf(twin)))).toEqual(textOf(plainRows(copyOf(memtable))))
    expect(twin.deletes).toEqual(memtable.deletes)
    expect(twin.endSequence).toBe(memtable.endSequence)
    expect(twin.sequenceOf(499)).toBe(memtable.sequenceOf(499))
    const key = Uint32Array.of(memtable.lanes[0]![250]!, memtable.lanes[1]![250]!)
    expect(twin.findNewest(key, 500)).toBe(memtable.findNewest(key, 500))
  })

  test('is of the same memory, here and in a worker thread', async () => {
    const random = new Random(6)
    const memtable = memtableOf(random, randomOperations(random, 2, 100, true))
    const twin = Memtable.fromImage(memtable.layout, memtable.image())
    const rows = textOf(plainRows(copyOf(memtable)))
    await invertInWorker(memtable.image())
    expect(textOf(plainRows(copyOf(memtable)))).not.toEqual(rows)
    expect(textOf(plainRows(copyOf(twin)))).toEqual(textOf(plainRows(copyOf(memtable))))
  })

  test('of another layout is refused', () => {
    const image = new Memtable(layout, 10, 0).image()
    expect(() => Memtable.fromImage(layoutOf(2), image)).toThrow('fits its layout')
  })
})

/** Inverts every lane of the image in a worker thread. */
async function invertInWorker(image: MemtableImage): Promise<void> {
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads')
     const lanes = new Uint32Array(workerData.lanes)
     for (let i = 0; i < lanes.length; i++) lanes[i] = ~lanes[i]`,
    { eval: true, workerData: image },
  )
  await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
}

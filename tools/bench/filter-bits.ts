/**
 * Measures how filter bits are best spread over young and old files, on bucket files of random records as the
 * compaction policy leaves them. Prints the tables of docs/decisions/filter-bits.md: `npm --prefix tools/bench run
 * filter-bits`.
 *
 * Equal bits are compared with none for the oldest file, and with the allocation that makes the fewest page reads a
 * miss for the same memory (Dayan et al. 2017, "Monkey"): false positives in proportion to the records of a file.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Table from 'cli-table3'
import { NO_LINE } from '../../src/bucket-file/filter-lines.js'
import { BucketFile } from '../../src/bucket-file/reader.js'
import { BucketFileWriter } from '../../src/bucket-file/writer.js'
import { nextMerge } from '../../src/compaction/policy.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { hashKeyLanes } from '../../src/records/hash.js'
import { OperationBuffer } from '../../src/records/operations.js'
import { recordLayout } from '../../src/records/record-layout.js'
import { sortedOrder } from '../../src/sort/sort.js'
import { missKeys, randomRecords } from './records.js'

const MEMTABLE_RECORDS = 65_536
const FANOUT = 8
const MISSES = 1_000_000
/** For rates of false positives: 16 bits have one in 2,000. */
const MANY_MISSES = 8_000_000
const BITS = [5, 8, 10, 12, 16]
/** Memtables so far, so that each level has files: the most of two levels, and three levels with one old file that holds most. */
const TREES = [63, 76]
/** Bits a record in memory, on average: the default, and what is left where memory is short. */
const BUDGETS = [10, 5]
const LAYOUT = recordLayout([4, 4], [2, 2, 4])
const PAGE_BYTES = 4096
const TABLE_ID = new Uint8Array(16)

/** A file of the records of memtables [from, to). */
interface TreeFile {
  readonly level: number
  readonly from: number
  readonly to: number
}

interface Tree {
  readonly memtables: number
  /** As they stand, oldest first. */
  readonly files: readonly TreeFile[]
  /** Memtables that were written at each level so far, again by each merge. */
  readonly writtenAtLevel: readonly number[]
}

function grow(memtables: number): Tree {
  const files: TreeFile[] = []
  const writtenAtLevel: number[] = []
  const note = ({ level, from, to }: TreeFile) => {
    writtenAtLevel[level] = (writtenAtLevel[level] ?? 0) + to - from
  }
  for (let at = 0; at < memtables; at++) {
    files.push({ level: 0, from: at, to: at + 1 })
    note(files.at(-1)!)
    for (let merge = nextMerge(files, FANOUT); merge !== undefined; merge = nextMerge(files, FANOUT)) {
      const inputs = files.splice(merge.from, merge.to - merge.from)
      const output = { level: merge.level, from: inputs[0]!.from, to: inputs.at(-1)!.to }
      files.splice(merge.from, 0, output)
      note(output)
    }
  }
  return { memtables, files, writtenAtLevel: Array.from(writtenAtLevel, count => count ?? 0) }
}

/** Bits a record of each file of a tree. */
type Allocation = readonly number[]

const sizeOf = ({ from, to }: TreeFile) => to - from

function equalBits({ files }: Tree, bits: number): Allocation {
  return files.map(() => bits)
}

/** A miss reads a page of it each time; the others are as with equal bits. */
function noneInOldest({ files }: Tree, bits: number): Allocation {
  return files.map((_, at) => (at === 0 ? 0 : bits))
}

/** False positives in proportion to size, by a factor that bisection finds; 1 in a file that then gets no filter. */
function monkey({ files, memtables }: Tree, bits: number): Allocation {
  const bitsAt = (logFactor: number) =>
    files.map(file => Math.max(0, -(logFactor + Math.log(sizeOf(file))) / Math.LN2 ** 2))
  let low = -100
  let high = 0
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2
    const allocation = bitsAt(middle)
    const memory = files.reduce((sum, file, at) => sum + sizeOf(file) * allocation[at]!, 0)
    if (memory > bits * memtables) low = middle
    else high = middle
  }
  return bitsAt(high)
}

/** Bits of filter that were written a record, had each level always had the mean of the bits that its files have now. */
function bitsWritten({ files, memtables, writtenAtLevel }: Tree, allocation: Allocation): number {
  const written = writtenAtLevel.map((count, level) => count * bitsOfLevel(files, allocation, level))
  return written.reduce((sum, bits) => sum + bits, 0) / memtables
}

/** Requires: the level has files. */
function bitsOfLevel(files: readonly TreeFile[], allocation: Allocation, level: number): number {
  const bits = allocation.filter((_, at) => files[at]!.level === level)
  return bits.reduce((sum, bits) => sum + bits, 0) / bits.length
}

/** Page reads a miss that the theory of Bloom filters gives: 0.6185 to the power of the bits, file by file. */
function readsInTheory(allocation: Allocation): number {
  return allocation.reduce((sum, bits) => sum + Math.exp(-bits * Math.LN2 ** 2), 0)
}

/** The sorted records of a file, kept for all allocations. */
const sortedRecords = new Map<string, OperationBuffer>()

function recordsOf({ from, to }: TreeFile): OperationBuffer {
  const name = `${from}-${to}`
  let sorted = sortedRecords.get(name)
  if (sorted === undefined) {
    const { key, time, id } = randomRecords(from * MEMTABLE_RECORDS, to * MEMTABLE_RECORDS)
    const halves = new Uint32Array(key.buffer)
    const rows = new OperationBuffer(LAYOUT, key.length)
    rows.count = key.length
    for (let row = 0; row < key.length; row++) {
      rows.lanes[0]![row] = halves[2 * row + 1]!
      rows.lanes[1]![row] = halves[2 * row]!
      rows.lanes[2]![row] = time[row]!
      rows.lanes[4]![row] = id[row]!
    }
    sorted = new OperationBuffer(LAYOUT, key.length)
    sorted.gather(rows, sortedOrder(rows.lanes, 2, 0, rows.count))
    sortedRecords.set(name, sorted)
  }
  return sorted
}

async function withFile(
  file: TreeFile,
  filterBitsPerRecord: number,
  use: (file: BucketFile) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'flashtable-filter-'))
  const common = {
    fileSystem: nodeFileSystem,
    directory,
    tableId: TABLE_ID,
    layout: LAYOUT,
    pageBytes: PAGE_BYTES,
  }
  try {
    const writer = await BucketFileWriter.create({
      ...common,
      number: 1,
      epoch: 1,
      level: file.level,
      filterBitsPerRecord,
      firstSequence: file.from * MEMTABLE_RECORDS,
      endSequence: file.to * MEMTABLE_RECORDS,
      deletes: [],
    })
    await writer.add(recordsOf(file))
    const open = await BucketFile.open(common, await writer.finish())
    await use(open)
    await open.close()
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Data pages that lookups of missing keys would read, in the way of src/query/lookup.ts, without a page cache. */
async function pageReads(file: BucketFile, misses: Uint32Array): Promise<number> {
  const { filter, footer } = file
  const words = await file.readPages(footer.dataPages, footer.dataPages + footer.filterPages)
  const key = new Uint32Array(2)
  let reads = 0
  for (let miss = 0; miss < misses.length / 2; miss++) {
    key[0] = misses[2 * miss + 1]!
    key[1] = misses[2 * miss]!
    const page = file.lastPageFor(key)
    const hash = hashKeyLanes(key)
    const line = page < 0 ? NO_LINE : filter.lineFor(page, hash)
    const base = line === NO_LINE ? 0 : ((filter.pageOf(line) - footer.dataPages) * PAGE_BYTES) / 4
    if (page >= 0 && (line === NO_LINE || filter.mayContain(words, base, line, hash))) reads++
  }
  return reads
}

/** Keys of no record, two lanes each, the lower first. */
function missLanes(count: number): Uint32Array {
  return new Uint32Array(missKeys(count).buffer)
}

async function measure({ files }: Tree, allocation: Allocation): Promise<number> {
  const misses = missLanes(MISSES)
  let reads = 0
  for (const [at, file] of files.entries()) {
    await withFile(file, allocation[at]!, async open => void (reads += await pageReads(open, misses)))
  }
  return reads / MISSES
}

async function printFalsePositives(): Promise<void> {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: ['bits', 'measured', 'of that many bits', 'measured / possible'],
  })
  const misses = missLanes(MANY_MISSES)
  for (const bits of BITS) {
    let measured = 0
    const file = { level: 1, from: 0, to: FANOUT }
    await withFile(file, bits, async open => void (measured = (await pageReads(open, misses)) / MANY_MISSES))
    const possible = readsInTheory([bits])
    table.push([
      bits,
      `${(100 * measured).toFixed(3)} %`,
      `${(100 * possible).toFixed(3)} %`,
      (measured / possible).toFixed(2),
    ])
  }
  process.stdout.write(
    `\nFalse positives, ${FANOUT * MEMTABLE_RECORDS} records, ${MANY_MISSES} misses\n${table.toString()}\n`,
  )
}

async function printAllocations(tree: Tree): Promise<void> {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: ['in memory', 'allocation', 'bits, oldest file first', 'reads a miss', 'in theory', 'bits written'],
  })
  for (const budget of BUDGETS) {
    const spread = monkey(tree, budget)
    const allocations: Record<string, Allocation> = {
      equal: equalBits(tree, budget),
      'none in the oldest': noneInOldest(tree, budget),
      Monkey: spread,
      "equal, Monkey's writes": equalBits(
        tree,
        bitsWritten(tree, spread) / bitsWritten(tree, equalBits(tree, 1)),
      ),
    }
    for (const [name, allocation] of Object.entries(allocations)) {
      const memory =
        tree.files.reduce((sum, file, at) => sum + sizeOf(file) * allocation[at]!, 0) / tree.memtables
      table.push([
        memory.toFixed(1),
        name,
        describe(tree, allocation),
        (await measure(tree, allocation)).toFixed(4),
        readsInTheory(allocation).toFixed(4),
        bitsWritten(tree, allocation).toFixed(1),
      ])
    }
  }
  const title = `${tree.memtables} memtables, ${tree.files.length} files (bits a record)`
  process.stdout.write(`\n${title}\n${table.toString()}\n`)
}

/** Bits of the first file of each level, and how many there are: `7 x 9.7, 7 x 14.0`. */
function describe({ files }: Tree, allocation: Allocation): string {
  const counts = new Map<string, number>()
  for (const [at, { level }] of files.entries()) {
    const bits = `${allocation[at]!.toFixed(1)} at level ${level}`
    counts.set(bits, (counts.get(bits) ?? 0) + 1)
  }
  return [...counts].map(([bits, count]) => `${count} x ${bits}`).join(', ')
}

await printFalsePositives()
for (const memtables of TREES) await printAllocations(grow(memtables))

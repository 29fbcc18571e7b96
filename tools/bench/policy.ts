/**
 * Simulates compaction policies over the growth of a table: what they write, how many files lookups see, what space
 * they need; how many runs of which size are flushed together; and the turnover of a table whose size is constant. Prints
 * the tables of docs/decisions/compaction-policy.md, runs-in-memory.md and hidden-data.md:
 * `npm --prefix tools/bench run policy`.
 *
 * The library's tiered policy is compared with lazy levelling: tiered, but the largest level is always one file (Dayan
 * & Idreos 2018, "Dostoevsky"). Sizes are in flushes of records.
 */
import Table from 'cli-table3'
import { garbageMerge, nextMerge, type EstimatedFile, type PolicyFile } from '../../src/compaction/policy.js'
import { HASH_START, hashLane } from '../../src/records/hash.js'

/** Bytes of log and of bucket file for a byte of records: random keys, as measured (docs/benchmarks.md). */
const LOG_SHARE = 11.54 / 16
const FILE_SHARE = 11.8 / 16
const FANOUTS = [4, 8, 16]
const SIZES = [1, 10, 100, 1000, 10_000]

interface SimulatedFile extends PolicyFile {
  readonly size: number
}

/** Files [from, to) become one of `level`. */
type Policy = (files: readonly SimulatedFile[], fanout: number) => Merge | undefined
interface Merge {
  readonly from: number
  readonly to: number
  readonly level: number
}

const POLICIES: Record<string, Policy> = { tiered: nextMerge, 'lazy levelling': lazyLevelling }

function lazyLevelling(files: readonly SimulatedFile[], fanout: number): Merge | undefined {
  const [largest, ...rest] = files
  if (largest === undefined) return undefined
  const level = largestLevel(largest.size, fanout)
  const merge = nextMerge(rest, fanout)
  if (merge === undefined) return undefined
  // What reaches the largest level is merged into its one file, with everything between.
  if (merge.level >= level) return { from: 0, to: merge.to + 1, level: Math.max(level, merge.level) }
  return { from: merge.from + 1, to: merge.to + 1, level: merge.level }
}

/** The level of a file that holds this many memtables. */
function largestLevel(size: number, fanout: number): number {
  let level = 1
  for (let capacity = fanout; capacity * fanout <= size; capacity *= fanout) level++
  return level
}

interface Point {
  readonly memtables: number
  readonly writeAmplification: number
  readonly files: number
  readonly mostFiles: number
  readonly space: number
}

function simulate(policy: Policy, fanout: number): Point[] {
  const points: Point[] = []
  const files: SimulatedFile[] = []
  let written = 0
  let seen = 0
  let most = 0
  let space = 1
  for (let memtables = 1; memtables <= SIZES.at(-1)!; memtables++) {
    files.push({ level: 0, size: 1 })
    written++
    for (let merge = policy(files, fanout); merge !== undefined; merge = policy(files, fanout)) {
      const inputs = files.splice(merge.from, merge.to - merge.from)
      const size = inputs.reduce((total, file) => total + file.size, 0)
      files.splice(merge.from, 0, { level: merge.level, size })
      written += size
      // While it runs, inputs and output are both there.
      space = Math.max(space, (memtables + size) / memtables)
    }
    seen += files.length
    most = Math.max(most, files.length)
    if (!SIZES.includes(memtables)) continue
    points.push({
      memtables,
      writeAmplification: LOG_SHARE + FILE_SHARE * (written / memtables),
      files: seen / memtables,
      mostFiles: most,
      space,
    })
  }
  return points
}

function print(title: string, format: (point: Point) => string): void {
  const table = new Table({
    head: ['policy', 'fanout', ...SIZES.map(size => `${size} x`)],
    style: { head: [], border: [], compact: true },
  })
  for (const [name, policy] of Object.entries(POLICIES)) {
    for (const fanout of FANOUTS) table.push([name, fanout, ...simulate(policy, fanout).map(format)])
  }
  process.stdout.write(`\n${title}\n${table.toString()}\n`)
}

print('Write amplification, log included: bytes written / record bytes', point =>
  point.writeAmplification.toFixed(2),
)
print(
  'Files that a lookup may visit: mean over the growth (most)',
  point => `${point.files.toFixed(1)} (${point.mostFiles})`,
)
print('Space while the worst merge runs / size of the table', point => point.space.toFixed(2))

// ---- runs in memory: a table that grows record by record ----

const MILLION = 1_000_000
/** Runs that are flushed together, millions of records of each, fanout. */
const BUFFERS = [
  [1, 2, 8],
  [1, 2, 16],
  [4, 1, 16],
  [8, 1, 8],
  [8, 1.048, 16],
  [16, 0.524, 16],
  [16, 1, 8],
] as const
const RECORDS = [3, 30, 100, 1000].map(millions => millions * MILLION)

/** What is written of a table that grows to that many records, and its files; what waits in memory is in the log alone. */
function grow(
  runs: number,
  runRecords: number,
  fanout: number,
): Map<number, { written: number; files: number }> {
  const files: SimulatedFile[] = []
  const points = new Map<number, { written: number; files: number }>()
  let merged = 0
  for (let records = runRecords; records <= RECORDS.at(-1)! + runRecords; records += runRecords) {
    for (const point of RECORDS) {
      if (point < records && !points.has(point)) points.set(point, { written: merged, files: files.length })
    }
    if (Math.round(records / runRecords) % runs > 0) continue
    files.push({ level: 0, size: runs * runRecords })
    merged += runs * runRecords
    for (let merge = nextMerge(files, fanout); merge !== undefined; merge = nextMerge(files, fanout)) {
      const inputs = files.splice(merge.from, merge.to - merge.from)
      const size = inputs.reduce((total, file) => total + file.size, 0)
      files.splice(merge.from, 0, { level: merge.level, size })
      merged += size
    }
    points.set(records, { written: merged, files: files.length })
  }
  return points
}

const growth = new Table({
  head: [
    'runs x millions of records, fanout',
    ...RECORDS.map(records => `${records / MILLION} M`),
    'worst',
    'files: mean (most)',
  ],
  style: { head: [], border: [], compact: true },
})
for (const [runs, millions, fanout] of BUFFERS) {
  const points = grow(runs, millions * MILLION, fanout)
  const share = (records: number): number => LOG_SHARE + (FILE_SHARE * points.get(records)!.written) / records
  const files = [...points.values()].map(point => point.files)
  growth.push([
    `${runs} x ${millions}, ${fanout}`,
    ...RECORDS.map(records => share(records).toFixed(2)),
    Math.max(...[...points.keys()].map(share)).toFixed(2),
    `${(files.reduce((sum, count) => sum + count, 0) / files.length).toFixed(1)} (${Math.max(...files)})`,
  ])
}
process.stdout.write(`\nRuns in memory: bytes written / record bytes\n${growth.toString()}\n`)

// ---- a table that keeps its size, while records are forgotten or replaced ----

const FANOUT = 8
/** Keys in the table; in memtables; how often all of them are turned over. */
const TURNOVER = { memtables: 100, memtableKeys: 100, times: 10 }
/** The share of what a merge reads that it must drop to be due. */
const SHARES: Record<string, number | undefined> = {
  'levels alone': undefined,
  'a half': 1 / 2,
  'a third': 1 / 3,
  'a quarter': 1 / 4,
}

interface KeyedFile extends PolicyFile {
  readonly keys: readonly number[]
}

/** What happens to the keys of a table. */
interface Turnover {
  /** The keys of the next memtable. */
  next(): number[]
  /** `[k]`: how many keys of each file a merge with the k files after it drops. */
  masked(files: readonly KeyedFile[]): number[][]
  /** What a merge of the files leaves. */
  merged(files: readonly KeyedFile[]): number[]
}

/** Numbers below `bound` in no visible order, the same in each run. */
function randomNumbers(): (bound: number) => number {
  let next = 0
  return bound => (hashLane(HASH_START, next++) >>> 0) % bound
}

/** New keys, and as many existing ones forgotten at random, by *delete where*. */
function forgotten(): Turnover {
  const dead = new Set<number>()
  const live: number[] = []
  const random = randomNumbers()
  let next = 0
  return {
    next() {
      const keys = Array.from({ length: TURNOVER.memtableKeys }, () => next++)
      for (let i = live.length - TURNOVER.memtables * TURNOVER.memtableKeys + keys.length; i > 0; i--) {
        const at = random(live.length)
        dead.add(live[at]!)
        live[at] = live.at(-1)!
        live.pop()
      }
      live.push(...keys)
      return keys
    },
    masked: files =>
      files.map(({ keys }, i) => Array(files.length - i).fill(keys.filter(key => dead.has(key)).length)),
    merged: files => files.flatMap(({ keys }) => keys.filter(key => !dead.has(key))),
  }
}

/** Random keys that are there already, put again: the newest counts. */
function replaced(): Turnover {
  const all = TURNOVER.memtables * TURNOVER.memtableKeys
  const random = randomNumbers()
  return {
    next: () => [...new Set(Array.from({ length: TURNOVER.memtableKeys }, () => random(all)))],
    masked(files) {
      /** The nearest later file that has the key. */
      const nearest = new Map<number, number>()
      const counts = files.map((_, i) => Array<number>(files.length - i).fill(0))
      for (let i = files.length - 1; i >= 0; i--) {
        for (const key of files[i]!.keys) {
          const other = nearest.get(key)
          if (other !== undefined) counts[i]![other - i]!++
          nearest.set(key, i)
        }
      }
      return counts.map(count => {
        let sum = 0
        return count.map(more => (sum += more))
      })
    },
    merged: files => [...new Set(files.flatMap(({ keys }) => keys))],
  }
}

function turnOver(
  turnover: Turnover,
  share: number | undefined,
): { written: number; space: number; most: number } {
  const { memtables, memtableKeys, times } = TURNOVER
  const due = (files: readonly KeyedFile[]): Merge | undefined => {
    const levels = nextMerge(files, FANOUT)
    if (levels !== undefined || share === undefined) return levels
    const masked = turnover.masked(files)
    const estimated = files.map(({ level, keys }, i): EstimatedFile => {
      return { level, operations: keys.length, masked: masked[i]!, tombstones: 0 }
    })
    return garbageMerge(estimated, share)
  }
  const files: KeyedFile[] = []
  let [written, space, most] = [0, 0, 0]
  for (let step = 1; step <= memtables * (times + 1); step++) {
    const keys = turnover.next()
    files.push({ level: 0, keys })
    const isFull = step > memtables
    if (isFull) written += keys.length
    for (let merge = due(files); merge !== undefined; merge = due(files)) {
      const inputs = files.splice(merge.from, merge.to - merge.from)
      const left = turnover.merged(inputs)
      if (left.length > 0) files.splice(merge.from, 0, { level: merge.level, keys: left })
      if (isFull) written += left.length
    }
    if (!isFull) continue
    const stored = files.reduce((sum, file) => sum + file.keys.length, 0) / (memtables * memtableKeys)
    space += stored
    most = Math.max(most, stored)
  }
  const put = memtables * memtableKeys * times
  return { written: LOG_SHARE + (FILE_SHARE * written) / put, space: space / (memtables * times), most }
}

function printTurnover(): void {
  const table = new Table({
    head: ['merges are due by', 'forgotten: written', 'space (most)', 'replaced: written', 'space (most)'],
    style: { head: [], border: [], compact: true },
  })
  for (const [name, share] of Object.entries(SHARES)) {
    const cells = [forgotten(), replaced()].flatMap(turnover => {
      const { written, space, most } = turnOver(turnover, share)
      return [written.toFixed(2), `${space.toFixed(2)} (${most.toFixed(2)})`]
    })
    table.push([name, ...cells])
  }
  process.stdout.write(
    `\nA table of ${TURNOVER.memtables} memtables, turned over ${TURNOVER.times} times\n${table.toString()}\n`,
  )
}

printTurnover()

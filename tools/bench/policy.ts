/**
 * Simulates compaction policies over the growth of a table: what they write, how many files lookups see, what space
 * they need. Prints the tables of docs/decisions/compaction-policy.md: `npm --prefix tools/bench run policy`.
 *
 * Compared with the tiered policy of the library is lazy levelling: tiered, but the largest level is always one file
 * (Dayan & Idreos 2018, "Dostoevsky"). Sizes are in memtables of records.
 */
import Table from 'cli-table3'
import { nextMerge, type PolicyFile } from '../../src/compaction/policy.js'

/** Bytes of log and of bucket file for a byte of records: random keys, as measured (docs/benchmarks.md). */
const LOG_SHARE = 10.6 / 16
const FILE_SHARE = 12.1 / 16
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

/** The level of a file that holds so many memtables. */
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

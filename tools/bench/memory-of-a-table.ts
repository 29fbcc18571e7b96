/**
 * Measures the memory of a table while it is loaded, and of a fresh process that looks up records all over it, for
 * docs/guide/choosing-options.md: `npm --prefix tools/bench run memory-of-a-table`.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { FlashTable, struct } from '../../src/index.js'
import { hitKeys, randomNumbers, randomRecords } from './records.js'

const MIB = 2 ** 20
const ROWS = 10_000
const LOOKUPS = 2_000_000
const ENCODINGS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

interface Case {
  readonly records: number
  /** In MiB. */
  readonly buffer: number
  readonly cache: number
}

const CASES: readonly Case[] = [
  { records: 1_000_000, buffer: 16, cache: 16 },
  { records: 10_000_000, buffer: 16, cache: 16 },
  { records: 10_000_000, buffer: 128, cache: 256 },
  { records: 50_000_000, buffer: 128, cache: 256 },
]

type Memory = Awaited<ReturnType<FlashTable['stats']>>['memory']

/** Filters are in the cache. */
function sumOf({ memtables, runs, spare, fences, cacheUsed }: Memory): number {
  return memtables + runs + spare + fences + cacheUsed
}

const STEPS = {
  async load(location: string, { records, buffer, cache }: Case): Promise<object> {
    const before = process.memoryUsage.rss()
    const options = { ...ENCODINGS, bufferBytes: buffer * MIB, cacheBytes: cache * MIB }
    const table = await FlashTable.open(location, options)
    let most = 0
    for (let from = 0; from < records; from += ROWS) {
      await table.putColumns(randomRecords(from, from + ROWS))
      if (from % (20 * ROWS) === 0) most = Math.max(most, sumOf((await table.stats()).memory))
    }
    const peakRss = process.resourceUsage().maxRSS * 1024
    await table.compact()
    await table.close()
    return inMib({ before, mostByStats: most, peakRss })
  },
  async read(location: string, { records, cache }: Case): Promise<object> {
    const before = process.memoryUsage.rss()
    const table = await FlashTable.open(location, { cacheBytes: cache * MIB })
    for (let round = 0; round * ROWS < LOOKUPS; round++)
      await table.getColumns(hitKeys(randomNumbers(ROWS, records, round + 1)))
    const { memory, files } = await table.stats()
    const rss = process.memoryUsage.rss()
    const file = files.reduce((sum, { bytes }) => sum + bytes, 0)
    await table.close()
    return inMib({ before, byStats: sumOf(memory), ...memory, file, rss })
  },
}

function inMib(bytes: Readonly<Record<string, number>>): object {
  return Object.fromEntries(
    Object.entries(bytes).map(([name, value]) => [name, Number((value / MIB).toPrecision(3))]),
  )
}

const [step, location, index] = process.argv.slice(2)
if (step === 'load' || step === 'read') {
  console.log(step, JSON.stringify(await STEPS[step](location!, CASES[Number(index)]!)))
} else {
  for (const [i, each] of CASES.entries()) {
    const directory = mkdtempSync(join(tmpdir(), 'flashtable-memory-'))
    console.log(JSON.stringify(each))
    for (const name of Object.keys(STEPS)) {
      const args = [fileURLToPath(import.meta.url), name, join(directory, 'table'), String(i)]
      execFileSync(process.execPath, args, { stdio: 'inherit' })
    }
    rmSync(directory, { recursive: true })
  }
}

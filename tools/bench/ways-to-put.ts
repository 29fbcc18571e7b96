/**
 * Measures the ways to put records beside each other, for docs/guide/ways-to-put.md: records a second, and bytes of log
 * and bucket files a record. `npm --prefix tools/bench run ways-to-put`.
 *
 * Each way has a process and a new table of its own, with default options and random records of 16 bytes. The ways take
 * turns, three times; a figure is the median.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { FlashTable, struct } from '../../src/index.js'
import { RECORD_BYTES, randomRecords, type Records } from './records.js'

const RUNS = 3
const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

type Table = Awaited<ReturnType<typeof open>>
const open = (location: string) => FlashTable.open(location, OPTIONS)

interface Figures {
  readonly recordsPerSecond: number
  readonly logBytes: number
  readonly bucketBytes: number
}

interface Way {
  readonly name: string
  readonly records: number
  /** Puts the records into a new table, and leaves it open. */
  readonly put: (
    location: string,
    records: Records,
  ) => Promise<{ close(): Promise<void>; stats: Table['stats'] }>
}

const WAYS: readonly Way[] = [
  { name: 'put with sync, each awaited', records: 2000, put: putsAwaited({ sync: true }) },
  { name: 'put, each awaited', records: 500_000, put: putsAwaited({}) },
  { name: 'put, 1,000 awaited together', records: 1_000_000, put: putsTogether },
  { name: 'batch of 1,000', records: 1_000_000, put: batches },
  { name: 'putColumns of 1,000', records: 3_000_000, put: columns(1000) },
  { name: 'putColumns of 10,000', records: 3_000_000, put: columns(10_000) },
  { name: 'bulkLoad', records: 3_000_000, put: bulkLoad },
]

function row({ key, time, flags, id }: Records, i: number) {
  return [key[i]!, { time: time[i]!, flags: flags[i]!, id: id[i]! }] as const
}

function putsAwaited(options: { sync?: boolean }): Way['put'] {
  return async (location, records) => {
    const table = await open(location)
    for (let i = 0; i < records.key.length; i++) await table.put(...row(records, i), options)
    return table
  }
}

async function putsTogether(location: string, records: Records) {
  const table = await open(location)
  for (let from = 0; from < records.key.length; from += 1000)
    await Promise.all(Array.from({ length: 1000 }, (_, i) => table.put(...row(records, from + i))))
  return table
}

async function batches(location: string, records: Records) {
  const table = await open(location)
  for (let from = 0; from < records.key.length; from += 1000) {
    const operations = Array.from({ length: 1000 }, (_, i) => {
      const [key, value] = row(records, from + i)
      return { type: 'put', key, value } as const
    })
    await table.batch(operations)
  }
  return table
}

function columns(rows: number): Way['put'] {
  return async (location, records) => {
    const table = await open(location)
    for (const part of parts(records, rows)) await table.putColumns(part)
    return table
  }
}

function bulkLoad(location: string, records: Records) {
  return FlashTable.bulkLoad(location, OPTIONS, parts(records, 10_000))
}

function* parts({ key, time, flags, id }: Records, rows: number): Generator<Records> {
  for (let from = 0; from < key.length; from += rows) {
    const to = from + rows
    yield {
      key: key.subarray(from, to),
      time: time.subarray(from, to),
      flags: flags.subarray(from, to),
      id: id.subarray(from, to),
    }
  }
}

/** In a process of its own: until the promise of the last put has resolved. */
async function measure({ put, records: count }: Way): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), 'flashtable-ways-'))
  try {
    const records = randomRecords(0, count)
    const startMs = performance.now()
    const table = await put(join(directory, 'table'), records)
    const seconds = (performance.now() - startMs) / 1000
    const { bytesWritten } = await table.stats()
    await table.close()
    return {
      recordsPerSecond: count / seconds,
      logBytes: bytesWritten.wal / count,
      bucketBytes: bytesWritten.buckets / count,
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function median(figures: readonly Figures[], name: keyof Figures): string {
  const sorted = figures.map(each => each[name]).sort((a, b) => a - b)
  const middle = sorted[sorted.length >> 1]!
  return Number(middle.toPrecision(3)).toLocaleString('en')
}

async function main(): Promise<void> {
  const chosen = WAYS.find(({ name }) => name === process.argv[2])
  if (chosen !== undefined) {
    process.stdout.write(JSON.stringify(await measure(chosen)))
    return
  }
  const results = new Map<Way, Figures[]>(WAYS.map(way => [way, []]))
  for (let run = 0; run < RUNS; run++)
    for (const [way, figures] of results) {
      const output = execFileSync(process.execPath, [fileURLToPath(import.meta.url), way.name], {
        encoding: 'utf8',
      })
      figures.push(JSON.parse(output) as Figures)
    }
  console.log(`a record has ${RECORD_BYTES} bytes; median of ${RUNS} runs`)
  console.log('| way | records/s | bytes of log a record | bytes of bucket files a record |')
  for (const [{ name }, figures] of results) {
    const cells = (['recordsPerSecond', 'logBytes', 'bucketBytes'] as const).map(each =>
      median(figures, each),
    )
    console.log(`| ${name} | ${cells.join(' | ')} |`)
  }
}

await main()

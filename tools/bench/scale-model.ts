/**
 * Simulates published tables of up to 10^12 records: what they upload, ask, keep and cost, by the policy, the manifest and
 * the collection of the library, on files that do not exist: `npm --prefix tools/bench run scale-model`.
 *
 * First the same is done for real, with 10^8 records: the figures must agree within a tenth. docs/benchmarks.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import Table from 'cli-table3'
import { Command, InvalidArgumentError } from 'commander'
import { describeMachine } from './machine.js'
import { S3_LATENCY } from './scale/counting-store.js'
import { comparedOf, differences, realRun, type ComparedFigures } from './scale/real-run.js'
import { SimulatedPartition, type PartitionOptions } from './scale/partition.js'
import { scaleOf, type Scale, type ScaleFigures } from './scale/scale.js'

interface Options {
  readonly real: number
  readonly most: number
  readonly json?: string
  readonly dir: string
}

const FANOUT = 16
const MIB = 2 ** 20
/** Records of a buffer of 128 MiB, the default; and of 8 MiB, if 16 partitions share it. */
const BUFFER_RECORDS = (128 * MIB) / 16
const SHARED_BUFFER_RECORDS = (8 * MIB) / 16

const SCALES: readonly Scale[] = [
  { records: 1e8, partitions: 1, simulated: 1, writers: 1, bufferRecords: BUFFER_RECORDS },
  { records: 1e9, partitions: 1, simulated: 1, writers: 1, bufferRecords: BUFFER_RECORDS },
  { records: 1e10, partitions: 4, simulated: 4, writers: 1, bufferRecords: BUFFER_RECORDS },
  { records: 1e11, partitions: 32, simulated: 32, writers: 2, bufferRecords: BUFFER_RECORDS },
  { records: 1e12, partitions: 256, simulated: 256, writers: 16, bufferRecords: BUFFER_RECORDS },
  { records: 1e12, partitions: 256, simulated: 16, writers: 16, bufferRecords: SHARED_BUFFER_RECORDS },
]

/** Of a version: puts are slow where there are 32 files, but they never stop. */
const OBJECTS_MOST = 128

/** Rows of the printed table. */
const ROWS: readonly (readonly [title: string, value: (figures: ScaleFigures) => string])[] = [
  ['partitions x records', f => `${f.partitions} x ${short(f.records / f.partitions)}`],
  ['buffer of a partition, MiB', f => String((16 * f.bufferRecords) / MIB)],
  ['hours of loading, writers', f => `${f.hours.toFixed(1)}, ${f.writers}`],
  ['stored at the end, GB', f => short(f.liveBytes / 1e9)],
  ['bytes a record', f => (f.liveBytes / f.records).toFixed(2)],
  ['uploaded, GB', f => short(f.uploadedBytes / 1e9)],
  ['uploaded / stored', f => (f.uploadedBytes / f.liveBytes).toFixed(2)],
  ['PUT requests, thousands', f => short(f.puts / 1e3)],
  ['of them MANIFEST', f => short(f.swaps / 1e3)],
  ['DELETE requests, thousands', f => short(f.deletes / 1e3)],
  [
    'live objects a partition: end, mean, most',
    f => `${f.liveObjects.toFixed(0)}, ${f.liveObjectsMean.toFixed(0)}, ${f.liveObjectsMost}`,
  ],
  [
    'MANIFEST, KB: end, most',
    f => `${(f.manifestBytes / 1e3).toFixed(0)}, ${(f.manifestBytesMost / 1e3).toFixed(0)}`,
  ],
  ['retired objects a partition, most', f => String(f.retiredMost)],
  ['retired bytes / stored, most', f => f.retiredShareMost.toFixed(2)],
  ['a retired object stayed, minutes, most', f => (f.retiredMsMost / 60_000).toFixed(1)],
  [
    'a publish took, s: mean, most',
    f => `${(f.publishMsMean / 1e3).toFixed(1)}, ${(f.publishMsMost / 1e3).toFixed(0)}`,
  ],
  [
    'fences in memory, MB: all, a partition',
    f => `${short(f.fenceBytes / 1e6)}, ${short(f.fenceBytes / 1e6 / f.partitions)}`,
  ],
  [
    'filters, MB: all, a partition',
    f => `${short(f.filterBytes / 1e6)}, ${short(f.filterBytes / 1e6 / f.partitions)}`,
  ],
  [
    'GET a cold hit: all filters, 256 MiB a partition, none',
    f => f.getsPerHit.map(gets => gets.toFixed(2)).join(', '),
  ],
  [
    'loading: requests, storage of what was retired, $',
    f => `${f.putDollars.toFixed(3)}, ${f.retiredDollars.toFixed(3)}`,
  ],
  ['stored a month, $', f => f.monthDollars.toFixed(2)],
  ['a million cold hits, $', f => f.hitDollars.map(dollars => dollars.toFixed(2)).join(', ')],
  ['partitions simulated, in s', f => `${f.simulated}, ${f.simulatedSeconds.toFixed(1)}`],
]

async function main({ real, most, json, dir }: Options): Promise<void> {
  const description = describeMachine()
  const compared = []
  for (const bufferRecords of [BUFFER_RECORDS, SHARED_BUFFER_RECORDS])
    compared.push(await compare(real, bufferRecords, dir))
  const scales: ScaleFigures[] = []
  for (const scale of SCALES.filter(({ records }) => records <= most)) {
    process.stderr.write(`${short(scale.records)} records in ${scale.partitions} partitions\n`)
    scales.push(scaleOf(scale))
  }
  printScales(scales)
  if (json !== undefined)
    writeFileSync(
      json,
      `${JSON.stringify({ ...description, latency: S3_LATENCY, compared, scales }, null, 2)}\n`,
    )
  const wrong = [...compared.flatMap(({ wrong }) => wrong), ...unboundedIn(scales)]
  for (const problem of wrong) process.stderr.write(`wrong: ${problem}\n`)
  if (wrong.length > 0) process.exitCode = 1
}

/** The library and the simulation, side by side. */
async function compare(
  records: number,
  bufferRecords: number,
  dir: string,
): Promise<{ simulated: ComparedFigures; measured: ComparedFigures; wrong: string[] }> {
  process.stderr.write(`for real: ${short(records)} records, ${(16 * bufferRecords) / MIB} MiB of buffer\n`)
  const base = mkdtempSync(join(resolve(dir), 'flashtable-scale-'))
  let measured: ComparedFigures
  try {
    measured = await realRun({ directory: base, records, bufferRecords, fanout: FANOUT })
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
  const simulated = comparedOf(new SimulatedPartition(asReal(records, bufferRecords)).run())
  const table = new Table({
    head: [
      `${short(records)} records, ${(16 * bufferRecords) / MIB} MiB`,
      'measured',
      'simulated',
      'differs',
    ],
    style: { head: [], border: [], compact: true },
  })
  for (const [name, value] of Object.entries(measured) as [keyof ComparedFigures, number][]) {
    const difference = simulated[name] / value - 1
    table.push([
      name,
      value.toLocaleString('en-US'),
      simulated[name].toLocaleString('en-US'),
      Number.isNaN(difference) ? '0.0 %' : `${(100 * difference).toFixed(1)} %`,
    ])
  }
  process.stdout.write(`${table.toString()}\n`)
  return { simulated, measured, wrong: differences(simulated, measured) }
}

/** A merge ends after the publish of the flush that made it due, and before the next flush; each change is published. */
function asReal(records: number, bufferRecords: number): PartitionOptions {
  return {
    records,
    partitions: 1,
    bufferRecords,
    fanout: FANOUT,
    recordsPerSecond: records / 3000,
    mergeRecordsPerSecond: 1e11,
    publishEveryMs: 0,
    retentionMs: 3_600_000,
    latency: { medianMs: 1e-3, p99Ms: 2e-3, bytesPerSecond: 1e15 },
    seed: 1,
    serializeEvery: 1,
  }
}

/** What must stay bounded, or grow no faster than the records. */
function unboundedIn(scales: readonly ScaleFigures[]): string[] {
  const wrong: string[] = []
  for (const {
    records,
    retentionMs,
    retiredMsMost,
    publishMsMost,
    manifestBytesMost,
    liveObjectsMost,
  } of scales) {
    const at = `at ${short(records)} records`
    if (retiredMsMost > retentionMs + publishMsMost)
      wrong.push(`${at} a retired object stayed ${retiredMsMost} ms`)
    if (manifestBytesMost > 16 * MIB) wrong.push(`${at} a manifest has ${manifestBytesMost} bytes`)
    if (liveObjectsMost > OBJECTS_MOST) wrong.push(`${at} a version has ${liveObjectsMost} objects`)
  }
  // Below, there are no merges yet.
  const comparable = scales.filter(
    ({ bufferRecords, records }) => bufferRecords === BUFFER_RECORDS && records >= 1e9,
  )
  for (const [i, { records, puts }] of comparable.entries()) {
    const before = comparable[i - 1]
    if (before !== undefined && puts / before.puts > 1.5 * (records / before.records))
      wrong.push(`requests grow faster than records: ${before.puts} to ${puts}`)
  }
  return wrong
}

function printScales(scales: readonly ScaleFigures[]): void {
  const table = new Table({
    head: ['records', ...scales.map(({ records }) => short(records))],
    style: { head: [], border: [], compact: true },
  })
  for (const [title, value] of ROWS) table.push([title, ...scales.map(value)])
  process.stdout.write(`\n${table.toString()}\n`)
}

function short(value: number): string {
  if (value >= 1e8)
    return `${Number((value / 10 ** Math.floor(Math.log10(value))).toPrecision(2))}e${Math.floor(Math.log10(value))}`
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(2)))
}

function count(text: string): number {
  const number = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('a count is a positive integer')
  return number
}

const program = new Command('npm --prefix tools/bench run scale-model --')
  .description(
    'Simulates published tables of up to 10^12 records; the first figures are compared with a real table',
  )
  .option('--real <count>', 'records of the real table', count, 1e8)
  .option('--most <count>', 'the most records that are simulated', count, 1e12)
  .option('--json <file>', 'save the figures')
  .option('--dir <directory>', 'where the real table is made', tmpdir())
await main(program.parse().opts<Options>())

/**
 * `npm run bench`: runs workloads beside the peers, each run in its own process, and prints and saves the figures.
 *
 * A figure is the median of its runs. docs/benchmarks.md.
 */
import { fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import type { CaseResult } from './case.js'
import { mountDevice } from './device.js'
import { describeMachine } from './machine.js'
import { printResult, type Report, type WorkloadResult } from './report.js'
import { SETTINGS } from './settings.js'
import { STORES, type Figures, type RunSettings, type StoreName, type Workload } from './workload.js'
import { WORKLOADS } from './workloads/index.js'

interface Options {
  readonly only?: string[]
  readonly store?: string[]
  readonly records?: number
  readonly peerRecords?: number
  readonly mostMinutes?: number
  readonly runs: number
  readonly json?: string
  readonly dir: string
  readonly full?: boolean
}

/** A file of 48 GiB with holes: no workload comes near. */
const DEVICE_BYTES = 48 * 2 ** 30

async function main(options: Options): Promise<void> {
  const base = mkdtempSync(join(resolve(options.dir), 'flashtable-bench-'))
  const results: WorkloadResult[] = []
  // Taken at the start: the working tree may change while this runs.
  const description = describeMachine()
  const report = (): Report => ({ ...description, settings: SETTINGS, options, results })
  const save = () => {
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report(), null, 2)}\n`)
  }
  try {
    for (const workload of chosen(WORKLOADS, options.only)) {
      results.push(await runWorkload(workload, options, base))
      printResult(results.at(-1)!)
      save()
    }
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

async function runWorkload(workload: Workload, options: Options, base: string): Promise<WorkloadResult> {
  const records =
    options.records ?? (options.full === true && workload.name === 'growth' ? 100e6 : workload.records)
  const stores: WorkloadResult['stores'] = {}
  let counted = ''
  for (const store of chosen(workload.stores, options.store)) {
    const storeRecords = store === 'flashtable' ? records : Math.min(records, options.peerRecords ?? records)
    const runs: Figures[] = []
    let problem: string | undefined
    for (let run = 0; run < options.runs && problem === undefined; run++) {
      process.stderr.write(`${workload.name}: ${store}, run ${run + 1} of ${options.runs}\n`)
      const device = mountDevice(base, DEVICE_BYTES)
      counted = typeof device === 'string' ? `bytes given to write calls (${device})` : 'device bytes'
      const directory = join(typeof device === 'string' ? base : device.directory, 'case')
      mkdirSync(directory)
      const name = typeof device === 'string' ? undefined : device.name
      const settings = { directory, device: name, store, records: storeRecords, full: options.full === true }
      const result = await runCase(workload, settings, options.mostMinutes)
      rmSync(directory, { recursive: true })
      if (typeof device !== 'string') device.unmount()
      if ('figures' in result) runs.push(result.figures)
      else problem = 'skipped' in result ? `skipped: ${result.skipped}` : `failed: ${result.failed}`
    }
    stores[store] =
      problem === undefined ? { records: storeRecords, runs, median: medians(runs) } : { problem }
    if (problem !== undefined) process.stderr.write(`${workload.name}: ${store} ${problem}\n`)
  }
  const { name, sentence, figures } = workload
  return { workload: name, sentence, figures, records, counted, at: new Date().toISOString(), stores }
}

/** Runs one case in its own process. A run that takes too long is killed and reported as skipped. */
function runCase(
  workload: Workload,
  settings: RunSettings,
  mostMinutes: number | undefined,
): Promise<CaseResult> {
  const script = fileURLToPath(new URL('./case.js', import.meta.url))
  const child = fork(script, [workload.name, JSON.stringify(settings)], { stdio: ['ignore', 2, 2, 'ipc'] })
  return new Promise(resolve => {
    let result: CaseResult = { failed: 'the process ended without a result' }
    const end = () => {
      result = { skipped: `did not end within ${mostMinutes} minutes` }
      child.kill('SIGKILL')
    }
    const timer = mostMinutes === undefined ? undefined : setTimeout(end, mostMinutes * 60_000)
    child.on('message', message => (result = message as CaseResult))
    child.on('close', () => {
      clearTimeout(timer)
      resolve(result)
    })
  })
}

function medians(runs: readonly Figures[]): Figures {
  return Object.fromEntries(
    Object.keys(runs[0] ?? {}).map(name => [name, median(runs.map(run => run[name]!))]),
  )
}

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** The items that were asked for, or all. */
function chosen<T extends StoreName | Workload>(
  all: readonly T[],
  names: readonly string[] | undefined,
): T[] {
  const nameOf = (item: T) => (typeof item === 'string' ? item : item.name)
  return all.filter(item => names?.includes(nameOf(item)) ?? true)
}

function count(text: string): number {
  const number = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('a count is a positive integer')
  return number
}

const program = new Command('npm run bench --')
  .description('Runs the benchmarks of docs/benchmarks.md')
  .option('--only <workloads...>', `some of ${WORKLOADS.map(({ name }) => name).join(', ')}`)
  .option('--store <stores...>', `some of ${STORES.join(', ')}`)
  .option('--records <count>', 'number of records, instead of that of each workload', count)
  .option('--peer-records <count>', 'the most records for the peers: some take hours', count)
  .option('--most-minutes <count>', 'a run that takes longer is ended and skipped', count)
  .option('--runs <count>', 'runs of each; the median counts', count, 3)
  .option('--json <file>', 'save the figures')
  .option('--dir <directory>', 'where the tables are made', tmpdir())
  .option('--full', 'growth up to 100 million records')
await main(program.parse().opts<Options>())

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
import { formatTarget, printResult, type Report, type WorkloadResult } from './report.js'
import { SETTINGS } from './settings.js'
import { median } from './timing.js'
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
  const outcomes = chosen(workload.stores, options.store).map(store => ({
    store,
    records: store === 'flashtable' ? records : Math.min(records, options.peerRecords ?? records),
    runs: [] as Figures[],
    problem: undefined as string | undefined,
  }))
  let counted = ''
  // The stores take turns: what else the machine does meets all of them.
  for (let run = 0; run < options.runs; run++) {
    for (const outcome of outcomes.filter(({ problem }) => problem === undefined)) {
      process.stderr.write(`${workload.name}: ${outcome.store}, run ${run + 1} of ${options.runs}\n`)
      const [result, how] = await runOnce(workload, outcome, options, base)
      counted = how
      if ('figures' in result) outcome.runs.push(result.figures)
      else outcome.problem = 'skipped' in result ? `skipped: ${result.skipped}` : `failed: ${result.failed}`
      if (outcome.problem === undefined) continue
      process.stderr.write(`${workload.name}: ${outcome.store} ${outcome.problem}\n`)
    }
  }
  const stores: WorkloadResult['stores'] = Object.fromEntries(
    outcomes.map(({ store, records, runs, problem }) => [
      store,
      problem === undefined ? { records, runs, median: medians(runs) } : { problem },
    ]),
  )
  const { name, sentence, figures } = workload
  return { workload: name, sentence, figures, records, counted, at: new Date().toISOString(), stores }
}

/** One run on its own device, if there can be one; with it, what counts as bytes written. */
async function runOnce(
  workload: Workload,
  { store, records }: { store: StoreName; records: number },
  options: Options,
  base: string,
): Promise<[CaseResult, string]> {
  const device = mountDevice(base, DEVICE_BYTES)
  const isMounted = typeof device !== 'string'
  const directory = join(isMounted ? device.directory : base, 'case')
  mkdirSync(directory)
  const name = isMounted ? device.name : undefined
  const settings = { directory, device: name, store, records, full: options.full === true }
  const result = await runCase(workload, settings, options.mostMinutes)
  rmSync(directory, { recursive: true })
  if (isMounted) device.unmount()
  return [result, isMounted ? 'device bytes' : `bytes given to write calls (${device})`]
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

/** For `--help`: what each workload does, how large it is, and which figures it gives. */
function describeWorkloads(): string {
  const texts = WORKLOADS.map(({ name, sentence, stores, records, figures }) => {
    const rows = Object.values(figures).map(kind =>
      [`    ${kind.unit}`, formatTarget(kind)].filter(text => text !== '').join(', target '),
    )
    const size = `${records.toLocaleString('en-US')} records by default; ${stores.join(', ')}`
    return [`${name}: ${size}`, `  ${sentence}`, ...rows].join('\n')
  })
  return ['', 'Workloads, and their figures:', ...texts].join('\n\n')
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
  .addHelpText('after', describeWorkloads())
await main(program.parse().opts<Options>())

/**
 * The crash explorer: stops a workload at a call of the file system, draws disks that a power cut there may leave, and
 * opens them again (ALICE, OSDI'14).
 *
 * Each disk must open without help and hold the state behind a prefix of the calls, with everything acknowledged as
 * durable in it; a second recovery gives the same; then put, sync, power cut and open work once more.
 */
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { History, stateText, type CrashRecord } from './history.js'
import { Driver, WORKLOADS, openOn, type CrashTable } from './workloads.js'

/** One stop of one workload, and one disk that it may leave. */
export interface State {
  readonly workload: string
  readonly step: number
  readonly seed: number
}

export interface Exploration {
  readonly states: number
  readonly steps: number
}

/** How one run of a workload ended. */
interface Run {
  readonly disk: SimulatedFileSystem
  readonly history: History
}

/** Runs the workload until it ends, or until call `step`. */
export async function run(workload: string, step?: number): Promise<Run> {
  const disk = new SimulatedFileSystem({ seed: 1, crashAt: step })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const history = new History()
  const driver = new Driver(disk, history)
  try {
    await WORKLOADS[workload]!(driver)
  } catch (error) {
    if (!disk.crashed) throw error
  }
  return { disk, history }
}

/** Calls that the workload makes when nothing stops it. */
export async function stepsOf(workload: string): Promise<number> {
  return (await run(workload)).disk.calls
}

/**
 * Explores about `states` states of the workload, over all its stops alike. Throws at the first state that breaks a
 * promise, with what is needed to see it again.
 */
export async function explore(workload: string, states: number, firstSeed: number): Promise<Exploration> {
  const steps = await stepsOf(workload)
  const seeds = Math.max(1, Math.ceil(states / steps))
  let explored = 0
  for (let step = 1; step <= steps; step++) {
    const stopped = await run(workload, step)
    const states = stopped.history.states()
    for (let i = 0; i < seeds; i++) {
      await checkState(stopped, states, { workload, step, seed: firstSeed + i })
      explored++
    }
    // kill -9 at the same place: the page cache survives.
    await check(stopped.disk.clone(), stopped.history.written, states, { workload, step, seed: -1 })
    explored++
  }
  return { states: explored, steps }
}

/** Checks one state again: what a failure message names. */
export async function replay({ workload, step, seed }: State): Promise<void> {
  const stopped = await run(workload, step)
  const states = stopped.history.states()
  if (seed < 0) await check(stopped.disk.clone(), stopped.history.written, states, { workload, step, seed })
  else await checkState(stopped, states, { workload, step, seed })
}

async function checkState(stopped: Run, states: readonly string[], state: State): Promise<void> {
  await check(stopped.disk.crashState(state.seed), stopped.history.durable, states, state)
}

async function check(
  disk: SimulatedFileSystem,
  promised: number,
  states: readonly string[],
  state: State,
): Promise<void> {
  try {
    const untouched = disk.clone()
    const table = await openOn(disk)
    const found = await contents(table)
    const prefix = states.lastIndexOf(found)
    if (prefix < 0) throw new Error(`no prefix of the history has this state: ${difference(found, states)}`)
    if (prefix < promised) throw new Error(`the state behind ${prefix} calls, but ${promised} were promised`)
    await checkAgain(untouched, found, state.seed)
    await checkGoesOn(disk, table, found)
  } catch (error) {
    throw new Error(
      `${(error as Error).message}\n  to see it again: npm run test:crash -- --workload ${state.workload} ` +
        `--step ${state.step} --seed ${state.seed}\n  ${disk.history.join('\n  ')}`,
      { cause: error },
    )
  }
}

/** A second recovery, after one that was cut off at a call of its own, gives the same. */
async function checkAgain(disk: SimulatedFileSystem, expected: string, seed: number): Promise<void> {
  // A stop somewhere within the first thirty calls of an open.
  disk.crashAt = 1 + (Math.abs(seed) % 30)
  await openOn(disk).catch((error: unknown) => {
    if (!disk.crashed) throw error
  })
  // After kill -9 the page cache is still there; a power cut might take what the first recovery saw in it.
  const second = seed < 0 ? disk.clone() : disk.crashState(seed)
  const table = await openOn(second)
  const found = await contents(table)
  if (found !== expected) throw new Error(`a second recovery differs: ${found} instead of ${expected}`)
}

/** Put, sync, power cut, open: the table works on. */
async function checkGoesOn(disk: SimulatedFileSystem, table: CrashTable, before: string): Promise<void> {
  await table.put(1_000_000, { time: 1, id: 1 }, { sync: true })
  const after = await openOn(disk.crashState(1))
  const expected = before === '' ? '1000000:1:1' : `${before} 1000000:1:1`
  const found = await contents(after)
  if (found !== expected) throw new Error(`a record put after recovery is missing: ${found}`)
}

/** Everything in the table, by a scan; lookups must say the same. */
async function contents(table: CrashTable): Promise<string> {
  const records: CrashRecord[] = []
  for await (const [key, { time, id }] of table.entries()) records.push({ key: Number(key), time, id })
  const keys = [...new Set(records.map(({ key }) => key))].slice(0, 3)
  for (const key of keys) {
    const all = await table.getAll(key)
    const scanned = records.filter(record => record.key === key)
    if (stateText(all.map(({ time, id }) => ({ key, time, id }))) !== stateText(scanned)) {
      throw new Error(`getAll(${key}) and the scan differ`)
    }
  }
  return stateText(records)
}

function difference(found: string, states: readonly string[]): string {
  const last = states.at(-1)!.split(' ')
  const here = found.split(' ')
  const missing = last.filter(record => !here.includes(record)).length
  const extra = here.filter(record => !last.includes(record))
  return `${here.length} records; ${missing} of the full history are missing, ${extra.length} do not belong (${extra.slice(0, 5).join(' ')})`
}

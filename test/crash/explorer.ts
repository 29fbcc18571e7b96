/**
 * The crash explorer: stops a workload at a call of the file system, draws disks that a power cut there may leave, and
 * opens them again (ALICE, OSDI'14).
 *
 * What a stop leaves is taken from a run that goes on: the calls in flight are done, done in part or not done, the disk is
 * copied, and all is put back. Or a run ends there, as a process does that dies. That is slower and stricter: what was
 * acknowledged by then is promised, although the caller has not heard it yet.
 *
 * Each disk must open without help and hold the state behind a prefix of the calls, with everything acknowledged as
 * durable in it; then put, sync, power cut and open work, and show the same and that put. Recovery is stopped at a call
 * of its own too: what comes after must find the same. Many draws give the same disk; it is opened once for each way
 * to go on, and what it held is compared with what was promised at each stop.
 */
import { crc32 } from 'node:zlib'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import type { Call, CallName } from '../support/simulated-file-system.js'
import { stopClock } from '../support/stopped-clock.js'
import { Driver } from './driver.js'
import { History, type Promised } from './history.js'
import { contents, metaOf, openOn } from './table.js'
import { WORKLOADS } from './workloads/index.js'
import type { Workload } from './workloads/workload.js'

/** One stop of one workload, and one disk that it may leave: what is needed to see a failure again. */
export interface State {
  readonly workload: string
  readonly step: number
  /** -1: the process dies and the page cache survives. */
  readonly seed: number
}

export interface Exploration {
  /** Stops: calls that the workload makes. */
  readonly steps: number
  /** Disks drawn. */
  readonly states: number
  /** Those that no other draw of the workload gave. */
  readonly disks: number
  /** Different stops of recoveries. */
  readonly recoveries: number
}

/** How one run of a workload ended. */
interface Run {
  readonly disk: SimulatedFileSystem
  readonly history: History
}

/** What the end of the process at a call leaves, and what was promised by then. */
interface Stop {
  readonly disk: SimulatedFileSystem
  readonly promised: Promised
}

export interface ExploreOptions {
  /** How many are drawn, about, over all stops alike. */
  readonly states: number
  readonly seed: number
  /** Called after each state, with how many there have been. */
  readonly onState?: (states: number) => void
  /** Which stops are visited; default: all. */
  readonly isVisited?: (step: number, steps: number) => boolean
  /** At which of them a run ends; the others are taken from one that goes on. Default: at all. */
  readonly isRunAnew?: (step: number) => boolean
}

/** What a disk holds, and how many calls it takes to open it. */
interface Held {
  readonly table: string
  readonly meta: number
  /** Of each copy; `undefined`: it is no table. */
  readonly copies: readonly ({ readonly table: string; readonly meta: number } | undefined)[]
  readonly openCalls: number
}

/** One draw in this many stops the recovery, too. */
const INTERRUPTED_EVERY = 8
/** In one draw in this many the next open merges as the workload does; else merges that are due wait. */
const MERGING_EVERY = 4
const PATIENT_FANOUT = 8
/** One different disk in this many is opened by a reader first. */
const READER_EVERY = 4
const READER_CALLS: ReadonlySet<CallName> = new Set(['open', 'read', 'size', 'close', 'list', 'info'])

/** Runs the workload until it ends, or until call `step`. `onBegun` sees the calls. */
async function run(workload: string, step?: number, onBegun?: (call: Call, run: Run) => void): Promise<Run> {
  const disk = new SimulatedFileSystem({ seed: 1, crashAt: step })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const { options = {}, run } = workloadOf(workload)
  const { duplicates, combine } = options
  const history = new History(
    duplicates === 'replace' ? 'replaced' : combine === undefined ? 'kept' : 'combined',
  )
  if (onBegun !== undefined) disk.onBegun = call => onBegun(call, { disk, history })
  try {
    await run(new Driver(disk, history, options))
  } catch (error) {
    if (!disk.crashed) throw error
  }
  return { disk, history }
}

/** Explores a workload. Throws at the first state that breaks a promise, with what is needed to see it again. */
export async function explore(workload: string, options: ExploreOptions): Promise<Exploration> {
  return withStoppedClock(() => exploreWith(workload, options))
}

async function exploreWith(
  workload: string,
  { states, seed, onState = () => {}, isVisited = () => true, isRunAnew = () => true }: ExploreOptions,
): Promise<Exploration> {
  const { disk } = await run(workload)
  const steps = disk.calls
  const visited = Array.from({ length: steps }, (_, i) => i + 1).filter(step => isVisited(step, steps))
  const explorer = await Explorer.of(workload, visited)
  const seeds = Math.max(1, Math.ceil(states / steps) - 1)
  for (const step of visited) {
    await explorer.stopAt(step, isRunAnew(step))
    await explorer.check(-1, false)
    for (let i = 0; i < seeds; i++) {
      // Each stop has seeds of its own, or all would make the same choices.
      await explorer.check(seed + (step - 1) * seeds + i, false)
      onState(explorer.states)
    }
  }
  return {
    steps: visited.length,
    states: explorer.states,
    disks: explorer.disks,
    recoveries: explorer.recoveries,
  }
}

/** Checks one state again, in every way. */
export async function replay({ workload, step, seed }: State): Promise<void> {
  await withStoppedClock(async () => {
    const explorer = await Explorer.of(workload, [step])
    await explorer.stopAt(step, true)
    await explorer.check(seed, true)
  })
}

/** Long work lets the event loop turn by the clock (src/async/turns.ts): each run must do so at the same places. */
async function withStoppedClock<T>(action: () => Promise<T>): Promise<T> {
  const goOn = stopClock()
  try {
    return await action()
  } finally {
    goOn()
  }
}

class Explorer {
  states = 0
  recoveries = 0
  readonly #workload: string
  readonly #options: NonNullable<Workload['options']>
  readonly #held = new Map<string, Held>()
  readonly #interrupted = new Set<string>()
  /** The state behind each prefix of all calls of the workload. */
  readonly #allPrefixes: readonly string[]
  readonly #calls: History['calls']
  readonly #stops: ReadonlyMap<number, Stop>
  #step = 0
  #stop!: Stop
  /** The state behind each prefix of the calls up to the stop. */
  #prefixes: readonly string[] = []

  /** `whole` is the run that nothing stops, `stops` what some of its calls would leave. */
  private constructor(workload: string, whole: Run, stops: ReadonlyMap<number, Stop>) {
    this.#workload = workload
    this.#options = workloadOf(workload).options ?? {}
    this.#allPrefixes = whole.history.states()
    this.#calls = whole.history.calls
    this.#stops = stops
  }

  /** `steps`: ascending. As where a run ends, a stop is the first call to begin of those that have its number or a higher one. */
  static async of(workload: string, steps: readonly number[]): Promise<Explorer> {
    const stops = new Map<number, Stop>()
    const take = (last: number, { disk, history }: Run): void => {
      const here = steps.filter(step => step <= last && !stops.has(step))
      if (here.length === 0) return
      const stop = { disk: disk.leftByKill(), promised: history.promised() }
      for (const step of here) stops.set(step, stop)
    }
    const whole = await run(workload, undefined, ({ step }, soFar) => take(step, soFar))
    take(Infinity, whole)
    return new Explorer(workload, whole, stops)
  }

  get disks(): number {
    return this.#held.size
  }

  /** `anew`: a run ends there. */
  async stopAt(step: number, anew: boolean): Promise<void> {
    this.#step = step
    const taken = this.#stops.get(step)!
    this.#stop = anew ? await this.#runTo(step, taken) : taken
    this.#prefixes = this.#allPrefixes.slice(0, this.#stop.promised.calls + 1)
  }

  /** `taken`: what must be left. */
  async #runTo(step: number, taken: Stop): Promise<Stop> {
    const { disk, history } = await run(this.#workload, step)
    if (history.calls.some((effects, i) => effects.length !== this.#calls[i]!.length)) {
      throw new Error(`${this.#workload} asks for something else when it is stopped at call ${step}`)
    }
    if (!areAlike(disk, taken.disk, step)) {
      throw new Error(`${this.#workload} leaves another disk when it is stopped at call ${step}`)
    }
    return { disk, promised: history.promised() }
  }

  /** Draws a disk and checks it; `thoroughly`: in every way, whatever the seed. */
  async check(seed: number, thoroughly: boolean): Promise<void> {
    const { disk: stopped } = this.#stop
    const disk = seed < 0 ? stopped.clone() : stopped.crashState(seed)
    this.states++
    try {
      const identity = identityOf(disk)
      let held = this.#held.get(identity)
      // Of a page cache that survives more is to come than its bytes tell: what of it is synced.
      if (held === undefined || seed < 0) {
        if (thoroughly || this.#held.size % READER_EVERY === 0) await this.#checkReader(disk.clone())
        held = await this.#open(disk.clone(), seed)
        if (seed >= 0) this.#held.set(identity, held)
      }
      this.#expectPromised(held, seed < 0)
      if (thoroughly || seed % INTERRUPTED_EVERY === 0) await this.#interrupt(disk, identity, held, seed)
    } catch (error) {
      throw new Error(
        `${(error as Error).message}\n  to see it again: npm run test:crash -- --workload ${this.#workload} ` +
          `--step ${this.#step} --seed ${seed}\n  ${disk.history.join('\n  ')}`,
        { cause: error },
      )
    }
  }

  #expectPromised({ table, meta, copies }: Held, processOnly: boolean): void {
    const { written, durable, meta: metaSet, copies: copiesMade } = this.#stop.promised
    const promised = processOnly ? written : durable
    const prefix = this.#prefixes.lastIndexOf(table)
    if (prefix < 0)
      throw new Error(`no prefix of the history has this state: ${difference(table, this.#prefixes)}`)
    if (prefix < promised) throw new Error(`the state behind ${prefix} calls, but ${promised} were promised`)
    this.#expectMeta(meta, prefix, metaSet)
    for (const [i, { directory, from, meta: metaFrom, done }] of copiesMade.entries()) {
      const copy = copies[i]
      if (copy === undefined) {
        if (done) throw new Error(`${directory} is no table, although the checkpoint was complete`)
        continue
      }
      const copied = this.#prefixes.lastIndexOf(copy.table)
      if (copied < from) {
        throw new Error(
          `${directory} holds no state behind ${from} calls or more: ${difference(copy.table, this.#prefixes)}`,
        )
      }
      this.#expectMeta(copy.meta, copied, metaFrom)
    }
  }

  /** Metadata that were asked for, not older than `from`, and not ahead of the records: these are behind `prefix` calls. */
  #expectMeta(meta: number, prefix: number, from: number): void {
    if (meta < from) throw new Error(`the metadata tell of ${meta} calls, but those of ${from} were set`)
    if (meta > prefix) throw new Error(`the metadata tell of ${meta} calls, the records are behind ${prefix}`)
    if (meta > 0 && !this.#stop.promised.metas.includes(meta))
      throw new Error(`nobody set the metadata ${meta}`)
  }

  /** A first recovery; then put, sync, power cut and a second one. */
  async #open(disk: SimulatedFileSystem, seed: number): Promise<Held> {
    const options = seed % MERGING_EVERY === 0 ? this.#options : { ...this.#options, fanout: PATIENT_FANOUT }
    const table = await openOn(disk, options)
    const openCalls = disk.calls
    const held = await contents(table)
    const meta = metaOf(table)
    await table.put(1_000_000, { time: 1, id: 1 }, { sync: true })
    const cut = disk.crashState(this.#step + seed)
    disk.crashNow()
    const next = await openOn(cut, options)
    const found = await contents(next)
    if (metaOf(next) !== meta)
      throw new Error(`after recovery the metadata ${metaOf(next)} instead of ${meta}`)
    cut.crashNow()
    const expected = held === '' ? '1000000:1:1' : `${held} 1000000:1:1`
    if (found !== expected)
      throw new Error(`after recovery, put and sync: '${found}' instead of '${expected}'`)
    const copies: Held['copies'][number][] = []
    for (const { directory } of this.#stop.promised.copies)
      copies.push(await this.#copyIn(disk.clone(), directory))
    return { table: held, meta, copies, openCalls }
  }

  async #copyIn(disk: SimulatedFileSystem, directory: string): Promise<Held['copies'][number]> {
    try {
      const copy = await openOn(disk, { ...this.#options, createIfMissing: false }, directory)
      return { table: await contents(copy), meta: metaOf(copy) }
    } catch (error) {
      if ((error as { code?: unknown }).code === 'FLASHTABLE_NOT_FOUND') return undefined
      throw error
    }
  }

  /** A reader sees what a writer would find, and leaves the disk as it is, byte for byte. */
  async #checkReader(disk: SimulatedFileSystem): Promise<void> {
    const before = identityOf(disk)
    let found: string
    let meta = 0
    try {
      const reader = await openOn(disk, { ...this.#options, readOnly: true })
      found = await contents(reader)
      meta = metaOf(reader)
      await reader.close()
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'FLASHTABLE_NOT_FOUND') throw error
      found = ''
    }
    const changing = disk.log.find(({ op }) => !READER_CALLS.has(op))
    if (changing !== undefined || identityOf(disk) !== before || disk.openHandles > 0) {
      throw new Error(`a reader changed the disk or kept a file open: ${changing?.op} ${changing?.path}`)
    }
    if (!this.#prefixes.includes(found)) {
      throw new Error(`a reader sees no prefix of the history: ${difference(found, this.#prefixes)}`)
    }
    this.#expectMeta(meta, this.#prefixes.lastIndexOf(found), 0)
  }

  /** A recovery is stopped at a call of its own; the next one finds the same. */
  async #interrupt(disk: SimulatedFileSystem, identity: string, held: Held, seed: number): Promise<void> {
    const step = 1 + ((Math.imul(seed + 2, 0x9e3779b1) >>> 8) % held.openCalls)
    const key = `${step} ${identity}`
    if (this.#interrupted.has(key)) return
    this.#interrupted.add(key)
    this.recoveries++
    const options = { ...this.#options, fanout: PATIENT_FANOUT }
    disk.crashAt = step
    await openOn(disk, options).catch((error: unknown) => {
      if (!disk.crashed) throw error
    })
    // After kill -9 the page cache is still there; a power cut might take what the first recovery saw in it.
    const next = seed < 0 ? disk.clone() : disk.crashState(seed)
    disk.crashNow()
    const found = await contents(await openOn(next, options))
    next.crashNow()
    if (found !== held.table) {
      throw new Error(`after a recovery stopped at call ${step}: '${found}' instead of '${held.table}'`)
    }
  }
}

function workloadOf(name: string): Workload {
  const workload = WORKLOADS[name]
  if (workload !== undefined) return workload
  throw new Error(`there is no workload '${name}', only ${Object.keys(WORKLOADS).join(', ')}`)
}

/** What is on the disk: names, sizes and checksums. */
function identityOf(disk: SimulatedFileSystem): string {
  return disk
    .files()
    .map(path => {
      const bytes = disk.readFile(path)
      return `${path}:${bytes.byteLength}:${crc32(bytes)}`
    })
    .join(' ')
}

/** Whether a power cut leaves the same of both, as far as a draw shows it. */
function areAlike(a: SimulatedFileSystem, b: SimulatedFileSystem, seed: number): boolean {
  return identityOf(a) === identityOf(b) && identityOf(a.crashState(seed)) === identityOf(b.crashState(seed))
}

function difference(found: string, prefixes: readonly string[]): string {
  const last = prefixes.at(-1)!.split(' ')
  const here = found.split(' ')
  const missing = last.filter(record => !here.includes(record)).length
  const extra = here.filter(record => !last.includes(record))
  return `${here.length} records; ${missing} of the full history are missing, ${extra.length} do not belong (${extra.slice(0, 5).join(' ')})`
}

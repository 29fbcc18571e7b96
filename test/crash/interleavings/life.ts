/**
 * Machines that publish their copies of a table to one store, a collection of garbage, and readers, in any order of their
 * calls. Everything random comes from a seed: the same seed gives the same run.
 *
 * Each call of the store, and each call of the file system that makes REMOTE durable, waits at a gate. Whose call is done
 * next, and what becomes of it, is drawn. Programs fall asleep at a gate, die there, and lose the power.
 */
import { collectRemote } from '../../../src/remote/garbage.js'
import { loadRemote } from '../../../src/remote/pointer.js'
import type { PublishResult } from '../../../src/remote/publisher.js'
import { newestOf } from '../../../src/remote/versions.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { systemError } from '../../support/system-error.js'
import { Collector, fetchFiles, Program, Reader, type Actor, type Waiting, type World } from './actors.js'
import { FAULTS, Stored, type StoreRequest } from './gated-store.js'
import { Invariants, type Caller } from './invariants.js'
import { Machine } from './machine.js'
import { DIRECTORY, type SmallFile } from './small-table.js'

/** What has happened, so that a test can tell whether its lives are worth it. */
export interface Events {
  [event: string]: number
}

export class Life implements World {
  readonly random: Random
  readonly stored = new Stored()
  readonly invariants = new Invariants(this.stored)
  readonly events: Events = {}
  readonly retentionMs: number
  /** Calls of the store after which everything was checked. */
  states = 0
  /** What has happened so far, for a failure. */
  readonly story: string[] = []
  /** After how many calls each version was there last. */
  readonly #lastSeen = new Map<number, number>()
  /** After how many calls each writer was the one that has the newest epoch. */
  readonly #lastOwned = new Map<Caller, number>()
  readonly #prefixes: Set<number>
  readonly #actors: Actor[]
  readonly #machines: readonly Machine[]
  readonly #stickiness: number
  readonly #faultOdds: number
  readonly #deathOdds: number
  #waiting: Waiting[] = []
  readonly #late: {
    readonly who: string
    readonly name: string
    readonly key: string
    perform: () => unknown
  }[] = []
  #last: Program | undefined
  #prefix: number
  #failure: Error | undefined
  #tags = 0
  #steps = 0

  /** `prefixes`: of all lives, hashes of what was seen. */
  constructor(seed: number, prefixes: Set<number>) {
    this.random = new Random(seed)
    const { random } = this
    this.#prefixes = prefixes
    this.#prefix = 0
    this.retentionMs = random.pick([0, 300, 1500])
    this.#stickiness = random.pick([0, 0.5, 0.9, 0.97])
    this.#faultOdds = random.pick([0, 0.02, 0.1, 0.25])
    this.#deathOdds = random.pick([0, 0.01, 0.04])
    const first = new Machine(this, 'a')
    this.#machines = [first, new Machine(this, 'b', first)]
    this.#actors = [...this.#machines, new Collector(this, 'gc', 0.1), new Reader(this, 'reader', 0.1)]
  }

  /** Goes on for about that many calls of the store; then what must be possible at the end is tried. */
  async run(calls: number): Promise<void> {
    // Most begin with a published table: a first publish has a probe of many calls.
    if (this.random.chance(0.85)) await this.#freely(() => this.#machines[0]!.goOn(false))
    while (this.states < calls) await this.#step()
    await this.#end()
  }

  wait(waiting: Waiting): void {
    this.#waiting.push(waiting)
  }

  fail(error: Error): void {
    this.#failure ??= error
  }

  count(event: string, times = 1): void {
    this.events[event] = (this.events[event] ?? 0) + times
  }

  randomHex(count: number): string {
    return Buffer.from(this.random.bytes(count)).toString('hex')
  }

  newTag(machine: string): string {
    return `${machine}${this.#tags++}`
  }

  newDisk(): SimulatedFileSystem {
    const disk = new SimulatedFileSystem({ seed: this.random.next() })
    disk.writeFile(`${DIRECTORY}/.keep`, new Uint8Array(0))
    return disk
  }

  expectHistory(version: number, files: readonly SmallFile[]): void {
    const found = files.flatMap(({ tags }) => tags).join(' ')
    if (found !== this.invariants.histories.get(version))
      throw new Error(`version ${version} is read wrongly`)
  }

  expectPublished(caller: Caller, { version, sequence }: PublishResult, tags: string, began: number): void {
    const history = this.invariants.histories.get(version)
    if (history !== tags || tags.split(' ').filter(Boolean).length !== sequence)
      throw new Error(`version ${version} was acknowledged, and has '${history}' instead of '${tags}'`)
    if (this.#lastSeen.get(version)! < began)
      throw new Error(`version ${version} was acknowledged, and was forgotten before the call`)
    if (this.#lastOwned.get(caller)! < began)
      throw new Error(
        `version ${version} was acknowledged to ${caller.name}, which was replaced before the call`,
      )
  }

  // ---- inside ----

  async #step(): Promise<void> {
    this.#steps++
    // All programs that can go on do, up to the next gate.
    await settled()
    this.#check()
    const { random } = this
    if (random.chance(0.05)) this.stored.remember()
    this.stored.now += random.chance(0.002) ? -random.below(3000) : random.below(40)
    for (const actor of this.#actors) if (!actor.isBusy && random.chance(actor.eagerness)) actor.begin()
    if (random.chance(this.#deathOdds)) this.#kill(random.pick(this.#machines))
    if (this.#late.length > 0 && random.chance(0.1)) {
      const [late] = this.#late.splice(random.below(this.#late.length), 1)
      this.#note(late!.who, `${late!.name}, late`, late!.key)
      late!.perform()
      return this.#seen()
    }
    const waiting = this.#choose()
    if (waiting === undefined) return
    if (waiting.resume !== undefined) {
      const error = random.chance(this.#faultOdds / 3)
        ? systemError(random.pick(['ENOSPC', 'EIO']), waiting.name, waiting.key)
        : undefined
      this.#note(waiting.program.caller.name, waiting.name + (error ? ' fails' : ''), waiting.key)
      waiting.resume(error)
      return
    }
    this.#deliver(waiting.program, waiting.request!)
  }

  #deliver(program: Program, request: StoreRequest): void {
    const { random } = this
    const isProbe = request.key.startsWith('probe')
    const drawn = random.chance(this.#faultOdds) ? random.pick(FAULTS[request.name]) : 'none'
    // What a probe reads has no checksum.
    const fault = isProbe && drawn === 'flipped' ? 'none' : drawn
    this.#note(
      program.caller.name,
      fault === 'none' ? request.name : `${request.name}, ${fault}`,
      request.key,
    )
    if (fault === 'late' || fault === 'twice') this.#late.push({ who: program.caller.name, ...request })
    request.fault(fault)
    this.count(`${request.name} ${fault}`)
    this.#seen()
  }

  /** A call of the store was done, or failed: what must hold holds. */
  #seen(): void {
    this.states++
    this.#prefixes.add(this.#prefix)
    this.#look()
  }

  #look(): void {
    this.#check()
    for (const { version } of this.invariants.remote?.versions ?? []) this.#lastSeen.set(version, this.states)
    const { owner } = this.invariants
    if (owner !== undefined) this.#lastOwned.set(owner, this.states)
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.invariants.check()
  }

  /** The next call: often of the program of the last one; now and then a program falls asleep for long. */
  #choose(): Waiting | undefined {
    const { random } = this
    this.#waiting = this.#waiting.filter(({ program }) => !program.isDead)
    let awake = this.#waiting.filter(({ program }) => program.asleepUntil <= this.#steps)
    if (awake.length === 0) awake = this.#waiting
    if (awake.length === 0) return undefined
    const same = awake.filter(({ program }) => program === this.#last)
    const chosen = random.pick(same.length > 0 && random.chance(this.#stickiness) ? same : awake)
    if (random.chance(0.03) && chosen.program.asleepUntil <= this.#steps) {
      chosen.program.asleepUntil = this.#steps + random.between(10, 120)
      this.#last = undefined
      return this.#choose()
    }
    this.#waiting.splice(this.#waiting.indexOf(chosen), 1)
    this.#last = chosen.program
    return chosen
  }

  /** The program dies, or the machine: what it has sent may arrive anyway. */
  #kill(machine: Machine): void {
    const { random } = this
    const { program } = machine
    if (program === undefined) return
    const cut = random.chance(0.5)
    this.#note(machine.name, cut ? 'loses its power' : 'dies', '')
    for (const { request } of this.#waiting.filter(waiting => waiting.program === program))
      if (request !== undefined && FAULTS[request.name].includes('late') && random.chance(0.5))
        this.#late.push({ who: program.caller.name, ...request })
    machine.kill(cut ? random.next() : undefined)
    this.count(cut ? 'power cuts' : 'deaths')
  }

  /** Nothing fails any more: who may publish can, all versions can be read, and no garbage of earlier epochs stays. */
  async #end(): Promise<void> {
    await settled()
    for (const actor of this.#actors) actor.kill()
    for (const late of this.#late.splice(0)) late.perform()
    this.#check()
    const { remote, lastWriter } = this.invariants
    if (remote === undefined) return
    for (const machine of this.#machines) {
      const isHeir = machine.lineage === lastWriter?.lineage
      const isCopy = (await machine.origin()) === remote.published
      if (!isHeir && !isCopy) continue
      const result = await this.#freely(() => machine.goOn(!isHeir))
      if (result === undefined) throw new Error(`${machine.name} cannot go on from what it has published`)
      this.count(isHeir ? 'heirs' : 'takeovers at the end')
      break
    }
    await this.#freely(() => this.#sweep())
  }

  async #sweep(): Promise<void> {
    const { store } = new Program(this, this.#actors[2]!, { name: 'sweep' })
    const pointer = { store, newNonce: () => this.randomHex(16), wait: () => Promise.resolve() }
    await collectRemote(pointer, { dryRun: false })
    const { remote } = (await loadRemote(store))!
    const named = new Set(remote.files.map(({ key }) => key))
    for (const key of this.stored.objects.keys())
      if (!named.has(key) && !key.startsWith(`e${String(remote.epoch).padStart(12, '0')}/`))
        throw new Error(`${key} stays although nobody needs it`)
    for (const version of remote.versions) {
      const files = await fetchFiles(store, remote, version)
      if (files === undefined) throw new Error(`version ${version.version} cannot be read`)
      this.expectHistory(version.version, files)
    }
    if (newestOf(remote).version !== Math.max(...this.invariants.histories.keys()))
      throw new Error('the newest version was lost')
  }

  /** Runs it while all calls are done, in turn. */
  async #freely<T>(action: () => Promise<T>): Promise<T> {
    const state = { isOver: false }
    const result = action().finally(() => (state.isOver = true))
    // It is awaited below.
    result.catch(() => {})
    while (!state.isOver) {
      await settled()
      for (const { request, resume, program, name, key } of this.#waiting.splice(0)) {
        if (program.isDead) continue
        this.#note(program.caller.name, name, key)
        resume?.()
        request?.fault('none')
      }
      this.#look()
    }
    return result
  }

  #note(who: string, what: string, key: string): void {
    const line = `${who}: ${what} ${key}`
    this.story.push(line)
    // Keys are random: what is done counts, in its order, by whom.
    this.#prefix = hash(this.#prefix, `${who}: ${what}`)
  }
}

/** All programs that can go on have come to their next gates. */
function settled(): Promise<void> {
  return new Promise(resolve => void setImmediate(resolve))
}

/** 52 bits: of some hundred thousand hardly two are the same. */
function hash(before: number, text: string): number {
  let high = (before / 0x4000000) >>> 0
  let low = (before % 0x4000000) >>> 0
  for (let at = 0; at < text.length; at++) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x01000193) >>> 0
    high = (Math.imul(high ^ low, 0x85ebca6b) ^ (low >>> 7)) >>> 0
  }
  return (high % 0x4000000) * 0x4000000 + (low % 0x4000000)
}

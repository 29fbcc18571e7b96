/**
 * The course of a simulated run: every call is a numbered step that takes its turn among the others, and may crash
 * or fail. What a call does to the disk is not known here; it comes as an {@link Action}.
 */
import type { Random } from './random.js'
import { systemError } from './system-error.js'

/** The calls of a FileSystem and of its handles; an `open` is named by its mode. */
export type CallName =
  | 'open'
  | 'create'
  | 'update'
  | 'read'
  | 'write'
  | 'sync'
  | 'size'
  | 'close'
  | 'rename'
  | 'unlink'
  | 'link'
  | 'list'
  | 'makeDirectory'
  | 'removeDirectory'
  | 'syncDirectory'
  | 'openDirectory'
  | 'info'
  | 'freeBytes'

/** One call. Paths are absolute; the path of a handle's call is the one it was opened by. */
export interface Call {
  /** Counted from 1. */
  readonly step: number
  readonly op: CallName
  readonly path: string
  /** Of `rename` and `link`. */
  readonly target?: string
  /** Of `read` and `write`: where, and how many bytes were asked for. */
  readonly position?: number
  readonly bytes?: number
  /** Of a `syncDirectory`: the directory was open already. */
  readonly held?: true
  /** True for `readSync` and `writeSync`. */
  readonly blocking: boolean
}

export type CallRequest = Omit<Call, 'step' | 'blocking'>

/** Which calls fail: a step, or all that a function says yes to. */
export type FaultTarget = number | ((call: Call) => boolean)

export interface FaultOptions {
  /** `once` (default): the first call that fits. `sticky`: every call that fits; of a step, all calls from it on. */
  readonly repeat?: 'once' | 'sticky'
  /**
   * What the failed call has done in spite of the failure: nothing, all, or any part. Default: any part for a write and for
   * `EIO`, else nothing. A failed sync marks the pages clean in each case; this says nothing about it.
   */
  readonly effect?: 'none' | 'all' | 'any'
}

/** The process has ended: thrown by the call at which it ended, and by all later ones. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash'
}

/** What a call does to the disk once its turn has come. */
export interface Action<T> {
  run(): T
  /** What a crash in the middle leaves, by chance; without it: all of `run`, or nothing. */
  partly?(): void
  /** What a failure leaves, in place of `partly` and whatever the fault's effect is. */
  fail?(): void
  /** What all of it is for the disk, where `run` does more: it opens a handle. */
  wholly?(): void
}

interface Fault {
  readonly target: FaultTarget
  readonly code: string
  readonly options: FaultOptions
}

const SYSCALLS: Readonly<Record<CallName, string>> = {
  open: 'open',
  create: 'open',
  update: 'open',
  read: 'read',
  write: 'write',
  sync: 'fdatasync',
  size: 'fstat',
  close: 'close',
  rename: 'rename',
  unlink: 'unlink',
  link: 'link',
  list: 'scandir',
  makeDirectory: 'mkdir',
  removeDirectory: 'rmdir',
  syncDirectory: 'fsync',
  openDirectory: 'open',
  info: 'lstat',
  freeBytes: 'statfs',
}

export class SimulatedSteps {
  crashAt: number | undefined
  onCall: ((call: Call) => void | Promise<void>) | undefined
  onBegun: ((call: Call) => void) | undefined
  onLook: ((path: string) => void | Promise<void>) | undefined
  /** What no program may do has been done, and perhaps caught by somebody: from now on every call throws it. */
  misuse: Error | undefined
  readonly log: Call[] = []
  readonly #random: Random
  readonly #faults: Fault[] = []
  readonly #inFlight = new Set<Action<unknown>>()
  #crash: SimulatedCrash | undefined

  constructor(random: Random, crashAt: number | undefined) {
    this.#random = random
    this.crashAt = crashAt
  }

  get crashed(): boolean {
    return this.#crash !== undefined
  }

  failAt(target: FaultTarget, code: string, options: FaultOptions): void {
    this.#faults.push({ target, code, options })
  }

  clearFaults(): void {
    this.#faults.length = 0
  }

  /** The process ends. Calls in flight are done, done in part, or not done. */
  crashNow(): SimulatedCrash {
    if (this.#crash !== undefined) return this.#crash
    const last = this.log.at(-1)
    this.#crash = new SimulatedCrash(
      `simulated crash at ${last === undefined ? 'the start' : describeCall(last)}`,
    )
    this.endInFlight()
    this.#inFlight.clear()
    return this.#crash
  }

  /** What the end of the process makes of the calls in flight. */
  endInFlight(): void {
    for (const action of this.#inFlight) this.#doPartly(action)
  }

  /** To put the next choices back to what they are now. */
  remember(): () => void {
    return this.#random.remember()
  }

  /** A call that is done after others have had their turns. `make` runs when it begins. */
  async later<T>(request: CallRequest, make: () => Action<T>): Promise<T> {
    const call = this.#enter({ ...request, step: this.log.length + 1, blocking: false })
    const held = this.onCall?.(call)
    if (held !== undefined) await held
    const action = this.#begin(call, make)
    this.#inFlight.add(action)
    // Syncs are the slow ones: other calls overtake them, and the caller goes on writing meanwhile.
    const slow = call.op === 'sync' || call.op === 'syncDirectory'
    for (let turns = this.#random.between(1, slow ? 12 : 2); turns > 0; turns--) await Promise.resolve()
    if (this.#crash !== undefined) throw this.#crash
    this.#inFlight.delete(action)
    return this.#end(call, action)
  }

  /**
   * A call that only looks at what stands where. It is no step: a crash there is one at the next step, and there are
   * many of them. `onLook` sees it before it begins.
   */
  async look<T>(path: string, look: () => T): Promise<T> {
    if (this.#crash !== undefined) throw this.#crash
    await this.onLook?.(path)
    if (this.#crash !== undefined) throw this.#crash
    return look()
  }

  /** A blocking call. */
  now<T>(request: CallRequest, make: () => Action<T>): T {
    const call = this.#enter({ ...request, step: this.log.length + 1, blocking: true })
    if (this.onCall?.(call) !== undefined)
      throw new Error(`simulation: onCall cannot hold ${describeCall(call)}`)
    return this.#end(call, this.#begin(call, make))
  }

  #enter(call: Call): Call {
    if (this.#crash !== undefined) throw this.#crash
    if (this.misuse !== undefined) throw this.misuse
    this.log.push(call)
    return call
  }

  #begin<T>(call: Call, make: () => Action<T>): Action<T> {
    if (this.#crash !== undefined) throw this.#crash
    const action = make()
    if (this.crashAt !== undefined && call.step >= this.crashAt) {
      this.#inFlight.add(action)
      throw this.crashNow()
    }
    if (this.onBegun !== undefined) {
      this.#inFlight.add(action)
      this.onBegun(call)
      this.#inFlight.delete(action)
    }
    return action
  }

  #end<T>(call: Call, action: Action<T>): T {
    const fault = this.#takeFault(call)
    if (fault === undefined) return action.run()
    const effect = fault.options.effect ?? (call.op === 'write' || fault.code === 'EIO' ? 'any' : 'none')
    if (action.fail !== undefined) action.fail()
    else if (effect === 'all') attempt(() => (action.wholly ?? action.run)())
    else if (effect === 'any') this.#doPartly(action)
    throw systemError(fault.code, SYSCALLS[call.op], call.path, call.target)
  }

  #takeFault(call: Call): Fault | undefined {
    const index = this.#faults.findIndex(({ target, options }) => {
      if (typeof target === 'function') return target(call)
      return options.repeat === 'sticky' ? call.step >= target : call.step === target
    })
    const fault = this.#faults[index]
    if (fault !== undefined && fault.options.repeat !== 'sticky') this.#faults.splice(index, 1)
    return fault
  }

  #doPartly(action: Action<unknown>): void {
    attempt(() => {
      if (action.partly !== undefined) action.partly()
      else if (this.#random.chance(0.5)) action.run()
    })
  }
}

/** For diagnosis: `17 write /t/000001.wal 512 bytes at 4096`. */
export function describeCall(call: Call): string {
  const target = call.target === undefined ? '' : ` -> ${call.target}`
  const range = call.bytes === undefined ? '' : ` ${call.bytes} bytes at ${call.position}`
  return `${call.step} ${call.op} ${call.path}${target}${range}`
}

/** What a crash or a failure leaves may itself be impossible (no such file, disk full): then it leaves nothing. */
function attempt(effect: () => void): void {
  try {
    effect()
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
  }
}

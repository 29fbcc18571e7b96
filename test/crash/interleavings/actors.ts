/** Programs that use the store, and who runs them: the collection of garbage, and readers. machine.ts has those that publish. */
import { codeOf } from '../../../src/base/errors.js'
import { collectRemote } from '../../../src/remote/garbage.js'
import { loadRemote } from '../../../src/remote/pointer.js'
import type { PublishResult } from '../../../src/remote/publisher.js'
import {
  filesOfVersion,
  type RemoteManifest,
  type RemoteVersion,
} from '../../../src/remote/remote-manifest.js'
import type { Random } from '../../support/random.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { GatedStore, type Stored, type StoreRequest } from './gated-store.js'
import type { Caller, Invariants, Request } from './invariants.js'
import { PAGE_BYTES, tagsOf, type SmallFile } from './small-table.js'

/** How the publish of a machine may fail. */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'FLASHTABLE_FENCED',
  'FLASHTABLE_EXISTS',
  'FLASHTABLE_UNAVAILABLE',
  'FLASHTABLE_CORRUPTION',
  // A bit of the format's number was another one.
  'FLASHTABLE_UNSUPPORTED_FORMAT',
  'FLASHTABLE_IO_ERROR',
  'FLASHTABLE_DISK_FULL',
])

/** A call that waits at its gate. */
export interface Waiting {
  readonly program: Program
  readonly name: string
  readonly key: string
  readonly request?: StoreRequest
  /** Goes on; of a call of the file system: with an error, or without. */
  readonly resume?: (error?: Error) => void
}

/** What an actor lives in. */
export interface World {
  readonly random: Random
  readonly stored: Stored
  readonly invariants: Invariants
  readonly retentionMs: number
  /** Calls of the store so far. */
  readonly states: number
  /** Puts a call to its gate. */
  wait(waiting: Waiting): void
  /** Something is wrong. */
  fail(error: Error): void
  count(event: string, times?: number): void
  randomHex(count: number): string
  newTag(machine: string): string
  newDisk(): SimulatedFileSystem
  /** Throws unless this is what was published as that version. */
  expectHistory(version: number, files: readonly SmallFile[]): void
  /**
   * Throws unless the version holds these tags, and was there at the call of the store numbered `began` or later, when
   * the caller was the writer.
   */
  expectPublished(caller: Caller, result: PublishResult, tags: string, began: number): void
}

/** Throws what no program may be told. */
export function expectRefusal(world: World, error: unknown): void {
  const code = codeOf(error)
  if (!REFUSALS.has(code)) throw error
  world.count(String(code))
}

/** One life of a program. When it is dead none of its calls goes on, and it hears of none. */
export class Program {
  isDead = false
  asleepUntil = 0
  isPublishing = false
  request: Request | undefined
  readonly actor: Actor
  readonly caller: Caller
  readonly store: GatedStore

  constructor(world: World, actor: Actor, caller: Caller) {
    this.actor = actor
    this.caller = caller
    this.store = new GatedStore(world.stored, world.invariants.observerOf(caller), request => {
      if (!this.isDead) world.wait({ program: this, name: request.name, key: request.key, request })
    })
  }
}

/** Who runs programs, one after another. */
export abstract class Actor {
  program: Program | undefined
  isBusy = false
  readonly name: string
  /** How often it begins again when it could. */
  readonly eagerness: number
  protected readonly world: World
  protected readonly random: Random

  constructor(world: World, name: string, eagerness: number) {
    this.world = world
    this.name = name
    this.eagerness = eagerness
    this.random = world.random
  }

  /** Does the next thing; what it rejects with is a failure of the world. */
  begin(): void {
    this.isBusy = true
    const program = (this.program ??= this.start())
    this.act(program).then(
      () => {
        if (!program.isDead) this.isBusy = false
      },
      (error: unknown) => this.world.fail(new Error(`${this.name}: ${String(error)}`, { cause: error })),
    )
  }

  /** The program ends here and now. */
  kill(): void {
    if (this.program !== undefined) this.program.isDead = true
    this.program = undefined
    this.isBusy = false
  }

  protected start(): Program {
    return new Program(this.world, this, { name: this.name })
  }

  protected abstract act(program: Program): Promise<void>
}

/** Collects garbage, as the command line does. */
export class Collector extends Actor {
  protected async act({ store }: Program): Promise<void> {
    const { world } = this
    const pointer = { store, newNonce: () => world.randomHex(16), wait: () => Promise.resolve() }
    try {
      const garbage = await collectRemote(pointer, { dryRun: false })
      world.count('collected', garbage?.versions.length ?? 0)
      world.count('orphans', garbage?.orphans.length ?? 0)
    } catch (error) {
      expectRefusal(world, error)
    }
    // The next one is another program.
    this.kill()
  }
}

/** Reads a version: it is right, or there is an error. */
export class Reader extends Actor {
  protected async act({ store }: Program): Promise<void> {
    const { world, random } = this
    try {
      const remote = (await loadRemote(store))?.remote
      if (remote === undefined) return
      const version = random.chance(0.6) ? remote.versions.at(-1)! : random.pick(remote.versions)
      const files = await fetchFiles(store, remote, version)
      if (files === undefined) {
        const again = (await loadRemote(store))?.remote
        const isThere = again?.versions.some(other => other.version === version.version) ?? false
        if (isThere) world.count('damaged reads')
        else world.count('expired reads')
        return
      }
      world.expectHistory(version.version, files)
      world.count('reads')
    } catch (error) {
      expectRefusal(world, error)
    }
  }
}

/** Gives `undefined` if an object is missing or damaged. */
export async function fetchFiles(
  store: GatedStore,
  remote: RemoteManifest,
  { version }: RemoteVersion,
): Promise<SmallFile[] | undefined> {
  const files: SmallFile[] = []
  for (const { key, entry } of filesOfVersion(remote, version)) {
    const halves: (string[] | undefined)[] = []
    for (const start of [0, PAGE_BYTES / 2]) {
      const half = await store.get(key, { range: { start, end: start + PAGE_BYTES / 2 } })
      halves.push(half && tagsOf(half, entry))
    }
    const [tags, twin] = halves
    if (tags === undefined || twin === undefined) return undefined
    files.push({ entry, tags })
  }
  return files
}

/** A machine that publishes its copy of the table: it dies, loses its power, is set back, copied and restored. */
import { codeOf } from '../../../src/base/errors.js'
import { loadRemote } from '../../../src/remote/pointer.js'
import { Publisher, type PublishResult } from '../../../src/remote/publisher.js'
import type { RemoteManifest, RemoteVersion } from '../../../src/remote/remote-manifest.js'
import { loadRemotes, saveRemote } from '../../../src/remote/remote-state.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { Actor, expectRefusal, fetchFiles, Program, type World } from './actors.js'
import { DIRECTORY, SmallTable, writeTable, type SmallFile, type SmallState } from './small-table.js'

/** Calls of the file system after which a power cut leaves something else. */
const FILE_CALLS: ReadonlySet<string> = new Set(['sync', 'rename', 'syncDirectory'])

/** A machine with a copy of the table. */
export class Machine extends Actor {
  disk: SimulatedFileSystem
  /** Of the life of this disk: another one where it was set back, copied or restored. */
  lineage: object = {}
  #table: SmallTable | undefined
  #publisher: Publisher | undefined
  #older: SimulatedFileSystem | undefined
  #origin: Machine | undefined
  #isStopped = false

  constructor(world: World, name: string, origin?: Machine) {
    super(world, name, 0.8)
    this.#origin = origin
    this.disk = world.newDisk()
  }

  protected override start(): Program {
    const { disk } = this
    const program = new Program(this.world, this, {
      name: this.name,
      lineage: this.lineage,
      disk,
      tags: () => this.#table?.tags ?? [],
      request: () => program.request,
    })
    disk.onCall = ({ op, path, target }) => {
      // A dead program goes no further.
      if (program.isDead) return new Promise(() => {})
      const isRemote = (target ?? path).includes('REMOTE') || (op === 'syncDirectory' && program.isPublishing)
      if (!isRemote || !FILE_CALLS.has(op)) return undefined
      return new Promise<void>((resolve, reject) => {
        const resume = (error?: Error): void => (error === undefined ? resolve() : reject(error))
        this.world.wait({ program, name: op, key: path, resume })
      })
    }
    this.#table = undefined
    this.#publisher = undefined
    return program
  }

  /** The program dies; with `seed` the machine does, and its disk keeps what a power cut leaves. */
  override kill(seed?: number): void {
    super.kill()
    this.disk.onCall = undefined
    this.disk = seed === undefined ? this.disk.clone() : this.disk.crashState(seed)
  }

  protected async act(program: Program): Promise<void> {
    const { random, world } = this
    if (this.#table === undefined && !(await this.#open(program))) return
    const table = this.#table!
    const what = random.below(20)
    if (what === 0) {
      this.kill()
      return
    }
    if (what === 1 && this.#older !== undefined) {
      this.kill()
      this.disk = this.#older
      this.lineage = {}
      world.count('set back')
      return
    }
    if (what < 4 || this.#isStopped) {
      this.#isStopped = false
      if (await this.#restore(program)) return
    }
    if (what === 5 && this.#origin !== undefined) {
      const { disk } = this.#origin
      this.kill()
      this.disk = disk.crashState(random.next())
      this.lineage = {}
      world.count('copied')
      return
    }
    if (what > 7) {
      for (let count = random.between(1, 3); count > 0; count--) table.put(world.newTag(this.name))
      await table.seal()
    }
    if (what > 5 && random.chance(0.4)) await table.merge(random.below(table.state.files.length))
    if (random.chance(0.2)) this.#older = this.disk.crashState(random.next())
    await this.#publish(program, table, {
      takeOver: random.chance(0.6),
      name: random.chance(0.25) ? `name ${random.below(3)}` : undefined,
    })
  }

  async #open(program: Program): Promise<boolean> {
    const { world } = this
    // A copy has nothing before it was restored.
    if (this.#origin !== undefined && !this.disk.files().includes(`${DIRECTORY}/TABLE`)) {
      if (this.random.chance(0.2)) {
        this.disk = this.#origin.disk.crashState(this.random.next())
        this.kill()
        this.lineage = {}
        world.count('copied')
        return false
      }
      // Now and then it is another table.
      if (!this.random.chance(0.1)) {
        await this.#restore(program)
        return false
      }
    }
    this.#table = await SmallTable.open(this.disk, {
      tableId: world.randomHex(16),
      epoch: 0,
      nextFileNumber: 1,
      files: [],
    })
    return true
  }

  async #publish(
    program: Program,
    table: SmallTable,
    request: { readonly takeOver: boolean; readonly name?: string | undefined },
  ): Promise<PublishResult | undefined> {
    const { world, disk, random } = this
    this.#publisher ??= new Publisher({
      store: program.store,
      fileSystem: disk,
      directory: DIRECTORY,
      randomHex: count => world.randomHex(count),
      label: this.name,
      wait: () => Promise.resolve(),
    })
    const state = table.taken()
    const expected = table.tags.join(' ')
    program.isPublishing = true
    program.request = request
    const began = world.states
    try {
      const result = await this.#publisher.publish(state, {
        ...request,
        expiresAt: request.name === undefined || random.chance(0.3) ? undefined : now => now + 2000,
        retentionMs: world.retentionMs,
      })
      world.expectPublished(program.caller, result, expected, began)
      world.count(result.uploadedFiles > 0 || request.name !== undefined ? 'published' : 'unchanged')
      return result
    } catch (error) {
      expectRefusal(world, error)
      this.#isStopped = codeOf(error) === 'FLASHTABLE_FENCED' && random.chance(0.6)
      return undefined
    } finally {
      program.isPublishing = false
    }
  }

  /** Becomes a copy of the newest version, as a restore makes one. */
  async #restore(program: Program): Promise<boolean> {
    const { world } = this
    const { store } = program
    try {
      const remote = (await loadRemote(store))?.remote
      if (remote === undefined) return false
      const version = remote.versions.at(-1)!
      const files = await fetchFiles(store, remote, version)
      if (files === undefined) return false
      world.expectHistory(version.version, files)
      this.kill()
      await this.#become(remote, version, files)
      world.count('restored')
      return true
    } catch (error) {
      expectRefusal(world, error)
      return false
    }
  }

  async #become(
    remote: RemoteManifest,
    { nextFileNumber }: RemoteVersion,
    files: readonly SmallFile[],
  ): Promise<void> {
    const disk = this.world.newDisk()
    const { lineage, published, table } = remote
    const state: SmallState = { tableId: this.world.randomHex(16), epoch: table.epoch, nextFileNumber, files }
    const writer = this.world.randomHex(16)
    await saveRemote(disk, DIRECTORY, { lineage, url: 'sim://store', writer, published, pending: [] })
    await writeTable(disk, state)
    this.disk = disk
    this.#older = undefined
    this.lineage = {}
  }

  /** After a power cut, and when nothing fails any more: a new process publishes one tag more. */
  async goOn(takeOver: boolean): Promise<PublishResult | undefined> {
    this.kill(this.random.next())
    const program = (this.program = this.start())
    if (!(await this.#open(program))) return undefined
    this.#table!.put(this.world.newTag(this.name))
    await this.#table!.seal()
    return this.#publish(program, this.#table!, { takeOver })
  }

  /** The nonce of the published state that its disk comes from. */
  async origin(): Promise<string | undefined> {
    const disk = this.disk.clone()
    return (await loadRemotes(disk, DIRECTORY))[0]?.published
  }
}

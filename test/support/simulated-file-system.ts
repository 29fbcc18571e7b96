/**
 * The {@link FileSystem} of the tests: a disk in memory that keeps what was written apart from what was synced.
 *
 * Every call is a numbered step. A test lets it crash at a step, and asks for as many disks as it likes that a power
 * cut there may leave; or lets steps fail, fill the disk, or transfer less than asked. Everything random comes from
 * a seed, and there are no timers: the same seed and the same calls give the same run.
 *
 *     const disk = prepared.clone({ crashAt: step })
 *     await workload(disk).catch(() => {})
 *     for (let seed = 0; seed < 100; seed++) await check(disk.crashState(seed))
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import type {
  DirectoryHandle,
  EntryInfo,
  FileHandle,
  FileSystem,
  OpenMode,
  Stamp,
} from '../../src/io/file-system.js'
import { Random } from './random.js'
import { SimulatedDisk, type DiskOptions, type PowerCutChoice } from './simulated-disk.js'
import { PAGE_BYTES } from './simulated-file.js'
import { SimulatedHandle, fileStamp, type HandleHost } from './simulated-handle.js'
import {
  SimulatedSteps,
  type Call,
  type CallRequest,
  type FaultOptions,
  type FaultTarget,
} from './simulated-steps.js'
import { systemError } from './system-error.js'

export type { EntryMode } from './simulated-directories.js'
export type { PowerCutChoice } from './simulated-disk.js'
export type { DataMode } from './simulated-file.js'
export { describeCall, SimulatedCrash } from './simulated-steps.js'
export type { Call, CallName, FaultOptions, FaultTarget } from './simulated-steps.js'

export interface SimulationOptions extends DiskOptions {
  /** Of partial transfers, of the order in which calls are done, and of what a failed call leaves. Default 0. */
  readonly seed?: number
  /** This call and all later ones throw {@link SimulatedCrash}. */
  readonly crashAt?: number | undefined
  /** The odds that a read or a write transfers only a part of what was asked. Default 0. */
  readonly shortTransfers?: number
}

export class SimulatedFileSystem implements FileSystem {
  /** See {@link SimulationOptions}; may be changed at any time. */
  shortTransfers: number
  /** Bytes that write calls have transferred. */
  bytesWritten = 0
  /** How this disk came about: a line for each power cut, and for each choice made in it. */
  readonly history: string[] = []

  readonly #random: Random
  readonly #steps: SimulatedSteps
  readonly #disk: SimulatedDisk
  readonly #openDirectories: string[] = []

  /** `disk`: one that is there already. */
  constructor(options: SimulationOptions = {}, disk = new SimulatedDisk(options)) {
    this.#disk = disk
    this.#random = new Random(options.seed ?? 0)
    this.#steps = new SimulatedSteps(this.#random.fork(), options.crashAt)
    this.shortTransfers = options.shortTransfers ?? 0
  }

  // ---- the course of the run ----

  /** Calls so far. */
  get calls(): number {
    return this.#steps.log.length
  }

  /** All calls so far, for diagnosis and for tests of what is written where. */
  get log(): readonly Call[] {
    return this.#steps.log
  }

  /** See {@link SimulationOptions}; may be changed at any time. */
  get crashAt(): number | undefined {
    return this.#steps.crashAt
  }

  set crashAt(step: number | undefined) {
    this.#steps.crashAt = step
  }

  get crashed(): boolean {
    return this.#steps.crashed
  }

  /** The process ends now, between two calls or from within `onCall`. */
  crashNow(): void {
    this.#steps.crashNow()
  }

  /**
   * Sees every call before it begins. If it throws, the call throws that. A call that is not blocking waits for a
   * promise that it returns: so a test decides who comes first.
   */
  set onCall(hook: ((call: Call) => void | Promise<void>) | undefined) {
    this.#steps.onCall = hook
  }

  /** Sees every call when it has begun: {@link leftByKill} tells what it would leave if it were the last. */
  set onBegun(hook: ((call: Call) => void) | undefined) {
    this.#steps.onBegun = hook
  }

  /** Sees every look at a path (`stamp`, `digest`) before it begins. It may hold it up. They are no calls, and have no number. */
  set onLook(hook: ((path: string) => void | Promise<void>) | undefined) {
    this.#steps.onLook = hook
  }

  /** Lets one call or more fail with a system error of this code. */
  failAt(target: FaultTarget, code: string, options: FaultOptions = {}): void {
    this.#steps.failAt(target, code, options)
  }

  /** No call fails any more. */
  clearFaults(): void {
    this.#steps.clearFaults()
  }

  get openHandles(): number {
    return this.openPaths.length
  }

  /** Paths of the open handles, sorted. */
  get openPaths(): string[] {
    return [...[...this.#disk.handles].map(handle => handle.path), ...this.#openDirectories].sort()
  }

  // ---- the disk, and what becomes of it ----

  /** See {@link SimulationOptions}; may be changed at any time. */
  get capacityBytes(): number {
    return this.#disk.capacityBytes
  }

  set capacityBytes(bytes: number) {
    this.#disk.capacityBytes = bytes
  }

  /** Bytes of all pages in use; an unlinked file uses them until it is closed. */
  get usedBytes(): number {
    return this.#disk.usedBytes
  }

  /**
   * The same disk with no process on it: the page cache as it is, what was synced and what was not still apart. That
   * is what `kill -9` leaves. No handle is open; nothing crashes or fails unless `options` say so.
   */
  clone(options: SimulationOptions = {}): SimulatedFileSystem {
    return this.#with(this.#disk.clone(options), options)
  }

  /**
   * What `kill -9` now would leave: calls in flight are done, done in part, or not done. It is the disk that a run with
   * `crashAt` at this call has at its end; here the process lives on, and nothing has changed.
   */
  leftByKill(): SimulatedFileSystem {
    const undo = [this.#disk, this.#steps, this.#random].map(part => part.remember())
    const [written, directories] = [this.bytesWritten, [...this.#openDirectories]]
    this.#steps.endInFlight()
    const left = this.clone()
    for (const putBack of undo) putBack()
    this.bytesWritten = written
    this.#openDirectories.splice(0, Infinity, ...directories)
    left.history.push(`killed at call ${this.calls}`)
    return left
  }

  /**
   * One disk that a power cut now may leave: all that was synced, and of the rest a part that the seed chooses.
   * Everything on it is synced. Works before and after a crash, and changes nothing here.
   */
  crashState(
    seed: number,
    choice: PowerCutChoice = {},
    options: SimulationOptions = {},
  ): SimulatedFileSystem {
    const random = new Random(seed)
    // Now and then everything has one fate; else each file, and the directory entries, have their own.
    const draw = random.below(12)
    const common = draw === 0 ? 'none' : draw === 1 ? 'all' : undefined
    const story = [`power cut after call ${this.calls}, seed ${seed}`]
    const note = (line: string): void => void story.push(line)
    const fates = { data: choice.data ?? common, entries: choice.entries ?? common }
    const disk = this.#disk.afterPowerCut(random, fates, note, options)
    for (const [path, file] of disk.directories.entries())
      note(`${path} is file ${file.id}, ${file.size} bytes`)
    const result = this.#with(disk, { seed, ...options })
    result.history.push(...story)
    return result
  }

  /** The kernel evicts its cache: what a failed sync has lost is now gone for readers too. */
  dropCache(): void {
    this.#disk.dropCache()
  }

  // ---- files, looked at and damaged behind the program's back: no steps ----

  /** Paths of all files, sorted. */
  files(): string[] {
    return [...this.#disk.directories.entries()].map(([path]) => path).sort()
  }

  readFile(path: string): Uint8Array {
    const file = this.#disk.existing(resolve(path), 'open')
    const bytes = new Uint8Array(file.size)
    file.read(bytes, 0)
    return bytes
  }

  /** Makes a file, or replaces what one holds, with the directories it needs; all of it is synced. */
  writeFile(path: string, bytes: Uint8Array): void {
    this.#disk.place(resolve(path), bytes)
  }

  truncateFile(path: string, bytes: number): void {
    this.writeFile(path, this.readFile(path).subarray(0, bytes))
  }

  /** Changes one byte, by xor with `flip`. */
  flipByte(path: string, offset: number, flip = 0xff): void {
    const bytes = this.readFile(path)
    if (offset >= bytes.length) throw new RangeError(`${path} has ${bytes.length} bytes, none at ${offset}`)
    bytes[offset] = bytes[offset]! ^ flip
    this.writeFile(path, bytes)
  }

  removeFile(path: string): void {
    this.#disk.remove(resolve(path))
  }

  /** Another program gives the directory another name. */
  moveDirectory(from: string, to: string): void {
    this.#disk.directories.move(resolve(from), resolve(to))
  }

  // ---- FileSystem ----

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    const where = resolve(path)
    const wholly = (): void => void (mode === 'create' && this.#disk.createFile(where))
    return this.#steps.later({ op: mode === 'read' ? 'open' : mode, path: where }, () => ({
      run: () => this.#openFile(where, mode),
      partly: () => void (this.#random.chance(0.5) && wholly()),
      wholly,
    }))
  }

  rename(from: string, to: string): Promise<void> {
    const [path, target] = [resolve(from), resolve(to)]
    return this.#steps.later({ op: 'rename', path, target }, () => ({
      run: () => this.#disk.renameFile(path, target),
    }))
  }

  unlink(path: string): Promise<void> {
    const where = resolve(path)
    return this.#steps.later({ op: 'unlink', path: where }, () => ({
      run: () => this.#disk.unlink(where),
    }))
  }

  link(existing: string, path: string): Promise<void> {
    const [from, target] = [resolve(existing), resolve(path)]
    return this.#steps.later({ op: 'link', path: from, target }, () => ({
      run: () => this.#disk.link(from, target),
    }))
  }

  list(directory: string): Promise<string[]> {
    const where = resolve(directory)
    return this.#steps.later({ op: 'list', path: where }, () => ({
      run: () => this.#disk.list(where),
    }))
  }

  makeDirectory(directory: string): Promise<string | undefined> {
    const where = resolve(directory)
    return this.#steps.later({ op: 'makeDirectory', path: where }, () => ({
      run: () => {
        const made = this.#disk.makeDirectories(where)
        this.#disk.settleDirectories(made)
        return made[0]
      },
      partly: () => void this.#disk.makeDirectories(where, this.#random.below(3)),
    }))
  }

  removeDirectory(directory: string): Promise<void> {
    const where = resolve(directory)
    return this.#steps.later({ op: 'removeDirectory', path: where }, () => ({
      run: () => this.#disk.removeDirectory(where),
    }))
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#syncDirectory({ op: 'syncDirectory', path: resolve(directory) })
  }

  #syncDirectory(request: CallRequest): Promise<void> {
    const where = request.path
    return this.#steps.later(request, () => {
      // One that is held can be synced wherever it has gone.
      if (request.held !== true) this.#disk.requireDirectory(where, 'open', where)
      const covered = this.#disk.directories.beginSync(where)
      return { run: () => this.#disk.directories.endSync(covered), partly: () => {} }
    })
  }

  openDirectory(directory: string): Promise<DirectoryHandle> {
    const path = resolve(directory)
    const close = (): void => void this.#openDirectories.splice(this.#openDirectories.indexOf(path), 1)
    const handle: DirectoryHandle = {
      path,
      identity: async () => (await this.stamp(path))!.identity,
      sync: () => this.#syncDirectory({ op: 'syncDirectory', path, held: true }),
      close: () =>
        this.#steps.later({ op: 'close', path }, () => ({ run: close, partly: close, fail: close })),
    }
    return this.#steps.later({ op: 'openDirectory', path }, () => {
      this.#disk.requireDirectory(path, 'open', path)
      const run = (): DirectoryHandle => {
        this.#openDirectories.push(path)
        return handle
      }
      return { run, partly: () => {}, wholly: () => {} }
    })
  }

  info(path: string): Promise<EntryInfo | undefined> {
    const where = resolve(path)
    return this.#steps.later({ op: 'info', path: where }, () => ({ run: () => this.#disk.infoOf(where) }))
  }

  stamp(path: string): Promise<Stamp | undefined> {
    const where = resolve(path)
    return this.#steps.look(where, () => {
      const file = this.#disk.directories.find(where)
      const id = this.#disk.directories.idOf(where)
      if (id !== undefined) return { identity: `directory ${id}`, bytes: PAGE_BYTES, changed: '' }
      return file && fileStamp(file)
    })
  }

  digest(path: string): Promise<string | undefined> {
    const where = resolve(path)
    return this.#steps.look(where, () => {
      if (this.#disk.directories.has(where)) throw systemError('EISDIR', 'open', where)
      if (this.#disk.directories.find(where) === undefined) return undefined
      return createHash('sha256').update(this.readFile(where)).digest('hex')
    })
  }

  freeBytes(path: string): Promise<number> {
    const where = resolve(path)
    return this.#steps.later({ op: 'freeBytes', path: where }, () => ({
      run: () => {
        if (!this.#disk.directories.has(where)) this.#disk.existing(where, 'statfs')
        return this.#disk.freePages() * PAGE_BYTES
      },
    }))
  }

  // ---- inside ----

  #openFile(path: string, mode: OpenMode): FileHandle {
    if (mode !== 'create' && this.#disk.directories.has(path)) throw systemError('EISDIR', 'open', path)
    const file = mode === 'create' ? this.#disk.createFile(path) : this.#disk.existing(path, 'open')
    file.handles++
    const handle = new SimulatedHandle(this.#host(), path, file, mode !== 'read')
    this.#disk.handles.add(handle)
    return handle
  }

  #host(): HandleHost {
    return {
      steps: this.#steps,
      random: this.#random,
      freePages: () => this.#disk.freePages(),
      transfer: bytes =>
        bytes > 1 && this.#random.chance(this.shortTransfers) ? this.#random.between(1, bytes - 1) : bytes,
      noteWritten: bytes => {
        this.bytesWritten += bytes
      },
      noteClosed: handle => {
        if (!this.#disk.handles.delete(handle)) return
        handle.file.handles--
        this.#disk.noteGone(handle.file)
      },
    }
  }

  /** This disk with a new process on it. */
  #with(disk: SimulatedDisk, options: SimulationOptions): SimulatedFileSystem {
    const result = new SimulatedFileSystem(options, disk)
    result.history.push(...this.history)
    return result
  }
}

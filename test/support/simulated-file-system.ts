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
import { dirname, resolve } from 'node:path'
import type {
  DirectoryHandle,
  EntryInfo,
  FileHandle,
  FileSystem,
  OpenMode,
  Stamp,
} from '../../src/io/file-system.js'
import { Random } from './random.js'
import { SimulatedDirectories, type EntryMode } from './simulated-directories.js'
import { PAGE_BYTES, SimulatedFile, type DataMode } from './simulated-file.js'
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
export type { DataMode } from './simulated-file.js'
export { describeCall, SimulatedCrash } from './simulated-steps.js'
export type { Call, CallName, FaultOptions, FaultTarget } from './simulated-steps.js'

export interface SimulationOptions {
  /** Of partial transfers, of the order in which calls are done, and of what a failed call leaves. Default 0. */
  readonly seed?: number
  /** This call and all later ones throw {@link SimulatedCrash}. */
  readonly crashAt?: number | undefined
  /** The odds that a read or a write transfers only a part of what was asked. Default 0. */
  readonly shortTransfers?: number
  /** Default: no limit. */
  readonly capacityBytes?: number
  /** Whether there are hard links. Default: true. */
  readonly links?: boolean
}

/** Fixes what a power cut leaves; what is left out is chosen by the seed. */
export interface PowerCutChoice {
  readonly data?: DataMode
  readonly entries?: EntryMode
}

/** Free space of a disk without a limit. */
const UNLIMITED_PAGES = 2 ** 38
/** Files that are gone and whose blocks may show up in a file that grew without being written. */
const STALE_FILES_LIMIT = 4

export class SimulatedFileSystem implements FileSystem {
  /** See {@link SimulationOptions}; may be changed at any time. */
  shortTransfers: number
  capacityBytes: number
  readonly links: boolean
  /** Bytes that write calls have transferred. */
  bytesWritten = 0
  /** How this disk came about: a line for each power cut, and for each choice made in it. */
  readonly history: string[] = []

  readonly #random: Random
  readonly #steps: SimulatedSteps
  readonly #handles = new Set<SimulatedHandle>()
  readonly #openDirectories: string[] = []
  readonly #stale: SimulatedFile[] = []
  #directories = new SimulatedDirectories()
  #nextFileId = 1

  constructor(options: SimulationOptions = {}) {
    this.#random = new Random(options.seed ?? 0)
    this.#steps = new SimulatedSteps(this.#random.fork(), options.crashAt)
    this.shortTransfers = options.shortTransfers ?? 0
    this.capacityBytes = options.capacityBytes ?? Infinity
    this.links = options.links ?? true
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
    return [...[...this.#handles].map(handle => handle.path), ...this.#openDirectories].sort()
  }

  // ---- the disk, and what becomes of it ----

  /** Bytes of all pages in use; an unlinked file uses them until it is closed. */
  get usedBytes(): number {
    const files = new Set([...this.#handles].map(handle => handle.file))
    for (const [, file] of this.#directories.entries()) files.add(file)
    let pages = 0
    for (const file of files) pages += file.allocated
    return pages * PAGE_BYTES
  }

  /**
   * The same disk with no process on it: the page cache as it is, what was synced and what was not still apart. That
   * is what `kill -9` leaves. No handle is open; nothing crashes or fails unless `options` say so.
   */
  clone(options: SimulationOptions = {}): SimulatedFileSystem {
    const copy = once((file: SimulatedFile) => file.clone())
    return this.#derive(this.#directories.clone(copy), options)
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
    const stale = [...this.#stale, ...this.#files()]
    const cut = once((file: SimulatedFile) =>
      file.afterPowerCut(random, choice.data ?? common, stale, line => note(`file ${file.id}: ${line}`)),
    )
    const directories = this.#directories.afterPowerCut(random, choice.entries ?? common, cut, note)
    const result = this.#derive(directories, { seed, ...options })
    for (const [path, file] of directories.entries()) note(`${path} is file ${file.id}, ${file.size} bytes`)
    result.history.push(...story)
    return result
  }

  /** The kernel evicts its cache: what a failed sync has lost is now gone for readers too. */
  dropCache(): void {
    for (const file of this.#files()) file.dropCache()
    for (const handle of this.#handles) handle.file.dropCache()
  }

  // ---- files, looked at and damaged behind the program's back: no steps ----

  /** Paths of all files, sorted. */
  files(): string[] {
    return [...this.#directories.entries()].map(([path]) => path).sort()
  }

  readFile(path: string): Uint8Array {
    const file = this.#existing(resolve(path), 'open')
    const bytes = new Uint8Array(file.size)
    file.read(bytes, 0)
    return bytes
  }

  /** Makes a file, or replaces what one holds, with the directories it needs; all of it is synced. */
  writeFile(path: string, bytes: Uint8Array): void {
    const where = resolve(path)
    this.#settleDirectories(this.#makeDirectories(dirname(where)))
    const file = this.#directories.find(where) ?? new SimulatedFile(this.#nextFileId++)
    if (file.links === 0) file.links = 1
    this.#directories.place(where, file)
    file.replace(bytes)
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
    const where = resolve(path)
    this.#drop(this.#existing(where, 'unlink'))
    this.#directories.place(where, undefined)
  }

  /** Another program gives the directory another name. */
  moveDirectory(from: string, to: string): void {
    this.#directories.move(resolve(from), resolve(to))
  }

  // ---- FileSystem ----

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    const where = resolve(path)
    const wholly = (): void => void (mode === 'create' && this.#createFile(where))
    return this.#steps.later({ op: mode === 'read' ? 'open' : mode, path: where }, () => ({
      run: () => this.#openFile(where, mode),
      partly: () => void (this.#random.chance(0.5) && wholly()),
      wholly,
    }))
  }

  rename(from: string, to: string): Promise<void> {
    const [path, target] = [resolve(from), resolve(to)]
    return this.#steps.later({ op: 'rename', path, target }, () => ({
      run: () => this.#renameFile(path, target),
    }))
  }

  unlink(path: string): Promise<void> {
    const where = resolve(path)
    return this.#steps.later({ op: 'unlink', path: where }, () => ({
      run: () => {
        const file = this.#existing(where, 'unlink')
        this.#directories.do({ kind: 'remove', path: where })
        this.#drop(file)
      },
    }))
  }

  link(existing: string, path: string): Promise<void> {
    const [from, target] = [resolve(existing), resolve(path)]
    return this.#steps.later({ op: 'link', path: from, target }, () => ({
      run: () => {
        if (!this.links) throw systemError('EPERM', 'link', from, target)
        const file = this.#existing(from, 'link', target)
        this.#requireFree(target, 'link', from, target)
        this.#directories.do({ kind: 'add', path: target, file })
        file.links++
      },
    }))
  }

  list(directory: string): Promise<string[]> {
    const where = resolve(directory)
    return this.#steps.later({ op: 'list', path: where }, () => ({
      run: () => {
        this.#requireDirectory(where, 'scandir', where)
        return this.#directories.names(where)
      },
    }))
  }

  makeDirectory(directory: string): Promise<string | undefined> {
    const where = resolve(directory)
    return this.#steps.later({ op: 'makeDirectory', path: where }, () => ({
      run: () => {
        const made = this.#makeDirectories(where)
        this.#settleDirectories(made)
        return made[0]
      },
      partly: () => void this.#makeDirectories(where, this.#random.below(3)),
    }))
  }

  removeDirectory(directory: string): Promise<void> {
    const where = resolve(directory)
    return this.#steps.later({ op: 'removeDirectory', path: where }, () => ({
      run: () => {
        this.#requireDirectory(where, 'rmdir', where)
        if (this.#directories.names(where).length > 0) throw systemError('ENOTEMPTY', 'rmdir', where)
        this.#directories.do({ kind: 'removeDirectory', path: where })
      },
    }))
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#syncDirectory({ op: 'syncDirectory', path: resolve(directory) })
  }

  #syncDirectory(request: CallRequest): Promise<void> {
    const where = request.path
    return this.#steps.later(request, () => {
      // One that is held can be synced wherever it has gone.
      if (request.held !== true) this.#requireDirectory(where, 'open', where)
      const covered = this.#directories.beginSync(where)
      return { run: () => this.#directories.endSync(covered), partly: () => {} }
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
      this.#requireDirectory(path, 'open', path)
      const run = (): DirectoryHandle => {
        this.#openDirectories.push(path)
        return handle
      }
      return { run, partly: () => {}, wholly: () => {} }
    })
  }

  info(path: string): Promise<EntryInfo | undefined> {
    const where = resolve(path)
    return this.#steps.later({ op: 'info', path: where }, () => ({ run: () => this.#infoOf(where) }))
  }

  stamp(path: string): Promise<Stamp | undefined> {
    const where = resolve(path)
    return this.#steps.look(where, () => {
      const file = this.#directories.find(where)
      const id = this.#directories.idOf(where)
      if (id !== undefined) return { identity: `directory ${id}`, bytes: PAGE_BYTES, changed: '' }
      return file && fileStamp(file)
    })
  }

  digest(path: string): Promise<string | undefined> {
    const where = resolve(path)
    return this.#steps.look(where, () => {
      if (this.#directories.has(where)) throw systemError('EISDIR', 'open', where)
      if (this.#directories.find(where) === undefined) return undefined
      return createHash('sha256').update(this.readFile(where)).digest('hex')
    })
  }

  freeBytes(path: string): Promise<number> {
    const where = resolve(path)
    return this.#steps.later({ op: 'freeBytes', path: where }, () => ({
      run: () => {
        if (!this.#directories.has(where)) this.#existing(where, 'statfs')
        return this.#freePages() * PAGE_BYTES
      },
    }))
  }

  // ---- inside ----

  #openFile(path: string, mode: OpenMode): FileHandle {
    if (mode !== 'create' && this.#directories.has(path)) throw systemError('EISDIR', 'open', path)
    const file = mode === 'create' ? this.#createFile(path) : this.#existing(path, 'open')
    file.handles++
    const handle = new SimulatedHandle(this.#host(), path, file, mode !== 'read')
    this.#handles.add(handle)
    return handle
  }

  #host(): HandleHost {
    return {
      steps: this.#steps,
      random: this.#random,
      freePages: () => this.#freePages(),
      transfer: bytes =>
        bytes > 1 && this.#random.chance(this.shortTransfers) ? this.#random.between(1, bytes - 1) : bytes,
      noteWritten: bytes => {
        this.bytesWritten += bytes
      },
      noteClosed: handle => {
        if (!this.#handles.delete(handle)) return
        handle.file.handles--
        this.#noteGone(handle.file)
      },
    }
  }

  #createFile(path: string): SimulatedFile {
    this.#requireFree(path, 'open', path)
    const file = new SimulatedFile(this.#nextFileId++)
    file.links = 1
    this.#directories.do({ kind: 'add', path, file })
    return file
  }

  #renameDirectory(from: string, to: string): void {
    if (this.#directories.find(to) !== undefined) throw systemError('ENOTDIR', 'rename', from, to)
    this.#requireDirectory(dirname(to), 'rename', from, to)
    if (this.#directories.names(to).length > 0) throw systemError('ENOTEMPTY', 'rename', from, to)
    this.#directories.do({ kind: 'renameDirectory', from, path: to })
  }

  #renameFile(from: string, to: string): void {
    if (this.#directories.has(from)) {
      this.#renameDirectory(from, to)
      return
    }
    const file = this.#existing(from, 'rename', to)
    if (this.#directories.has(to)) throw systemError('EISDIR', 'rename', from, to)
    this.#requireDirectory(dirname(to), 'rename', from, to)
    const replaced = this.#directories.find(to)
    // POSIX: of two names of one file both stay.
    if (replaced === file) return
    this.#directories.do({ kind: 'rename', from, path: to, file })
    if (replaced !== undefined) this.#drop(replaced)
  }

  /** Makes the first `limit` of the directories that are missing; returns them, the topmost first. */
  #makeDirectories(path: string, limit = Infinity): string[] {
    const missing: string[] = []
    for (let above = path; !this.#directories.has(above); above = dirname(above)) {
      if (this.#directories.find(above) !== undefined) {
        throw systemError(above === path ? 'EEXIST' : 'ENOTDIR', 'mkdir', path)
      }
      missing.unshift(above)
    }
    const made = missing.slice(0, limit)
    for (const directory of made) this.#directories.do({ kind: 'directory', path: directory })
    return made
  }

  #settleDirectories(made: readonly string[]): void {
    for (const path of made) this.#directories.endSync(this.#directories.beginSync(dirname(path)))
  }

  #infoOf(path: string): EntryInfo | undefined {
    if (this.#directories.has(path))
      return { kind: 'directory', bytes: PAGE_BYTES, allocatedBytes: PAGE_BYTES }
    const file = this.#directories.find(path)
    if (file === undefined) return undefined
    const allocatedBytes = Math.ceil(file.size / PAGE_BYTES) * PAGE_BYTES
    return { kind: 'file', bytes: file.size, allocatedBytes }
  }

  #existing(path: string, syscall: string, target?: string): SimulatedFile {
    const file = this.#directories.find(path)
    if (file !== undefined) return file
    if (this.#directories.has(path)) throw systemError('EISDIR', syscall, path, target)
    this.#requireDirectory(dirname(path), syscall, path, target)
    throw systemError('ENOENT', syscall, path, target)
  }

  #requireFree(name: string, syscall: string, path: string, target?: string): void {
    this.#requireDirectory(dirname(name), syscall, path, target)
    if (this.#directories.find(name) === undefined && !this.#directories.has(name)) return
    throw systemError('EEXIST', syscall, path, target)
  }

  #requireDirectory(directory: string, syscall: string, path: string, target?: string): void {
    if (this.#directories.has(directory)) return
    const code = this.#directories.find(directory) === undefined ? 'ENOENT' : 'ENOTDIR'
    throw systemError(code, syscall, path, target)
  }

  #freePages(): number {
    if (this.capacityBytes === Infinity) return UNLIMITED_PAGES
    return Math.max(0, Math.floor((this.capacityBytes - this.usedBytes) / PAGE_BYTES))
  }

  #files(): SimulatedFile[] {
    return [...this.#directories.entries()].map(([, file]) => file)
  }

  #drop(file: SimulatedFile): void {
    file.links--
    this.#noteGone(file)
  }

  #noteGone(file: SimulatedFile): void {
    if (file.links > 0 || file.handles > 0) return
    this.#stale.push(file)
    if (this.#stale.length > STALE_FILES_LIMIT) this.#stale.shift()
  }

  #derive(directories: SimulatedDirectories, options: SimulationOptions): SimulatedFileSystem {
    const result = new SimulatedFileSystem({
      capacityBytes: this.capacityBytes,
      links: this.links,
      ...options,
    })
    result.#directories = directories
    for (const file of result.#files()) file.links++
    result.#nextFileId = this.#nextFileId
    result.#stale.push(...this.#stale)
    result.history.push(...this.history)
    return result
  }
}

/** The same copy for every name of a file. */
function once(copy: (file: SimulatedFile) => SimulatedFile): (file: SimulatedFile) => SimulatedFile {
  const copies = new Map<SimulatedFile, SimulatedFile>()
  return file => {
    const known = copies.get(file)
    if (known !== undefined) return known
    const made = copy(file)
    copies.set(file, made)
    return made
  }
}

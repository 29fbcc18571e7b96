/** What lies on a simulated disk: directories, files, room; what calls do there, with the errors of a system. */
import { dirname } from 'node:path'
import type { EntryInfo } from '../../src/io/file-system.js'
import type { Random } from './random.js'
import { type EntryMode, SimulatedDirectories } from './simulated-directories.js'
import { type DataMode, PAGE_BYTES, SimulatedFile } from './simulated-file.js'
import type { SimulatedHandle } from './simulated-handle.js'
import { systemError } from './system-error.js'

/** Free space of a disk without a limit. */
const UNLIMITED_PAGES = 2 ** 38
/** Files that are gone and whose blocks may show up in a file that grew without being written. */
const STALE_FILES_LIMIT = 4

export interface DiskOptions {
  /** Default: no limit. */
  readonly capacityBytes?: number
  /** Whether there are hard links. Default: true. */
  readonly links?: boolean
}

/** Fixes what a power cut leaves; what is left out is chosen by the seed. */
export interface PowerCutChoice {
  readonly data?: DataMode | undefined
  readonly entries?: EntryMode | undefined
}

/** The disk itself. It knows no steps: what a call does to it is done at once. */
export class SimulatedDisk {
  /** Of all pages in use; may be changed at any time. */
  capacityBytes: number
  readonly links: boolean
  readonly directories: SimulatedDirectories
  readonly handles = new Set<SimulatedHandle>()
  #stale: SimulatedFile[] = []
  #nextFileId = 1

  constructor(options: DiskOptions = {}, directories = new SimulatedDirectories()) {
    this.capacityBytes = options.capacityBytes ?? Infinity
    this.links = options.links ?? true
    this.directories = directories
  }

  /** The same disk, with no handle open. */
  clone(options: DiskOptions): SimulatedDisk {
    const copy = once((file: SimulatedFile) => file.clone())
    return this.#derive(this.directories.clone(copy), options)
  }

  /** To put all of it back to what it is now. */
  remember(): () => void {
    const handles = [...this.handles]
    const files = new Set([...this.directories.files(), ...handles.map(({ file }) => file)])
    const undo = [this.directories.remember(), ...[...files].map(file => file.remember())]
    const [stale, nextFileId] = [this.#stale, this.#nextFileId]
    this.#stale = [...stale]
    return () => {
      for (const putBack of undo) putBack()
      this.handles.clear()
      for (const handle of handles) this.handles.add(handle)
      this.#stale = stale
      this.#nextFileId = nextFileId
    }
  }

  /** A disk that a power cut may leave of this one. */
  afterPowerCut(
    random: Random,
    choice: PowerCutChoice,
    note: (line: string) => void,
    options: DiskOptions,
  ): SimulatedDisk {
    const stale = [...this.#stale, ...this.files()]
    const cut = once((file: SimulatedFile) =>
      file.afterPowerCut(random, choice.data, stale, line => note(`file ${file.id}: ${line}`)),
    )
    return this.#derive(this.directories.afterPowerCut(random, choice.entries, cut, note), options)
  }

  #derive(directories: SimulatedDirectories, options: DiskOptions): SimulatedDisk {
    const { capacityBytes, links } = this
    const result = new SimulatedDisk({ capacityBytes, links, ...options }, directories)
    for (const file of result.files()) file.links++
    result.#nextFileId = this.#nextFileId
    result.#stale.push(...this.#stale)
    return result
  }

  /** The kernel evicts its cache. */
  dropCache(): void {
    for (const file of this.files()) file.dropCache()
    for (const { file } of this.handles) file.dropCache()
  }

  // ---- what calls do; paths are absolute ----

  createFile(path: string): SimulatedFile {
    this.#requireFree(path, 'open', path)
    const file = new SimulatedFile(this.#nextFileId++)
    file.links = 1
    this.directories.do({ kind: 'add', path, file })
    return file
  }

  unlink(path: string): void {
    const file = this.existing(path, 'unlink')
    this.directories.do({ kind: 'remove', path })
    this.#drop(file)
  }

  link(from: string, target: string): void {
    if (!this.links) throw systemError('EPERM', 'link', from, target)
    const file = this.existing(from, 'link', target)
    this.#requireFree(target, 'link', from, target)
    this.directories.do({ kind: 'add', path: target, file })
    file.links++
  }

  list(path: string): string[] {
    this.requireDirectory(path, 'scandir', path)
    return this.directories.names(path)
  }

  removeDirectory(path: string): void {
    this.requireDirectory(path, 'rmdir', path)
    if (this.directories.names(path).length > 0) throw systemError('ENOTEMPTY', 'rmdir', path)
    this.directories.do({ kind: 'removeDirectory', path })
  }

  renameFile(from: string, to: string): void {
    if (this.directories.has(from)) {
      this.#renameDirectory(from, to)
      return
    }
    const file = this.existing(from, 'rename', to)
    if (this.directories.has(to)) throw systemError('EISDIR', 'rename', from, to)
    this.requireDirectory(dirname(to), 'rename', from, to)
    const replaced = this.directories.find(to)
    // POSIX: of two names of one file both stay.
    if (replaced === file) return
    this.directories.do({ kind: 'rename', from, path: to, file })
    if (replaced !== undefined) this.#drop(replaced)
  }

  #renameDirectory(from: string, to: string): void {
    if (this.directories.find(to) !== undefined) throw systemError('ENOTDIR', 'rename', from, to)
    this.requireDirectory(dirname(to), 'rename', from, to)
    if (this.directories.names(to).length > 0) throw systemError('ENOTEMPTY', 'rename', from, to)
    this.directories.do({ kind: 'renameDirectory', from, path: to })
  }

  /** Makes the first `limit` of the directories that are missing; returns them, the topmost first. */
  makeDirectories(path: string, limit = Infinity): string[] {
    const missing: string[] = []
    for (let above = path; !this.directories.has(above); above = dirname(above)) {
      if (this.directories.find(above) !== undefined) {
        throw systemError(above === path ? 'EEXIST' : 'ENOTDIR', 'mkdir', path)
      }
      missing.unshift(above)
    }
    const made = missing.slice(0, limit)
    for (const directory of made) this.directories.do({ kind: 'directory', path: directory })
    return made
  }

  settleDirectories(made: readonly string[]): void {
    for (const path of made) this.directories.endSync(this.directories.beginSync(dirname(path)))
  }

  infoOf(path: string): EntryInfo | undefined {
    if (this.directories.has(path))
      return { kind: 'directory', bytes: PAGE_BYTES, allocatedBytes: PAGE_BYTES, modifiedMs: 0 }
    const file = this.directories.find(path)
    if (file === undefined) return undefined
    const allocatedBytes = Math.ceil(file.size / PAGE_BYTES) * PAGE_BYTES
    return { kind: 'file', bytes: file.size, allocatedBytes, modifiedMs: 0 }
  }

  // ---- behind the program's back ----

  /** Puts a file there, with the directories it needs, all of it synced. */
  place(path: string, bytes: Uint8Array): void {
    this.settleDirectories(this.makeDirectories(dirname(path)))
    const file = this.directories.find(path) ?? new SimulatedFile(this.#nextFileId++)
    if (file.links === 0) file.links = 1
    this.directories.place(path, file)
    file.replace(bytes)
  }

  /** Takes a file away, as if it had not been there. */
  remove(path: string): void {
    this.#drop(this.existing(path, 'unlink'))
    this.directories.place(path, undefined)
  }

  // ---- what is there ----

  /** Bytes of all pages in use; an unlinked file uses them until it is closed. */
  get usedBytes(): number {
    const files = new Set([...this.handles].map(handle => handle.file))
    for (const [, file] of this.directories.entries()) files.add(file)
    let pages = 0
    for (const file of files) pages += file.allocated
    return pages * PAGE_BYTES
  }

  freePages(): number {
    if (this.capacityBytes === Infinity) return UNLIMITED_PAGES
    return Math.max(0, Math.floor((this.capacityBytes - this.usedBytes) / PAGE_BYTES))
  }

  files(): SimulatedFile[] {
    return [...this.directories.entries()].map(([, file]) => file)
  }

  existing(path: string, syscall: string, target?: string): SimulatedFile {
    const file = this.directories.find(path)
    if (file !== undefined) return file
    if (this.directories.has(path)) throw systemError('EISDIR', syscall, path, target)
    this.requireDirectory(dirname(path), syscall, path, target)
    throw systemError('ENOENT', syscall, path, target)
  }

  requireDirectory(directory: string, syscall: string, path: string, target?: string): void {
    if (this.directories.has(directory)) return
    const code = this.directories.find(directory) === undefined ? 'ENOENT' : 'ENOTDIR'
    throw systemError(code, syscall, path, target)
  }

  #requireFree(name: string, syscall: string, path: string, target?: string): void {
    this.requireDirectory(dirname(name), syscall, path, target)
    if (this.directories.find(name) === undefined && !this.directories.has(name)) return
    throw systemError('EEXIST', syscall, path, target)
  }

  #drop(file: SimulatedFile): void {
    file.links--
    this.noteGone(file)
  }

  /** A file that no name and no handle has is gone; its blocks may show up again. */
  noteGone(file: SimulatedFile): void {
    if (file.links > 0 || file.handles > 0) return
    this.#stale.push(file)
    if (this.#stale.length > STALE_FILES_LIMIT) this.#stale.shift()
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

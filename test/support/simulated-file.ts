/**
 * One file of the simulated disk: what the page cache shows, and what the device may hold of it after a power cut.
 *
 * Invariant: a page, once stored, is never changed; writes store new pages. So clones and crash states share pages,
 * and a crash state costs what was not synced, not what the file holds.
 */
import { Random } from './random.js'

export const PAGE_BYTES = 4096
/** The unit that a device writes whole or not at all. */
export const PIECE_BYTES = 512
const PIECES = PAGE_BYTES / PIECE_BYTES

/** Versions remembered of a page between two syncs; of more, some in the middle are forgotten. */
const VERSIONS_LIMIT = 4

type Page = Uint8Array

/**
 * How much of what was not synced is on the device after a power cut: nothing; everything; the size but no data;
 * whole pages, any of them; 512-byte pieces, any of them; everything up to a point.
 */
export type DataMode = 'none' | 'all' | 'size' | 'pages' | 'pieces' | 'prefix'

const RANDOM_MODES: readonly DataMode[] = [
  'none',
  'all',
  'size',
  'pages',
  'pages',
  'pieces',
  'pieces',
  'prefix',
]

/** What a place holds that belongs to the file by its size, but was never written: zeros, noise, or old blocks. */
const FILLS = ['zero', 'zero', 'noise', 'stale'] as const

const ZEROS: Page = new Uint8Array(PAGE_BYTES)
const NOISE = new Random(0x5eed).bytes(1 << 16)

/** A page with writes that no sync has covered. */
interface DirtyPage {
  /** What the device is known to hold; `undefined`: nothing was ever written there. */
  device: Page | undefined
  /** What was written since, oldest first; the last is what reads show. The device may hold any of them. */
  versions: { readonly page: Page; readonly time: number }[]
  /** A sync that began at this time or before it has nothing to tell about this page any more. */
  settledTime: number
}

/** What a sync in flight has promised to bring to the device: it covers what was written before it began. */
export interface PendingSync {
  readonly time: number
  readonly size: number
  readonly pages: ReadonlyMap<number, Page>
}

interface Fate {
  readonly mode: DataMode
  /** The odds that an unsynced page or piece has reached the device. */
  readonly odds: number
  readonly fill: (typeof FILLS)[number]
  /** For `prefix`: where the device stopped. */
  readonly cut: number
}

export class SimulatedFile {
  readonly id: number
  /** Directory entries that name it, and handles that have it open: space is free again when both are 0. */
  links = 0
  handles = 0
  size = 0
  /** The size that is sure to be found after a power cut. */
  syncedSize = 0
  /** Pages that take room on the disk. */
  allocated = 0
  #pages: (Page | undefined)[] = []
  #dirty = new Map<number, DirtyPage>()
  /** Clean in the cache, though the device holds something else: what a failed sync leaves. */
  #lost = new Map<number, Page | undefined>()
  /** Counts writes: tells what a sync that began earlier covers. */
  #time = 0

  constructor(id: number) {
    this.id = id
  }

  /** Whether a power cut can change anything in it. */
  get settled(): boolean {
    return this.#dirty.size === 0 && this.#lost.size === 0 && this.size === this.syncedSize
  }

  /** Counts its changes. */
  get changes(): number {
    return this.#time
  }

  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.byteLength, this.size - position))
    for (let done = 0; done < count;) {
      const offset = (position + done) % PAGE_BYTES
      const length = Math.min(PAGE_BYTES - offset, count - done)
      const page = this.#pages[(position + done - offset) / PAGE_BYTES] ?? ZEROS
      into.set(page.subarray(offset, offset + length), done)
      done += length
    }
    return count
  }

  /** How many of these bytes can be written if the disk has room for this many more pages. */
  writable(bytes: number, position: number, roomPages: number): number {
    let room = roomPages
    for (let index = Math.floor(position / PAGE_BYTES); index * PAGE_BYTES < position + bytes; index++) {
      if (this.#pages[index] !== undefined) continue
      if (room === 0) return Math.max(0, index * PAGE_BYTES - position)
      room--
    }
    return bytes
  }

  write(bytes: Uint8Array, position: number): void {
    const time = ++this.#time
    for (let done = 0; done < bytes.byteLength;) {
      const offset = (position + done) % PAGE_BYTES
      const length = Math.min(PAGE_BYTES - offset, bytes.byteLength - done)
      const index = (position + done - offset) / PAGE_BYTES
      const page = new Uint8Array(PAGE_BYTES)
      const before = this.#pages[index]
      if (before !== undefined && length < PAGE_BYTES) page.set(before)
      page.set(bytes.subarray(done, done + length), offset)
      this.#store(index, page, time)
      done += length
    }
    if (bytes.byteLength > 0) this.size = Math.max(this.size, position + bytes.byteLength)
  }

  #store(index: number, page: Page, time: number): void {
    const dirty = this.#dirty.get(index)
    if (dirty === undefined) {
      const device = this.#lost.has(index) ? this.#lost.get(index) : this.#pages[index]
      this.#lost.delete(index)
      this.#dirty.set(index, { device, versions: [{ page, time }], settledTime: time - 1 })
    } else {
      dirty.versions.push({ page, time })
      if (dirty.versions.length > VERSIONS_LIMIT) dirty.versions.splice(time % (VERSIONS_LIMIT - 1), 1)
    }
    if (this.#pages[index] === undefined) this.allocated++
    this.#pages[index] = page
  }

  beginSync(): PendingSync {
    const pages = new Map<number, Page>()
    for (const [index, dirty] of this.#dirty) pages.set(index, dirty.versions.at(-1)!.page)
    return { time: this.#time, size: this.size, pages }
  }

  /** The sync has succeeded: what it covers is on the device; what was written meanwhile is not. */
  endSync(sync: PendingSync): void {
    this.#settle(sync, (_index, page) => page)
    this.syncedSize = Math.max(this.syncedSize, sync.size)
  }

  /**
   * The sync has failed: some pieces have reached the device, and the kernel calls all the pages clean. Reads show
   * them until they are evicted; no later sync writes them ("Can applications recover from fsync failures?", ATC'20).
   */
  failSync(sync: PendingSync, random: Random): void {
    const fate = {
      mode: random.pick(['none', 'all', 'pages', 'pieces'] as const),
      odds: 0.5,
      fill: 'zero',
      cut: 0,
    } as const
    this.#settle(sync, (index, page, dirty) => {
      const written = { ...dirty, versions: [{ page, time: sync.time }] }
      const device = this.#fated(index, written, fate, random, []).page
      if (dirty.versions.length === 0) this.#lost.set(index, device)
      return device
    })
  }

  /** Forgets the versions that a sync covers; `result` tells what the device holds in their place. */
  #settle(
    sync: PendingSync,
    result: (index: number, page: Page, dirty: DirtyPage) => Page | undefined,
  ): void {
    for (const [index, page] of sync.pages) {
      const dirty = this.#dirty.get(index)
      // Another sync was faster, and all that is dirty here is younger than this one.
      if (dirty === undefined || dirty.settledTime >= sync.time) continue
      dirty.versions = dirty.versions.filter(version => version.time > sync.time)
      dirty.settledTime = sync.time
      dirty.device = result(index, page, dirty)
      if (dirty.versions.length === 0) this.#dirty.delete(index)
    }
  }

  /** The cache is evicted: what a failed sync has lost is now gone for readers too. */
  dropCache(): void {
    for (const [index, device] of this.#lost) this.#setClean(index, device)
    this.#lost.clear()
  }

  #setClean(index: number, page: Page | undefined): void {
    this.allocated += (page === undefined ? 0 : 1) - (this.#pages[index] === undefined ? 0 : 1)
    this.#pages[index] = page
  }

  /** The same file as it is: what was synced and what was not stay apart. Nothing has it open. */
  clone(): SimulatedFile {
    const copy = this.#copyOfPages()
    copy.size = this.size
    copy.syncedSize = this.syncedSize
    copy.#time = this.#time
    for (const [index, dirty] of this.#dirty)
      copy.#dirty.set(index, { ...dirty, versions: dirty.versions.slice() })
    for (const [index, device] of this.#lost) copy.#lost.set(index, device)
    return copy
  }

  /** To put it back to what it is now. */
  remember(): () => void {
    const { links, handles, size, syncedSize, allocated } = this
    const now = this.clone()
    return () => {
      Object.assign(this, { links, handles, size, syncedSize, allocated })
      this.#time = now.#time
      this.#pages = now.#pages
      this.#dirty = now.#dirty
      this.#lost = now.#lost
    }
  }

  /** All of it, as damage done to the device: synced, whatever was there. */
  replace(bytes: Uint8Array): void {
    this.#pages = []
    this.#dirty.clear()
    this.#lost.clear()
    this.allocated = 0
    this.size = 0
    this.write(bytes, 0)
    this.#dirty.clear()
    this.syncedSize = this.size
  }

  #copyOfPages(): SimulatedFile {
    const copy = new SimulatedFile(this.id)
    copy.#pages = this.#pages.slice()
    copy.allocated = this.allocated
    return copy
  }

  /**
   * One legal content of the device after a power cut now. `stale` are files whose blocks a place that was never
   * written may show. `note` gets a line that tells what was chosen.
   */
  afterPowerCut(
    random: Random,
    mode: DataMode | undefined,
    stale: readonly SimulatedFile[],
    note: (line: string) => void,
  ): SimulatedFile {
    const result = this.#copyOfPages()
    for (const [index, device] of this.#lost) result.#setClean(index, device)
    result.size = this.size
    if (!this.settled) {
      const fate = this.#chooseFate(random, mode)
      let extent = this.syncedSize
      for (const [index, dirty] of this.#dirty) {
        const { page, end } = this.#fated(index, dirty, fate, random, stale)
        result.#setClean(index, page)
        extent = Math.max(extent, Math.min(end, this.size))
      }
      result.#cutTo(this.#chooseSize(random, fate.mode, extent))
      note(
        `${fate.mode} (odds ${fate.odds}, cut ${fate.cut}, fill ${fate.fill}), ${result.size} of ${this.size} bytes`,
      )
    }
    result.syncedSize = result.size
    return result
  }

  #chooseFate(random: Random, mode: DataMode | undefined): Fate {
    const dirty = [...this.#dirty.keys()]
    return {
      mode: mode ?? random.pick(RANDOM_MODES),
      odds: random.pick([0.05, 0.5, 0.95]),
      fill: random.pick(FILLS),
      cut: dirty.length === 0 ? 0 : random.pick(dirty) * PAGE_BYTES + random.below(PIECES + 1) * PIECE_BYTES,
    }
  }

  #chooseSize(random: Random, mode: DataMode, extent: number): number {
    if (mode === 'none') return this.syncedSize
    if (mode === 'all' || mode === 'size') return this.size
    const draw = random.below(10)
    if (draw < 5) return this.size
    if (draw < 8) return extent
    return draw < 9 ? random.between(this.syncedSize, this.size) : this.syncedSize
  }

  /** What the device holds of a dirty page, and the end of what it holds of the new data. */
  #fated(
    index: number,
    dirty: DirtyPage,
    fate: Fate,
    random: Random,
    stale: readonly SimulatedFile[],
  ): { readonly page: Page | undefined; readonly end: number } {
    const start = index * PAGE_BYTES
    switch (fate.mode) {
      case 'all':
        return { page: dirty.versions.at(-1)!.page, end: start + PAGE_BYTES }
      case 'pages':
        if (random.chance(fate.odds)) return { page: aVersion(dirty, random), end: start + PAGE_BYTES }
        break
      case 'none':
      case 'size':
        break
      case 'pieces':
      case 'prefix':
        return this.#fatedPieces(start, dirty, fate, random, stale)
    }
    return { page: dirty.device ?? this.#filled(start, fate, random, stale), end: 0 }
  }

  #fatedPieces(
    start: number,
    dirty: DirtyPage,
    fate: Fate,
    random: Random,
    stale: readonly SimulatedFile[],
  ): { readonly page: Page; readonly end: number } {
    const page = new Uint8Array(PAGE_BYTES)
    page.set(dirty.device ?? this.#filled(start, fate, random, stale) ?? ZEROS)
    let end = 0
    for (let piece = 0; piece < PIECES; piece++) {
      const offset = piece * PIECE_BYTES
      const arrived = fate.mode === 'prefix' ? start + offset < fate.cut : random.chance(fate.odds)
      if (!arrived) continue
      page.set(aVersion(dirty, random).subarray(offset, offset + PIECE_BYTES), offset)
      end = start + offset + PIECE_BYTES
    }
    return { page, end }
  }

  #cutTo(size: number): void {
    if (size === this.size) return
    this.size = size
    for (let index = Math.ceil(size / PAGE_BYTES); index < this.#pages.length; index++)
      this.#setClean(index, undefined)
    this.#pages.length = Math.min(this.#pages.length, Math.ceil(size / PAGE_BYTES))
    const kept = size % PAGE_BYTES
    const last = this.#pages[this.#pages.length - 1]
    // What lies behind the end of a file reads as zeros when the file grows over it.
    if (kept === 0 || last === undefined || this.#pages.length * PAGE_BYTES < size) return
    const page = last.slice()
    page.fill(0, kept)
    this.#pages[this.#pages.length - 1] = page
  }

  /** A page that the size covers and no write has reached. Some are noise in part only. */
  #filled(start: number, fate: Fate, random: Random, stale: readonly SimulatedFile[]): Page | undefined {
    // A hole in what was synced is a hole.
    if (start < this.syncedSize) return undefined
    switch (fate.fill) {
      case 'zero':
        return undefined
      case 'noise': {
        const from = random.below(NOISE.length - PAGE_BYTES)
        const noise = NOISE.slice(from, from + PAGE_BYTES)
        return random.chance(0.5) ? noise : noise.fill(0, random.below(PAGE_BYTES))
      }
      case 'stale':
        return stale.length === 0 ? undefined : random.pick(stale).block(start / PAGE_BYTES)
    }
  }

  /** A block of this file, as somebody finds it who was given its place on the device. */
  block(index: number): Uint8Array | undefined {
    return this.#pages[index]
  }
}

/** The last version most of the time, else any: the kernel may have written the page back between two writes. */
function aVersion(dirty: DirtyPage, random: Random): Page {
  return (random.chance(0.75) ? dirty.versions.at(-1)! : random.pick(dirty.versions)).page
}

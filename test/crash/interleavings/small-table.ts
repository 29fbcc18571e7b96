/**
 * A table as small as can be published: what is put are tags, and its bucket files have one page each with their tags.
 *
 * All of it is one file, TABLE, on a simulated disk. What is put is in memory until it is sealed, and lost with the process.
 */
import { crc32 } from 'node:zlib'
import type { BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import type { Manifest } from '../../../src/manifest/manifest.js'
import type { PublishedState } from '../../../src/remote/publisher.js'
import { sourceOf } from '../../../src/store/object-store.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'

export const DIRECTORY = '/table'
export const PAGE_BYTES = 4096
const PATH = `${DIRECTORY}/TABLE`

export interface SmallFile {
  readonly entry: BucketFileEntry
  readonly tags: readonly string[]
}

export interface SmallState {
  readonly tableId: string
  readonly epoch: number
  readonly nextFileNumber: number
  readonly files: readonly SmallFile[]
}

export class SmallTable {
  state: SmallState
  readonly #disk: SimulatedFileSystem
  #memtable: string[] = []

  private constructor(disk: SimulatedFileSystem, state: SmallState) {
    this.#disk = disk
    this.state = state
  }

  /** Makes a table, or opens one for a new life. */
  static async open(disk: SimulatedFileSystem, given: SmallState): Promise<SmallTable> {
    const state = read(disk) ?? given
    const table = new SmallTable(disk, { ...state, epoch: state.epoch + 1 })
    await table.#install()
    return table
  }

  /** What was put and sealed, in order. */
  get tags(): string[] {
    return this.state.files.flatMap(({ tags }) => tags)
  }

  put(tag: string): void {
    this.#memtable.push(tag)
  }

  /** What is in memory becomes a bucket file; durable. */
  async seal(): Promise<void> {
    if (this.#memtable.length === 0) return
    const firstSequence = this.tags.length
    this.#add(this.state.files, firstSequence, this.#memtable)
    this.#memtable = []
    await this.#install()
  }

  /** The files from the one at `from` on become one. */
  async merge(from: number): Promise<void> {
    const merged = this.state.files.slice(from)
    if (merged.length < 2) return
    const tags = merged.flatMap(file => file.tags)
    this.#add(this.state.files.slice(0, from), merged[0]!.entry.firstSequence, tags)
    await this.#install()
  }

  taken(): PublishedState {
    const { files, ...facts } = this.state
    const sequence = this.tags.length
    const manifest: Manifest = {
      ...facts,
      schema: { key: { type: 'u32' }, value: null },
      pageBytes: PAGE_BYTES,
      duplicates: 'keep',
      mode: 0o600,
      files: files.map(({ entry }) => entry),
      log: { closed: [], firstSegment: facts.nextFileNumber },
      firstLogSequence: sequence,
      nextSequence: sequence,
      clean: true,
      counters: { walBytes: 0, bucketBytes: 0, manifestBytes: 0, eventBytes: 0, recordBytes: 0, records: 0 },
      meta: {},
    }
    const contents = new Map(files.map(file => [file.entry.number, pageOf(facts.tableId, file)]))
    return { manifest, sourceOf: number => sourceOf(contents.get(number)!) }
  }

  #add(before: readonly SmallFile[], firstSequence: number, tags: readonly string[]): void {
    const { epoch, nextFileNumber: number } = this.state
    const entry = {
      number,
      epoch,
      level: 0,
      pages: 1,
      records: tags.length,
      firstSequence,
      endSequence: firstSequence + tags.length,
    }
    this.state = { ...this.state, nextFileNumber: number + 1, files: [...before, { entry, tags }] }
  }

  async #install(): Promise<void> {
    await writeTable(this.#disk, this.state)
  }
}

/** The table that is on the disk; `undefined`: none. */
export function read(disk: SimulatedFileSystem): SmallState | undefined {
  if (!disk.files().includes(PATH)) return undefined
  return JSON.parse(Buffer.from(disk.readFile(PATH)).toString()) as SmallState
}

export async function writeTable(disk: SimulatedFileSystem, state: SmallState): Promise<void> {
  const temporary = `${PATH}.tmp`
  if (disk.files().includes(temporary)) await disk.unlink(temporary)
  const file = await disk.open(temporary, 'create')
  await file.write(Buffer.from(JSON.stringify(state)), 0)
  await file.sync()
  await file.close()
  await disk.rename(temporary, PATH)
  await disk.syncDirectory(DIRECTORY)
}

/** Two halves, each with a checksum: what a reader fetches by ranges. */
function pageOf(own: string, { entry, tags }: SmallFile): Uint8Array {
  const text = JSON.stringify([entry.tableId ?? own, entry.epoch, entry.number, tags])
  const page = Buffer.alloc(PAGE_BYTES, ' ')
  for (const start of [0, PAGE_BYTES / 2]) {
    const half = page.subarray(start, start + PAGE_BYTES / 2)
    if (text.length > half.byteLength - 8) throw new Error('a page holds all tags of a file')
    half.write(text, 8)
    half.write(crc32(half.subarray(8)).toString(16).padStart(8, '0'), 0)
  }
  return page
}

/** The tags in a half of a page; `undefined` if it is damaged, or another file's. */
export function tagsOf(half: Uint8Array, { tableId, epoch, number }: BucketFileEntry): string[] | undefined {
  const bytes = Buffer.from(half)
  if (bytes.toString('latin1', 0, 8) !== crc32(bytes.subarray(8)).toString(16).padStart(8, '0'))
    return undefined
  const [writer, life, name, tags] = JSON.parse(bytes.toString('utf8', 8)) as [
    string,
    number,
    number,
    string[],
  ]
  return writer === tableId && life === epoch && name === number ? tags : undefined
}

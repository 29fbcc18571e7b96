/**
 * The life of one published partition on a virtual clock: flushes, merges, publishes and collections, by the functions that
 * decide them in the library, on entries of files that do not exist.
 */
import { putRate } from '../../../src/commit/put-pace.js'
import { nextMerge, sizeLevels, storedLevel, type PlannedMerge } from '../../../src/compaction/policy.js'
import { debtOfFiles } from '../../../src/compaction/pressure.js'
import type { BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import {
  fileIdentity,
  remoteKey,
  serializeRemote,
  type RemoteManifest,
} from '../../../src/remote/remote-manifest.js'
import { collected, keysByIdentity, withVersion, type PublishedFile } from '../../../src/remote/versions.js'
import { RECORD_BYTES } from '../../cli/bench/records.js'
import { CountingStore, type StoreLatency } from './counting-store.js'
import { filePages, PAGE_BYTES } from './sizes.js'

export interface PartitionOptions {
  readonly records: number
  /** Of the whole table: they share its keys evenly. */
  readonly partitions: number
  /** Records of a flush: `bufferBytes` / 16. */
  readonly bufferRecords: number
  readonly fanout: number
  readonly recordsPerSecond: number
  readonly mergeRecordsPerSecond: number
  /** From the begin of a publish to the next one, if something is new. 0: after each change. */
  readonly publishEveryMs: number
  readonly retentionMs: number
  readonly latency: StoreLatency
  readonly seed: number
  /** Of how many publishes the manifest is written and checked: one of that many, and the last. */
  readonly serializeEvery: number
}

export interface PartitionFigures {
  readonly store: CountingStore
  readonly publishes: number
  /** Objects that the newest version has: at the end, and on average and at most over all publishes. */
  readonly liveObjects: number
  readonly liveObjectsMean: number
  readonly liveObjectsMost: number
  readonly liveBytes: number
  readonly manifestBytes: number
  readonly manifestBytesMost: number
  /** Objects and bytes that only older versions have, at most, and the longest that one stayed. */
  readonly retiredMost: number
  readonly retiredBytesMost: number
  readonly retiredMsMost: number
  /** From the begin of a publish to its end: on average, at most. */
  readonly publishMsMean: number
  readonly publishMsMost: number
  readonly loadedMs: number
  /** The records of the files at the end, newest first. */
  readonly fileRecords: readonly number[]
}

const ID = '0123456789abcdef0123456789abcdef'
const SCHEMA = {
  key: { type: 'u64' },
  value: { fields: { time: { type: 'u16' }, flags: { type: 'u16' }, id: { type: 'i32' } } },
}

/** What is under way. */
interface Running<T> {
  readonly what: T
  readonly endMs: number
}

/** The state that a publish has taken. */
interface Published {
  readonly files: readonly PublishedFile[]
  readonly change: number
  readonly beganMs: number
}

export class SimulatedPartition {
  readonly #options: PartitionOptions
  readonly #store: CountingStore
  #nowMs = 0
  #changedMs = 0
  /** Records in memory. */
  #buffered = 0
  #files: BucketFileEntry[] = []
  #number = 1
  #sequence = 0
  #walBytes = 0
  #bucketBytes = 0
  #remote: RemoteManifest
  /** Of the state, and of the newest published one. */
  #change = 0
  #published = 0
  #publishes = 0
  #liveSum = 0
  #liveMost = 0
  #retiredMost = 0
  #retiredBytesMost = 0
  #retiredMsMost = 0
  #manifestBytes = 0
  #manifestBytesMost = 0
  #publishMsSum = 0
  #publishMsMost = 0

  constructor(options: PartitionOptions) {
    this.#options = options
    this.#store = new CountingStore(options.latency, options.seed)
    this.#remote = {
      lineage: ID,
      epoch: 1,
      writer: { id: ID, label: 'machine-of-a-writer:/var/lib/tables/fingerprints/p/0a' },
      nonce: ID,
      published: ID,
      parent: ID,
      retentionMs: options.retentionMs,
      table: {
        tableId: ID,
        epoch: 1,
        schema: SCHEMA as never,
        pageBytes: PAGE_BYTES,
        duplicates: 'keep',
        mode: 0o600,
      },
      files: [],
      versions: [],
      names: [],
    }
  }

  run(): PartitionFigures {
    const { records, bufferRecords, publishEveryMs, retentionMs } = this.#options
    // Partitions begin at different times.
    this.#buffered = bufferRecords * this.#store.random()
    let merge: Running<PlannedMerge> | undefined
    let publish: Running<Published> | undefined
    let publishDueMs = 0
    for (;;) {
      const bufferMost = Math.min(bufferRecords, records - this.#sequence)
      const flushMs = bufferMost > 0 ? this.#nowMs + this.#msToPut(bufferMost - this.#buffered) : Infinity
      const publishMs =
        publish === undefined && this.#change > this.#published
          ? Math.max(publishDueMs, this.#changedMs)
          : Infinity
      const nextMs = Math.min(flushMs, merge?.endMs ?? Infinity, publish?.endMs ?? Infinity, publishMs)
      if (nextMs === Infinity) break
      this.#passTo(nextMs)
      if (nextMs === merge?.endMs) {
        this.#install(merge.what)
        merge = this.#nextMerge()
      } else if (nextMs === publish?.endMs) {
        this.#endPublish(publish.what)
        publish = undefined
      } else if (nextMs === flushMs) {
        this.#flush(bufferMost)
        merge ??= this.#nextMerge()
      } else {
        publishDueMs = nextMs + publishEveryMs
        publish = this.#beginPublish()
      }
    }
    const loadedMs = this.#nowMs
    this.#collectAt(loadedMs + retentionMs + 1)
    return this.#figures(loadedMs)
  }

  /** Puts come in meanwhile. */
  #passTo(nextMs: number): void {
    const bufferMost = Math.min(this.#options.bufferRecords, this.#options.records - this.#sequence)
    this.#buffered = Math.min(bufferMost, this.#buffered + (nextMs - this.#nowMs) * this.#recordsPerMs())
    this.#nowMs = nextMs
    this.#store.passTo(nextMs)
  }

  #msToPut(records: number): number {
    return records / this.#recordsPerMs()
  }

  /** Where merges are behind, puts are delayed. */
  #recordsPerMs(): number {
    const { recordsPerSecond, fanout } = this.#options
    const debt = debtOfFiles(this.#files.length, fanout)
    return Math.min(recordsPerSecond / 1000, putRate(debt) / RECORD_BYTES)
  }

  #noteChange(): void {
    this.#change++
    this.#changedMs = this.#nowMs
  }

  #flush(records: number): void {
    const firstSequence = this.#sequence
    this.#sequence += records
    this.#buffered = 0
    this.#walBytes += Math.round(11.54 * records)
    this.#files.push(this.#newFile(records, 0, firstSequence, this.#sequence))
    this.#noteChange()
  }

  #newFile(records: number, level: number, firstSequence: number, endSequence: number): BucketFileEntry {
    const pages = filePages(records, this.#options.partitions)
    this.#bucketBytes += pages * PAGE_BYTES
    const number = this.#number++
    return { tableId: ID, number, epoch: 1, level, pages, records, firstSequence, endSequence }
  }

  #nextMerge(): Running<PlannedMerge> | undefined {
    const { bufferRecords, fanout, mergeRecordsPerSecond } = this.#options
    const planned = nextMerge(sizeLevels(this.#files, bufferRecords, fanout), fanout)
    if (planned === undefined) return undefined
    const records = recordsOf(this.#files.slice(planned.from, planned.to))
    return { what: planned, endMs: this.#nowMs + (1000 * records) / mergeRecordsPerSecond }
  }

  /** Files that were flushed meanwhile are newer: the places of the inputs are the same. */
  #install({ from, to, level }: PlannedMerge): void {
    const inputs = this.#files.slice(from, to)
    const output = this.#newFile(
      recordsOf(inputs),
      storedLevel(level),
      inputs[0]!.firstSequence,
      inputs.at(-1)!.endSequence,
    )
    this.#files.splice(from, to - from, output)
    this.#noteChange()
  }

  /** As `remote/publisher.ts`: what the newest version does not have is uploaded, one after another; then the swap. */
  #beginPublish(): Running<Published> {
    const keys = keysByIdentity(this.#remote)
    let tookMs = 0
    const files = this.#files.map((entry): PublishedFile => {
      const known = keys.get(fileIdentity(entry))
      if (known !== undefined) return { entry, key: known }
      const random = this.#store.random().toString(16).slice(2).padEnd(16, '0').slice(0, 16)
      const key = remoteKey(1, entry.number, random)
      tookMs += this.#store.put(key, entry.pages * PAGE_BYTES)
      return { entry, key }
    })
    tookMs += this.#store.swap(this.#manifestBytes)
    const what = { files, change: this.#change, beganMs: this.#nowMs }
    return { what, endMs: this.#nowMs + tookMs }
  }

  #endPublish({
    files,
    change,
    beganMs,
  }: {
    files: readonly PublishedFile[]
    change: number
    beganMs: number
  }): void {
    const at = Math.floor(this.#nowMs)
    const next = withVersion(this.#remote, {
      table: this.#remote.table,
      files,
      at,
      sequence: files.at(-1)!.entry.endSequence,
      nextFileNumber: this.#number,
      counters: {
        walBytes: this.#walBytes,
        bucketBytes: this.#bucketBytes,
        manifestBytes: 1000 * this.#number,
        eventBytes: 300 * this.#number,
        recordBytes: 16 * this.#sequence,
        records: this.#sequence,
      },
      meta: {},
    })
    this.#published = change
    this.#publishes++
    this.#liveSum += files.length
    this.#liveMost = Math.max(this.#liveMost, files.length)
    const tookMs = this.#nowMs - beganMs
    this.#publishMsSum += tookMs
    this.#publishMsMost = Math.max(this.#publishMsMost, tookMs)
    this.#accept(next, at)
  }

  /** Collects as each publish does, deletes what that has dropped, and checks what there is then. */
  #accept(next: RemoteManifest, at: number): void {
    const { remote, dropped } = collected(next, at, this.#options.retentionMs)
    this.#remote = remote
    for (const key of dropped) this.#store.delete(key)
    if (this.#store.count !== remote.files.length)
      this.#fail(`${this.#store.count} objects, ${remote.files.length} named`)
    let [retired, bytes] = [0, 0]
    for (const { key, until, untilAt, entry } of remote.files) {
      if (!this.#store.has(key)) this.#fail(`${key} is named, and is not there`)
      if (until === undefined) continue
      retired++
      bytes += entry.pages * PAGE_BYTES
      this.#retiredMsMost = Math.max(this.#retiredMsMost, at - untilAt!)
    }
    this.#retiredMost = Math.max(this.#retiredMost, retired)
    this.#retiredBytesMost = Math.max(this.#retiredBytesMost, bytes)
    if (this.#publishes % this.#options.serializeEvery === 0) this.#serialize()
  }

  /** Throws if the manifest is none that a table could have. */
  #serialize(): void {
    this.#manifestBytes = serializeRemote(this.#remote).byteLength
    this.#manifestBytesMost = Math.max(this.#manifestBytesMost, this.#manifestBytes)
  }

  /** As `gc` does, when nothing is published any more. */
  #collectAt(nowMs: number): void {
    this.#serialize()
    this.#store.passTo(nowMs)
    this.#nowMs = nowMs
    const versions = this.#remote.versions.length
    this.#accept(this.#remote, Math.floor(nowMs))
    this.#serialize()
    if (this.#remote.versions.length < versions) this.#store.swap(this.#manifestBytes)
    if (this.#store.count !== this.#files.length) this.#fail('there is garbage when the retention is over')
  }

  #figures(loadedMs: number): PartitionFigures {
    return {
      store: this.#store,
      publishes: this.#publishes,
      liveObjects: this.#files.length,
      liveObjectsMean: this.#liveSum / this.#publishes,
      liveObjectsMost: this.#liveMost,
      liveBytes: this.#store.storedBytes,
      manifestBytes: this.#manifestBytes,
      manifestBytesMost: this.#manifestBytesMost,
      retiredMost: this.#retiredMost,
      retiredBytesMost: this.#retiredBytesMost,
      retiredMsMost: this.#retiredMsMost,
      publishMsMean: this.#publishMsSum / this.#publishes,
      publishMsMost: this.#publishMsMost,
      loadedMs,
      fileRecords: this.#files.map(({ records }) => records).toReversed(),
    }
  }

  #fail(what: string): never {
    throw new Error(`partition of seed ${this.#options.seed}, at ${Math.round(this.#nowMs)} ms: ${what}`)
  }
}

function recordsOf(files: readonly BucketFileEntry[]): number {
  return files.reduce((sum, { records }) => sum + records, 0)
}

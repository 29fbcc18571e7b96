/** What a table and its writer do, as seen from outside: a read-only open, the event log, the directory, /proc. */
import { stat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { totalBytes, type LoggedEvent } from '../../../src/event-log/event.js'
import { EventLogReader } from '../../../src/event-log/reader.js'
import { FlashTable, type TableStats } from '../../../src/index.js'
import { parseFileName } from '../../../src/io/file-names.js'
import { nodeFileSystem } from '../../../src/io/node-file-system.js'
import { writerOf, type WriterProcess } from './writer-process.js'

/** The cache of the read-only open: it looks nothing up. */
const CACHE_BYTES = 2 ** 20
/** Events that are kept: those of the last minute count, and some are shown. */
const EVENTS_MAX = 1000

/** A bucket file that is being written: no manifest names it yet. */
export interface Growing {
  readonly name: string
  readonly bytes: number
}

/** One look. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly timeMs: number
  readonly stats: TableStats
  /** Bytes written in the life of the table: by the manifest, or by the event log where that is newer. */
  readonly writtenBytes: number
  readonly writer: WriterProcess | undefined
  readonly growing: readonly Growing[]
  /** The newest ones, oldest first. */
  readonly events: readonly LoggedEvent[]
  /** How long the look took, in milliseconds. */
  readonly tookMs: number
}

export class Observer {
  readonly #directory: string
  readonly #table: FlashTable
  readonly #log: EventLogReader
  #events: LoggedEvent[] = []

  private constructor(directory: string, table: FlashTable) {
    this.#directory = directory
    this.#table = table
    this.#log = new EventLogReader(nodeFileSystem, directory)
  }

  static async open(directory: string, signal: AbortSignal): Promise<Observer> {
    const table = await FlashTable.open(directory, { readOnly: true, cacheBytes: CACHE_BYTES, signal })
    return new Observer(directory, table)
  }

  /** Cost: reads the log of the table again, about 0.3 s a million records in it. */
  async look(): Promise<Sample> {
    const startMs = performance.now()
    await this.#table.refresh()
    const stats = await this.#table.stats()
    const added = await this.#log.readNew()
    this.#events = [...this.#events, ...added].slice(-EVENTS_MAX)
    const told = this.#events.at(-1)
    const { wal, buckets, manifest, events } = stats.bytesWritten
    return {
      timeMs: Date.now(),
      stats,
      writtenBytes: Math.max(
        wal + buckets + manifest + events,
        told === undefined ? 0 : totalBytes(told.written),
      ),
      writer: await writerOf(this.#directory),
      growing: await this.#growing(stats),
      events: this.#events,
      tookMs: performance.now() - startMs,
    }
  }

  async close(): Promise<void> {
    await this.#log.close()
    await this.#table.close()
  }

  async #growing({ files }: TableStats): Promise<Growing[]> {
    const named = new Set(files.map(({ name }) => name))
    const others = (await readdir(this.#directory)).filter(
      name => parseFileName(name)?.kind === 'bucket' && !named.has(name),
    )
    const growing: Growing[] = []
    for (const name of others) {
      // It may be finished by now.
      const info = await stat(join(this.#directory, name)).catch(() => undefined)
      if (info !== undefined) growing.push({ name, bytes: info.size })
    }
    return growing
  }
}

/**
 * Writes the event log: what has happened in an open table, one line an event, in `LOG.jsonl` of its directory.
 *
 * Lines gather in memory, and become one append about once a second: many small seals do not dirty a page each. Nothing is
 * synced, no call waits for it, and a failure - a full disk, no descriptor, a foreign file under the name - only ends it,
 * until the next open. A file that is full becomes `LOG.old.jsonl`, in place of the older one.
 *
 * Crash: lines are lost or torn; the next life begins a line of its own. docs/file-format.md, Event log.
 */
import { Buffer } from 'node:buffer'
import { newAbortController } from '../async/abort.js'
import { hasCode } from '../base/errors.js'
import type { LatencyStats } from '../base/latency.js'
import { EVENT_LOG_NAME, OLD_EVENT_LOG_NAME } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { readFully, writeFully } from '../io/transfer.js'
import { eventLine, joined, totalBytes, type NotedEvent, type TableTotals } from './event.js'
import { historyIn, MARK_MS, WrittenHistory, type Wear } from './wear.js'

/** A file that would be larger is put aside. */
export const EVENT_LOG_BYTES_MAX = 2 ** 20
/** Lines gather for that long. */
const GATHER_MS = 1000
/** Of more lines than this, those of one kind and reason become one. */
const LINES_MAX = 16
const NEWLINE = 0x0a

export interface EventLogOptions {
  /** Checks that the directory is still the table's, gives new files its permissions, and counts what is written. */
  readonly fileSystem: FileSystem
  readonly directory: string
  /** False: nothing is written, but what this life writes is known in memory. */
  readonly isWritten: boolean
  /** Milliseconds since 1970. */
  readonly date: () => number
  /** Resolves after that number of milliseconds, or when the signal aborts. Does not keep the process alive. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  /** The table as it is now. */
  readonly totals: () => TableTotals
  /** How long things have taken since the open, if that is measured. */
  readonly latency: () => LatencyStats | undefined
}

/** A line that waits to be written. */
interface Waiting {
  readonly timeMs: number
  readonly noted: NotedEvent
  readonly totals: TableTotals
}

export class EventLog {
  readonly #options: EventLogOptions
  readonly #closing = newAbortController()
  #lines: Waiting[] = []
  /** Never rejects. */
  #writing: Promise<void> | undefined
  /** Whether a mark will come in time, if it is needed. */
  #isMarking = false
  #closed: Promise<void> | undefined
  /** Whether it ends, until the next open. */
  #givenUp: boolean
  /** What the newest line says of bytes written, the event log's own left out. */
  #toldBytes: number
  /** What this life has written by when; and the same with what the lines of earlier ones tell, once that is asked for. */
  readonly #own = new WrittenHistory()
  #earlier: Promise<WrittenHistory> | undefined
  /** Whether the file is known to end with a whole line. */
  #endsWhole = false

  constructor(options: EventLogOptions) {
    this.#options = options
    this.#givenUp = !options.isWritten
    const totals = options.totals()
    this.#toldBytes = tableBytes(totals)
    this.#own.add(options.date(), totalBytes(totals.written))
  }

  /** Notes what has just happened. */
  note(noted: NotedEvent): void {
    if (this.#closed !== undefined) return
    this.#add(noted)
    if (this.#lines.length === 0) return
    this.#writing ??= this.#writeInTime()
  }

  /**
   * Something is written, perhaps without an event for a long time: a line will say so. Called with each write to the
   * log, so it costs nothing.
   */
  noteWritten(): void {
    if (this.#isMarking) return
    this.#isMarking = true
    void this.#markInTime()
  }

  /** How fast the table writes. The first call reads what earlier lives have left. */
  async wear(): Promise<Wear> {
    const { fileSystem, directory, date, totals } = this.#options
    this.#earlier ??= historyIn(fileSystem, directory, date())
    const history = this.#own.after(await this.#earlier)
    return history.wear(date(), totalBytes(totals().written))
  }

  /** Writes what waits, with a last event. Idempotent, and never rejects. */
  close(last?: NotedEvent): Promise<void> {
    this.#closed ??= this.#close(last)
    return this.#closed
  }

  async #close(last: NotedEvent | undefined): Promise<void> {
    this.#closing.abort()
    await this.#writing
    if (last !== undefined) this.#add(last)
    await this.#writeLines()
  }

  #add(noted: NotedEvent): void {
    const { date, totals } = this.#options
    const lines = this.#lines
    const now = { timeMs: date(), totals: totals() }
    this.#toldBytes = tableBytes(now.totals)
    this.#own.add(now.timeMs, totalBytes(now.totals.written))
    if (this.#givenUp) return
    const same = lines.findLastIndex(
      ({ noted: { event, reason } }) => event === noted.event && reason === noted.reason,
    )
    if (lines.length < LINES_MAX || same < 0) {
      lines.push({ ...now, noted: this.#withLatency(noted) })
      return
    }
    const [older] = lines.splice(same, 1)
    lines.push({ ...now, noted: joined(older!.noted, this.#withLatency(noted)) })
  }

  /** What was measured so far, with the events that come now and then. */
  #withLatency(noted: NotedEvent): NotedEvent {
    if (noted.event !== 'mark' && noted.event !== 'close') return noted
    const latency = this.#options.latency()
    return latency === undefined ? noted : { ...noted, latency }
  }

  async #writeInTime(): Promise<void> {
    while (this.#lines.length > 0) {
      await this.#options.wait(GATHER_MS, this.#closing.signal)
      // `close` writes them.
      if (this.#closing.signal.aborted) break
      await this.#writeLines()
    }
    this.#writing = undefined
  }

  async #markInTime(): Promise<void> {
    await this.#options.wait(MARK_MS, this.#closing.signal)
    this.#isMarking = false
    if (this.#closing.signal.aborted) return
    if (tableBytes(this.#options.totals()) !== this.#toldBytes) this.note({ event: 'mark' })
  }

  /** Writes the lines that wait. Never rejects. */
  async #writeLines(): Promise<void> {
    const lines = this.#lines
    this.#lines = []
    if (lines.length === 0 || this.#givenUp) return
    try {
      await this.#append(
        Buffer.from(lines.map(({ timeMs, noted, totals }) => eventLine(timeMs, noted, totals)).join('')),
      )
    } catch {
      // The table does not need it, and goes on.
      this.#givenUp = true
      this.#lines = []
    }
  }

  async #append(bytes: Uint8Array): Promise<void> {
    const file = await this.#openFor(bytes.byteLength)
    try {
      const size = await file.size()
      const isTorn = !this.#endsWhole && size > 0 && (await lastByte(file, size)) !== NEWLINE
      await writeFully(file, isTorn ? Buffer.concat([Uint8Array.of(NEWLINE), bytes]) : bytes, size)
      this.#endsWhole = true
    } finally {
      await file.close()
    }
  }

  /** The file with room for that many bytes more. It is not kept open: others may move it, and descriptors are few. */
  async #openFor(bytes: number): Promise<FileHandle> {
    const { fileSystem, directory } = this.#options
    const path = `${directory}/${EVENT_LOG_NAME}`
    const file = await fileSystem.open(path, 'update').catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error
      return undefined
    })
    if (file === undefined) return fileSystem.open(path, 'create')
    let isFull: boolean
    try {
      isFull = (await file.size()) + bytes > EVENT_LOG_BYTES_MAX
    } catch (error) {
      await file.close()
      throw error
    }
    if (!isFull) return file
    await file.close()
    // Crash: there is no LOG.jsonl until the next append makes one.
    await fileSystem.rename(path, `${directory}/${OLD_EVENT_LOG_NAME}`)
    return fileSystem.open(path, 'create')
  }
}

/** Bytes written, without those of the event log: a line alone does not call for another one. */
function tableBytes({ written }: TableTotals): number {
  return totalBytes(written) - written.events
}

async function lastByte(file: FileHandle, size: number): Promise<number | undefined> {
  const byte = new Uint8Array(1)
  return (await readFully(file, byte, size - 1)) === 1 ? byte[0] : undefined
}

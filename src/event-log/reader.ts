/**
 * Reads the event log of a table: all of it, and then what is added, also beside its writer. Changes nothing.
 *
 * What is damaged, torn or foreign is skipped. docs/file-format.md, Event log.
 */
import { Buffer } from 'node:buffer'
import { FlashTableError, diskError, hasCode } from '../base/errors.js'
import { EVENT_LOG_NAME, MANIFEST_NAME, OLD_EVENT_LOG_NAME } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import { LINE_BYTES_MAX, LINE_BYTES_MIN, parseEventLine, type LoggedEvent } from './event.js'

/** Of a larger file only the end is read: it is not the writer's. */
const FILE_BYTES_MAX = 2 ** 22
const READ_BYTES = 2 ** 16
const NEWLINE = 0x0a
/** The writer may put its file aside between two opens, but not that often. */
const ATTEMPTS_MAX = 5
/** There is no file, or something else has its name: a directory, a link, a pipe. */
const NO_FILE: readonly string[] = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EINVAL']

export class EventLogReader {
  readonly #fileSystem: FileSystem
  readonly #directory: string
  /** The newer file, once it is there. */
  #newer: OpenLog | undefined
  #isStarted = false

  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem
    this.#directory = directory
  }

  /**
   * The first call: all events, oldest first. Later ones: those that were added since. Rejects with
   * `FLASHTABLE_NOT_FOUND` if there is no table, or `_IO_ERROR`.
   */
  async readNew(): Promise<LoggedEvent[]> {
    const events: LoggedEvent[] = []
    try {
      if (this.#isStarted) await this.#readOn(events)
      else await this.#readAll(events)
    } catch (error) {
      if (hasCode(error, 'FLASHTABLE_NOT_FOUND')) throw error
      throw diskError(error, `the event log of ${this.#directory} cannot be read`)
    }
    this.#isStarted = true
    return events
  }

  async close(): Promise<void> {
    await this.#newer?.file.close()
    this.#newer = undefined
  }

  async #readAll(events: LoggedEvent[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#newer = await this.#open(EVENT_LOG_NAME)
      const older = await this.#open(OLD_EVENT_LOG_NAME)
      try {
        // If the newer one was put aside in between, the file that it has replaced is gone: there is a third one now.
        const isSame = older !== undefined && older.identity === this.#newer?.identity
        if (isSame && attempt < ATTEMPTS_MAX) {
          await this.close()
          continue
        }
        if (older === undefined && this.#newer === undefined) await this.#requireTable()
        if (!isSame) await older?.readOn(events)
      } finally {
        await older?.file.close()
      }
      await this.#newer?.readOn(events)
      return
    }
  }

  async #readOn(events: LoggedEvent[]): Promise<void> {
    await this.#newer?.readOn(events)
    const now = await this.#fileSystem.stamp(`${this.#directory}/${EVENT_LOG_NAME}`)
    if (now === undefined || now.identity === this.#newer?.identity) return
    // What was written before it was put aside.
    await this.#newer?.readOn(events)
    await this.close()
    this.#newer = await this.#open(EVENT_LOG_NAME)
    await this.#newer?.readOn(events)
  }

  async #open(name: string): Promise<OpenLog | undefined> {
    try {
      return await OpenLog.open(this.#fileSystem, `${this.#directory}/${name}`)
    } catch (error) {
      if (NO_FILE.some(code => hasCode(error, code))) return undefined
      throw error
    }
  }

  async #requireTable(): Promise<void> {
    if ((await this.#fileSystem.info(`${this.#directory}/${MANIFEST_NAME}`)) !== undefined) return
    throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no table in ${this.#directory}`)
  }
}

/** One of the files, and how far it was read. */
class OpenLog {
  readonly file: FileHandle
  readonly identity: string
  #position: number
  /** The beginning of a line whose end is not there yet. */
  #rest = Buffer.alloc(0)

  private constructor(file: FileHandle, identity: string, position: number) {
    this.file = file
    this.identity = identity
    this.#position = position
  }

  static async open(fileSystem: FileSystem, path: string): Promise<OpenLog> {
    const file = await fileSystem.open(path, 'read')
    try {
      const { identity, bytes } = await file.stamp()
      return new OpenLog(file, identity, Math.max(0, bytes - FILE_BYTES_MAX))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async readOn(events: LoggedEvent[]): Promise<void> {
    // Somebody has emptied it.
    if ((await this.file.size()) < this.#position) this.#position = 0
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (;;) {
      const count = await readFully(this.file, buffer, this.#position)
      if (count === 0) return
      this.#position += count
      this.#addLines(Buffer.concat([this.#rest, buffer.subarray(0, count)]), events)
    }
  }

  #addLines(bytes: Buffer, events: LoggedEvent[]): void {
    let from = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      const size = end - from
      const mayBeLine = size >= LINE_BYTES_MIN && size <= LINE_BYTES_MAX
      const event = mayBeLine ? parseEventLine(bytes.toString('utf8', from, end)) : undefined
      if (event !== undefined) events.push(event)
      from = end + 1
    }
    const rest = bytes.subarray(from)
    // A longer one is no line, however it ends: its first byte stands for it.
    this.#rest = Buffer.from(rest.length > LINE_BYTES_MAX ? rest.subarray(0, LINE_BYTES_MAX + 1) : rest)
  }
}

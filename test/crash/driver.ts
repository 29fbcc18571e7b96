/** Drives a table on a simulated disk and keeps the history of what it asked and was promised. */
import { hasJobs } from '../support/later-executor.js'
import { SimulatedCrash, type SimulatedFileSystem } from '../support/simulated-file-system.js'
import type { CrashRecord, Effect, History } from './history.js'
import { bulkLoadOn, columnsOf, contents, openOn, type CrashTable, type OpenOptions } from './table.js'

/** An operation of a batch. */
export type BatchEffect = Exclude<Effect, { kind: 'delWhere' | 'delBefore' | 'clearKeys' | 'clear' }>

export class Driver {
  readonly disk: SimulatedFileSystem
  readonly history: History
  readonly options: OpenOptions
  table!: CrashTable
  #next = 0
  #opened = false

  constructor(disk: SimulatedFileSystem, history: History, options: OpenOptions = {}) {
    this.disk = disk
    this.history = history
    this.options = options
  }

  /** Where a table is open, its process dies first: what it has begun in the background ends before, not beside. */
  async open(options: object = {}): Promise<void> {
    if (this.#opened) await this.settle()
    this.#opened = true
    this.table = await openOn(this.disk, { ...this.options, ...options })
  }

  /** Another program writes a file; not when the process has ended, although a close may have said nothing of it. */
  writeFile(path: string, bytes: Uint8Array): void {
    if (this.disk.crashed) throw new SimulatedCrash('simulated crash before another program writes')
    this.disk.writeFile(path, bytes)
  }

  /** Records that differ in all fields and share keys now and then. */
  records(count: number): CrashRecord[] {
    return Array.from({ length: count }, () => {
      const n = this.#next++
      return { key: (n * 7919) % 97, time: n % 65536, id: n % 5 }
    })
  }

  record(): CrashRecord {
    return this.records(1)[0]!
  }

  put(record: CrashRecord, sync = false): Promise<void> {
    const { key, time, id } = record
    return this.#call([{ kind: 'put', record }], sync, () => this.table.put(key, { time, id }, { sync }))
  }

  batch(effects: readonly BatchEffect[], sync = false): Promise<void> {
    const operations = effects.map(effect =>
      effect.kind === 'del'
        ? { type: 'del' as const, key: effect.key }
        : {
            type: effect.kind,
            key: effect.record.key,
            value: { time: effect.record.time, id: effect.record.id },
          },
    )
    return this.#call(effects, sync, () => this.table.batch(operations, { sync }))
  }

  columns(records: readonly CrashRecord[], sync = false): Promise<void> {
    const effects = records.map(record => ({ kind: 'put' as const, record }))
    return this.#call(effects, sync, () => this.table.putColumns(columnsOf(records), { sync }))
  }

  putIfAbsent(record: CrashRecord, sync = false): Promise<void> {
    const { key, time, id } = record
    return this.#call([{ kind: 'putIfAbsent', record }], sync, async () => {
      await this.table.putIfAbsent(key, { time, id }, { sync })
    })
  }

  columnsIfAbsent(records: readonly CrashRecord[], sync = false): Promise<void> {
    const effects = records.map(record => ({ kind: 'putIfAbsent' as const, record }))
    return this.#call(effects, sync, async () => {
      await this.table.putColumns(columnsOf(records), { sync, ifAbsent: true })
    })
  }

  del(key: number, sync = false): Promise<void> {
    return this.#call([{ kind: 'del', key }], sync, () => this.table.del(key, { sync }))
  }

  delRecord(record: CrashRecord): Promise<void> {
    const { key, time, id } = record
    return this.#call([{ kind: 'delRecord', record }], false, () => this.table.delRecord(key, { time, id }))
  }

  delWhere(id: number, sync = false): Promise<void> {
    return this.#call([{ kind: 'delWhere', id }], sync, () => this.table.delWhere({ id }, { sync }))
  }

  /** Records with a smaller `time`: those that `records` made before. */
  delBefore(time: number, sync = false): Promise<void> {
    return this.#call([{ kind: 'delBefore', time }], sync, () =>
      this.table.delWhere({ time: { lt: time } }, { sync }),
    )
  }

  clearKeys(gte: number, lt: number, sync = false): Promise<void> {
    return this.#call([{ kind: 'clearKeys', gte, lt }], sync, () => this.table.clear({ gte, lt, sync }))
  }

  clear(): Promise<void> {
    return this.#call([{ kind: 'clear' }], true, () => this.table.clear())
  }

  /** Metadata that tell how many calls have been written: with them, these calls are durable. */
  async setMeta(): Promise<void> {
    const { history } = this
    const upTo = history.written
    history.metas.push(upTo)
    await this.table.setMeta({ upTo })
    history.meta = upTo
    history.acknowledge(upTo, true)
  }

  /** Lets what runs in the background come to rest. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 4;) {
      const { calls } = this.disk
      await new Promise(resolve => void setImmediate(resolve))
      quiet = this.disk.calls === calls && !hasJobs(this.disk) ? quiet + 1 : 0
    }
  }

  async sync(): Promise<void> {
    const calls = this.history.written
    await this.table.sync()
    this.history.acknowledge(calls, true)
  }

  async close(): Promise<void> {
    const calls = this.history.calls.length
    await this.table.close()
    this.history.acknowledge(calls, true)
  }

  /** A bulk load into a table that is not open; it is open afterwards. */
  bulkLoad(records: readonly CrashRecord[], rowsAtOnce: number, memoryBytes: number): Promise<void> {
    const effects = records.map(record => ({ kind: 'put' as const, record }))
    const stretches = Array.from({ length: Math.ceil(records.length / rowsAtOnce) }, (_, i) =>
      columnsOf(records.slice(i * rowsAtOnce, (i + 1) * rowsAtOnce)),
    )
    return this.#call(effects, true, async () => {
      this.table = await bulkLoadOn(this.disk, { ...this.options, memoryBytes }, stretches)
      this.#opened = true
    })
  }

  /** A checkpoint holds at least what was acknowledged when it was asked for. */
  async checkpoint(directory: string): Promise<void> {
    const { written: from, meta } = this.history
    const copy = { directory, from, meta, done: false }
    this.history.copies.push(copy)
    await this.table.checkpoint(directory)
    copy.done = true
  }

  /** The same by a reader beside the writer; `before` comes between its open and the copy. */
  async readerCheckpoint(
    directory: string,
    before: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const { written: from, meta } = this.history
    const copy = { directory, from, meta, done: false }
    const reader = await openOn(this.disk, { ...this.options, readOnly: true })
    await before()
    this.history.copies.push(copy)
    await reader.checkpoint(directory)
    copy.done = true
    await reader.close()
  }

  /** A reader beside the writer sees a state between what was acknowledged before and what was asked for by the end. */
  async read(during: (reader: CrashTable) => Promise<void> = () => Promise.resolve()): Promise<void> {
    const before = this.history.written
    const reader = await openOn(this.disk, { ...this.options, readOnly: true })
    this.#expectPrefix(await contents(reader), before)
    const later = this.history.written
    await during(reader)
    await reader.refresh()
    this.#expectPrefix(await contents(reader), later)
    await reader.close()
  }

  #expectPrefix(found: string, from: number): void {
    if (this.history.states().lastIndexOf(found) < from) {
      throw new Error(`a reader sees no state behind ${from} calls or more: ${found}`)
    }
  }

  async #call(effects: readonly Effect[], durable: boolean, run: () => Promise<void>): Promise<void> {
    const calls = this.history.note(effects)
    await run()
    this.history.acknowledge(calls, durable)
  }
}

/**
 * One run of random operations: a table beside its model, every answer compared, until the steps are done.
 *
 * All choices come from the seed. On the simulated disk nothing else has a say, so the same seed gives the same run.
 */
import {
  type FlashTable,
  type KeyEncoding,
  type Snapshot,
  type TableOptions,
  type ValueEncoding,
} from '../../src/index.js'
import {
  appliedAll,
  byKey,
  inRange,
  type ModelOperation,
  type ModelRange,
  type ModelRecord,
  type State,
} from '../support/model.js'
import { Random } from '../support/random.js'
import {
  columnOf,
  columnsOf,
  keyText,
  modelRecord,
  randomRecord,
  rowsOf,
  valueText,
  type Key,
  type SchemaCase,
} from '../support/schemas.js'

/** A table of types that the test does not know. */
export type AnyTable = FlashTable<KeyEncoding, ValueEncoding>

/** Where tables lie, and what may befall them there. */
export interface World {
  readonly directory: string
  open(directory: string, options: object): Promise<AnyTable>
  /** The process ends without a word: what was done to the disk stays. No call of the tables counts any more. */
  kill?(): void
  /** The power fails: what was not synced is lost, or a part of it. */
  cutPower?(seed: number): void
  /** Throws where a file of the table is damaged. */
  verify(): Promise<void>
}

/** What has happened in a run, for the test to see that it was what it is there for. */
export interface Tally {
  readonly counts: Map<string, number>
  filesMax: number
  levelsMax: number
  bucketBytes: number
}

const SNAPSHOTS_MAX = 4
const SCANS_MAX = 3
const LOG_LINES = 40
/** Above this the run deletes more than it puts. */
const RECORDS_MAX = 2000

interface Held {
  readonly snapshot: Snapshot
  readonly state: State
}

interface Scan {
  readonly rows: AsyncGenerator<unknown>
  readonly expected: readonly string[]
  readonly text: (row: unknown) => string
  at: number
}

type Step = () => Promise<void>

export class TableRun {
  readonly tally: Tally = { counts: new Map(), filesMax: 0, levelsMax: 0, bucketBytes: 0 }
  readonly #world: World
  readonly #schema: SchemaCase
  readonly #random: Random
  readonly #replace: boolean
  readonly #log: string[] = []
  readonly #weights: readonly (readonly [weight: number, name: string, step: Step])[]
  #table!: AnyTable
  #state: State = []
  #capacity = 0
  #snapshots: Held[] = []
  #scans: Scan[] = []
  /** A table opened for reading, and what it must show. */
  #reader: { readonly table: AnyTable; state: State } | undefined
  /** Compactions that nobody awaits yet. */
  #background: Promise<void>[] = []
  #copies = 0

  constructor(world: World, schema: SchemaCase, seed: number) {
    this.#world = world
    this.#schema = schema
    this.#random = new Random(seed)
    this.#replace = schema.duplicates === 'replace'
    this.#weights = [
      [10, 'put', () => this.#put()],
      [8, 'batch', () => this.#batch()],
      [10, 'columns', () => this.#columns()],
      [6, 'burst', () => this.#burst()],
      [4, 'del', () => this.#write([this.#del()])],
      [4, 'delRecord', () => this.#write([this.#delRecord()])],
      [schema.fields.size > 0 ? 3 : 0, 'delWhere', () => this.#write([this.#delWhere()])],
      [12, 'lookup', () => this.#lookup()],
      [6, 'lookups', () => this.#lookups()],
      [4, 'near', () => this.#near()],
      [10, 'range', () => this.#range()],
      [4, 'crowd', () => this.#crowd()],
      [3, 'snapshot', () => this.#takeSnapshot()],
      [2, 'release', () => this.#releaseSnapshot()],
      [3, 'scan', () => this.#beginScan()],
      [5, 'scan on', () => this.#goOnScanning()],
      [3, 'sync', () => this.#table.sync()],
      [1.5, 'compact', () => this.#compact()],
      [2, 'stats', () => this.#stats()],
      [1, 'reopen', () => this.#reopen()],
      [world.kill === undefined ? 0 : 1, 'kill', () => this.#kill()],
      [world.cutPower === undefined ? 0 : 1, 'power cut', () => this.#cutPower()],
      [1, 'reader', () => this.#readOnly()],
      [1, 'checkpoint', () => this.#checkpoint()],
      [0.3, 'clear', () => this.#clear()],
    ]
  }

  /** Throws with the last operations where the table and its model differ. */
  async run(steps: number): Promise<void> {
    let step = 0
    try {
      await this.#open()
      for (; step < steps; step++) await this.#step()
      await this.#end()
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      throw new Error(`step ${step} of ${steps}: ${text}\nlast operations:\n  ${this.#log.join('\n  ')}`, {
        cause: error,
      })
    }
  }

  async #step(): Promise<void> {
    const total = this.#weights.reduce((sum, [weight]) => sum + weight, 0)
    let draw = (this.#random.below(1_000_000) / 1_000_000) * total
    for (const [weight, name, step] of this.#weights) {
      draw -= weight
      if (draw >= 0) continue
      this.#note(name)
      this.tally.counts.set(name, (this.tally.counts.get(name) ?? 0) + 1)
      await step()
      return
    }
  }

  #note(line: string): void {
    this.#log.push(line)
    if (this.#log.length > LOG_LINES) this.#log.shift()
  }

  #detail(text: string): void {
    this.#log[this.#log.length - 1] += ` ${text}`
  }

  // ---- opening and closing ----

  async #open(): Promise<void> {
    const random = this.#random
    const options: TableOptions = {
      memtableBytes: random.pick([1024, 2048, 4096]),
      walBytes: random.pick([4096, 8192, 32_768]),
      cacheBytes: random.pick([0, 65_536 * 4]),
      fanout: random.pick([2, 3, 4]),
      filterBitsPerRecord: random.pick([0, 2, 10]),
      syncIntervalMs: random.pick([0, Infinity]),
    }
    const { keyEncoding, valueEncoding, duplicates, pageBytes } = this.#schema
    const created = { keyEncoding, valueEncoding, duplicates, pageBytes }
    this.#detail(JSON.stringify(options))
    this.#table = await this.#world.open(this.#world.directory, { ...created, ...options })
    this.#capacity = (await this.#table.stats()).memtable.capacity
    await this.#compareAll(this.#table, this.#state, 'the table just opened')
  }

  /** The next table begins with what this one had; what was held is held no more. */
  #forget(): void {
    this.#snapshots = []
    this.#scans = []
    this.#background = []
    this.#reader = undefined
  }

  async #close(): Promise<void> {
    await Promise.all(this.#background)
    for (const scan of this.#scans) await scan.rows.return(undefined)
    await this.#reader?.table.close()
    await this.#table.close()
    this.#forget()
  }

  async #reopen(): Promise<void> {
    await this.#close()
    await this.#world.verify()
    await this.#open()
  }

  async #kill(): Promise<void> {
    this.#world.kill!()
    this.#forget()
    await this.#openAfterCrash()
  }

  /** What was synced is there again; all else was nothing. */
  async #cutPower(): Promise<void> {
    await this.#table.sync()
    this.#world.cutPower!(this.#random.next())
    this.#forget()
    await this.#openAfterCrash()
  }

  /** A reader may be there first: it recovers for itself, and changes nothing. */
  async #openAfterCrash(): Promise<void> {
    if (this.#random.chance(0.5)) {
      const reader = await this.#world.open(this.#world.directory, { readOnly: true, memtableBytes: 1024 })
      await this.#compareAll(reader, this.#state, 'a reader after a crash')
      await reader.close()
    }
    await this.#open()
  }

  async #end(): Promise<void> {
    for (const scan of this.#scans) await this.#read(scan, Infinity)
    for (const held of this.#snapshots)
      await this.#compareAll(this.#table, held.state, 'a snapshot', held.snapshot)
    await this.#compareAll(this.#table, this.#state, 'the table at the end')
    await this.#table.compact()
    await this.#compareAll(this.#table, this.#state, 'the table compacted at the end')
    const { records, recordsAreExact } = await this.#table.stats()
    if (!recordsAreExact || records !== this.#state.length) {
      throw new Error(
        `stats() counts ${records} records (exact: ${recordsAreExact}), there are ${this.#state.length}`,
      )
    }
    await this.#close()
    await this.#world.verify()
  }

  // ---- writes ----

  #record(): { call: object; model: ModelOperation } {
    const { key, value, model } = randomRecord(this.#schema, this.#random)
    return { call: { type: 'put', key, value }, model: { type: 'put', record: model } }
  }

  #del(): { call: object; model: ModelOperation } {
    const key = this.#randomKey()
    return { call: { type: 'del', key }, model: { type: 'del', key: keyText(key) } }
  }

  #delRecord(): { call: object; model: ModelOperation } {
    const { key, value, model } = randomRecord(this.#schema, this.#random, this.#randomKey())
    return { call: { type: 'delRecord', key, value }, model: { type: 'delRecord', record: model } }
  }

  #delWhere(): { call: object; model: ModelOperation } {
    const random = this.#random
    const names = [...this.#schema.fields.keys()]
    const chosen = names.filter(() => random.chance(0.6))
    // One field alone would empty the table too often.
    const used = chosen.length === 0 ? names : chosen
    const fields = new Map(
      used.map(name => [name, random.pick(this.#schema.fields.get(name)!.values)] as const),
    )
    const { fields: texts } = modelRecord(this.#schema, 0, fields)
    const given = new Map(used.map(name => [name, texts.get(name)!] as const))
    return {
      call: { type: 'delWhere', where: Object.fromEntries(fields) },
      model: { type: 'delWhere', fields: given },
    }
  }

  #randomKey(): Key {
    return this.#schema.randomKey(this.#random)
  }

  #sync(): { sync: boolean } | undefined {
    return this.#random.chance(0.8) ? undefined : { sync: this.#random.chance(0.7) }
  }

  /** Makes the call of one operation; does not wait for it. */
  #call(operation: object): Promise<void> {
    const { type, key, value, where } = operation as { type: string; key: never; value: never; where: never }
    switch (type) {
      case 'put':
        return this.#table.put(key, value, this.#sync())
      case 'del':
        return this.#table.del(key, this.#sync())
      case 'delRecord':
        return this.#table.delRecord(key, value, this.#sync())
      default:
        return this.#table.delWhere(where, this.#sync())
    }
  }

  #model(operations: readonly { model: ModelOperation }[]): void {
    this.#state = appliedAll(
      this.#state,
      operations.map(({ model }) => model),
      this.#replace,
    )
  }

  async #write(operations: readonly { call: object; model: ModelOperation }[]): Promise<void> {
    for (const { model } of operations) this.#detail(modelText(model))
    const calls = operations.map(({ call }) => this.#call(call))
    this.#model(operations)
    await Promise.all(calls)
  }

  async #put(): Promise<void> {
    const wanted = this.#state.length > RECORDS_MAX ? this.#del() : this.#record()
    await this.#write([wanted])
  }

  #operations(count: number) {
    const random = this.#random
    const puts = this.#state.length > RECORDS_MAX ? 0.4 : 0.85
    return Array.from({ length: count }, () =>
      random.chance(puts) ? this.#record() : random.chance(0.5) ? this.#del() : this.#delRecord(),
    )
  }

  async #batch(): Promise<void> {
    const operations = this.#operations(this.#random.between(0, Math.min(40, this.#capacity)))
    this.#detail(`of ${operations.length}`)
    const batch = this.#table.batch(operations.map(({ call }) => call) as never, this.#sync())
    this.#model(operations)
    await batch
  }

  async #columns(): Promise<void> {
    const random = this.#random
    const most = this.#state.length > RECORDS_MAX ? 3 : this.#capacity
    const rows = random.chance(0.3) ? most : random.between(0, most)
    this.#detail(`of ${rows}`)
    await this.#putColumns(rows)
  }

  /** Calls one after the other; does not wait for the first before it makes the second. */
  #putColumns(rows: number): Promise<void> {
    const records = Array.from({ length: rows }, () => randomRecord(this.#schema, this.#random))
    const put = this.#table.putColumns(columnsOf(this.#schema, records) as never, this.#sync())
    this.#model(records.map(({ model }) => ({ model: { type: 'put', record: model } })))
    return put
  }

  /** Many calls of all kinds that do not wait for each other. */
  async #burst(): Promise<void> {
    const random = this.#random
    const calls: Promise<void>[] = []
    const kinds: (() => void)[] = [
      () => {
        const operations = this.#operations(1)
        calls.push(this.#call(operations[0]!.call))
        this.#model(operations)
      },
      () => {
        const operations = this.#operations(random.between(1, Math.min(10, this.#capacity)))
        calls.push(this.#table.batch(operations.map(({ call }) => call) as never, this.#sync()))
        this.#model(operations)
      },
      () => void calls.push(this.#putColumns(random.between(1, Math.min(12, this.#capacity)))),
      () => {
        if (this.#schema.fields.size === 0) return
        const operation = this.#delWhere()
        calls.push(this.#call(operation.call))
        this.#model([operation])
      },
      () => void calls.push(this.#table.sync()),
    ]
    const count = random.between(2, 30)
    this.#detail(`of ${count}`)
    for (let i = 0; i < count; i++) kinds[random.chance(0.6) ? 0 : random.below(kinds.length)]!()
    await Promise.all(calls)
  }

  async #clear(): Promise<void> {
    await this.#table.clear()
    this.#model([{ model: { type: 'clear' } }])
  }

  // ---- reads ----

  /** The newest state, or one that is held, or that of the reader. */
  #view(): { table: AnyTable; state: State; options: { snapshot?: Snapshot } } {
    const random = this.#random
    if (this.#reader !== undefined && random.chance(0.15)) return { ...this.#reader, options: {} }
    if (this.#snapshots.length > 0 && random.chance(0.4)) {
      const { snapshot, state } = random.pick(this.#snapshots)
      this.#detail('of a snapshot')
      return { table: this.#table, state, options: { snapshot } }
    }
    return { table: this.#table, state: this.#state, options: {} }
  }

  #values(values: readonly unknown[]): string[] {
    return values.map(value => valueText(this.#schema, value))
  }

  async #lookup(): Promise<void> {
    const { table, state, options } = this.#view()
    const key = this.#randomKey()
    const records = byKey(state).get(keyText(key)) ?? []
    const expected = records.map(({ value }) => value)
    this.#detail(keyText(key))
    const blocking = this.#random.chance(0.5)
    // All calls are made at once: what is put meanwhile is not for them.
    const [all, newest, count, has] = await Promise.all([
      blocking ? table.getAllSync(key, options) : table.getAll(key, options),
      blocking ? table.getSync(key, options) : table.get(key, options),
      table.count(key, options),
      table.has(key, options),
    ])
    same(`getAll(${keyText(key)})`, this.#values(all), expected)
    // A set has no values: has() tells.
    if (this.#schema.fields.size > 0) {
      const found = newest === undefined ? [] : [newest]
      same(`get(${keyText(key)})`, this.#values(found), expected.slice(-1))
    }
    same(`count(${keyText(key)})`, [count], [records.length])
    same(`has(${keyText(key)})`, [has], [records.length > 0])
  }

  /** Keys for a query, as an array or as a column. */
  #queries(count: number): { keys: Key[]; given: never } {
    const keys = Array.from({ length: count }, () => this.#randomKey())
    const given = this.#random.chance(0.5) ? keys : columnOf(this.#schema.keyKind, keys)
    return { keys, given: given as never }
  }

  async #lookups(): Promise<void> {
    const { table, state, options } = this.#view()
    const { keys, given } = this.#queries(this.#random.between(0, 60))
    const groups = byKey(state)
    const found = keys.map(key => groups.get(keyText(key)) ?? [])
    this.#detail(`of ${keys.length}`)
    const isSet = this.#schema.fields.size === 0
    const [newest, columns] = await Promise.all([
      isSet ? [] : table.getMany(given, options),
      table.getColumns(given, options),
    ])
    same(
      'getMany',
      newest.map(value => (value === undefined ? 'none' : valueText(this.#schema, value))),
      isSet ? [] : found.map(records => records.at(-1)?.value ?? 'none'),
    )
    const rows = rowsOf(this.#schema, columns)
    same(
      'getColumns',
      Array.from(columns.query, (query, i) => `${query}:${rows[i]?.value ?? ''}`),
      found.flatMap((records, query) => records.map(({ value }) => `${query}:${value}`)),
    )
  }

  async #near(): Promise<void> {
    const { table, state, options } = this.#view()
    const { keys, given } = this.#queries(this.#random.between(0, 8))
    const within = this.#random.pick([0, 1, 3, 16, 17, 1000, 2 ** 33])
    this.#detail(`of ${keys.length} within ${within}`)
    const columns = await table.getColumns(given, { ...options, within })
    const number = (key: string): bigint => BigInt(`0x${key}`)
    const groups = inRange(state, {}).map(([key, records]) => ({ at: number(key), records }))
    const expected = keys.flatMap((key, query) => {
      const centre = number(keyText(key))
      return groups
        .filter(({ at }) => at >= centre - BigInt(within) && at <= centre + BigInt(within))
        .flatMap(({ records }) => records.map(record => `${query}:${rowText(record)}`))
    })
    const rows = rowsOf(this.#schema, columns as never)
    same(
      'getColumns within',
      rows.map((row, i) => `${columns.query[i]}:${rowText(row)}`),
      expected,
    )
  }

  /** Many reads at once, and writes that come while they run. */
  async #crowd(): Promise<void> {
    const random = this.#random
    const kinds = [() => this.#lookup(), () => this.#lookup(), () => this.#lookups(), () => this.#range()]
    const reads = Array.from({ length: random.between(2, 20) }, () => random.pick(kinds)())
    await Promise.all([...reads, this.#burst()])
  }

  #randomRange(): { range: object; model: ModelRange } {
    const random = this.#random
    const range: Record<string, unknown> = {}
    const model: Record<string, unknown> = {}
    for (const names of [
      ['gt', 'gte'],
      ['lt', 'lte'],
    ]) {
      if (random.chance(0.4)) continue
      const name = random.pick(names)
      range[name] = this.#randomKey()
      model[name] = keyText(range[name])
    }
    if (random.chance(0.6)) range['reverse'] = model['reverse'] = random.chance(0.7)
    if (random.chance(0.4)) range['limit'] = model['limit'] = random.pick([0, 1, 2, 10, 100, 1000])
    return { range, model }
  }

  async #range(): Promise<void> {
    const { table, state, options } = this.#view()
    const { range, model } = this.#randomRange()
    this.#detail(JSON.stringify(model))
    const given = { ...range, ...options } as never
    const groups = inRange(state, model)
    const { limit } = model
    const rows = groups.flatMap(([, records]) => records).slice(0, limit)
    switch (this.#random.below(4)) {
      case 0:
        same('entries', await this.#entryTexts(table, given), rows.map(rowText))
        break
      case 1: {
        const keys: string[] = []
        for await (const key of table.keys(given)) keys.push(keyText(key))
        same('keys', keys, groups.map(([key]) => key).slice(0, limit))
        break
      }
      case 2: {
        const values: unknown[] = []
        for await (const value of table.values(given)) values.push(value)
        same(
          'values',
          this.#values(values),
          rows.map(({ value }) => value),
        )
        break
      }
      default: {
        const found: string[] = []
        for await (const columns of table.scanColumns(given)) {
          found.push(...rowsOf(this.#schema, columns as never).map(rowText))
        }
        same('scanColumns', found, rows.map(rowText))
      }
    }
  }

  async #entryTexts(table: AnyTable, range: never): Promise<string[]> {
    const found: string[] = []
    for await (const [key, value] of table.entries(range)) {
      found.push(rowText({ key: keyText(key), value: valueText(this.#schema, value) }))
    }
    return found
  }

  async #compareAll(table: AnyTable, state: State, what: string, snapshot?: Snapshot): Promise<void> {
    same(what, await this.#allRows(table, snapshot), rowsInOrder(state))
  }

  async #allRows(table: AnyTable, snapshot?: Snapshot): Promise<string[]> {
    const found: string[] = []
    for await (const columns of table.scanColumns({ snapshot })) {
      found.push(...rowsOf(this.#schema, columns as never).map(rowText))
    }
    return found
  }

  // ---- states that are held ----

  async #takeSnapshot(): Promise<void> {
    if (this.#snapshots.length >= SNAPSHOTS_MAX) await this.#releaseSnapshot()
    this.#snapshots.push({ snapshot: this.#table.snapshot(), state: this.#state })
  }

  async #releaseSnapshot(): Promise<void> {
    if (this.#snapshots.length === 0) return
    const [held] = this.#snapshots.splice(this.#random.below(this.#snapshots.length), 1)
    await this.#compareAll(this.#table, held!.state, 'a snapshot before it is closed', held!.snapshot)
    await held!.snapshot.close()
  }

  /** A scan that stays where it is while other things go on. */
  async #beginScan(): Promise<void> {
    if (this.#scans.length >= SCANS_MAX) return
    const { table, state, options } = this.#view()
    const { range, model } = this.#randomRange()
    this.#detail(JSON.stringify(model))
    const rows = inRange(state, model).flatMap(([, records]) => records)
    const scan: Scan = {
      rows: table.entries({ ...range, ...options } as never),
      expected: rows.slice(0, model.limit).map(rowText),
      text: row => {
        const [key, value] = row as [unknown, unknown]
        return rowText({ key: keyText(key), value: valueText(this.#schema, value) })
      },
      at: 0,
    }
    // Its state is that of its first step.
    await this.#read(scan, 1)
    if (table === this.#table) this.#scans.push(scan)
    else await this.#read(scan, Infinity)
  }

  async #goOnScanning(): Promise<void> {
    if (this.#scans.length === 0) return
    const at = this.#random.below(this.#scans.length)
    const ended = await this.#read(this.#scans[at]!, this.#random.between(1, 500))
    if (ended) this.#scans.splice(at, 1)
  }

  /** Reads on; true at its end. */
  async #read(scan: Scan, rows: number): Promise<boolean> {
    for (let i = 0; i < rows; i++) {
      const { value, done } = await scan.rows.next()
      if (done === true) {
        same('the end of a scan', [scan.at], [scan.expected.length])
        return true
      }
      same(`row ${scan.at} of a scan`, [scan.text(value)], [scan.expected[scan.at] ?? 'the end'])
      scan.at++
    }
    return false
  }

  async #readOnly(): Promise<void> {
    const random = this.#random
    if (this.#reader === undefined) {
      const table = await this.#world.open(this.#world.directory, { readOnly: true, cacheBytes: 0 })
      this.#reader = { table, state: this.#state }
      this.#detail('opened')
    } else if (random.chance(0.5)) {
      await this.#reader.table.refresh()
      this.#reader.state = this.#state
      this.#detail('refreshed')
    } else {
      const { table, state } = this.#reader
      this.#reader = undefined
      this.#detail('closed')
      await this.#compareAll(table, state, 'the reader before it is closed')
      await table.close()
      return
    }
    await this.#compareAll(this.#reader.table, this.#reader.state, 'the reader')
  }

  // ---- upkeep ----

  async #compact(): Promise<void> {
    const random = this.#random
    if (random.chance(0.4)) {
      this.#detail('in the background')
      const compact = this.#table.compact()
      // It is awaited when the table is closed. If the process is killed, nobody awaits it.
      compact.catch(() => {})
      this.#background.push(compact)
      return
    }
    if (random.chance(0.3)) {
      this.#detail('aborted')
      const controller = new AbortController()
      const compact = this.#table.compact({ signal: controller.signal })
      const settled = compact.catch((error: unknown) => {
        if (error !== controller.signal.reason) throw error
      })
      for (let i = random.below(60); i > 0; i--) await new Promise(resolve => void setImmediate(resolve))
      controller.abort(new Error('enough'))
      await settled
      return
    }
    await this.#table.compact()
  }

  async #checkpoint(): Promise<void> {
    const directory = `${this.#world.directory}-copy-${this.#copies++}`
    // By the table, or by a reader of it; while it is made memtables are sealed, written, and their memory used again.
    const reader = this.#random.chance(0.3)
      ? await this.#world.open(this.#world.directory, { readOnly: true })
      : undefined
    const states = [this.#state]
    const checkpoint = (reader ?? this.#table).checkpoint(directory)
    for (let puts = this.#random.below(10); puts > 0; puts--) {
      const put = this.#putColumns(this.#capacity)
      states.push(this.#state)
      await put
    }
    await checkpoint
    await reader?.close()
    const copy = await this.#world.open(directory, {})
    const found = await this.#allRows(copy)
    const held = states.find(state => sameRows(found, rowsInOrder(state))) ?? states[0]!
    same('a checkpoint', found, rowsInOrder(held))
    await copy.close()
  }

  async #stats(): Promise<void> {
    const { records, recordsAreExact, files, levels, bytesWritten } = await this.#table.stats()
    this.tally.filesMax = Math.max(this.tally.filesMax, files.length)
    this.tally.levelsMax = Math.max(this.tally.levelsMax, levels.length)
    this.tally.bucketBytes = Math.max(this.tally.bucketBytes, bytesWritten.buckets)
    const { length } = this.#state
    if (recordsAreExact ? records !== length : records < length) {
      throw new Error(`stats() counts ${records} records (exact: ${recordsAreExact}), there are ${length}`)
    }
  }
}

function rowsInOrder(state: State): string[] {
  return inRange(state, {}).flatMap(([, records]) => records.map(rowText))
}

function sameRows(found: readonly string[], expected: readonly string[]): boolean {
  return found.length === expected.length && found.every((row, i) => row === expected[i])
}

function rowText({ key, value }: Pick<ModelRecord, 'key' | 'value'>): string {
  return `${key}=${value}`
}

function modelText(operation: ModelOperation): string {
  switch (operation.type) {
    case 'put':
    case 'delRecord':
      return `${operation.type} ${rowText(operation.record)}`
    case 'del':
      return `del ${operation.key}`
    case 'delWhere':
      return `delWhere ${[...operation.fields].join(' ')}`
    case 'clear':
      return 'clear'
  }
}

/** Throws where the lists differ: at which place, and how. */
function same<T>(what: string, found: readonly T[], expected: readonly T[]): void {
  const length = Math.max(found.length, expected.length)
  for (let i = 0; i < length; i++) {
    if (found[i] === expected[i]) continue
    throw new Error(
      `${what}: expected ${expected.length} items, found ${found.length}; ` +
        `item ${i}: expected ${String(expected[i])}, found ${String(found[i])}`,
    )
  }
}

/**
 * The calls that read: each checks its options, turns the key into lanes, asks the reader of the session, and decodes
 * what it finds. `FlashTable` documents these calls, hands them on to here, and names the types of keys and values. The
 * schema makes keys and values, and no type here knows them. `call` is the name for errors; `extra` holds arguments
 * that the call does not take.
 */
import { refuseExtra } from '../options/arguments.js'
import { columnsInTurns } from '../query/columns-in-turns.js'
import { queriesOf } from '../query/many-keys.js'
import { findNear } from '../query/near.js'
import { checkRange } from '../query/range-options.js'
import { batches, eachKey, eachRow, type ScanOptions } from '../query/ranges.js'
import type { Answer } from '../query/reader.js'
import { valuesInTurns } from '../query/values-in-turns.js'
import { OperationBuffer, type Operations } from '../records/operations.js'
import { optionalSnapshot, type Snapshot } from '../state/snapshot.js'
import type { View } from '../state/table-state.js'
import { adviceFor, readNearOptions, readSnapshot } from './call-options.js'
import type { TableSession } from './table-session.js'

type Extra = readonly unknown[]

/** How many values are decoded at once. If there are more, the event loop turns in between. */
const VALUES_AT_ONCE = 4096

export class ReadCalls {
  readonly #session: TableSession
  /** The table that a snapshot must belong to. */
  readonly #table: object
  /** The lanes of the key that is being looked up. */
  readonly #key: Uint32Array

  constructor(session: TableSession, table: object) {
    this.#session = session
    this.#table = table
    this.#key = new Uint32Array(session.parts.schema.layout.keyLaneCount)
  }

  get<Value>(call: string, key: unknown, options: unknown, extra: Extra): Promise<Value | undefined> {
    return this.#find(call, key, 1, options, extra, rows =>
      rows.count === 0 ? undefined : this.#value(rows, 0),
    )
  }

  getAll<Value>(call: string, key: unknown, options: unknown, extra: Extra): Promise<Value[]> {
    return this.#find(call, key, Infinity, options, extra, rows =>
      rows.count <= VALUES_AT_ONCE
        ? this.#oldestFirst(rows)
        : valuesInTurns(rows.count, i => this.#value(rows, rows.count - 1 - i)),
    )
  }

  /** Hot. */
  getSync<Value>(call: string, key: unknown, options: unknown, extra: Extra): Value | undefined {
    const view = this.#view(call, options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    return reader.newestSync(view, this.#key, schema) as Value | undefined
  }

  getAllSync<Value>(call: string, key: unknown, options: unknown, extra: Extra): Value[] {
    const view = this.#view(call, options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    return reader.findSync(view, this.#key, Infinity, rows => this.#oldestFirst(rows))
  }

  /** How many records the key has, at most `limit`. */
  async count(call: string, key: unknown, limit: number, options: unknown, extra: Extra): Promise<number> {
    const view = this.#view(call, options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    return this.#session.read(reader.count(view, this.#key, limit))
  }

  async getMany<Value>(
    call: string,
    keys: unknown,
    options: unknown,
    extra: Extra,
  ): Promise<(Value | undefined)[]> {
    const view = this.#view(call, options, extra)
    const { reader, schema } = this.#session.parts
    const { lanes } = schema.keysToLanes(keys)
    const { rows, ends } = await this.#session.read(reader.findMany(view, lanes, 1))
    return valuesInTurns(ends.length, i => {
      const row = ends[i]! - 1
      return row < (i === 0 ? 0 : ends[i - 1]!) ? undefined : this.#value(rows, row)
    })
  }

  async getColumns<Columns>(call: string, keys: unknown, options: unknown, extra: Extra): Promise<Columns> {
    this.#session.assertOpen()
    refuseExtra(call, extra)
    const { snapshot, within } = readNearOptions(options)
    const view = this.#viewOf(snapshot)
    const { schema, reader } = this.#session.parts
    const { layout } = schema
    const { lanes } = schema.keysToLanes(keys)
    const found =
      within === undefined
        ? reader.findMany(view, lanes, Infinity).then(async found => ({
            query: await queriesOf(found),
            rows: found.rows,
          }))
        : findNear(reader, layout, view, lanes, within)
    const columns = found.then(async ({ query, rows }) => ({
      query,
      ...(await columnsInTurns(schema, rows, within !== undefined)),
    }))
    return (await this.#session.read(columns)) as Columns
  }

  async *entries<Key, Value>(call: string, range: unknown, extra: Extra): AsyncGenerator<[Key, Value], void> {
    for await (const { rows, row } of eachRow(...this.#scan(call, range, extra)))
      yield [this.#keyOf(rows, row), this.#value(rows, row)]
  }

  async *keys<Key>(call: string, range: unknown, extra: Extra): AsyncGenerator<Key, void> {
    const { keyLaneCount } = this.#session.parts.schema.layout
    for await (const { rows, row } of eachKey(...this.#scan(call, range, extra), keyLaneCount))
      yield this.#keyOf(rows, row)
  }

  async *values<Value>(call: string, range: unknown, extra: Extra): AsyncGenerator<Value, void> {
    for await (const { rows, row } of eachRow(...this.#scan(call, range, extra))) yield this.#value(rows, row)
  }

  async *scanColumns<Columns>(call: string, range: unknown, extra: Extra): AsyncGenerator<Columns, void> {
    const [reader, pin, options] = this.#scan(call, range, extra)
    const { schema } = this.#session.parts
    for await (const { rows, from, to } of batches(reader, pin, options)) {
      if (!options.reverse) {
        yield schema.lanesToColumns(rows.lanes, from, to, true) as Columns
        continue
      }
      const reversed = new OperationBuffer(schema.layout, to - from)
      reversed.appendReversed(rows, from, to)
      yield schema.lanesToColumns(reversed.lanes, 0, to - from, true) as Columns
    }
  }

  /** The state that a read looks at. */
  #view(call: string, options: unknown, extra: Extra): View {
    this.#session.assertOpen()
    if (extra.length > 0) refuseExtra(call, extra, adviceFor(call))
    return options === undefined ? this.#session.view() : this.#viewOf(readSnapshot(call, options))
  }

  #viewOf(snapshot: Snapshot | undefined): View {
    return snapshot === undefined ? this.#session.view() : snapshot.viewFor(this.#table)
  }

  /** Most keys are answered at once from memory. If a page must be read, the lookup runs as a tracked read. */
  #find<T>(
    call: string,
    key: unknown,
    limit: number,
    options: unknown,
    extra: Extra,
    answer: Answer<T | Promise<T>>,
  ): Promise<T> {
    try {
      const view = this.#view(call, options, extra)
      const { schema, reader } = this.#session.parts
      schema.encodeKey(key, this.#key)
      return (
        reader.findInMemory(view, this.#key, limit, answer) ??
        this.#session.read(reader.find(view, this.#key, limit)).then(answer)
      )
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #scan(call: string, range: unknown, extra: Extra): Parameters<typeof eachRow> {
    const session = this.#session
    session.assertOpen()
    refuseExtra(call, extra)
    const { snapshot, ...checked } = checkRange(call, session.parts.schema, range)
    const view = this.#viewOf(optionalSnapshot(snapshot, 'snapshot'))
    // After `close` a scan has no files: its next step must not begin.
    const read = async <T>(step: () => Promise<T>): Promise<T> => {
      session.assertOpen()
      return session.read(step())
    }
    const scan: ScanOptions = { ...checked, read }
    return [session.parts.reader, session.pins.pinView(view, 'scan'), scan]
  }

  #keyOf<Key>(rows: Operations, row: number): Key {
    return this.#session.parts.schema.decodeKey(rows.lanes, row) as Key
  }

  #value<Value>(rows: Operations, row: number): Value {
    return this.#session.parts.schema.decodeValue(rows.lanes, row) as Value
  }

  #oldestFirst<Value>(rows: Operations): Value[] {
    return Array.from({ length: rows.count }, (_, i) => this.#value<Value>(rows, rows.count - 1 - i))
  }
}

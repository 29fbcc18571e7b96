/**
 * The calls that read: each checks its options, turns the key into lanes, asks the reader of the session, and decodes
 * what it finds. `FlashTable` documents these calls, hands them on to here, and names the types of keys and values. The
 * schema makes keys and values, and no type here knows them. `call` is the name for errors; `extra` holds arguments
 * that the call does not take.
 */
import { throwIfAborted } from '../async/abort.js'
import { refuseExtra } from '../options/arguments.js'
import { columnsInTurns } from '../query/columns-in-turns.js'
import { queriesOf } from '../query/many-keys.js'
import { findNear } from '../query/near.js'
import { checkCount, checkFirst, checkRange, type CheckedRange } from '../query/range-options.js'
import { RangeScan, type ScanOptions } from '../query/ranges.js'
import type { Wanted } from '../query/lookup.js'
import { NEWEST, type Answer, type RowAnswer } from '../query/reader.js'
import { RowIterator } from '../query/row-iterator.js'
import { valuesInTurns } from '../query/values-in-turns.js'
import { OperationBuffer, type WideOperations } from '../records/operations.js'
import { WhereFilter } from '../records/where-filter.js'
import { optionalSnapshot, type Snapshot } from '../state/snapshot.js'
import type { View } from '../state/table-state.js'
import { adviceFor, readGetAllOptions, readNearOptions, readSnapshot } from './call-options.js'
import type { TableSession } from './table-session.js'

type Extra = readonly unknown[]

/** How many values are decoded at once. If there are more, the event loop turns in between. */
const VALUES_AT_ONCE = 4096

/** What a lookup of one key looks for. */
interface Sought {
  readonly view: View
  readonly wanted: Wanted
  /** It was given no snapshot. */
  readonly isNewest: boolean
}

export class ReadCalls {
  readonly #session: TableSession
  /** The table that a snapshot must belong to. */
  readonly #table: object
  /** The lanes of the key that is being looked up. */
  readonly #key: Uint32Array

  /** A step of a scan. After `close` a scan has no files: its next step must not begin. */
  readonly #step: ScanOptions['read']

  constructor(session: TableSession, table: object) {
    this.#session = session
    this.#table = table
    this.#key = new Uint32Array(session.parts.schema.layout.keyLaneCount)
    this.#step = async step => {
      session.assertOpen()
      return session.readHeld(step())
    }
  }

  get<Value>(call: string, key: unknown, options: unknown, extra: Extra): Promise<Value | undefined> {
    return this.#find(
      key,
      () => ({ view: this.#view(call, options, extra), wanted: NEWEST, isNewest: isNewest(options) }),
      rows => (rows.count === 0 ? undefined : this.#value(rows, 0)),
    )
  }

  getAll<Value>(call: string, key: unknown, options: unknown, extra: Extra): Promise<Value[]> {
    return this.#find(
      key,
      () => this.#viewForAll(call, options, extra),
      rows =>
        rows.count <= VALUES_AT_ONCE
          ? this.#values(rows)
          : valuesInTurns(rows.count, i => this.#value(rows, i)),
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
    const { view, wanted } = this.#viewForAll(call, options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    return reader.findSync(view, this.#key, wanted, rows => this.#values(rows))
  }

  /** How many records the key has, at most `limit`. */
  async count(call: string, key: unknown, limit: number, options: unknown, extra: Extra): Promise<number> {
    const view = this.#view(call, options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    const ownKey = this.#key.slice()
    return this.#read(options, view, view => reader.count(view, ownKey, limit))
  }

  /** How many records there are in a range, or of those that match; `undefined`: in the table. */
  async countRange(options: unknown, extra: Extra): Promise<number> {
    this.#assertCall('count', extra)
    const { parts, pins } = this.#session
    const { range, where, signal, snapshot } = checkCount(parts.schema, (options ?? {}) as object)
    throwIfAborted(signal)
    const filter = where && new WhereFilter(parts.schema.layout, where)
    const count = async (view: View): Promise<number> => {
      const pin = pins.pinView(view, 'scan')
      try {
        return await parts.reader.countRange(view, range, filter, signal)
      } finally {
        await pin.release()
      }
    }
    return this.#read(options, this.#viewOf(optionalSnapshot(snapshot, 'snapshot')), count)
  }

  /** Whether `count` is asked for a range: an object that can be no key. */
  isRange(given: unknown): boolean {
    if (given === undefined) return true
    const isObject = typeof given === 'object' && given !== null && !ArrayBuffer.isView(given)
    return isObject && !this.#session.parts.schema.hasObjectKeys
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
    const { rows, ends } = await this.#read(options, view, view => reader.findMany(view, lanes, 1))
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
    const columns = async (view: View): Promise<object> => {
      if (within !== undefined) {
        const { query, rows } = await findNear(reader, layout, view, lanes, within)
        return { query, ...(await columnsInTurns(schema, rows, true)) }
      }
      const found = await reader.findMany(view, lanes, Infinity)
      return { query: await queriesOf(found), ...(await columnsInTurns(schema, found.rows, false)) }
    }
    return (await this.#read(options, view, columns)) as Columns
  }

  entries<Key, Value>(call: string, range: unknown, extra: Extra): AsyncGenerator<[Key, Value], void> {
    return this.#rows(call, range, extra, (rows, row) => this.#entry<Key, Value>(rows, row))
  }

  keys<Key>(call: string, range: unknown, extra: Extra): AsyncGenerator<Key, void> {
    return new RowIterator({
      start: () => {
        const { limit, ...checked } = this.#checkScan(call, range, extra)
        return { scan: this.#startScan({ ...checked, limit: Infinity }), keysMax: limit }
      },
      keyLaneCount: this.#key.length,
      make: (rows, row) => this.#keyOf<Key>(rows, row),
    })
  }

  values<Value>(call: string, range: unknown, extra: Extra): AsyncGenerator<Value, void> {
    return this.#rows(call, range, extra, (rows, row) => this.#value<Value>(rows, row))
  }

  async *scanColumns<Columns>(call: string, range: unknown, extra: Extra): AsyncGenerator<Columns, void> {
    const scan = this.#scan(call, range, extra)
    const { schema } = this.#session.parts
    try {
      for (let batch = await scan.next(); batch !== undefined; batch = await scan.next()) {
        const { rows, from, to } = batch
        if (!scan.options.reverse) {
          yield schema.lanesToColumns(rows.lanes, from, to, true) as Columns
          continue
        }
        const reversed = new OperationBuffer(schema.layout, to - from)
        reversed.appendReversed(rows, from, to)
        yield schema.lanesToColumns(reversed.lanes, 0, to - from, true) as Columns
      }
    } finally {
      await scan.close()
    }
  }

  /** The first entry of the range, with `reverse` the last. Hot. */
  firstSync<Key, Value>(
    call: string,
    range: unknown,
    reverse: boolean,
    extra: Extra,
  ): [Key, Value] | undefined {
    this.#assertCall(call, extra)
    const { schema, reader } = this.#session.parts
    const { range: keys, snapshot } = checkFirst(call, schema, range, true)
    const view = this.#viewOf(optionalSnapshot(snapshot, 'snapshot'))
    return reader.firstSync(view, keys, reverse, (rows, row) => this.#entry<Key, Value>(rows, row))
  }

  /** As {@link firstSync}. Most are answered at once from memory; else it runs as a tracked read, at last as a scan. */
  first<Key, Value>(
    call: string,
    range: unknown,
    reverse: boolean,
    extra: Extra,
  ): Promise<[Key, Value] | undefined> {
    try {
      this.#assertCall(call, extra)
      const { schema, reader } = this.#session.parts
      const { range: keys, signal, snapshot } = checkFirst(call, schema, range, false)
      throwIfAborted(signal)
      const view = this.#viewOf(optionalSnapshot(snapshot, 'snapshot'))
      const answer = (rows: WideOperations, row: number) => this.#entry<Key, Value>(rows, row)
      return (
        reader.firstInMemory(view, keys, reverse, answer) ??
        this.#read(range, view, view =>
          this.#firstInTurns(view, { range: keys, reverse, limit: 1, signal }, answer),
        )
      )
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #firstInTurns<T>(
    view: View,
    options: Omit<ScanOptions, 'read'>,
    answer: RowAnswer<T>,
  ): Promise<T | undefined> {
    const { reader } = this.#session.parts
    const { range, reverse, signal } = options
    const pin = this.#session.pins.pinView(view, 'scan')
    let scan: RangeScan | undefined
    try {
      const found = await reader.first(view, range, reverse, signal)
      throwIfAborted(signal)
      if (found === undefined) return undefined
      if ('rows' in found) return answer(found.rows, found.row)
      scan = new RangeScan(reader, pin, { ...options, range: found.left, read: this.#step })
      const batch = await scan.next()
      return batch === undefined ? undefined : answer(batch.rows, batch.from)
    } finally {
      await (scan === undefined ? pin.release() : scan.close())
    }
  }

  #rows<T>(call: string, range: unknown, extra: Extra, make: RowAnswer<T>): RowIterator<T> {
    return new RowIterator({
      start: () => ({ scan: this.#scan(call, range, extra), keysMax: Infinity }),
      keyLaneCount: 0,
      make,
    })
  }

  /** The state that a read looks at. */
  #view(call: string, options: unknown, extra: Extra): View {
    this.#assertCall(call, extra)
    return options === undefined ? this.#session.view() : this.#viewOf(readSnapshot(call, options))
  }

  /** The same for the records of a key, and which of them. */
  #viewForAll(call: string, options: unknown, extra: Extra): Sought {
    this.#assertCall(call, extra)
    const { snapshot, wanted } = readGetAllOptions(call, options)
    return { view: this.#viewOf(snapshot), wanted, isNewest: snapshot === undefined }
  }

  /** Runs a read of a view, tracked; without a snapshot on a newer one if the view can be read no more. */
  #read<T>(options: unknown, view: View, read: (view: View) => Promise<T>): Promise<T> {
    return isNewest(options) ? this.#session.readNewest(view, read) : this.#session.readHeld(read(view))
  }

  #assertCall(call: string, extra: Extra): void {
    this.#session.assertOpen()
    if (extra.length > 0) refuseExtra(call, extra, adviceFor(call))
  }

  #viewOf(snapshot: Snapshot | undefined): View {
    return snapshot === undefined ? this.#session.view() : snapshot.viewFor(this.#table)
  }

  /** Most keys are answered at once from memory. If a page must be read, the lookup runs as a tracked read. */
  #find<T>(key: unknown, check: () => Sought, answer: Answer<T | Promise<T>>): Promise<T> {
    try {
      const { view, wanted, isNewest } = check()
      const { schema, reader } = this.#session.parts
      schema.encodeKey(key, this.#key)
      const answered = reader.findInMemory(view, this.#key, wanted, answer)
      if (answered !== undefined) return answered
      if (!isNewest) return this.#session.readHeld(reader.find(view, this.#key, wanted)).then(answer)
      const ownKey = this.#key.slice()
      return this.#session.readNewest(view, view => reader.find(view, ownKey, wanted)).then(answer)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #scan(call: string, range: unknown, extra: Extra): RangeScan {
    return this.#startScan(this.#checkScan(call, range, extra))
  }

  #checkScan(call: string, range: unknown, extra: Extra): CheckedRange {
    this.#session.assertOpen()
    refuseExtra(call, extra)
    return checkRange(call, this.#session.parts.schema, range)
  }

  #startScan({ snapshot, where, ...checked }: CheckedRange): RangeScan {
    const { parts, pins } = this.#session
    const view = this.#viewOf(optionalSnapshot(snapshot, 'snapshot'))
    const filter = where && new WhereFilter(parts.schema.layout, where)
    const options = { ...checked, where: filter, read: this.#step }
    return new RangeScan(parts.reader, pins.pinView(view, 'scan'), options)
  }

  #entry<Key, Value>(rows: WideOperations, row: number): [Key, Value] {
    return [this.#keyOf(rows, row), this.#value(rows, row)]
  }

  #keyOf<Key>(rows: WideOperations, row: number): Key {
    return this.#session.parts.schema.decodeKey(rows.lanes, row) as Key
  }

  #value<Value>(rows: WideOperations, row: number): Value {
    return this.#session.parts.schema.decodeValue(rows.lanes, row) as Value
  }

  #values<Value>(rows: WideOperations): Value[] {
    const values: Value[] = []
    for (let row = 0; row < rows.count; row++) values.push(this.#value<Value>(rows, row))
    return values
  }
}

/** Whether a read was given no snapshot. Requires: the options were checked. */
function isNewest(options: unknown): boolean {
  return (options as { readonly snapshot?: unknown } | undefined)?.snapshot === undefined
}

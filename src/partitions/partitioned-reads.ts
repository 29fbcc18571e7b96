/**
 * The calls that read a table with partitions: each asks the partitions that may have what it looks for, and puts together
 * what they answer. Types and checks are those of a table. docs/internals.md, Partitions.
 */
import { throwIfAborted } from '../async/abort.js'
import { atOnce } from '../async/at-once.js'
import type { OwnColumn } from '../encoding/field-type.js'
import type { FlashTable } from '../flash-table.js'
import { optionalBoolean, readOptions, refuseExtra } from '../options/arguments.js'
import {
  checkCount,
  checkFirst,
  checkLimit,
  checkOffset,
  checkRange,
  checkWithin,
} from '../query/range-options.js'
import type { KeyRange } from '../records/key-range.js'
import { OperationBuffer } from '../records/operations.js'
import type { Snapshot } from '../state/snapshot.js'
import type { Part } from './key-ranges.js'
import { mergeHits, type PartHits } from './part-columns.js'
import type { Partition } from './partition.js'
import {
  optionalPartitionedSnapshot,
  PartitionedSnapshot,
  type SnapshotOwner,
} from './partitioned-snapshot.js'
import type { PartitionsInUse } from './partitions-in-use.js'

type Extra = readonly unknown[]
/** Snapshots by partition, for one read; `undefined`: the newest states. */
type Pins = readonly (Snapshot | undefined)[] | undefined
type Options = Readonly<Record<string, unknown>>

/** Partitions that are asked side by side. */
const READS_AT_ONCE = 16
const OPENS_AT_ONCE = 8

const READ_OPTIONS = { snapshot: optionalPartitionedSnapshot }
const GET_ALL_OPTIONS = { ...READ_OPTIONS, limit: checkLimit, offset: checkOffset, reverse: optionalBoolean }
const NEAR_OPTIONS = { ...READ_OPTIONS, within: checkWithin }

/** What is passed on of a range. It was checked. */
const asGiven = (value: unknown): unknown => value
const BOUNDS = { gt: asGiven, gte: asGiven, lt: asGiven, lte: asGiven, prefix: asGiven }
const PASSED_ON = { ...BOUNDS, where: asGiven, signal: asGiven }
const RANGE_OPTIONS = { ...PASSED_ON, reverse: asGiven, limit: asGiven, snapshot: asGiven }

export class PartitionedReads {
  readonly #use: PartitionsInUse
  readonly #owner: SnapshotOwner

  /** `owner`: the table that a snapshot must belong to. */
  constructor(use: PartitionsInUse, owner: SnapshotOwner) {
    this.#use = use
    this.#owner = owner
  }

  async get<Value>(key: unknown, options: unknown, extra: Extra): Promise<Value | undefined> {
    const pins = this.#pins('get', options, extra)
    const partition = this.#use.ofKey(key)
    return this.#read(partition, pins, undefined, async (table, options) => {
      return (await table.get(key, options)) as Value | undefined
    })
  }

  async getAll<Value>(key: unknown, options: unknown, extra: Extra): Promise<Value[]> {
    this.#begin('getAll', extra)
    const { snapshot, ...given } = readOptions('getAll', options, GET_ALL_OPTIONS)
    const partition = this.#use.ofKey(key)
    return this.#read(partition, this.#pinsOf(snapshot), [], async (table, options) => {
      return (await table.getAll(key, { ...given, ...options })) as Value[]
    })
  }

  async has(key: unknown, options: unknown, extra: Extra): Promise<boolean> {
    const pins = this.#pins('has', options, extra)
    return this.#read(this.#use.ofKey(key), pins, false, (table, options) => table.has(key, options))
  }

  /** Of a key, or of a range. */
  async count(given: unknown, rest: Extra): Promise<number> {
    if (this.#isRange(given)) return this.#countRange(given, rest)
    const pins = this.#pins('count', rest[0], rest.slice(1))
    return this.#read(this.#use.ofKey(given), pins, 0, (table, options) => table.count(given, options))
  }

  async #countRange(given: unknown, extra: Extra): Promise<number> {
    this.#begin('count', extra)
    const options = (given ?? {}) as object
    const { range, snapshot, signal } = checkCount(this.#use.schema, options)
    const pins = this.#pinsOf(optionalPartitionedSnapshot(snapshot, 'snapshot'))
    const passedOn = readOptions('count', options, { ...PASSED_ON, snapshot: asGiven })
    throwIfAborted(signal)
    let sum = 0
    await this.#each(this.#inRange(range), async partition => {
      const count = await this.#read(partition, pins, 0, (table, options) => {
        return table.count({ ...passedOn, ...options } as object)
      })
      // Others have counted meanwhile.
      sum += count
    })
    return sum
  }

  async getMany<Value>(keys: unknown, options: unknown, extra: Extra): Promise<(Value | undefined)[]> {
    const pins = this.#pins('getMany', options, extra)
    const { lanes, count } = this.#use.schema.keysToLanes(keys)
    const values = Array.from({ length: count }, (): Value | undefined => undefined)
    const parts = this.#use.ranges.split(lanes, count)
    await this.#eachPart(parts, async (partition, { rows }) => {
      const found = await this.#read(partition, pins, [], (table, options) => {
        return table.getMany(this.#keyColumn(lanes, rows), options)
      })
      for (const [i, value] of found.entries()) values[rows[i]!] = value as Value | undefined
    })
    return values
  }

  async getColumns<Columns>(keys: unknown, options: unknown, extra: Extra): Promise<Columns> {
    this.#begin('getColumns', extra)
    const { snapshot, within } = readOptions('getColumns', options, NEAR_OPTIONS)
    const pins = this.#pinsOf(snapshot)
    const { schema, ranges } = this.#use
    const { lanes, count } = schema.keysToLanes(keys)
    const parts = within === undefined ? ranges.split(lanes, count) : ranges.splitNear(lanes, count, within)
    const found = new Map<number, PartHits>()
    await this.#eachPart(parts, async (partition, { rows }) => {
      const columns = await this.#read(partition, pins, undefined, async (table, options) => {
        const given = { ...options, within } as { within: bigint }
        return (await table.getColumns(this.#keyColumn(lanes, rows), given)) as PartHits['columns']
      })
      if (columns !== undefined) found.set(partition.number, { rows, columns })
    })
    const hits = parts.flatMap(({ partition }) => found.get(partition) ?? [])
    const { layout } = schema
    const none = schema.lanesToColumns(new OperationBuffer(layout, 1).lanes, 0, 0, within !== undefined)
    return (await mergeHits(count, hits, none)) as Columns
  }

  async *entries<Key, Value>(range: unknown, extra: Extra): AsyncGenerator<[Key, Value], void> {
    yield* this.#scan('entries', range, extra, one, (table, options) => {
      return table.entries(options) as AsyncGenerator<[Key, Value], void>
    })
  }

  async *keys<Key>(range: unknown, extra: Extra): AsyncGenerator<Key, void> {
    yield* this.#scan('keys', range, extra, one, (table, options) => {
      return table.keys(options) as AsyncGenerator<Key, void>
    })
  }

  async *values<Value>(range: unknown, extra: Extra): AsyncGenerator<Value, void> {
    yield* this.#scan('values', range, extra, one, (table, options) => {
      return table.values(options) as AsyncGenerator<Value, void>
    })
  }

  async *scanColumns<Columns>(range: unknown, extra: Extra): AsyncGenerator<Columns, void> {
    const { keyRowLength } = this.#use.schema
    const rowsOf = (columns: Columns): number =>
      (columns as Record<string, OwnColumn>)['key']!.length / keyRowLength
    yield* this.#scan('scanColumns', range, extra, rowsOf, (table, options) => {
      return table.scanColumns(options) as AsyncGenerator<Columns, void>
    })
  }

  /** The first entry of a range, with `reverse` the last. */
  async first<Key, Value>(
    call: 'first' | 'last',
    given: unknown,
    extra: Extra,
  ): Promise<[Key, Value] | undefined> {
    this.#begin(call, extra)
    const { range, snapshot, signal } = checkFirst(call, this.#use.schema, given, false)
    const pins = this.#pinsOf(optionalPartitionedSnapshot(snapshot, 'snapshot'))
    const passedOn = readOptions(call, given, { ...BOUNDS, signal: asGiven, snapshot: asGiven })
    const partitions = this.#inRange(range)
    if (call === 'last') partitions.reverse()
    for (const partition of partitions) {
      throwIfAborted(signal)
      const found = await this.#read(partition, pins, undefined, async (table, options) => {
        return (await table[call]({ ...passedOn, ...options } as object)) as [Key, Value] | undefined
      })
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Opens all partitions, then takes the state of each. */
  async snapshot(extra: Extra): Promise<PartitionedSnapshot> {
    this.#begin('snapshot', extra)
    await this.openAll()
    this.#use.assertOpen()
    return new PartitionedSnapshot(
      this.#owner,
      this.#use.all.map(({ table }) => table?.snapshot()),
    )
  }

  async openAll(): Promise<void> {
    const { all } = this.#use
    await atOnce(all.length, OPENS_AT_ONCE, async i => {
      await all[i]!.read(undefined, () => Promise.resolve(undefined))
    })
  }

  /** The partitions of the range one after another. `size`: how much of the limit an item takes. */
  async *#scan<T>(
    call: string,
    given: unknown,
    extra: Extra,
    size: (item: T) => number,
    begin: (table: FlashTable, options: Options) => AsyncGenerator<T, void>,
  ): AsyncGenerator<T, void> {
    this.#begin(call, extra)
    const { range, reverse, limit, signal, snapshot } = checkRange(call, this.#use.schema, given)
    const chosen = this.#pinsOf(optionalPartitionedSnapshot(snapshot, 'snapshot'))
    const {
      reverse: _,
      limit: _limit,
      snapshot: _snapshot,
      ...passedOn
    } = readOptions(call, given, RANGE_OPTIONS)
    const partitions = this.#inRange(range)
    if (reverse) partitions.reverse()
    // What is written here is as it was when the scan began.
    const own = chosen === undefined ? this.#use.pinWritten(partitions) : undefined
    let left = limit
    try {
      for (const partition of partitions) {
        throwIfAborted(signal)
        if (left === 0) return
        const pin = (chosen ?? own)![partition.number]
        if (chosen !== undefined && pin === undefined) continue
        const table = await partition.read(undefined, table => Promise.resolve(table))
        if (table === undefined) continue
        const scan = begin(table, { ...passedOn, reverse, limit: left, snapshot: pin })
        try {
          for (;;) {
            const next = await scan.next().catch((error: unknown) => {
              throw partition.named(error)
            })
            if (next.done === true) break
            left -= size(next.value)
            yield next.value
          }
        } finally {
          await scan.return()
        }
        await own?.[partition.number]?.close()
      }
    } finally {
      await Promise.all((own ?? []).map(pin => pin?.close()))
    }
  }

  #begin(call: string, extra: Extra): void {
    this.#use.assertOpen()
    refuseExtra(call, extra)
  }

  /** The snapshot of a read that has no other options. */
  #pins(call: string, options: unknown, extra: Extra): Pins {
    this.#begin(call, extra)
    return options === undefined ? undefined : this.#pinsOf(readOptions(call, options, READ_OPTIONS).snapshot)
  }

  #pinsOf(snapshot: PartitionedSnapshot | undefined): Pins {
    return snapshot?.partsFor(this.#owner)
  }

  /** Reads a partition, with the options that name its snapshot. */
  #read<T>(
    partition: Partition,
    pins: Pins,
    none: T,
    read: (table: FlashTable, options: { readonly snapshot?: Snapshot } | undefined) => Promise<T>,
  ): Promise<T> {
    if (pins === undefined) return partition.read(none, table => read(table, undefined))
    const snapshot = pins[partition.number]
    // Nobody had published it then.
    if (snapshot === undefined) return Promise.resolve(none)
    return partition.read(none, table => read(table, { snapshot }))
  }

  #inRange(range: KeyRange): Partition[] {
    const { first, last } = this.#use.ranges.spanOf(range)
    return this.#use.all.slice(first, last + 1)
  }

  #each(partitions: readonly Partition[], work: (partition: Partition) => Promise<void>): Promise<void> {
    return atOnce(partitions.length, READS_AT_ONCE, i => work(partitions[i]!))
  }

  #eachPart(
    parts: readonly Part[],
    work: (partition: Partition, part: Part) => Promise<void>,
  ): Promise<void> {
    return atOnce(parts.length, READS_AT_ONCE, i => {
      const part = parts[i]!
      return work(this.#use.all[part.partition]!, part)
    })
  }

  /** The keys of these rows, as a column. */
  #keyColumn(lanes: readonly Uint32Array[], rows: Uint32Array): OwnColumn {
    const { schema } = this.#use
    if (rows.length === lanes[0]!.length) return schema.keyColumn(lanes, 0, rows.length)
    const some = lanes.map(lane => Uint32Array.from(rows, row => lane[row]!))
    return schema.keyColumn(some, 0, rows.length)
  }

  /** Whether `count` is asked for a range: as in a table. */
  #isRange(given: unknown): boolean {
    if (given === undefined) return true
    const isObject = typeof given === 'object' && given !== null && !ArrayBuffer.isView(given)
    return isObject && !this.#use.schema.hasObjectKeys
  }
}

const one = (): number => 1

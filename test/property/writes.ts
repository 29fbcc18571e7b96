/** Random writes of a run: the table does them, and so does the model. */
import { inRange, type ModelOperation, type ModelRecord } from '../support/model.js'
import { columnsOf, keyText, randomRecord } from '../support/schemas.js'
import { randomRange } from './ranges.js'
import type { RunState } from './run-state.js'
import { modelText, same } from './texts.js'
import { randomWhere } from './wheres.js'

/** Above this the run deletes more than it puts. */
const RECORDS_MAX = 2000

/** A call, and what it does to the model. */
interface Operation {
  readonly call: object
  readonly model: ModelOperation
}

/** Steps that write. */
export class Writes {
  readonly #run: RunState

  constructor(run: RunState) {
    this.#run = run
  }

  async put(): Promise<void> {
    const wanted = this.#run.state.length > RECORDS_MAX ? this.#del() : this.#record()
    await this.#write([wanted])
  }

  async batch(): Promise<void> {
    const operations = this.#operations(this.#run.random.between(0, Math.min(40, this.#run.capacity)))
    this.#run.detail(`of ${operations.length}`)
    const batch = this.#run.table.batch(operations.map(({ call }) => call) as never, this.#sync())
    this.#run.apply(operations)
    await batch
  }

  async columns(): Promise<void> {
    const { random } = this.#run
    const most = this.#run.state.length > RECORDS_MAX ? 3 : this.#run.capacity
    const rows = random.chance(0.3) ? most : random.between(0, most)
    this.#run.detail(`of ${rows}`)
    await this.putColumns(rows)
  }

  async putIfAbsent(): Promise<void> {
    const { random } = this.#run
    if (random.chance(0.5)) return this.#write([this.#putIfAbsent()])
    await this.#putColumnsIfAbsent(random.between(0, Math.min(60, this.#run.capacity)))
  }

  /** Calls one after the other; does not wait for the first before it makes the second. */
  putColumns(rows: number): Promise<void> {
    const records = Array.from({ length: rows }, () => randomRecord(this.#run.schema, this.#run.random))
    const put = this.#run.table.putColumns(columnsOf(this.#run.schema, records) as never, this.#sync())
    this.#run.apply(records.map(({ model }) => ({ model: { type: 'put', record: model } })))
    return put
  }

  /** The same for keys that may have records; what the call says of each row must be what the model says. */
  async #putColumnsIfAbsent(rows: number): Promise<void> {
    const { schema, random, table } = this.#run
    const records = Array.from({ length: rows }, () =>
      randomRecord(schema, random, random.chance(0.5) ? this.#run.randomKey() : undefined),
    )
    this.#run.detail(`of ${rows}`)
    const columns = columnsOf(schema, records) as never
    const put = table.putColumns(columns, { ...this.#sync(), ifAbsent: true })
    const expected = records.map(({ model }) => this.#applyIfAbsent(model))
    same('putColumns with ifAbsent', Array.from(await put), expected)
  }

  /** Whether the model has put it. */
  #applyIfAbsent(record: ModelRecord): number {
    const before = this.#run.state.length
    this.#run.apply([{ model: { type: 'putIfAbsent', record } }])
    return this.#run.state.length - before
  }

  /** Many calls of all kinds that do not wait for each other. */
  async burst(): Promise<void> {
    const { random } = this.#run
    const calls: Promise<unknown>[] = []
    const kinds: (() => void)[] = [
      () => {
        const operations = this.#operations(1)
        calls.push(this.#call(operations[0]!.call))
        this.#run.apply(operations)
      },
      () => {
        const operations = this.#operations(random.between(1, Math.min(10, this.#run.capacity)))
        calls.push(this.#run.table.batch(operations.map(({ call }) => call) as never, this.#sync()))
        this.#run.apply(operations)
      },
      () => void calls.push(this.putColumns(random.between(1, Math.min(12, this.#run.capacity)))),
      () => void calls.push(this.#putColumnsIfAbsent(random.between(1, Math.min(12, this.#run.capacity)))),
      () => {
        if (this.#run.schema.fields.size === 0 || this.#run.schema.combine !== undefined) return
        const operation = this.#delWhere()
        calls.push(this.#call(operation.call))
        this.#run.apply([operation])
      },
      () => {
        const operation = this.#clearRange()
        calls.push(this.#call(operation.call))
        this.#run.apply([operation])
      },
      () => void calls.push(this.#run.table.sync()),
    ]
    const count = random.between(2, 30)
    this.#run.detail(`of ${count}`)
    for (let i = 0; i < count; i++) kinds[random.chance(0.6) ? 0 : random.below(kinds.length)]!()
    await Promise.all(calls)
  }

  del(): Promise<void> {
    return this.#write([this.#del()])
  }

  delRecord(): Promise<void> {
    return this.#write([this.#delRecord()])
  }

  delWhere(): Promise<void> {
    return this.#write([this.#delWhere()])
  }

  clearRange(): Promise<void> {
    return this.#write([this.#clearRange()])
  }

  async clear(): Promise<void> {
    await this.#run.table.clear()
    this.#run.apply([{ model: { type: 'clear' } }])
  }

  #record(): Operation {
    const { key, value, model } = randomRecord(this.#run.schema, this.#run.random)
    return { call: { type: 'put', key, value }, model: { type: 'put', record: model } }
  }

  #putIfAbsent(): Operation {
    const key = this.#run.random.chance(0.5) ? this.#run.randomKey() : undefined
    const { key: given, value, model } = randomRecord(this.#run.schema, this.#run.random, key)
    return { call: { type: 'putIfAbsent', key: given, value }, model: { type: 'putIfAbsent', record: model } }
  }

  #del(): Operation {
    const key = this.#run.randomKey()
    return { call: { type: 'del', key }, model: { type: 'del', key: keyText(key) } }
  }

  #delRecord(): Operation {
    const { key, value, model } = randomRecord(this.#run.schema, this.#run.random, this.#run.randomKey())
    return { call: { type: 'delRecord', key, value }, model: { type: 'delRecord', record: model } }
  }

  /** A range; not a wide one, which would empty the table too often. */
  #clearRange(): Operation {
    const { random, state } = this.#run
    const { range, model } = randomRange(this.#run)
    const { gt, gte, lt, lte } = model
    const bounds = { gt, gte, lt, lte }
    const cleared = inRange(state, bounds).length
    if (!random.chance(0.05) && cleared > state.length / 4) {
      const key = this.#run.randomKey()
      return {
        call: { type: 'clear', range: { gte: key, lte: key } },
        model: { type: 'clear', range: { gte: keyText(key), lte: keyText(key) } },
      }
    }
    const { reverse: _, limit: __, ...given } = range as Record<string, unknown>
    const isAll = Object.values(bounds).every(bound => bound === undefined)
    return {
      call: { type: 'clear', range: given },
      model: isAll ? { type: 'clear' } : { type: 'clear', range: bounds },
    }
  }

  #delWhere(): Operation {
    const { where, model } = randomWhere(this.#run)
    return { call: { type: 'delWhere', where }, model: { type: 'delWhere', ...model } }
  }

  #operations(count: number) {
    const { random } = this.#run
    const puts = this.#run.state.length > RECORDS_MAX ? 0.4 : 0.85
    return Array.from({ length: count }, () =>
      random.chance(puts)
        ? random.chance(0.15)
          ? this.#putIfAbsent()
          : this.#record()
        : random.chance(0.5) || this.#run.schema.combine !== undefined
          ? this.#del()
          : this.#delRecord(),
    )
  }

  async #write(operations: readonly Operation[]): Promise<void> {
    for (const { model } of operations) this.#run.detail(modelText(model))
    const calls = operations.map(({ call }) => this.#call(call))
    const before = this.#run.state.length
    this.#run.apply(operations)
    const put = this.#run.state.length - before
    for (const answer of await Promise.all(calls))
      if (typeof answer === 'boolean') same('putIfAbsent', [answer], [put === 1])
  }

  /** Makes the call of one operation; does not wait for it. */
  #call(operation: object): Promise<void | boolean> {
    const { type, key, value, where, range } = operation as {
      type: string
      key: never
      value: never
      where: never
      range: object
    }
    switch (type) {
      case 'put':
        return this.#run.table.put(key, value, this.#sync())
      case 'putIfAbsent':
        return this.#run.table.putIfAbsent(key, value, this.#sync())
      case 'del':
        return this.#run.table.del(key, this.#sync())
      case 'delRecord':
        return this.#run.table.delRecord(key, value, this.#sync())
      case 'clear':
        return this.#run.table.clear({ ...range, ...this.#sync() })
      default:
        return this.#run.table.delWhere(where, this.#sync())
    }
  }

  #sync(): { sync: boolean } | undefined {
    return this.#run.random.chance(0.8) ? undefined : { sync: this.#run.random.chance(0.7) }
  }
}

/** Random lookups and scans of a run, each compared with the model. */
import { byKey, inRange, matchesWhere, type ModelRecord } from '../support/model.js'
import { columnOf, type Key, keyText, rowsOf, valueText } from '../support/schemas.js'
import { randomRange } from './ranges.js'
import { type AnyTable, RunState } from './run-state.js'
import { rowText, same, whereText } from './texts.js'
import { randomWhere } from './wheres.js'

/** Steps that read. */
export class Reads {
  readonly #run: RunState

  constructor(run: RunState) {
    this.#run = run
  }

  async lookup(): Promise<void> {
    const { table, state, options } = this.#run.view()
    const key = this.#run.randomKey()
    const records = byKey(state).get(keyText(key)) ?? []
    const expected = records.map(({ value }) => value)
    this.#run.detail(keyText(key))
    const blocking = this.#run.random.chance(0.5)
    // All calls are made at once: what is put meanwhile is not for them.
    const [all, newest, count, has] = await Promise.all([
      blocking ? table.getAllSync(key, options) : table.getAll(key, options),
      blocking ? table.getSync(key, options) : table.get(key, options),
      table.count(key, options),
      table.has(key, options),
    ])
    same(`getAll(${keyText(key)})`, this.#run.values(all), expected)
    // A set has no values: has() tells.
    if (this.#run.schema.fields.size > 0) {
      const found = newest === undefined ? [] : [newest]
      same(`get(${keyText(key)})`, this.#run.values(found), expected.slice(-1))
    }
    same(`count(${keyText(key)})`, [count], [records.length])
    same(`has(${keyText(key)})`, [has], [records.length > 0])
  }

  /** A part of the records of a key. */
  async part(): Promise<void> {
    const { table, state, options } = this.#run.view()
    const { random } = this.#run
    const key = this.#run.randomKey()
    const expected = (byKey(state).get(keyText(key)) ?? []).map(({ value }) => value)
    const limit = random.pick([undefined, 0, 1, 3, 50, -1, Infinity, expected.length])
    const offset = random.pick([undefined, 0, 1, 7, random.below(expected.length + 2)])
    const reverse = random.pick([undefined, false, true])
    const given = { ...options, limit, offset, reverse }
    this.#run.detail(`${keyText(key)} ${JSON.stringify({ limit, offset, reverse })}`)
    const all = await Promise.all([table.getAllSync(key, given), table.getAll(key, given)])
    const inOrder = reverse === true ? expected.toReversed() : expected
    const from = offset ?? 0
    const part = inOrder.slice(from, limit === undefined || limit === -1 ? undefined : from + limit)
    const what = `getAll(${keyText(key)}, ${JSON.stringify({ limit, offset, reverse })})`
    for (const found of all) same(what, this.#run.values(found), part)
  }

  async lookups(): Promise<void> {
    const { table, state, options } = this.#run.view()
    const { keys, given } = this.#queries(this.#run.random.between(0, 60))
    const groups = byKey(state)
    const found = keys.map(key => groups.get(keyText(key)) ?? [])
    this.#run.detail(`of ${keys.length}`)
    const isSet = this.#run.schema.fields.size === 0
    const [newest, columns] = await Promise.all([
      isSet ? [] : table.getMany(given, options),
      table.getColumns(given, options),
    ])
    same(
      'getMany',
      newest.map(value => (value === undefined ? 'none' : valueText(this.#run.schema, value))),
      isSet ? [] : found.map(records => records.at(-1)?.value ?? 'none'),
    )
    const rows = rowsOf(this.#run.schema, columns)
    same(
      'getColumns',
      Array.from(columns.query, (query, i) => `${query}:${rows[i]?.value ?? ''}`),
      found.flatMap((records, query) => records.map(({ value }) => `${query}:${value}`)),
    )
  }

  async near(): Promise<void> {
    const { table, state, options } = this.#run.view()
    const { keys, given } = this.#queries(this.#run.random.between(0, 8))
    const within = this.#run.random.pick([0, 1, 3, 16, 17, 1000, 2 ** 33])
    this.#run.detail(`of ${keys.length} within ${within}`)
    const columns = await table.getColumns(given, { ...options, within })
    const number = (key: string): bigint => BigInt(`0x${key}`)
    const groups = inRange(state, {}).map(([key, records]) => ({ at: number(key), records }))
    const expected = keys.flatMap((key, query) => {
      const centre = number(keyText(key))
      return groups
        .filter(({ at }) => at >= centre - BigInt(within) && at <= centre + BigInt(within))
        .flatMap(({ records }) => records.map(record => `${query}:${rowText(record)}`))
    })
    const rows = rowsOf(this.#run.schema, columns as never)
    same(
      'getColumns within',
      rows.map((row, i) => `${columns.query[i]}:${rowText(row)}`),
      expected,
    )
  }

  /** Fields that a scan asks for, where records have some. */
  #filter(): { given: object; matches: (record: ModelRecord) => boolean } | undefined {
    if (this.#run.schema.fields.size === 0) return undefined
    const { where, model } = randomWhere(this.#run)
    this.#run.detail(`where ${whereText(model)}`)
    return { given: { where }, matches: record => matchesWhere(record, model) }
  }

  async range(): Promise<void> {
    const { table, state, options } = this.#run.view()
    const { range, model } = randomRange(this.#run)
    this.#run.detail(JSON.stringify(model))
    const filter = this.#run.random.chance(0.3) ? this.#filter() : undefined
    const given = { ...range, ...options, ...filter?.given } as never
    const groups = inRange(state, model)
      .map(([key, records]) => [key, records.filter(record => filter?.matches(record) ?? true)] as const)
      .filter(([, records]) => records.length > 0)
    const { limit } = model
    const rows = groups.flatMap(([, records]) => records).slice(0, limit)
    switch (this.#run.random.below(5)) {
      case 4: {
        const { reverse: _, limit: __, ...counted } = given as Record<string, unknown>
        const count = groups.reduce((sum, [, records]) => sum + records.length, 0)
        same('count', [await table.count(counted as never)], [count])
        break
      }
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
          this.#run.values(values),
          rows.map(({ value }) => value),
        )
        break
      }
      default: {
        const found: string[] = []
        for await (const columns of table.scanColumns(given)) {
          found.push(...rowsOf(this.#run.schema, columns as never).map(rowText))
        }
        same('scanColumns', found, rows.map(rowText))
      }
    }
  }

  /** All four at once: what is put meanwhile is not for them. */
  async firstAndLast(): Promise<void> {
    const { table, state, options } = this.#run.view()
    const { range, model } = randomRange(this.#run)
    const { gt, gte, lt, lte } = model
    const bounds = { gt, gte, lt, lte }
    this.#run.detail(JSON.stringify(bounds))
    const { reverse: _, limit: __, ...given } = { ...range, ...options } as Record<string, unknown>
    const rows = inRange(state, bounds).flatMap(([, records]) => records)
    const found = await Promise.all([
      table.first(given),
      table.firstSync(given),
      table.last(given),
      table.lastSync(given),
    ])
    const [first, last] = [rows.slice(0, 1), rows.slice(-1)]
    const texts = found.map(entry =>
      entry === undefined
        ? []
        : [rowText({ key: keyText(entry[0]), value: valueText(this.#run.schema, entry[1]) })],
    )
    same('first, firstSync, last, lastSync', texts.flat(), [first, first, last, last].flat().map(rowText))
  }

  /** Keys for a query, as an array or as a column. */
  #queries(count: number): { keys: Key[]; given: never } {
    const keys = Array.from({ length: count }, () => this.#run.randomKey())
    const given = this.#run.random.chance(0.5) ? keys : columnOf(this.#run.schema.keyKind, keys)
    return { keys, given: given as never }
  }

  async #entryTexts(table: AnyTable, range: never): Promise<string[]> {
    const found: string[] = []
    for await (const [key, value] of table.entries(range)) {
      found.push(rowText({ key: keyText(key), value: valueText(this.#run.schema, value) }))
    }
    return found
  }
}

/** What a run of random operations has at any moment, and what all its steps do with it. */
import type { FlashTable, JsonObject, KeyEncoding, Snapshot, ValueEncoding } from '../../src/index.js'
import { appliedAll, type KeyRules, type ModelOperation, type State } from '../support/model.js'
import { Random } from '../support/random.js'
import { combineRule, type Key, rowsOf, type SchemaCase, valueText } from '../support/schemas.js'
import { rowsInOrder, rowText, same } from './texts.js'

const LOG_LINES = 40

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

export interface Held {
  readonly snapshot: Snapshot
  readonly state: State
}

export interface Scan {
  readonly rows: AsyncGenerator<unknown>
  readonly expected: readonly string[]
  readonly text: (row: unknown) => string
  at: number
}

/** The table, its model, and what a run has in its hands. All choices are drawn from `random`. */
export class RunState {
  readonly tally: Tally = { counts: new Map(), filesMax: 0, levelsMax: 0, bucketBytes: 0 }
  readonly world: World
  readonly schema: SchemaCase
  readonly random: Random
  /** The last operations, for the error. */
  readonly log: string[] = []
  table!: AnyTable
  /** What the table must show. */
  state: State = []
  /** Its metadata. */
  meta: JsonObject = {}
  /** Records that fit into a memtable. */
  capacity = 0
  snapshots: Held[] = []
  scans: Scan[] = []
  /** A table opened for reading, and what it must show. */
  reader: { readonly table: AnyTable; state: State; meta: JsonObject } | undefined
  /** Compactions that nobody awaits yet. */
  background: Promise<void>[] = []
  readonly #rules: KeyRules

  constructor(world: World, schema: SchemaCase, seed: number) {
    this.world = world
    this.schema = schema
    this.random = new Random(seed)
    this.#rules = { replace: schema.duplicates === 'replace', combine: combineRule(schema) }
  }

  note(line: string): void {
    this.log.push(line)
    if (this.log.length > LOG_LINES) this.log.shift()
  }

  detail(text: string): void {
    this.log[this.log.length - 1] += ` ${text}`
  }

  /** The next table begins with what this one had; what was held is held no more. */
  forget(): void {
    this.snapshots = []
    this.scans = []
    this.background = []
    this.reader = undefined
  }

  randomKey(): Key {
    return this.schema.randomKey(this.random)
  }

  /** The model does what the table does. */
  apply(operations: readonly { model: ModelOperation }[]): void {
    this.state = appliedAll(
      this.state,
      operations.map(({ model }) => model),
      this.#rules,
    )
  }

  /** The newest state, or one that is held, or that of the reader. */
  view(): { table: AnyTable; state: State; options: { snapshot?: Snapshot } } {
    const { random } = this
    if (this.reader !== undefined && random.chance(0.15)) return { ...this.reader, options: {} }
    if (this.snapshots.length > 0 && random.chance(0.4)) {
      const { snapshot, state } = random.pick(this.snapshots)
      this.detail('of a snapshot')
      return { table: this.table, state, options: { snapshot } }
    }
    return { table: this.table, state: this.state, options: {} }
  }

  values(values: readonly unknown[]): string[] {
    return values.map(value => valueText(this.schema, value))
  }

  async compareAll(table: AnyTable, state: State, what: string, snapshot?: Snapshot): Promise<void> {
    same(what, await this.allRows(table, snapshot), rowsInOrder(state))
  }

  compareMeta(table: AnyTable, meta: JsonObject, what: string): void {
    same(`the metadata of ${what}`, [JSON.stringify(table.meta)], [JSON.stringify(meta)])
  }

  async allRows(table: AnyTable, snapshot?: Snapshot): Promise<string[]> {
    const found: string[] = []
    for await (const columns of table.scanColumns({ snapshot })) {
      found.push(...rowsOf(this.schema, columns as never).map(rowText))
    }
    return found
  }
}

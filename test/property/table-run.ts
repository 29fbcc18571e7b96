/**
 * One run of random operations: a table beside its model, every answer compared, until the steps are done.
 *
 * All choices come from the seed. On the simulated disk nothing else has a say, so the same seed gives the same run.
 */
import type { SchemaCase } from '../support/schemas.js'
import { HeldStates, readOn } from './held.js'
import { Lives } from './lives.js'
import { Reads } from './reads.js'
import { RunState, type Tally, type World } from './run-state.js'
import { Upkeep } from './upkeep.js'
import { Writes } from './writes.js'

type Step = () => Promise<void>

export class TableRun {
  readonly #run: RunState
  readonly #writes: Writes
  readonly #reads: Reads
  readonly #lives: Lives
  readonly #weights: readonly (readonly [weight: number, name: string, step: Step])[]

  constructor(world: World, schema: SchemaCase, seed: number) {
    const run = new RunState(world, schema, seed)
    const writes = new Writes(run)
    const reads = new Reads(run)
    const held = new HeldStates(run)
    const lives = new Lives(run)
    const upkeep = new Upkeep(run, writes)
    this.#run = run
    this.#writes = writes
    this.#reads = reads
    this.#lives = lives
    this.#weights = [
      [10, 'put', () => writes.put()],
      [8, 'batch', () => writes.batch()],
      [10, 'columns', () => writes.columns()],
      [6, 'burst', () => writes.burst()],
      [4, 'putIfAbsent', () => writes.putIfAbsent()],
      [4, 'del', () => writes.del()],
      [schema.combine === undefined ? 4 : 0, 'delRecord', () => writes.delRecord()],
      [schema.fields.size > 0 && schema.combine === undefined ? 3 : 0, 'delWhere', () => writes.delWhere()],
      [3, 'clear a range', () => writes.clearRange()],
      [12, 'lookup', () => reads.lookup()],
      [6, 'part', () => reads.part()],
      [6, 'lookups', () => reads.lookups()],
      [4, 'near', () => reads.near()],
      [10, 'range', () => reads.range()],
      [6, 'first and last', () => reads.firstAndLast()],
      [4, 'crowd', () => this.#crowd()],
      [3, 'snapshot', () => held.takeSnapshot()],
      [2, 'release', () => held.releaseSnapshot()],
      [3, 'scan', () => held.beginScan()],
      [5, 'scan on', () => held.goOnScanning()],
      [3, 'sync', () => run.table.sync()],
      [1.5, 'compact', () => upkeep.compact()],
      [2, 'stats', () => upkeep.stats()],
      [1, 'reopen', () => lives.reopen()],
      [world.kill === undefined ? 0 : 1, 'kill', () => lives.kill()],
      [world.cutPower === undefined ? 0 : 1, 'power cut', () => lives.cutPower()],
      [1, 'reader', () => held.readOnly()],
      [1, 'checkpoint', () => upkeep.checkpoint()],
      [1, 'metadata', () => upkeep.setMeta()],
      [0.3, 'clear', () => writes.clear()],
    ]
  }

  get tally(): Tally {
    return this.#run.tally
  }

  /** Throws with the last operations where the table and its model differ. */
  async run(steps: number): Promise<void> {
    let step = 0
    try {
      await this.#lives.open()
      for (; step < steps; step++) await this.#step()
      await this.#end()
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      const log = this.#run.log.join('\n  ')
      throw new Error(`step ${step} of ${steps}: ${text}\nlast operations:\n  ${log}`, { cause: error })
    }
  }

  async #step(): Promise<void> {
    const total = this.#weights.reduce((sum, [weight]) => sum + weight, 0)
    let draw = (this.#run.random.below(1_000_000) / 1_000_000) * total
    for (const [weight, name, step] of this.#weights) {
      draw -= weight
      if (draw >= 0) continue
      this.#run.note(name)
      this.#run.tally.counts.set(name, (this.#run.tally.counts.get(name) ?? 0) + 1)
      await step()
      return
    }
  }

  async #end(): Promise<void> {
    for (const scan of this.#run.scans) await readOn(scan, Infinity)
    for (const held of this.#run.snapshots)
      await this.#run.compareAll(this.#run.table, held.state, 'a snapshot', held.snapshot)
    await this.#run.compareAll(this.#run.table, this.#run.state, 'the table at the end')
    await this.#run.table.compact()
    await this.#run.compareAll(this.#run.table, this.#run.state, 'the table compacted at the end')
    const { records, recordsAreExact } = await this.#run.table.stats()
    if (!recordsAreExact || records !== this.#run.state.length) {
      throw new Error(
        `stats() counts ${records} records (exact: ${recordsAreExact}), there are ${this.#run.state.length}`,
      )
    }
    await this.#lives.close()
    await this.#run.world.verify()
  }

  /** Many reads at once, and writes that come while they run. */
  async #crowd(): Promise<void> {
    const { random } = this.#run
    const kinds = [
      () => this.#reads.lookup(),
      () => this.#reads.lookup(),
      () => this.#reads.part(),
      () => this.#reads.lookups(),
      () => this.#reads.range(),
      () => this.#reads.firstAndLast(),
    ]
    const reads = Array.from({ length: random.between(2, 20) }, () => random.pick(kinds)())
    await Promise.all([...reads, this.#writes.burst()])
  }
}

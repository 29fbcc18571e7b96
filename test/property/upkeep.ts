/** Compaction, checkpoints and figures in a run. */
import type { RunState } from './run-state.js'
import { rowsInOrder, same, sameRows } from './texts.js'
import type { Writes } from './writes.js'

/** Steps that change nothing that a reader sees. */
export class Upkeep {
  readonly #run: RunState
  readonly #writes: Writes
  #copies = 0

  constructor(run: RunState, writes: Writes) {
    this.#run = run
    this.#writes = writes
  }

  async compact(): Promise<void> {
    const { random } = this.#run
    if (random.chance(0.4)) {
      this.#run.detail('in the background')
      const compact = this.#run.table.compact()
      // It is awaited when the table is closed. If the process is killed, nobody awaits it.
      compact.catch(() => {})
      this.#run.background.push(compact)
      return
    }
    if (random.chance(0.3)) {
      this.#run.detail('aborted')
      const controller = new AbortController()
      const compact = this.#run.table.compact({ signal: controller.signal })
      const settled = compact.catch((error: unknown) => {
        if (error !== controller.signal.reason) throw error
      })
      for (let i = random.below(60); i > 0; i--) await new Promise(resolve => void setImmediate(resolve))
      controller.abort(new Error('enough'))
      await settled
      return
    }
    await this.#run.table.compact()
  }

  async checkpoint(): Promise<void> {
    const directory = `${this.#run.world.directory}-copy-${this.#copies++}`
    // By the table, or by a reader of it; while it is made memtables are sealed, written, and their memory used again.
    const reader = this.#run.random.chance(0.3)
      ? await this.#run.world.open(this.#run.world.directory, { readOnly: true })
      : undefined
    const states = [this.#run.state]
    const checkpoint = (reader ?? this.#run.table).checkpoint(directory)
    for (let puts = this.#run.random.below(10); puts > 0; puts--) {
      const put = this.#writes.putColumns(this.#run.capacity)
      states.push(this.#run.state)
      await put
    }
    await checkpoint
    await reader?.close()
    const copy = await this.#run.world.open(directory, {})
    const found = await this.#run.allRows(copy)
    const held = states.find(state => sameRows(found, rowsInOrder(state))) ?? states[0]!
    same('a checkpoint', found, rowsInOrder(held))
    this.#run.compareMeta(copy, this.#run.meta, 'a checkpoint')
    await copy.close()
  }

  async setMeta(): Promise<void> {
    const { random, table } = this.#run
    const names = Array.from({ length: random.below(20) }, (_, i) => [`name ${random.below(50)}`, i] as const)
    this.#run.meta = { upTo: random.next(), names: Object.fromEntries(names) }
    await table.setMeta(this.#run.meta)
    this.#run.compareMeta(table, this.#run.meta, 'the table')
  }

  async stats(): Promise<void> {
    const { records, recordsAreExact, files, levels, bytesWritten } = await this.#run.table.stats()
    this.#run.tally.filesMax = Math.max(this.#run.tally.filesMax, files.length)
    this.#run.tally.levelsMax = Math.max(this.#run.tally.levelsMax, levels.length)
    this.#run.tally.bucketBytes = Math.max(this.#run.tally.bucketBytes, bytesWritten.buckets)
    const { length } = this.#run.state
    if (recordsAreExact ? records !== length : records < length) {
      throw new Error(`stats() counts ${records} records (exact: ${recordsAreExact}), there are ${length}`)
    }
  }
}

/** The lives of the table of a run: it is opened and closed, killed, and loses its power. */
import type { TableOptions } from '../../src/index.js'
import type { RunState } from './run-state.js'

/** Steps that end the life of the table and begin the next. */
export class Lives {
  readonly #run: RunState

  constructor(run: RunState) {
    this.#run = run
  }

  async open(): Promise<void> {
    const { random } = this.#run
    const options: TableOptions = {
      bufferBytes: random.pick([1024, 2048, 4096]),
      walBytes: random.pick([4096, 8192, 32_768]),
      cacheBytes: random.pick([0, 65_536 * 4]),
      fanout: random.pick([2, 3, 4]),
      filterBitsPerRecord: random.pick([0, 2, 10]),
      syncIntervalMs: random.pick([0, Infinity]),
    }
    const { keyEncoding, valueEncoding, duplicates, combine, pageBytes } = this.#run.schema
    const created = { keyEncoding, valueEncoding, duplicates, combine, pageBytes }
    this.#run.detail(JSON.stringify(options))
    this.#run.table = await this.#run.world.open(this.#run.world.directory, { ...created, ...options })
    this.#run.capacity = (await this.#run.table.stats()).memtable.capacity
    await this.#run.compareAll(this.#run.table, this.#run.state, 'the table just opened')
    this.#run.compareMeta(this.#run.table, this.#run.meta, 'the table just opened')
  }

  async close(): Promise<void> {
    await Promise.all(this.#run.background)
    for (const scan of this.#run.scans) await scan.rows.return(undefined)
    await this.#run.reader?.table.close()
    await this.#run.table.close()
    this.#run.forget()
  }

  async reopen(): Promise<void> {
    await this.close()
    await this.#run.world.verify()
    await this.open()
  }

  async kill(): Promise<void> {
    this.#run.world.kill!()
    this.#run.forget()
    await this.#openAfterCrash()
  }

  /** What was synced is there again; all else was nothing. */
  async cutPower(): Promise<void> {
    await this.#run.table.sync()
    this.#run.world.cutPower!(this.#run.random.next())
    this.#run.forget()
    await this.#openAfterCrash()
  }

  /** A reader may be there first: it recovers for itself, and changes nothing. */
  async #openAfterCrash(): Promise<void> {
    if (this.#run.random.chance(0.5)) {
      const reader = await this.#run.world.open(this.#run.world.directory, {
        readOnly: true,
        bufferBytes: 1024,
      })
      await this.#run.compareAll(reader, this.#run.state, 'a reader after a crash')
      this.#run.compareMeta(reader, this.#run.meta, 'a reader after a crash')
      await reader.close()
    }
    await this.open()
  }
}

/** Snapshots, scans and readers that a run holds while other things go on. */
import { inRange } from '../support/model.js'
import { keyText, valueText } from '../support/schemas.js'
import { randomRange } from './ranges.js'
import type { RunState, Scan } from './run-state.js'
import { rowText, same } from './texts.js'

const SNAPSHOTS_MAX = 4
const SCANS_MAX = 3

/** Steps that hold a state, and look at it later. */
export class HeldStates {
  readonly #run: RunState

  constructor(run: RunState) {
    this.#run = run
  }

  async takeSnapshot(): Promise<void> {
    if (this.#run.snapshots.length >= SNAPSHOTS_MAX) await this.releaseSnapshot()
    this.#run.snapshots.push({ snapshot: this.#run.table.snapshot(), state: this.#run.state })
  }

  async releaseSnapshot(): Promise<void> {
    if (this.#run.snapshots.length === 0) return
    const [held] = this.#run.snapshots.splice(this.#run.random.below(this.#run.snapshots.length), 1)
    await this.#run.compareAll(this.#run.table, held!.state, 'a snapshot before it is closed', held!.snapshot)
    await held!.snapshot.close()
  }

  /** A scan that stays where it is while other things go on. */
  async beginScan(): Promise<void> {
    if (this.#run.scans.length >= SCANS_MAX) return
    const { table, state, options } = this.#run.view()
    const { range, model } = randomRange(this.#run)
    this.#run.detail(JSON.stringify(model))
    const rows = inRange(state, model).flatMap(([, records]) => records)
    const scan: Scan = {
      rows: table.entries({ ...range, ...options } as never),
      expected: rows.slice(0, model.limit).map(rowText),
      text: row => {
        const [key, value] = row as [unknown, unknown]
        return rowText({ key: keyText(key), value: valueText(this.#run.schema, value) })
      },
      at: 0,
    }
    // Its state is that of its first step.
    await readOn(scan, 1)
    if (table === this.#run.table) this.#run.scans.push(scan)
    else await readOn(scan, Infinity)
  }

  async goOnScanning(): Promise<void> {
    if (this.#run.scans.length === 0) return
    const at = this.#run.random.below(this.#run.scans.length)
    const ended = await readOn(this.#run.scans[at]!, this.#run.random.between(1, 500))
    if (ended) this.#run.scans.splice(at, 1)
  }

  async readOnly(): Promise<void> {
    const { random } = this.#run
    if (this.#run.reader === undefined) {
      const table = await this.#run.world.open(this.#run.world.directory, { readOnly: true, cacheBytes: 0 })
      this.#run.reader = { table, state: this.#run.state, meta: this.#run.meta }
      this.#run.detail('opened')
    } else if (random.chance(0.5)) {
      await this.#run.reader.table.refresh()
      this.#run.reader.state = this.#run.state
      this.#run.reader.meta = this.#run.meta
      this.#run.detail('refreshed')
    } else {
      const { table, state } = this.#run.reader
      this.#run.reader = undefined
      this.#run.detail('closed')
      await this.#run.compareAll(table, state, 'the reader before it is closed')
      await table.close()
      return
    }
    const { table, state, meta } = this.#run.reader
    await this.#run.compareAll(table, state, 'the reader')
    this.#run.compareMeta(table, meta, 'the reader')
  }
}

/** Reads on; true at its end. */
export async function readOn(scan: Scan, rows: number): Promise<boolean> {
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

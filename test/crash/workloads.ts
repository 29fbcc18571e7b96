/**
 * Workloads of the crash explorer: small tables, so that every state on disk comes up within a few hundred calls of the
 * file system - groups, seals, merges, recycled segments, manifests, recovery itself.
 */
import { FlashTable, struct } from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import type { SimulatedFileSystem } from '../support/simulated-file-system.js'
import type { CrashRecord, Effect, History } from './history.js'

export const DIRECTORY = '/tables/crash'

const VALUE = struct({ time: 'u16', id: 'i32' })
/** 14 bytes a record: 73 records to a memtable. */
export const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: VALUE,
  memtableBytes: 1024,
  walBytes: 8192,
  cacheBytes: 65_536,
  fanout: 2,
  syncIntervalMs: Infinity,
} as const

export type CrashTable = FlashTable<'u64', typeof VALUE>

export async function openOn(disk: SimulatedFileSystem, options: object = {}): Promise<CrashTable> {
  const table = await FlashTable.openIn(DIRECTORY, { ...OPTIONS, ...options }, simulatedEnvironment(disk))
  return table as unknown as CrashTable
}

/** Drives a table and keeps its history. */
export class Driver {
  readonly disk: SimulatedFileSystem
  readonly history: History
  table!: CrashTable
  #next = 0

  constructor(disk: SimulatedFileSystem, history: History) {
    this.disk = disk
    this.history = history
  }

  async open(): Promise<void> {
    this.table = await openOn(this.disk)
  }

  /** Records that differ in all fields and share keys now and then. */
  records(count: number): CrashRecord[] {
    return Array.from({ length: count }, () => {
      const n = this.#next++
      return { key: (n * 7919) % 97, time: n % 65536, id: n % 5 }
    })
  }

  put(record: CrashRecord, sync = false): Promise<void> {
    const { key, time, id } = record
    return this.#call([{ kind: 'put', record }], sync, () => this.table.put(key, { time, id }, { sync }))
  }

  batch(effects: readonly Exclude<Effect, { kind: 'delWhere' | 'clear' }>[], sync = false): Promise<void> {
    const operations = effects.map(effect =>
      effect.kind === 'del'
        ? { type: 'del' as const, key: effect.key }
        : {
            type: effect.kind,
            key: effect.record.key,
            value: { time: effect.record.time, id: effect.record.id },
          },
    )
    return this.#call(effects, sync, () => this.table.batch(operations, { sync }))
  }

  columns(records: readonly CrashRecord[], sync = false): Promise<void> {
    const effects = records.map(record => ({ kind: 'put' as const, record }))
    const columns = {
      key: BigUint64Array.from(records, ({ key }) => BigInt(key)),
      time: Uint16Array.from(records, ({ time }) => time),
      id: Int32Array.from(records, ({ id }) => id),
    }
    return this.#call(effects, sync, () => this.table.putColumns(columns, { sync }))
  }

  del(key: number, sync = false): Promise<void> {
    return this.#call([{ kind: 'del', key }], sync, () => this.table.del(key, { sync }))
  }

  delRecord(record: CrashRecord): Promise<void> {
    const { key, time, id } = record
    return this.#call([{ kind: 'delRecord', record }], false, () => this.table.delRecord(key, { time, id }))
  }

  delWhere(id: number, sync = false): Promise<void> {
    return this.#call([{ kind: 'delWhere', id }], sync, () => this.table.delWhere({ id }, { sync }))
  }

  clear(): Promise<void> {
    return this.#call([{ kind: 'clear' }], true, () => this.table.clear())
  }

  async sync(): Promise<void> {
    const calls = this.history.written
    await this.table.sync()
    this.history.acknowledge(calls, true)
  }

  async close(): Promise<void> {
    const calls = this.history.calls.length
    await this.table.close()
    this.history.acknowledge(calls, true)
  }

  async #call(effects: readonly Effect[], durable: boolean, run: () => Promise<void>): Promise<void> {
    const calls = this.history.note(effects)
    await run()
    this.history.acknowledge(calls, durable)
  }
}

export type Workload = (driver: Driver) => Promise<void>

const put = (record: CrashRecord) => ({ kind: 'put', record }) as const

export const WORKLOADS: Readonly<Record<string, Workload>> = {
  /** Single puts, some synced, some awaited together. */
  async puts(driver) {
    await driver.open()
    for (const record of driver.records(6)) await driver.put(record)
    await driver.put(driver.records(1)[0]!, true)
    await Promise.all(driver.records(9).map((record, i) => driver.put(record, i % 4 === 0)))
    await driver.sync()
    for (const record of driver.records(3)) await driver.put(record)
    await driver.close()
  },

  /** Batches, columns larger than a page and as large as a memtable; seals and merges as they come. */
  async batches(driver) {
    await driver.open()
    await driver.batch(driver.records(20).map(put))
    await driver.columns(driver.records(73), true)
    await driver.columns(driver.records(60))
    await driver.batch(driver.records(30).map(put), true)
    for (let i = 0; i < 4; i++) await driver.columns(driver.records(73))
    await driver.sync()
    await driver.columns(driver.records(10))
    await driver.close()
  },

  /** Deletes of every kind, over seals and merges. */
  async deletes(driver) {
    await driver.open()
    const first = driver.records(60)
    await driver.columns(first)
    await driver.del(first[3]!.key)
    await driver.delRecord(first[5]!)
    await driver.delWhere(2, true)
    const second = driver.records(60)
    await driver.columns(second)
    await driver.batch([
      put(second[0]!),
      { kind: 'del', key: second[1]!.key },
      put(second[1]!),
      { kind: 'delRecord', record: second[2]! },
    ])
    await driver.delWhere(4)
    await driver.columns(driver.records(70), true)
    await driver.del(second[7]!.key, true)
    await driver.columns(driver.records(73))
    await driver.columns(driver.records(73))
    await driver.close()
  },

  /** Several lives: clean ends, so that closed segments pile up, and recycled segments. */
  async lives(driver) {
    for (let life = 0; life < 4; life++) {
      await driver.open()
      await driver.columns(driver.records(25), life % 2 === 0)
      for (const record of driver.records(3)) await driver.put(record)
      if (life === 2) await driver.columns(driver.records(73))
      await driver.close()
    }
  },

  /** `compact` while puts go on, then once more. */
  async compact(driver) {
    await driver.open()
    await driver.columns(driver.records(73), true)
    await driver.columns(driver.records(40))
    const compacting = driver.table.compact()
    const putting = driver.columns(driver.records(20), true)
    await Promise.all([compacting, putting])
    await driver.del(driver.records(1)[0]!.key)
    await driver.table.compact()
    await driver.columns(driver.records(5))
    await driver.close()
  },

  /** `clear` between other things. */
  async clear(driver) {
    await driver.open()
    await driver.columns(driver.records(80 - 7), true)
    await driver.columns(driver.records(30))
    await driver.clear()
    await driver.columns(driver.records(30), true)
    await driver.columns(driver.records(73))
    await driver.close()
  },

  /** Recovery itself: the process dies with its log full, recovers, dies again. */
  async recovery(driver) {
    await driver.open()
    await driver.columns(driver.records(70), true)
    await driver.columns(driver.records(70))
    await driver.put(driver.records(1)[0]!)
    // kill -9: nothing is closed; the next life finds what the operating system has.
    await driver.open()
    await driver.columns(driver.records(30), true)
    await driver.open()
    await driver.put(driver.records(1)[0]!, true)
    await driver.close()
  },
}

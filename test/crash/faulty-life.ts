/**
 * A life of a table on a disk that fails: every call's outcome is kept, and nothing stops the life.
 *
 * What may be found afterwards: all that was acknowledged, none of what was refused before it was tried, and of what
 * failed half-way - a write that is in the log although it was rejected - all or nothing.
 */
import { FlashTable, FlashTableError } from '../../src/index.js'
import type { Environment } from '../../src/table/environment.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import type { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { History, type CrashRecord, type Effect } from './history.js'
import {
  DIRECTORY,
  MEMTABLE_RECORDS,
  OPTIONS,
  columnsOf,
  contents,
  openOn,
  type CrashTable,
} from './table.js'

/** Records of two seals are in memory and in the log alone. */
const RUNS_PER_FLUSH = 2
const COPY = '/tables/copy'
/** Turns of the event loop after which what runs in the background is taken to wait. */
const SETTLING_TURNS_MAX = 60

/** A write, and what became of it. */
export interface Asked {
  readonly effects: readonly Effect[]
  /** Of the error that it was rejected with; `undefined`: it was acknowledged. */
  readonly code: string | undefined
  readonly durable: boolean
}

/** A call of the life, and the code that it was rejected with. */
export interface Outcome {
  readonly call: 'open' | 'write' | 'sync' | 'checkpoint' | 'compact' | 'close'
  readonly code: string | undefined
}

/**
 * When something is found: by a reader of the open table, or after a clean end; after the end of the process; after a
 * power cut.
 */
export type When = 'open' | 'process ended' | 'power cut'

export class FaultyLife {
  readonly disk: SimulatedFileSystem
  readonly asked: Asked[] = []
  readonly outcomes: Outcome[] = []
  table!: CrashTable
  locksHeld = 0
  /** Called after each call of the life. */
  afterCall: () => void = () => {}
  /** What comes behind the next close is left out. */
  endsAtClose = false
  #ended = false
  /** A close has failed: then the log may keep a rejected write that the full disk did not let it wipe. */
  #closeFailed = false
  #next = 0

  constructor(disk: SimulatedFileSystem) {
    this.disk = disk
    disk.writeFile('/tables/.keep', new Uint8Array(0))
  }

  /** A long life: puts, seals, merges, reads, a checkpoint, `compact`, two ends. */
  async long(): Promise<void> {
    await this.open()
    for (let i = 0; i < 3; i++) await this.columns(1)
    await this.columns(1, true)
    await this.columns(MEMTABLE_RECORDS)
    await this.columns(60, true)
    await this.#write([{ kind: 'delWhere', id: 2 }], true, table => table.delWhere({ id: 2 }, { sync: true }))
    await this.columns(MEMTABLE_RECORDS)
    await this.columns(MEMTABLE_RECORDS)
    await this.#settle()
    await this.#other('sync', table => table.sync())
    // Hides a file or two whole.
    const time = 3 * MEMTABLE_RECORDS
    await this.#write([{ kind: 'delBefore', time }], false, table => table.delWhere({ time: { lt: time } }))
    await this.#settle()
    await this.columns(20)
    await this.#other('checkpoint', table => table.checkpoint(COPY))
    await this.#other('compact', table => table.compact())
    await this.#write([{ kind: 'del', key: 5 }], false, table => table.del(5))
    await this.columns(40, true)
    await this.columns(50)
    await this.#settle()
    await this.close()
    await this.open()
    await this.columns(10)
    await this.#other('compact', table => table.compact())
    await this.columns(10)
    await this.close()
  }

  /** A life with `clear` in it, and with an end in the middle. */
  async cleared(): Promise<void> {
    await this.open()
    await this.columns(MEMTABLE_RECORDS, true)
    await this.columns(20)
    await this.#write([{ kind: 'clear' }], true, table => table.clear())
    await this.columns(30)
    await this.columns(5, true)
    await this.close()
    await this.open()
    await this.columns(3)
    await this.#write([{ kind: 'clear' }], true, table => table.clear())
    await this.columns(7)
    await this.close()
  }

  /** Opens the table; where that fails, once more: a failure of an open leaves nothing behind. */
  async open(): Promise<void> {
    if (this.#ended) return
    const attempt = async (): Promise<void> => {
      const table = await FlashTable.openIn(DIRECTORY, OPTIONS, this.#environment())
      this.table = table as unknown as CrashTable
    }
    const code = await outcomeOf(attempt())
    if (code !== undefined) this.#expectNothingLeft(`a failed open (${code})`)
    this.#note({ call: 'open', code })
    if (code === undefined) return
    this.disk.clearFaults()
    await attempt()
  }

  columns(count: number, sync = false): Promise<void> {
    const records = this.#records(count)
    const effects = records.map(record => ({ kind: 'put' as const, record }))
    return this.#write(effects, sync, table => table.putColumns(columnsOf(records), { sync }))
  }

  /** Whatever happens, everything is released. */
  async close(): Promise<void> {
    if (this.#ended) return
    await this.#expectReadable()
    const asked = this.asked.length
    const code = await outcomeOf(this.table.close())
    if (code === undefined) this.#makeDurable(asked)
    else this.#closeFailed = true
    this.#expectNothingLeft(`close (${code})`)
    this.#note({ call: 'close', code })
    this.#ended = this.endsAtClose
  }

  /** Whether the last session has ended well: then what it asked for is not in doubt. */
  get endedCleanly(): boolean {
    const last = this.outcomes.at(-1)!
    return last.call === 'close' && last.code === undefined
  }

  /** What a reader of the open table finds, and the next open after a clean end. */
  get whenOpen(): When {
    return this.#closeFailed ? 'process ended' : 'open'
  }

  async #write(
    effects: readonly Effect[],
    durable: boolean,
    call: (table: CrashTable) => Promise<void>,
  ): Promise<void> {
    if (this.#ended) return
    const code = await outcomeOf(call(this.table))
    this.asked.push({ effects, code, durable: durable && code === undefined })
    this.#note({ call: 'write', code })
  }

  async #other(
    name: 'sync' | 'checkpoint' | 'compact',
    call: (table: CrashTable) => Promise<void>,
  ): Promise<void> {
    if (this.#ended) return
    const asked = this.asked.length
    const code = await outcomeOf(call(this.table))
    if (name === 'sync' && code === undefined) this.#makeDurable(asked)
    this.#note({ call: name, code })
  }

  #note(outcome: Outcome): void {
    this.outcomes.push(outcome)
    this.afterCall()
  }

  #records(count: number): CrashRecord[] {
    return Array.from({ length: count }, () => {
      const n = this.#next++
      return { key: (n * 7919) % 97, time: n, id: n % 5 }
    })
  }

  /** The open table shows what was acknowledged; a read that meets the fault itself is made once more. */
  async #expectReadable(): Promise<void> {
    let found: string
    try {
      found = await contents(this.table)
    } catch (error) {
      if (!(error instanceof FlashTableError) || error.code !== 'FLASHTABLE_IO_ERROR') throw error
      found = await contents(this.table)
    }
    expectState('the open table', found, this.asked, this.whenOpen)
  }

  #expectNothingLeft(what: string): void {
    if (this.disk.openHandles > 0) {
      throw new Error(`${what} leaves files open: ${this.disk.openPaths.join(', ')}`)
    }
    if (this.locksHeld !== 0) throw new Error(`${what} leaves ${this.locksHeld} locks`)
  }

  #makeDurable(count: number): void {
    for (let i = 0; i < count; i++) {
      const asked = this.asked[i]!
      if (asked.code === undefined) this.asked[i] = { ...asked, durable: true }
    }
  }

  /** Lets what runs in the background come to rest. */
  async #settle(): Promise<void> {
    let quiet = 0
    for (let turn = 0; turn < SETTLING_TURNS_MAX && quiet < 4; turn++) {
      const { calls } = this.disk
      await new Promise(resolve => void setImmediate(resolve))
      quiet = this.disk.calls === calls ? quiet + 1 : 0
    }
  }

  #environment(): Environment {
    return {
      ...simulatedEnvironment(this.disk),
      runsPerFlush: RUNS_PER_FLUSH,
      acquireLock: () => {
        this.locksHeld++
        const release = (): Promise<void> => {
          this.locksHeld--
          return Promise.resolve()
        }
        return Promise.resolve({ release })
      },
    }
  }
}

/** Throws unless `found` is a state that may be found then. */
export function expectState(where: string, found: string, asked: readonly Asked[], when: When): void {
  const inDoubt = callsInDoubt(asked, when)
  for (let chosen = 0; chosen < 2 ** inDoubt.length; chosen++) {
    const history = new History()
    let promised = 0
    for (const [i, { effects, code, durable }] of asked.entries()) {
      if (code !== undefined && (chosen & (2 ** inDoubt.indexOf(i))) === 0) continue
      const count = history.note(effects)
      if (code === undefined && (durable || when !== 'power cut')) promised = count
    }
    if (history.states().lastIndexOf(found) >= promised) return
  }
  const outcomes = asked.map(
    ({ effects, code, durable }) => `${effects.length}${durable ? '!' : ''}:${code ?? 'ok'}`,
  )
  throw new Error(`${where} holds no state that may be: ${outcomes.join(' ')}; found ${found}`)
}

/** Writes that were rejected but may be there: they were tried. */
function callsInDoubt(asked: readonly Asked[], when: When): number[] {
  const poisoned = asked.findIndex(({ code }) => code === 'FLASHTABLE_POISONED')
  return asked.flatMap(({ code }, i) => {
    if (i === poisoned) return [i]
    return code === 'FLASHTABLE_DISK_FULL' && when !== 'open' ? [i] : []
  })
}

/** What a later open finds on the disk; it takes another record and ends cleanly. */
export async function reopened(disk: SimulatedFileSystem): Promise<string> {
  const table = await openOn(disk)
  const found = await contents(table)
  await table.put(1_000_000, { time: 1, id: 1 }, { sync: true })
  await table.close()
  return found
}

/** The code that the promise rejects with; every failure of the disk is one of ours. */
export async function outcomeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (error instanceof FlashTableError) return error.code
    throw error
  }
}

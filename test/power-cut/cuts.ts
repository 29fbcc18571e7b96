/** Cuts the power of one file system again and again, under load, and checks after each cut what is left. */
import { cpSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { MANIFEST_NAME } from '../../src/io/file-names.js'
import type { Random } from '../support/random.js'
import { changeBoot } from './boot.js'
import { checkAsFound, checkRecovery, type Found } from './check.js'
import type { Disk } from './disk.js'
import { writeSomePages } from './early-writes.js'
import { BrokenPromise, History, type Told } from './history.js'
import type { Life } from './life.js'
import { Model } from './model.js'
import { LoadProcess } from './process.js'

/** The power is cut at most so long after the table is open; */
const LIFE_MS_MAX = 600
/** in one of four lives, so long after the process was started, which is before or in the open as well. */
const START_MS_MAX = 900
/** A process must notice the cut, close the table and end within this. */
const END_MS_MAX = 10_000
/** After one cut in this many a new table begins. */
const NEW_TABLE_ONE_IN = 10
/** With which a call may be rejected, or an open, once the disk is gone. */
const CODES_AFTER_CUT = ['FLASHTABLE_POISONED', 'FLASHTABLE_IO_ERROR']

/** What has happened. */
export interface Totals {
  cuts: number
  tables: number
  /** Cuts of a table that was open. */
  open: number
  /** Cuts after which records were missing, none of them acknowledged as durable. */
  losing: number
  /** Of those, cuts that spared some of the calls that were not acknowledged as durable. */
  inPart: number
  /** Cuts after which merged files were found. */
  merged: number
  calls: number
  lost: number
}

export class Cuts {
  readonly totals: Totals = {
    cuts: 0,
    tables: 0,
    open: 0,
    losing: 0,
    inPart: 0,
    merged: 0,
    calls: 0,
    lost: 0,
  }
  readonly #disk: Disk
  readonly #random: Random
  /** Where the table as the cut has left it is kept, until the next one. */
  readonly #evidence: string
  #directory = ''
  #seed = 0
  #history = new History(0)
  /** An open of the table has resolved. */
  #exists = false

  constructor(disk: Disk, random: Random, evidence: string) {
    this.#disk = disk
    this.#random = random
    this.#evidence = evidence
  }

  /** One cut; rejects with what is wrong after it. */
  async next(signal: AbortSignal): Promise<void> {
    // One generator a cut: how many draws a cut takes depends on time, what the next one begins with must not.
    const random = this.#random.fork()
    if (this.totals.cuts === 0 || random.below(NEW_TABLE_ONE_IN) === 0) this.#newTable(random)
    this.totals.cuts++
    rmSync(this.#evidence, { recursive: true, force: true })
    const load = new LoadProcess(this.#drawLife(random))
    let durable: number
    try {
      await this.#live(load, random, signal)
      durable = await this.#cut(load, random, signal)
    } finally {
      await load.end()
    }
    this.#disk.remount(random)
    changeBoot(this.#directory)
    this.#keepEvidence()
    await this.#check({ made: load.made, durable }, random)
  }

  #newTable(random: Random): void {
    this.totals.tables++
    if (this.#directory !== '') rmSync(this.#directory, { recursive: true, force: true })
    this.#directory = join(this.#disk.directory, `table-${this.totals.tables}`)
    this.#seed = random.next()
    this.#history = new History(this.#seed)
    this.#exists = false
  }

  #drawLife(random: Random): Life {
    return {
      directory: this.#directory,
      seed: this.#seed,
      first: this.#history.next,
      bufferBytes: random.pick([16_384, 65_536, 262_144]),
      walBytes: random.pick([16_384, 65_536, 262_144]),
      syncIntervalMs: random.pick([0, 10, 200, null]),
      atOnce: random.pick([1, 8, 40]),
      syncOneIn: random.pick([5, 50, 500]),
      calls: random.chance(0.1) ? random.between(1, 600) : 1e9,
    }
  }

  /** Lets it put until the moment of the cut. */
  async #live(load: LoadProcess, random: Random, signal: AbortSignal): Promise<void> {
    if (random.chance(0.25)) {
      await load.pause(random.below(START_MS_MAX), signal)
    } else {
      await load.pause(END_MS_MAX, signal, () => load.isOpen)
      await load.pause(random.below(LIFE_MS_MAX), signal, () => load.isClosed)
    }
    if (!load.hasEnded) return
    throw new BrokenPromise(`before the cut the process ended: ${load.rejected ?? load.exit}`)
  }

  /**
   * Returns the number below which calls were acknowledged as durable before the cut.
   *
   * What is acknowledged later does not count: a copy is that of a moment ago, and while a file system shuts down Linux
   * reports an `fdatasync` as done that was not (ext4 and xfs, Linux 6.18, seen without flashtable as well).
   */
  async #cut(load: LoadProcess, random: Random, signal: AbortSignal): Promise<number> {
    writeSomePages(this.#directory, random)
    // What was told meanwhile is taken: commands of the system run while nothing else does.
    await turn()
    const { durable, isOpen } = load
    this.#disk.cut(random)
    if (isOpen) this.totals.open++
    this.#exists ||= isOpen
    if (this.#disk.stopsAtCut && random.chance(0.5)) await this.#noticeCut(load, signal)
    return durable
  }

  async #noticeCut(load: LoadProcess, signal: AbortSignal): Promise<void> {
    await load.pause(END_MS_MAX, signal, () => load.isClosed)
    if (load.isClosed) return
    if (!load.hasEnded) throw new BrokenPromise(`the process did not end within ${END_MS_MAX} ms of the cut`)
    await load.end()
    if (CODES_AFTER_CUT.includes(load.rejected ?? '')) return
    throw new BrokenPromise(`after the cut the process ended with ${load.rejected ?? load.exit}`)
  }

  async #check(told: Told, random: Random): Promise<void> {
    const found = existsSync(join(this.#directory, MANIFEST_NAME))
      ? await checkAsFound(this.#directory, this.#history, told)
      : this.#nothing(told)
    this.#count(found)
    // Otherwise the next process recovers it, and may be cut there.
    if (random.chance(0.2)) return
    await checkRecovery(this.#directory, this.#history, random)
    this.#exists = true
  }

  /** No table is there, as may be where the cut came before the end of its first open. */
  #nothing(told: Told): Found {
    if (this.#exists) throw new BrokenPromise(`${this.#directory} holds no table any more`)
    return { ...this.#history.settle(new Model(), told), isMerged: false }
  }

  #count({ made, lost, spared, isMerged }: Found): void {
    const { totals } = this
    totals.calls += made
    totals.lost += lost
    if (lost > 0) totals.losing++
    if (lost > 0 && spared > 0) totals.inPart++
    if (isMerged) totals.merged++
  }

  #keepEvidence(): void {
    if (existsSync(this.#directory)) cpSync(this.#directory, this.#evidence, { recursive: true })
  }
}

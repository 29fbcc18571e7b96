/** Processes that want the pid file at once: every order of their calls must leave it with one of them at most. */
import { describe, expect, test } from 'vitest'
import { lockClaimName } from '../../../src/io/file-names.js'
import type { FileHandle, FileSystem } from '../../../src/io/file-system.js'
import { type LockRecord, PidFile } from '../../../src/io/pid-file.js'
import { Random } from '../../support/random.js'
import {
  chainOf,
  holderOn,
  LOCK,
  namesOn,
  newLockDisk,
  nobodyLives,
  recordOf,
  RECORDS,
  tokenOf,
} from './pid-files.js'

const SCHEDULES = Number(process.env['FLASHTABLE_SCHEDULES'] ?? 500)

/** A process that wants the lock: takes one step when it is let, and may be killed between two. */
class Contender {
  readonly pid: number
  alive = true
  holds = false
  done = false
  wins = 0
  #proceed: (() => void) | undefined

  constructor(pid: number) {
    this.pid = pid
  }

  get waits(): boolean {
    return this.alive && !this.done && this.#proceed !== undefined
  }

  /** Resolves when the schedule lets this one go on; never, once it is dead. */
  readonly turn = (): Promise<void> => new Promise(resolve => (this.#proceed = resolve))

  /** Lets it make one step, up to where it waits for its turn again. */
  async step(): Promise<void> {
    const proceed = this.#proceed!
    this.#proceed = undefined
    proceed()
    while (this.#proceed === undefined && !this.done) await Promise.resolve()
  }

  async run(
    fs: FileSystem,
    rounds: number,
    isAlive: (record: LockRecord) => boolean,
    tokens: () => string,
  ): Promise<void> {
    const own = stepwise(fs, this.turn)
    for (let round = 0; round < rounds; round++) {
      const lock = new PidFile(own, '/t', recordOf(this.pid, tokens()))
      try {
        const holder = await lock.take(async record => {
          await this.turn()
          const alive = isAlive(record)
          await this.turn()
          return alive
        })
        if (holder !== undefined) continue
        this.holds = true
        this.wins++
        await this.turn()
        await this.turn()
        this.holds = false
        await lock.release()
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error)) throw error
      }
    }
    this.done = true
  }
}

/** Every call waits for its turn first. */
function stepwise(fs: FileSystem, turn: () => Promise<void>): FileSystem {
  const inTurn =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      await turn()
      return call(...args)
    }
  const handle = (file: FileHandle): FileHandle => ({
    path: file.path,
    read: inTurn((buffer: Uint8Array, position: number) => file.read(buffer, position)),
    readSync: (buffer, position) => file.readSync(buffer, position),
    write: inTurn((buffer: Uint8Array, position: number) => file.write(buffer, position)),
    writeSync: (buffer, position) => file.writeSync(buffer, position),
    sync: inTurn(() => file.sync()),
    size: inTurn(() => file.size()),
    stamp: inTurn(() => file.stamp()),
    close: inTurn(() => file.close()),
  })
  return {
    open: inTurn(async (path, mode) => handle(await fs.open(path, mode))),
    rename: inTurn((from: string, to: string) => fs.rename(from, to)),
    unlink: inTurn((path: string) => fs.unlink(path)),
    link: inTurn((from: string, to: string) => fs.link(from, to)),
    list: inTurn((path: string) => fs.list(path)),
    makeDirectory: inTurn((path: string) => fs.makeDirectory(path)),
    removeDirectory: inTurn((path: string) => fs.removeDirectory(path)),
    syncDirectory: inTurn((path: string) => fs.syncDirectory(path)),
    openDirectory: inTurn((path: string) => fs.openDirectory(path)),
    info: inTurn((path: string) => fs.info(path)),
    stamp: inTurn((path: string) => fs.stamp(path)),
    digest: inTurn((path: string) => fs.digest(path)),
    freeBytes: inTurn((path: string) => fs.freeBytes(path)),
  }
}

/** One run of several contenders in an order that the seed decides. */
async function contend(seed: number): Promise<number> {
  const random = new Random(seed)
  const starts: Record<string, LockRecord | string>[] = [
    {},
    { LOCK: recordOf(900) },
    { LOCK: '' },
    chainOf(recordOf(900), recordOf(901)),
    { ...chainOf(recordOf(900), '', recordOf(900)), [lockClaimName(tokenOf(902))]: recordOf(900) },
  ]
  const links = random.chance(0.5)
  const fs = newLockDisk(links, random.pick(starts), random.pick(RECORDS))
  let tokens = 0
  const nextToken = (): string => tokenOf(0x1000 + tokens++)
  const contenders = Array.from({ length: random.between(2, 4) }, (_, i) => new Contender(i + 1))
  const isAlive = (record: LockRecord): boolean =>
    contenders.some(({ pid, alive }) => alive && pid === record.pid)
  for (const contender of contenders) void contender.run(fs, random.between(1, 6), isAlive, nextToken)
  // A schedule that sticks to one contender for a while reaches deeper than one that changes at every step.
  const stick = random.pick([0, 0.5, 0.9])
  const killing = random.pick([0, 0.002, 0.01])
  const failing = random.pick([0, 0.01, 0.05])
  fs.failAt(() => random.chance(failing), 'EIO', { repeat: 'sticky' })
  let chosen: Contender | undefined
  for (;;) {
    const ready = contenders.filter(contender => contender.waits)
    if (ready.length === 0) break
    if (chosen === undefined || !chosen.waits || !random.chance(stick)) chosen = random.pick(ready)
    if (random.chance(killing)) chosen.alive = false
    else await chosen.step()
    const holders = contenders.filter(contender => contender.alive && contender.holds)
    if (holders.length > 1) throw new Error(`seed ${seed}: ${holders.length} hold the lock`)
    if (holders.length === 1 && holderOn(fs)?.pid !== holders[0]!.pid) {
      throw new Error(`seed ${seed}: LOCK does not name its holder`)
    }
  }
  // All are dead or done: the lock can be had, and what they left is swept away.
  fs.clearFaults()
  const last = new PidFile(fs, '/t', recordOf(999))
  expect(await last.take(nobodyLives), `seed ${seed}`).toBeUndefined()
  expect(namesOn(fs), `seed ${seed}`).toEqual([LOCK, '/t/other'])
  return contenders.reduce((sum, { wins }) => sum + wins, 0)
}

describe('contenders in every order, with errors, some killed on the way', () => {
  test('never hold the lock two at a time, and never block it for good', async () => {
    let wins = 0
    for (let seed = 0; seed < SCHEDULES; seed++) wins += await contend(seed)
    expect(wins).toBeGreaterThan(SCHEDULES / 2)
  })
})

/**
 * Calls made together while the disk fails or fills up: each is answered, whole, and nothing acknowledged is missing -
 * while the table is open, after kill -9, after close, after a power cut. docs/durability.md, Failures.
 *
 * `FLASHTABLE_RUNS` makes more runs; a failure names the seed of its run.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Random } from '../support/random.js'
import { JOB_FORMS } from '../support/simulated-environment.js'
import { SimulatedFileSystem, type Call } from '../support/simulated-file-system.js'
import { outcomeOf } from './faulty-life.js'
import { columnsOf, contents, openOn, type CrashTable } from './table.js'

const RUNS = Number(process.env['FLASHTABLE_RUNS'] ?? 150)
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
const TAKES_ROOM: ReadonlySet<Call['op']> = new Set(['create', 'write', 'rename'])
/** Turns of the event loop after which a call that has no answer never gets one. */
const TURNS_MAX = 5000

/** A call that puts `count` records, which carry its number. */
interface Asked {
  readonly first: number
  readonly count: number
  readonly sync: boolean
  /** `undefined`: acknowledged. */
  code: string | undefined
  answered: boolean
}

const unhandled: unknown[] = []
const noteUnhandled = (reason: unknown): void => void unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', noteUnhandled))
afterAll(() => void process.off('unhandledRejection', noteUnhandled))
afterEach(() => expect(unhandled.splice(0)).toEqual([]))

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

/** Calls of all kinds, at random, some awaited and some not; all are answered when it resolves. */
async function live(table: CrashTable, random: Random): Promise<Asked[]> {
  const asked: Asked[] = []
  const pending: Promise<unknown>[] = []
  let next = 0
  const put = (count: number, sync: boolean): void => {
    const call: Asked = { first: next, count, sync, code: undefined, answered: false }
    const rows = Array.from({ length: count }, (_, i) => ({ key: next + i, time: next + i, id: call.first }))
    next += count
    asked.push(call)
    const answered = outcomeOf(table.putColumns(columnsOf(rows), { sync })).then(code => {
      call.code = code
      call.answered = true
    })
    pending.push(answered)
  }
  for (let round = 0; round < 12; round++) {
    for (let i = random.between(1, 5); i > 0; i--) put(random.pick([1, 1, 3, 20, 50]), random.chance(0.3))
    if (random.chance(0.3)) pending.push(outcomeOf(table.sync()))
    if (random.chance(0.15)) pending.push(outcomeOf(table.compact()))
    if (random.chance(0.5)) await Promise.all(pending)
    else for (let turns = random.below(4); turns > 0; turns--) await turn()
  }
  for (let turns = 0; turns < TURNS_MAX && asked.some(({ answered }) => !answered); turns++) await turn()
  expect(asked.filter(({ answered }) => !answered)).toEqual([])
  await Promise.all(pending)
  return asked
}

/** For some calls in a row the disk is full, or some of them fail; or a sync fails, and leaves the pages clean. */
function failForAWhile(disk: SimulatedFileSystem, random: Random): void {
  const from = random.between(5, 500)
  const to = from + random.between(1, 12)
  const inTime = ({ step }: Call): boolean => step >= from && step < to
  switch (random.pick(['full', 'some', 'sync'] as const)) {
    case 'full':
      return disk.failAt(call => inTime(call) && TAKES_ROOM.has(call.op), 'ENOSPC', { repeat: 'sticky' })
    case 'some':
      return disk.failAt(call => inTime(call) && random.chance(0.2), 'EIO', { repeat: 'sticky' })
    case 'sync':
      return disk.failAt(({ step, op }) => step >= from && op === 'sync', 'EIO')
  }
}

/** Which calls are there. Throws where one is there in part. */
function wholeCalls(found: string, asked: readonly Asked[]): boolean[] {
  const counts = new Map<number, number>()
  for (const record of found.split(' ').filter(text => text !== '')) {
    const first = Number(record.split(':')[2])
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  return asked.map(({ first, count }) => {
    const there = counts.get(first) ?? 0
    if (there !== 0 && there !== count) throw new Error(`call ${first}: ${there} of ${count} records`)
    return there > 0
  })
}

/** A prefix of the calls, at least the first `promised` of those that were acknowledged. */
function expectPrefix(where: string, found: string, asked: readonly Asked[], promised: number): void {
  const there = wholeCalls(found, asked)
  const missing = asked.findIndex(({ code }, i) => code === undefined && !there[i])
  if (missing < 0) return
  if (missing < promised) throw new Error(`${where}: call ${missing} was acknowledged, and is gone`)
  const later = there.lastIndexOf(true)
  if (later > missing) throw new Error(`${where}: call ${missing} is gone, call ${later} is there`)
}

async function foundOn(disk: SimulatedFileSystem): Promise<string> {
  const found = await contents(await openOn(disk))
  disk.crashNow()
  return found
}

async function run(seed: number): Promise<void> {
  const random = new Random(seed)
  const disk = new SimulatedFileSystem({ seed, shortTransfers: random.chance(0.3) ? 0.3 : 0 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const table = await openOn(disk, {
    ...(random.chance(0.3) ? { syncIntervalMs: 0 } : {}),
    jobs: random.pick(JOB_FORMS),
  })
  failForAWhile(disk, random)
  const asked = await live(table, random)
  const processEnded = disk.clone()
  disk.clearFaults()

  const seen = wholeCalls(await contents(table), asked)
  for (const [i, { code, sync }] of asked.entries()) {
    if (code === undefined && !seen[i]) throw new Error(`call ${i} was acknowledged, and is not seen`)
    // A write may be seen although its sync has failed.
    if (code !== undefined && seen[i] && !sync)
      throw new Error(`call ${i} was rejected with ${code}, and is seen`)
  }
  const closing = await outcomeOf(table.close())
  if (disk.openHandles > 0) throw new Error(`close leaves open: ${disk.openPaths.join(', ')}`)
  const durable =
    closing === undefined
      ? asked.length
      : 1 + asked.findLastIndex(({ code, sync }) => sync && code === undefined)
  expectPrefix('after kill -9', await foundOn(processEnded), asked, asked.length)
  expectPrefix('after close', await foundOn(disk.clone()), asked, asked.length)
  expectPrefix('after a power cut', await foundOn(disk.crashState(seed)), asked, durable)
}

test(
  `${RUNS} times calls made together while the disk fails (seed ${SEED})`,
  { timeout: 60_000 + RUNS * 2000 },
  async () => {
    for (let i = 0; i < RUNS; i++) {
      await run(SEED + i).catch((error: unknown) => {
        const command = `FLASHTABLE_SEED=${SEED + i} FLASHTABLE_RUNS=1`
        throw new Error(`${(error as Error).message}; to see it again: ${command}`, { cause: error })
      })
    }
  },
)

/**
 * A disk that fails while a table lives on it: EIO and ENOSPC at every call, space that comes back, syncs that fail and
 * leave the pages clean, short transfers. docs/durability.md, Failures.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { clockStandsStill } from '../support/clock.js'
import { SimulatedFileSystem, describeCall, type Call } from '../support/simulated-file-system.js'
import { Driver } from './driver.js'
import { FaultyLife, expectState, outcomeOf, reopened, type Asked } from './faulty-life.js'
import { History } from './history.js'
import { contents, openOn } from './table.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
/** Calls that take room on the disk. */
const TAKES_ROOM: ReadonlySet<Call['op']> = new Set(['create', 'write', 'rename', 'link', 'makeDirectory'])
/** How many calls of a life meet a full disk before there is room again. */
const FULL_FOR_CALLS = 3
/** Where the search for what a test is about has come to nothing, the test has come to nothing. */
const HITS_MIN = 10
/** For one failure in this many, the end of the life is checked, too. */
const LATE_EVERY = 3

type LifeName = 'long' | 'cleared'
const LIVES: readonly LifeName[] = ['long', 'cleared']

/** A failure that has happened: which call it was, and which call of the life was under way. */
interface Hit {
  readonly call: Call
  readonly at: number
}

/** What there was when the call of the life that met the failure had ended. */
interface Moment {
  readonly asked: readonly Asked[]
  readonly processEnded: SimulatedFileSystem
  readonly powerCut: SimulatedFileSystem
}

const unhandled: unknown[] = []
const noteUnhandled = (reason: unknown): void => void unhandled.push(reason)

async function callsOf(name: LifeName, shortTransfers = 0): Promise<readonly Call[]> {
  const life = new FaultyLife(new SimulatedFileSystem({ seed: SEED, shortTransfers }))
  await life[name]()
  return life.disk.log
}

interface Failure {
  readonly step: number
  readonly code: 'EIO' | 'ENOSPC'
  readonly shortTransfers?: number
  /** The kernel evicts its cache when the call of the life that met the failure has ended. */
  readonly dropsCache?: boolean
}

/** A life in which one call fails; says which one where a promise is broken. */
async function liveWithFailure(
  name: LifeName,
  { step, code, shortTransfers = 0, dropsCache = false }: Failure,
  check: (life: FaultyLife, hit: Hit) => void = () => {},
): Promise<void> {
  const life = new FaultyLife(new SimulatedFileSystem({ seed: SEED, shortTransfers }))
  let hit: Hit | undefined
  let moment: Moment | undefined
  life.disk.failAt(call => {
    if (call.step === step) hit = { call, at: life.outcomes.length }
    return call.step === step
  }, code)
  life.afterCall = () => {
    if (hit === undefined || moment !== undefined) return
    if (dropsCache) {
      life.disk.dropCache()
      // The next session would begin with what is left.
      life.endsAtClose = true
    }
    moment = { asked: [...life.asked], processEnded: life.disk.clone(), powerCut: life.disk.crashState(step) }
  }
  try {
    await life[name]()
    if (hit === undefined || moment === undefined) throw new Error('the call was not made this time')
    await expectFound(life, moment, dropsCache, (step + SEED) % LATE_EVERY === 0)
    expectPoisonedForGood(life)
    check(life, hit)
  } catch (error) {
    const where = hit === undefined ? `call ${step}` : describeCall(hit.call)
    throw new Error(`${code} at ${where}, seed ${SEED}: ${(error as Error).message}`, { cause: error })
  }
}

/** What the next open finds, at the moment of the failure and at the end of the life. */
async function expectFound(
  life: FaultyLife,
  { asked, processEnded, powerCut }: Moment,
  dropsCache: boolean,
  alsoAtTheEnd: boolean,
): Promise<void> {
  // What a failed sync has lost is gone with the cache.
  const ended = dropsCache ? 'power cut' : 'process ended'
  expectState('the next open after kill -9', await reopened(processEnded), asked, ended)
  expectState('the next open after a power cut', await reopened(powerCut), asked, 'power cut')
  if (!alsoAtTheEnd) return
  const { disk, endedCleanly, whenOpen } = life
  const late = await reopened(disk.clone())
  expectState('the last open', late, life.asked, endedCleanly ? whenOpen : ended)
  const cut = await reopened(disk.crashState(1))
  expectState('the last open after a power cut', cut, life.asked, endedCleanly ? whenOpen : 'power cut')
}

/** Once a write was rejected with `_POISONED`, all are, until the table is opened again. */
function expectPoisonedForGood({ outcomes }: FaultyLife): void {
  let poisoned = false
  for (const { call, code } of outcomes) {
    if (call === 'open') poisoned = false
    if (call !== 'write') continue
    expect([poisoned, code]).not.toEqual([true, undefined])
    poisoned ||= code === 'FLASHTABLE_POISONED'
  }
}

/** Whether a failed call leaves what is on the device in doubt, so that the table must not be written any more. */
function mustPoison({ op, path }: Call): boolean {
  return path.endsWith('.wal') && (op === 'write' || op === 'sync')
}

describe(`a disk that fails (seed ${SEED})`, () => {
  clockStandsStill()
  beforeAll(() => void process.on('unhandledRejection', noteUnhandled))
  afterAll(() => void process.off('unhandledRejection', noteUnhandled))
  afterEach(async () => {
    await new Promise(resolve => void setImmediate(resolve))
    expect(unhandled.splice(0)).toEqual([])
  })

  test.each(LIVES)(
    'EIO at any call: what was acknowledged stays readable and is found again, what is in doubt is latched (%s)',
    { timeout: 600_000 },
    async name => {
      const calls = await callsOf(name)
      for (const { step } of calls) {
        await liveWithFailure(name, { step, code: 'EIO' }, ({ outcomes }, { call, at }) => {
          const { call: during, code } = outcomes[at]!
          if (during === 'open') expect([undefined, 'FLASHTABLE_IO_ERROR']).toContain(code)
          else if (mustPoison(call)) expect(code).toBe('FLASHTABLE_POISONED')
          else expect([undefined, 'FLASHTABLE_IO_ERROR', 'FLASHTABLE_POISONED']).toContain(code)
        })
      }
      expect(calls.length).toBeGreaterThan(HITS_MIN)
    },
  )

  test.each(LIVES)(
    'ENOSPC at any call that takes room: one call of the table fails at most, and all go on (%s)',
    { timeout: 600_000 },
    async name => {
      const calls = (await callsOf(name)).filter(({ op }) => TAKES_ROOM.has(op))
      for (const { step } of calls) {
        await liveWithFailure(name, { step, code: 'ENOSPC' }, ({ outcomes }, { at }) => {
          const failed = outcomes.flatMap(({ code }, i) => (code === undefined ? [] : [{ i, code }]))
          expect(failed.length).toBeLessThanOrEqual(1)
          for (const { i, code } of failed) {
            expect(code).toBe('FLASHTABLE_DISK_FULL')
            // A seal in the background that met the fault rejects the call that waits for it: that one, or the next.
            expect([at, at + 1]).toContain(i)
          }
        })
      }
      expect(calls.length).toBeGreaterThan(HITS_MIN)
    },
  )

  test.each(LIVES)(
    'case 19: a disk that is full for a while damages nothing, and everything goes on when there is room again (%s)',
    { timeout: 600_000 },
    async name => {
      const calls = (await callsOf(name)).filter(({ op }) => TAKES_ROOM.has(op))
      let refused = 0
      for (const { step } of calls) {
        const life = new FaultyLife(new SimulatedFileSystem({ seed: SEED }))
        let fullSince: number | undefined
        let processEnded: SimulatedFileSystem | undefined
        let askedThen: readonly Asked[] = []
        const isFull = (call: Call): boolean => {
          if (call.step < step || !TAKES_ROOM.has(call.op)) return false
          fullSince ??= life.outcomes.length
          return true
        }
        life.disk.failAt(isFull, 'ENOSPC', { repeat: 'sticky' })
        life.afterCall = () => {
          if (fullSince === undefined || life.outcomes.length < fullSince + FULL_FOR_CALLS) return
          if (processEnded !== undefined) return
          ;[processEnded, askedThen] = [life.disk.clone(), [...life.asked]]
          life.disk.clearFaults()
        }
        try {
          await life[name]()
          const full = life.outcomes.slice(fullSince, fullSince! + FULL_FOR_CALLS)
          for (const { code } of full) expect([undefined, 'FLASHTABLE_DISK_FULL']).toContain(code)
          refused += full.filter(({ code }) => code !== undefined).length
          const others = life.outcomes.filter(outcome => !full.includes(outcome))
          expect(others.filter(({ code }) => code !== undefined)).toEqual([])
          const disk = processEnded ?? life.disk.clone()
          const asked = processEnded === undefined ? life.asked : askedThen
          expectState('the next open after kill -9', await reopened(disk), asked, 'process ended')
          if (life.endedCleanly)
            expectState('the next open', await reopened(life.disk.clone()), life.asked, life.whenOpen)
        } catch (error) {
          throw new Error(`full from call ${step}, seed ${SEED}: ${(error as Error).message}`, {
            cause: error,
          })
        }
      }
      expect(refused).toBeGreaterThan(HITS_MIN)
    },
  )

  test('case 19: a disk of any size: a table that has filled it goes on when there is room again', async () => {
    const needed = new FaultyLife(new SimulatedFileSystem({ seed: SEED }))
    await needed.long()
    let refused = 0
    for (let capacityBytes = 16_384; capacityBytes < 160_000; capacityBytes += 4096) {
      const life = new FaultyLife(new SimulatedFileSystem({ seed: SEED, capacityBytes }))
      life.afterCall = () => {
        if (life.outcomes.at(-1)!.code !== undefined) life.disk.capacityBytes = Infinity
      }
      await life.long()
      const failed = life.outcomes.filter(({ code }) => code !== undefined)
      refused += failed.length
      expect(failed.length, `of ${capacityBytes} bytes`).toBeLessThanOrEqual(1)
      for (const { code } of failed) expect(code).toBe('FLASHTABLE_DISK_FULL')
      if (life.endedCleanly)
        expectState('the next open', await reopened(life.disk.clone()), life.asked, life.whenOpen)
    }
    expect(refused).toBeGreaterThan(3)
  })

  test.each(LIVES)(
    'case 3 and 4: a sync that fails and leaves the pages clean is never taken for one that succeeded (%s)',
    { timeout: 600_000 },
    async name => {
      const calls = (await callsOf(name)).filter(({ op }) => op === 'sync' || op === 'syncDirectory')
      for (const { step } of calls) {
        await liveWithFailure(name, { step, code: 'EIO' })
        await liveWithFailure(name, { step, code: 'EIO', dropsCache: true })
      }
      expect(calls.length).toBeGreaterThan(HITS_MIN)
    },
  )

  test.each(LIVES)('case 27: transfers that stop short at any place change nothing (%s)', async name => {
    for (const shortTransfers of [0.2, 0.9]) {
      const life = new FaultyLife(new SimulatedFileSystem({ seed: SEED, shortTransfers }))
      await life[name]()
      expect(life.outcomes.filter(({ code }) => code !== undefined)).toEqual([])
      expectState('the next open', await reopened(life.disk.clone({ shortTransfers })), life.asked, 'open')
    }
  })

  test('EIO and ENOSPC among short transfers', { timeout: 600_000 }, async () => {
    const calls = await callsOf('long', 0.5)
    for (let step = 1 + (SEED % 9); step < calls.length; step += 9) {
      for (const code of ['EIO', 'ENOSPC'] as const) {
        await liveWithFailure('long', { step, code, shortTransfers: 0.5 })
      }
    }
  })

  test('EIO at any call of a reader: it says so, keeps no file open, and goes on with what it had', async () => {
    const calls = await readerLife(Infinity)
    for (let call = 1; call <= calls; call++) {
      await readerLife(call).catch((error: unknown) => {
        throw new Error(`EIO at call ${call}, seed ${SEED}: ${(error as Error).message}`, { cause: error })
      })
    }
    expect(calls).toBeGreaterThan(HITS_MIN)
  })

  test.each([
    ['that waits on the disk', 0],
    ['that waits in memory', 2 ** 20],
  ])(
    'EIO and ENOSPC at any call of a bulk load %s: all of it is there or nothing, and the error is ours',
    async (_, memoryBytes) => {
      const { calls } = await bulkLoaded(new SimulatedFileSystem({ seed: SEED }), memoryBytes)
      for (const { step, op } of calls) {
        for (const code of TAKES_ROOM.has(op) ? (['EIO', 'ENOSPC'] as const) : (['EIO'] as const)) {
          const disk = new SimulatedFileSystem({ seed: SEED })
          disk.failAt(step, code)
          const { code: found } = await bulkLoaded(disk, memoryBytes)
          const expected = code === 'EIO' ? 'FLASHTABLE_IO_ERROR' : 'FLASHTABLE_DISK_FULL'
          expect([undefined, expected], `${code} at call ${step}, seed ${SEED}`).toContain(found)
          disk.clearFaults()
          // A failed unlink of a spill leaves an orphan, which the next open removes.
          const records = (await reopened(disk.clone())).split(' ').filter(record => record !== '')
          expect(found === undefined ? [BULK_RECORDS] : [0, BULK_RECORDS]).toContain(records.length)
          const left = disk.files().filter(path => path.endsWith('.spill'))
          expect(left.length).toBeLessThanOrEqual(op === 'unlink' || op === 'create' ? 1 : 0)
          const table = await openOn(disk.clone())
          expect((await table.stats()).recordsPut).toBe(records.length)
          await table.close()
        }
      }
      expect(calls.length).toBeGreaterThan(HITS_MIN)
    },
  )
})

/**
 * A reader that opens, reads, and refreshes when the writer has gone on. Its call `failing` fails; the writer rests
 * while it is at work. Resolves to the calls that the reader has made.
 */
async function readerLife(failing: number): Promise<number> {
  const disk = new SimulatedFileSystem({ seed: SEED })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const driver = new Driver(disk, new History())
  await driver.open()
  const goOn = async (): Promise<string> => {
    for (let i = 0; i < 3; i++) await driver.columns(driver.records(60), true)
    await driver.settle()
    return driver.history.states().at(-1)!
  }
  let calls = 0
  let reading = false
  disk.failAt(() => reading && ++calls === failing, 'EIO')
  const failed = (): boolean => calls >= failing
  const read = async <T>(action: () => Promise<T>): Promise<T> => {
    reading = true
    try {
      return await action()
    } finally {
      reading = false
    }
  }

  const first = await goOn()
  const writerHandles = disk.openHandles
  const reader = await read(() => openOn(disk, { readOnly: true })).catch((error: unknown) => {
    expect([failed(), error]).toEqual([true, expect.objectContaining({ code: 'FLASHTABLE_IO_ERROR' })])
  })
  if (reader === undefined) {
    expect(disk.openPaths.length).toBe(writerHandles)
    return calls
  }
  const found = await read(() => contents(reader)).catch(() => contents(reader))
  expect(found).toBe(first)
  const second = await goOn()
  const code = await read(() => outcomeOf(reader.refresh()))
  if (code !== undefined) expect([failed(), code]).toEqual([true, 'FLASHTABLE_IO_ERROR'])
  expect(await contents(reader)).toBe(code === undefined ? second : first)
  await read(() => reader.close())
  await driver.close()
  expect(disk.openPaths).toEqual([])
  return calls
}

const BULK_RECORDS = 200

/** A bulk load, with the code that it rejects with. */
async function bulkLoaded(
  disk: SimulatedFileSystem,
  memoryBytes: number,
): Promise<{ calls: readonly Call[]; code: string | undefined }> {
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const driver = new Driver(disk, new History())
  const code = await outcomeOf(driver.bulkLoad(driver.records(BULK_RECORDS), 45, memoryBytes))
  return { calls: disk.log, code }
}

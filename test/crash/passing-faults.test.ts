/**
 * What the process lacks for a moment, descriptors or memory, at every call of a life: a call is rejected or a job
 * comes later, nothing is poisoned, nothing is lost, and all goes on. docs/durability.md, Failures.
 */
import { describe, expect, test } from 'vitest'
import { clockStandsStill } from '../support/clock.js'
import { SimulatedFileSystem, describeCall, type Call } from '../support/simulated-file-system.js'
import { FaultyLife, expectState, reopened } from './faulty-life.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
const LIVES = ['long', 'cleared'] as const
type LifeName = (typeof LIVES)[number]
/** Calls that need a descriptor. */
const OPENS: ReadonlySet<Call['op']> = new Set(['open', 'create', 'update', 'openDirectory'])
/** How many calls of a life meet the fault where it lasts. */
const LASTS_FOR_CALLS = 3
/** Of the calls that may lack memory, one in this many is tried. The seed chooses. */
const MEMORY_EVERY = 4

function needsDescriptor({ op, held }: Call): boolean {
  return OPENS.has(op) || (op === 'syncDirectory' && held !== true)
}

/** Whether the call has not changed what it may have failed to change: documented exceptions are writes and syncs. */
function leavesNoDoubt({ op, path }: Call): boolean {
  if (op === 'sync' || op === 'write') return !path.endsWith('.wal')
  return op !== 'syncDirectory' && op !== 'close'
}

async function callsOf(name: LifeName): Promise<readonly Call[]> {
  const life = new FaultyLife(new SimulatedFileSystem({ seed: SEED }))
  await life[name]()
  return life.disk.log
}

/** Lives with a fault at the call; `lasting`: it stays for some calls of the life. */
async function liveWith(
  name: LifeName,
  { step }: Call,
  code: string,
  lasting?: (call: Call) => boolean,
): Promise<number> {
  const life = new FaultyLife(new SimulatedFileSystem({ seed: SEED }))
  let hit: Call | undefined
  let since = Infinity
  life.disk.failAt(
    call => {
      if (lasting === undefined ? call.step !== step : call.step < step || !lasting(call)) return false
      hit ??= call
      since = Math.min(since, life.outcomes.length)
      return true
    },
    code,
    { repeat: lasting === undefined ? 'once' : 'sticky' },
  )
  life.afterCall = () => {
    if (life.outcomes.length >= since + LASTS_FOR_CALLS) life.disk.clearFaults()
  }
  try {
    await life[name]()
    const met = life.outcomes.slice(since, since + LASTS_FOR_CALLS)
    const failed = life.outcomes.filter(outcome => outcome.code !== undefined)
    for (const outcome of failed) {
      expect([outcome.code, met.includes(outcome)]).toEqual(['FLASHTABLE_IO_ERROR', true])
    }
    if (lasting === undefined) expect(failed.length).toBeLessThanOrEqual(1)
    expectState('the next open', await reopened(life.disk.clone()), life.asked, 'process ended')
    return failed.length
  } catch (error) {
    const where = hit === undefined ? `call ${step}` : describeCall(hit)
    throw new Error(`${code} at ${where}, seed ${SEED}: ${(error as Error).message}`, { cause: error })
  }
}

describe(`what is lacking for a moment (seed ${SEED})`, () => {
  clockStandsStill()
  test.each(LIVES)(
    'descriptors, at any call that needs one: one call is rejected at most, nothing is poisoned (%s)',
    { timeout: 600_000 },
    async name => {
      const calls = (await callsOf(name)).filter(needsDescriptor)
      let rejected = 0
      for (const call of calls)
        rejected += await liveWith(name, call, call.step % 2 === 0 ? 'EMFILE' : 'ENFILE')
      expect(rejected).toBeGreaterThan(3)
    },
  )

  test.each(LIVES)(
    'memory, at any call that leaves no doubt: one call is rejected at most, nothing is poisoned (%s)',
    { timeout: 600_000 },
    async name => {
      const calls = (await callsOf(name)).filter(leavesNoDoubt)
      for (let i = SEED % MEMORY_EVERY; i < calls.length; i += MEMORY_EVERY) {
        await liveWith(name, calls[i]!, 'ENOMEM')
      }
      expect(calls.length).toBeGreaterThan(30)
    },
  )

  test.each(LIVES)(
    'descriptors for a while: calls are rejected or wait, and all go on when there are some again (%s)',
    { timeout: 600_000 },
    async name => {
      const calls = (await callsOf(name)).filter(needsDescriptor)
      for (let i = SEED % 2; i < calls.length; i += 2)
        await liveWith(name, calls[i]!, 'EMFILE', needsDescriptor)
    },
  )
})

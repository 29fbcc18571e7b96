/**
 * Every workload, stopped at every call of the file system, opened again in many of the states that may be left.
 *
 * `FLASHTABLE_CRASH_STATES` explores more or fewer; a failure names the command that shows it again.
 */
import { describe, expect, test } from 'vitest'
import { explore } from './explorer.js'
import { WORKLOADS } from './workloads/index.js'

const STATES = Number(
  process.env['FLASHTABLE_CRASH_STATES'] ?? (process.env['CI'] === undefined ? 14_000 : 40_000),
)
/** A workload with more stops has one in three left out each time; `npm run test:crash` visits all. */
const LONG_STEPS = 300
/** At one stop in this many a run ends; what the others leave is taken from a run that goes on. `npm run test:crash`: at each. */
const RUN_EVERY = 8
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)

describe(`a crash at any call leaves a prefix of the history (seed ${SEED})`, () => {
  const names = Object.keys(WORKLOADS)
  test.each(names)('of the workload %s, with all that was acknowledged', { timeout: 600_000 }, async name => {
    const { states, steps, disks, recoveries } = await explore(name, {
      states: STATES / names.length,
      seed: SEED,
      isVisited: (step, steps) => steps <= LONG_STEPS || (step + SEED) % 3 > 0,
      isRunAnew: step => (step + SEED) % RUN_EVERY === 0,
    })
    console.log(
      `${name}: ${states} states over ${steps} stops, ${disks} disks, ${recoveries} stops of recoveries`,
    )
    expect(states).toBeGreaterThanOrEqual(steps)
  })
})

/**
 * Two machines that publish, a collection of garbage and a reader, interleaved at every call of the store, with faults: after
 * each call the invariants of a published table hold. docs/durability.md, Published versions.
 *
 * `FLASHTABLE_STORE_STATES` explores more or fewer; a failure names the seed that shows it again.
 */
import { expect, test } from 'vitest'
import { Life, type Events } from './interleavings/life.js'

const STATES = Number(
  process.env['FLASHTABLE_STORE_STATES'] ?? (process.env['CI'] === undefined ? 20_000 : 100_000),
)
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
/** Of one life: then it ends, and what must be possible at the end is tried. */
const CALLS = 150

/** All that a life is for. */
const EVENTS = [
  'published',
  'unchanged',
  'restored',
  'reads',
  'expired reads',
  'collected',
  'orphans',
  'heirs',
  'deaths',
  'power cuts',
  'set back',
  'copied',
  'FLASHTABLE_FENCED',
  'FLASHTABLE_UNAVAILABLE',
  'swap lost',
  'swap conflict',
  'swap unanswered',
  'swap late',
  'swap twice',
  'put lost',
  'put unanswered',
  'put late',
  'put twice',
  'delete late',
  'delete twice',
  'list stale',
  'get half',
  'get whole',
  'get flipped',
  'load half',
  'load flipped',
  'takeovers at the end',
]

test(
  `${STATES} states of interleaved writers, collections and readers (seed ${SEED})`,
  { timeout: 600_000 },
  async () => {
    const prefixes = new Set<number>()
    const events: Events = {}
    let seed = SEED
    for (; prefixes.size < STATES; seed++) {
      const life = new Life(seed, prefixes)
      await life.run(CALLS).catch((error: unknown) => {
        throw new Error(
          `${(error as Error).message}\n  to see it again: FLASHTABLE_SEED=${seed} FLASHTABLE_STORE_STATES=1 ` +
            `npx vitest run test/crash/store-interleavings.test.ts\n  ${life.story.slice(-60).join('\n  ')}`,
          { cause: error },
        )
      })
      for (const [event, times] of Object.entries(life.events)) events[event] = (events[event] ?? 0) + times
    }
    console.log(`${prefixes.size} states in ${seed - SEED} lives, ${events['published'] ?? 0} versions`)
    // The lives are worth it: all that can happen has happened.
    if (STATES >= 20_000) expect(EVENTS.filter(event => (events[event] ?? 0) < 3)).toEqual([])
  },
)

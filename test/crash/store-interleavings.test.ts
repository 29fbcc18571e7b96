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

/** Enough lives for each event to be among them. */
const isLong = STATES >= 20_000
/** How often each event is wanted. */
const EVENTS_MIN = 3

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
    const rare = (): string[] => EVENTS.filter(event => (events[event] ?? 0) < EVENTS_MIN)
    // Some happen once in twenty lives: where chance has kept one back, it goes on until that has happened, too.
    const isWanted = (): boolean =>
      prefixes.size < STATES || (isLong && prefixes.size < 5 * STATES && rare().length > 0)
    for (; isWanted(); seed++) {
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
    if (isLong) expect(rare()).toEqual([])
  },
)

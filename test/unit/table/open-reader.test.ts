/** A reader that moves on from state to state, as one that lives for months does. */
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { FlashTable } from '../../../src/index.js'
import { resolveOptions } from '../../../src/options/options.js'
import type { TableState } from '../../../src/state/table-state.js'
import { openReader } from '../../../src/table/open-reader.js'
import type { TableParts } from '../../../src/table/table-parts.js'
import { simulatedEnvironment } from '../../support/simulated-environment.js'
import { DIRECTORY, newDisk, OPTIONS } from './parts.js'

const STATES = 10
/** The one that is open, and what optimised code may still hold. */
const KEPT_MAX = 2

/** Collects garbage until `done`, a bounded number of times. What a turn of the event loop has looked at stays until its end. */
async function collect(done: () => boolean): Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  for (let round = 0; round < 50 && !done(); round++) {
    await setImmediate()
    gc()
    await setImmediate()
  }
}

test('what it has seen before is forgotten', async () => {
  const environment = simulatedEnvironment(newDisk())
  const table = await FlashTable.openIn(DIRECTORY, OPTIONS, environment)
  const options = resolveOptions({ readOnly: true, cacheBytes: 65_536 })
  const states: WeakRef<TableState>[] = []
  let parts: TableParts | undefined
  for (let key = 0; key < STATES; key++) {
    await table.put(key, key)
    // Each state has a file more, which all later ones keep open, and something in memory.
    await table.compact()
    await table.put(key, key)
    const before: TableParts | undefined = parts
    parts = await openReader(DIRECTORY, options, environment, undefined, { previous: before })
    states.push(new WeakRef(parts.state))
    await before?.state.close()
  }
  const kept = (): number => states.filter(state => state.deref() !== undefined).length
  await collect(() => kept() <= KEPT_MAX)
  expect(kept()).toBeLessThanOrEqual(KEPT_MAX)
  await parts!.state.close()
  await table.close()
})

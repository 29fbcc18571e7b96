/** The real world, where it is not what it seems. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { nodeEnvironment } from '../../../src/table/environment.js'

test('a wait that is longer than a timer can be does not end at once', async () => {
  const controller = new AbortController()
  let isOver = false
  const waiting = nodeEnvironment.wait(30 * 86_400_000, controller.signal).then(() => (isOver = true))
  // A timer that overflows fires after 1 ms, before this one.
  await sleep(20)
  expect(isOver).toBe(false)
  controller.abort()
  await waiting
})

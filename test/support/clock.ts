/** Clocks that a busy machine does not change. */
import { performance } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { beforeAll, onTestFinished, vi } from 'vitest'
import { stopClock } from './stopped-clock.js'

/** Until the test ends, each look at the clock of the process is `msPerLook` after the look before. */
export function clockByLooks(msPerLook: number): void {
  let ms = performance.now()
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (ms += msPerLook))
  onTestFinished(async () => {
    clock.mockRestore()
    // What has noted the time of this turn of the event loop notes it anew in the next one.
    await turn()
  })
}

/**
 * In all tests of the file, or of the group, the clock of the process stands still.
 *
 * For tests that record the calls of one life, and let one of them fail in the next life: both must make the same calls.
 * Long work lets the event loop turn by the clock (src/async/turns.ts): on a machine that is busy with other work it
 * would turn at other places each time, and calls would come in another order.
 */
export function clockStandsStill(): void {
  beforeAll(() => stopClock())
}

/** A clock that a busy machine does not change: it goes on only when it is looked at. */
import { performance } from 'node:perf_hooks'
import { onTestFinished, vi } from 'vitest'

/** Until the test ends, each look at the clock of the process is `msPerLook` after the look before. */
export function clockByLooks(msPerLook: number): void {
  let ms = performance.now()
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (ms += msPerLook))
  onTestFinished(() => clock.mockRestore())
}

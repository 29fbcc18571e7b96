/** Waiting for what happens in the background, with a bound: a test that waits in vain says what it saw last. */
import { performance } from 'node:perf_hooks'
import { inspect } from 'node:util'

/** Long after everything that a test waits for has happened, on a machine that is busy with other work. */
const WAIT_MAX_MS = 60_000

/** Looks again at each turn of the event loop until `reached`; resolves to what was seen then. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  reached: (seen: T) => boolean = Boolean,
): Promise<T> {
  const startMs = performance.now()
  for (;;) {
    const seen = await look()
    if (reached(seen)) return seen
    if (performance.now() - startMs > WAIT_MAX_MS) {
      throw new Error(`waited in vain until ${what}; seen last: ${inspect(seen, { depth: 4 })}`)
    }
    await new Promise(resolve => void setImmediate(resolve))
  }
}

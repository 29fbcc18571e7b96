/**
 * Ctrl-C: the first one aborts what runs, so that files and lock are released. The second one ends the process at once;
 * a table survives that, too.
 */
import { constants } from 'node:os'

/** What asks a command to end: Ctrl-C, `kill`, a terminal that is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * A terminal, `timeout` and npm may each pass the same signal on: one that follows this soon is not a second request.
 */
const SAME_MS = 300

/** The reason of the abort. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly code = 'INTERRUPTED'
  /** What a shell expects: 128 and the number of the signal. */
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`)
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** Runs `work` with a signal that SIGINT, SIGTERM and SIGHUP abort, with {@link Interrupted} as its reason. */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController()
  let abortedMs = Infinity
  const interrupt = (signal: NodeJS.Signals) => {
    const reason = new Interrupted(signal)
    if (!controller.signal.aborted) {
      abortedMs = performance.now()
      controller.abort(reason)
    } else if (performance.now() - abortedMs > SAME_MS) process.exit(reason.exitCode)
  }
  for (const signal of SIGNALS) process.on(signal, interrupt)
  try {
    return await work(controller.signal)
  } finally {
    // Once interrupted, the process is about to end: the same signal, passed on late, must not end it before it has
    // said so.
    if (!controller.signal.aborted) for (const signal of SIGNALS) process.off(signal, interrupt)
  }
}

/**
 * Ctrl-C: the first one aborts what runs, so that files and lock are let go of; the second one ends the process at
 * once, which a table survives as well.
 */
import { constants } from 'node:os'

/** The reason of the abort. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  /** What a shell expects: 128 and the number of the signal. */
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`)
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** Runs `work` with a signal that SIGINT and SIGTERM abort, with {@link Interrupted} as its reason. */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController()
  const interrupt = (signal: NodeJS.Signals) => {
    const reason = new Interrupted(signal)
    if (controller.signal.aborted) process.exit(reason.exitCode)
    controller.abort(reason)
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  try {
    return await work(controller.signal)
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

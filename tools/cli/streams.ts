/**
 * Writes to standard output and standard error, and deals with writes that fail.
 *
 * Writing may fail: at once (a full disk, `/dev/full`), or later (a pipe). A reader that has seen enough, such as
 * `head`, closes the pipe: that is no failure. Everything written is made safe for a terminal first.
 */
import { visible } from '../../src/base/describe-value.js'

let failure: Error | undefined
/** Texts that standard output has not taken yet, or refused. */
const pending = new Set<Promise<void>>()

process.stdout.on('error', error => void (failure ??= error))
// There is nowhere left to report it.
process.stderr.on('error', () => {})

/** Writes text to standard output: lines and columns are kept, other control characters are shown as `\u001b`. */
export function printText(text: string): void {
  if (failure !== undefined) return
  const written = new Promise<void>(resolve => {
    try {
      process.stdout.write(visible(text, '\n\t'), error => {
        failure ??= error ?? undefined
        resolve()
      })
    } catch (error) {
      failure ??= error as Error
      resolve()
    }
  })
  pending.add(written)
}

/** Writes one line to standard error. */
export function printLine(text: string): void {
  printError(`${visible(text)}\n`)
}

/** Writes text to standard error as it is. Requires: it has been made safe. */
export function printError(text: string): void {
  try {
    process.stderr.write(text)
  } catch {
    // There is nowhere left to report it.
  }
}

/** Waits until standard output has taken everything; resolves to the error if that failed. */
export async function outputFailure(): Promise<Error | undefined> {
  await Promise.all(pending)
  return (failure as NodeJS.ErrnoException | undefined)?.code === 'EPIPE' ? undefined : failure
}

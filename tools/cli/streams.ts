/**
 * Writes to standard output and standard error, and deals with writes that fail.
 *
 * Writing may fail: at once (a full disk, `/dev/full`), or later (a pipe). A reader that has seen enough, such as
 * `head`, closes the pipe: that is no failure. Everything written is made safe for a terminal first.
 */
import { unlessAborted } from '../../src/async/abort.js'
import { visible } from '../../src/base/describe-value.js'

let failure: Error | undefined
/** Whether an interrupted command waits no more for a reader that does not read. */
let isGivenUp = false
/** Texts that standard output has not taken yet, or refused. */
const pending = new Set<Promise<unknown>>()

process.stdout.on('error', error => void (failure ??= error))
// There is nowhere left to report it.
process.stderr.on('error', () => {})

/** Writes text to standard output: lines and columns are kept, other control characters are shown as `\u001b`. */
export function printText(text: string): void {
  pending.add(printed(visible(text, '\n\t')))
}

/** Resolves when it is written, to whether standard output has not failed. */
async function printed(chunk: string | Uint8Array): Promise<boolean> {
  if (failure !== undefined || isGivenUp) return false
  await new Promise<void>(resolve => {
    try {
      process.stdout.write(chunk, error => {
        failure ??= error ?? undefined
        resolve()
      })
    } catch (error) {
      failure ??= error as Error
      resolve()
    }
  })
  return failure === undefined
}

/**
 * Writes bytes of long results to standard output, and resolves when it has taken them: whether it goes on to take more. A
 * terminal gets them made safe, all others as they are.
 */
export async function printChunk(chunk: Uint8Array, signal?: AbortSignal): Promise<boolean> {
  const printing = printed(process.stdout.isTTY ? visible(Buffer.from(chunk).toString(), '\n\t') : chunk)
  try {
    return await unlessAborted(printing, signal)
  } catch (error) {
    // Interrupted: the reader may never take what is pending.
    isGivenUp = true
    throw error
  }
}

/** Whether the process must be ended, because standard output has not taken all and nobody waits for that. */
export function hasGivenUpOutput(): boolean {
  return isGivenUp
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

/** Files that are not what they should be. */
import { FlashTableError } from '../../../src/base/errors.js'
import { Interrupted } from '../interrupt.js'
import { UsageError } from '../usage.js'
import { MissingPackageError } from './packages.js'

/** A file that is not of its format, that has wrong rows, or that has changed while it was read. */
export class WrongFileError extends Error {
  override readonly name = 'WrongFileError'
  readonly code = 'WRONG_FILE'
}

/**
 * Runs work of a library that reads files of a format: of damage it tells by errors of any kind, which become a
 * {@link WrongFileError}. What is not about the content of the file stays as it is.
 */
export function readingAs(format: string) {
  return async <Result>(path: string, work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work()
    } catch (error) {
      if (isOurs(error) || (error instanceof Error && 'syscall' in error)) throw error
      const message = error instanceof Error ? error.message : String(error)
      const advice = message.includes('codec') ? '; write it without compression' : ''
      throw new WrongFileError(`${path} cannot be read as ${format}: ${message}${advice}`)
    }
  }
}

function isOurs(error: unknown): boolean {
  const kinds = [WrongFileError, MissingPackageError, UsageError, FlashTableError, Interrupted]
  return kinds.some(kind => error instanceof kind)
}

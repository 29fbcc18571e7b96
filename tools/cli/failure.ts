/**
 * How a command reports a failure: one line on standard error, `flashtable: CODE: what happened; what to do`, in the
 * words of the command line. With `--json` standard output has the same as JSON. README.md, Command line.
 */
import { CommanderError } from 'commander'
import { visible, withoutSecrets } from '../../src/base/describe-value.js'
import { diskError, FlashTableError } from '../../src/base/errors.js'
import { Interrupted } from './interrupt.js'
import { EXIT, report } from './output.js'
import { printError, printLine } from './streams.js'
import { UsageError } from './usage.js'

interface Failure {
  readonly code: string
  readonly message: string
  readonly exitCode: number
  /** For a failure that we do not know, so a bug: where it happened matters. */
  readonly stack?: string | undefined
}

/** What failed work has left behind, reported with its failure. */
const notes = new WeakMap<object, string>()

/** Rethrows the error, with a note for the user. */
export function failWith(error: unknown, note: string): never {
  if (typeof error === 'object' && error !== null) notes.set(error, note)
  throw error
}

/** Reports why a command failed; returns the exit code. */
export function reportFailure(json: boolean, error: unknown): number {
  // Help and version are "errors" too.
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done
  const { code, message: text, exitCode, stack } = failureOf(error)
  // Commander repeats the argument that is wrong.
  const message = withoutSecrets(text)
  printLine(`flashtable: ${code}: ${message}`)
  if (stack !== undefined) printError(`${visible(stack, '\n')}\n`)
  if (json) report(true, { error: { code, message } }, String)
  return exitCode
}

/** What is reported of a failure. */
export function failureOf(error: unknown): Failure {
  const note = typeof error === 'object' && error !== null ? notes.get(error) : undefined
  const failure = withoutNote(error)
  return note === undefined ? failure : { ...failure, message: `${failure.message}; ${note}` }
}

function withoutNote(error: unknown): Failure {
  if (error instanceof CommanderError) return usage('WRONG_USAGE', usageText(error))
  if (error instanceof Interrupted) return { ...error, message: error.message }
  if (!(error instanceof Error)) return internal(String(error), undefined)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (code?.startsWith('FLASHTABLE_INVALID_')) return usage(code, inCommandLineWords(error.message))
  if (error instanceof FlashTableError)
    return failed(error.code, inCommandLineWords(error.message) + adviceOn(error))
  // Not of a table: the library says so itself.
  if (code === 'ENOENT' && 'path' in error)
    return failed('FLASHTABLE_NOT_FOUND', `there is no file ${visible(String(error.path))}; check the path`)
  if (code !== undefined && 'syscall' in error) return withoutNote(diskError(error, 'a file cannot be used'))
  return code === undefined ? internal(error.message, error.stack) : failed(code, error.message)
}

function usage(code: string, message: string): Failure {
  return { code, message, exitCode: EXIT.usage }
}

function failed(code: string, message: string): Failure {
  return { code, message, exitCode: EXIT.failed }
}

function internal(message: string, stack: string | undefined): Failure {
  const code = 'FLASHTABLE_INTERNAL_ERROR'
  return { code, message: `${message}; this is a bug, please report it`, exitCode: EXIT.failed, stack }
}

/** commander begins with "error: ", and suggests a similar name on another line. */
function usageText(error: CommanderError): string {
  // No command was given, so the whole help was printed.
  if (error.code === 'commander.help') return 'name one of the commands above'
  const text = error.message
    .replace(/^error: /, '')
    .replace(/^command-argument value ('.*') is invalid for argument '.*?'\. /s, '$1: ')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '')
  return error instanceof UsageError ? text : `${text}; --help tells more`
}

/** What the library's messages say about its options, and what the command line says instead. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/wait with lockTimeoutMs|set lockTimeoutMs/g, 'wait for it with --wait SECONDS'],
  [/open with readOnly(: true)?, or (open|choose)/g, 'choose'],
  [/or smaller cacheBytes and bufferBytes/g, 'or end other programs'],
  [/(give|with|and no) keyEncoding( and valueEncoding)?/g, '$1 --schema'],
  [/leave the encodings out to open it as it was created/g, 'flashtable stats shows its schema'],
  [/give the schema of the table to repair/g, 'give its schema with --schema to repair'],
  [/pass takeOver: true/g, 'pass --take-over'],
  [/open it with PartitionedTable\.open, or take the store of a partition/g, 'take the URL of a partition'],
  [/FlashTable\.openRemote reads that, FlashTable\.restore makes/g, 'flashtable restore makes'],
  [/PartitionedTable\.open opens them/g, 'take the URL of its store, or one of them, a directory below'],
  [/give another directory to directoryStore/g, 'choose another directory'],
  [/ \(FlashTable\.restore, or an open with takeOver: true\)/g, ' (flashtable restore)'],
  [/ \(retention\)/g, ' (--retention)'],
  [/; pass it as new URL\(\.\.\.\)/g, '; give its path'],
]

/** What to do about it on the command line. */
function adviceOn({ code, message, path }: FlashTableError): string {
  if (code !== 'FLASHTABLE_CORRUPTION' || message.includes('repair')) return ''
  // A published table is at an address.
  if (path?.includes('://') === true) return '; publish the table anew to another place'
  return '; flashtable verify lists all damage, flashtable repair saves what is intact'
}

/** In the words of the command line, whose users know no option of the library. */
export function inCommandLineWords(message: string): string {
  return WORDS.reduce((text, [words, ours]) => text.replace(words, ours), message)
}

/** Arguments and options that several commands share. */
import { Option } from 'commander'
import { UsageError } from './usage.js'

/** The longest delay of a Node.js timer, in seconds. */
const LONGEST_WAIT_SECONDS = 2_147_483

/** `--json`, which every command takes. */
export function jsonOption(): Option {
  return new Option('--json', 'print the result as JSON')
}

/** `--memory MIB`, of commands that load; becomes bytes. */
export function memoryOption(): Option {
  const option = new Option(
    '--memory <MiB>',
    'records that wait in memory; with less, more is written; default: a quarter of what is available',
  )
  return single(option.argParser(text => parseCount(text) * 2 ** 20))
}

/** `--dry-run`, of commands that delete. */
export function dryRunOption(): Option {
  return new Option('--dry-run', 'count the records, and change nothing')
}

/** A whole number from 0. */
export function parseCount(text: string): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : -1
  if (count < 0) throw new UsageError('It must be a whole number from 0, such as 100.')
  return count
}

/** `key,id`: names. */
export function parseNames(text: string): readonly string[] {
  return text.split(',').map(name => name.trim())
}

/** `key=hash,id=track`: names and what they stand for. */
export function parsePairs(text: string, example: string): Readonly<Record<string, string>> {
  const pairs = new Map<string, string>()
  for (const part of text.split(',')) {
    const [, name, value] = /^\s*([^\s=]+)\s*=\s*(.*?)\s*$/.exec(part) ?? []
    if (name === undefined || value === undefined || value === '')
      throw new UsageError(`"${part}" is not of the form ${example}.`)
    if (pairs.has(name)) throw new UsageError(`"${name}" is given twice.`)
    pairs.set(name, value)
  }
  return Object.fromEntries(pairs)
}

/** `--wait SECONDS`, of commands that write; becomes milliseconds. */
export function waitOption(): Option {
  const option = new Option('--wait <seconds>', 'how long to wait for another program to close the table')
  return single(option.argParser(parseWait))
}

/** An option that may be given once. */
export function single(option: Option): Option {
  const parse = option.parseArg
  return option.argParser((value: string, previous: unknown) => {
    if (previous !== undefined) throw new UsageError('It is given twice.')
    return parse === undefined ? value : parse(value, undefined)
  })
}

/** A directory, as the library takes it. */
export function parseDirectory(text: string): string {
  if (text === '') throw new UsageError('It must be the path of a directory.')
  if (isAddress(text)) throw new UsageError('It must be the path of a directory, not a URL.')
  // The library would take it for a URL: here it is a path like any other.
  return text.startsWith('file:') ? `./${text}` : text
}

/** Whether it is a URL: `s3://bucket/prefix`. A path may have a colon, too. */
export function isAddress(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text)
}

/** The path of a file, or `-` for standard input or output. */
export function parseFile(text: string): string {
  if (text === '') throw new UsageError('It must be the path of a file, or -.')
  return text
}

function parseWait(text: string): number {
  const seconds = /^\d{1,7}(\.\d{1,3})?$/.test(text) ? Number(text) : Infinity
  if (seconds > LONGEST_WAIT_SECONDS) {
    throw new UsageError(`It must be a number of seconds from 0 to ${LONGEST_WAIT_SECONDS}, such as 2.5.`)
  }
  return Math.ceil(seconds * 1000)
}

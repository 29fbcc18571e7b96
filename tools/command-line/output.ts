/** How results and failures look: for people as text, with `--json` for programs as one JSON object. */
import Table from 'cli-table3'
import { CommanderError } from 'commander'
import { Interrupted } from './interrupt.js'
import { UsageError } from './usage.js'

/** What a command answers when all went well, and when it did not. docs: README.md, Command line. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const

/** Prints the result of a command. */
export function report(json: boolean | undefined, result: object, text: () => string): void {
  process.stdout.write(`${json === true ? toJson(result) : text()}\n`)
}

/** Prints why a command failed; returns the exit code. */
export function reportFailure(json: boolean, error: unknown): number {
  // Help and version are "errors" too, as is everything that commander has already printed.
  const printed = error instanceof CommanderError && !(error instanceof UsageError)
  if (printed && error.exitCode === 0) return EXIT.done
  if (!printed) process.stderr.write(`flashtable: ${failureText(error)}\n`)
  if (json) report(true, { error: { code: codeOf(error) ?? null, message: messageOf(error) } }, String)
  if (error instanceof Interrupted) return error.exitCode
  return isUsage(error) ? EXIT.usage : EXIT.failed
}

/** Rows with a rule below the head; columns of numbers are aligned to the right. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, column) => (rows.every(row => isNumber(row[column]!)) ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    chars: OPEN_SIDES,
  })
  for (const row of rows) table.push([...row])
  return table.toString()
}

function isNumber(text: string): boolean {
  return /^[\d.,]*$/.test(text)
}

/** Labels and what they stand for, one a line. */
export function textList(rows: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length))
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n')
}

/** 140235 as `140,235`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** 2243760 as `2,243,760 bytes`. */
export function formatBytes(bytes: number): string {
  return `${formatCount(bytes)} bytes`
}

/** JSON that loses nothing: 64-bit integers and numbers that JSON has not become strings, bytes hexadecimal digits. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_, member: unknown) => {
      if (typeof member === 'bigint') return String(member)
      if (typeof member === 'number' && !Number.isFinite(member)) return String(member)
      return member instanceof Uint8Array ? Buffer.from(member).toString('hex') : member
    },
    2,
  )
}

/** No lines but the one below the head. */
const OPEN_SIDES = {
  ...emptyChars(
    'top',
    'top-left',
    'top-mid',
    'top-right',
    'bottom',
    'bottom-left',
    'bottom-mid',
    'bottom-right',
  ),
  ...emptyChars('left', 'left-mid', 'right', 'right-mid'),
  middle: '  ',
  'mid-mid': '  ',
}

function emptyChars(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, '']))
}

function failureText(error: unknown): string {
  const code = codeOf(error)
  // Without a code it is none of the failures that we know: a bug, whose place matters.
  if (code === undefined && error instanceof Error && !(error instanceof Interrupted)) {
    return error.stack ?? error.message
  }
  return code?.startsWith('FLASHTABLE_') ? `${code}: ${messageOf(error)}` : messageOf(error)
}

function isUsage(error: unknown): boolean {
  return error instanceof CommanderError || codeOf(error)?.startsWith('FLASHTABLE_INVALID_') === true
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof CommanderError) return 'WRONG_USAGE'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

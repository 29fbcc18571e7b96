/** How results look: for people as text, with `--json` for programs as one JSON object. */
import Table from 'cli-table3'
import { visible } from '../../src/base/describe-value.js'
import { printText } from './streams.js'

/** Exit codes. README.md, Command line. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const

/** Prints the result of a command. */
export function report(json: boolean | undefined, result: object, text: () => string): void {
  printText(`${json === true ? toJson(result) : text()}\n`)
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
  return table.toString().replaceAll(/ +$/gm, '')
}

function isNumber(text: string): boolean {
  return /^-?[\d.,]*$/.test(text)
}

/** Labels and their values, one on each line. */
export function textList(rows: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length))
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n')
}

/** 140235 as `140,235`. */
export function formatCount(count: number): string {
  return Number.isInteger(count) ? formatNumber(count, 0) : count.toLocaleString('en-US')
}

/** As `toLocaleString('en-US')` with this number of digits after the point. That would read its tables: 10 ms of a command. */
export function formatNumber(value: number, digits: number): string {
  const [, whole, rest] = /^(-?\d+)(.*)$/.exec(value.toFixed(digits)) ?? []
  // No number, or above what toFixed writes.
  if (whole === undefined || rest!.includes('e'))
    return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return whole.replaceAll(/\B(?=(?:\d{3})+$)/g, ',') + rest!
}

/** 2243760 as `2,243,760 bytes`. */
export function formatBytes(bytes: number): string {
  return `${formatCount(bytes)} bytes`
}

/**
 * JSON that loses nothing: 64-bit integers and numbers that JSON does not have become strings, bytes become hexadecimal
 * digits.
 */
export function toJson(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_, member: unknown) => {
      if (typeof member === 'bigint') return String(member)
      if (typeof member === 'number' && !Number.isFinite(member)) return String(member)
      return member instanceof Uint8Array ? Buffer.from(member).toString('hex') : member
    },
    2,
  )
  // Control characters that JSON lets through are only in strings, where the escape means the same.
  return visible(text, '\n')
}

/** Text of a table or a path on one line: it becomes a JSON string if it would break the line. */
export function inLine(text: string): string {
  return visible(text) === text ? text : visible(JSON.stringify(text))
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

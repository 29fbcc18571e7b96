/** The options of a range of keys, which several commands share: `--gte`, `--gt`, `--lt`, `--lte` and `--prefix`. */
import { Option, type Command } from 'commander'
import type { StoredSchema } from '../../src/encoding/stored-schema.js'
import { single } from './arguments.js'
import { parseBytes, parseKey } from './key.js'
import { UsageError } from './usage.js'

const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const

/** The options as text: what they mean depends on the schema of the table. */
export interface RangeTexts {
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
}

/** A range as the library takes it. */
export interface KeyRange {
  readonly gt?: unknown
  readonly gte?: unknown
  readonly lt?: unknown
  readonly lte?: unknown
  readonly prefix?: Uint8Array
}

export function addRangeOptions(command: Command): Command {
  const names = { gt: 'above', gte: 'from', lt: 'below', lte: 'up to' }
  for (const bound of BOUNDS)
    command.addOption(single(new Option(`--${bound} <key>`, `keys ${names[bound]} this one`)))
  return command.addOption(single(new Option('--prefix <hex>', 'keys whose bytes begin so')))
}

/** Whether any of them is given. */
export function hasRange(texts: RangeTexts): boolean {
  return [...BOUNDS.map(bound => texts[bound]), texts.prefix].some(text => text !== undefined)
}

/** The range; throws a {@link UsageError} that says what would do. */
export function parseRange({ key }: StoredSchema, texts: RangeTexts): KeyRange {
  for (const [open, closed] of [
    ['gt', 'gte'],
    ['lt', 'lte'],
  ] as const) {
    if (texts[open] !== undefined && texts[closed] !== undefined)
      throw new UsageError(`give --${open} or --${closed}, not both`)
  }
  const range = Object.fromEntries(
    BOUNDS.flatMap(bound => {
      const text = texts[bound]
      return text === undefined ? [] : [[bound, parseKey(text, key)]]
    }),
  ) as KeyRange
  if (texts.prefix === undefined) return range
  if (!('bytes' in key)) throw new UsageError(`--prefix is for keys of bytes, the keys are ${key.type}`)
  return { ...range, prefix: parseBytes(texts.prefix, key.bytes, 'the prefix', true) }
}

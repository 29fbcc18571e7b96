/** Spans of time on the command line: `--every 10s`, `--retention 7d`. */
import { durationOf } from '../../src/options/duration.js'
import { optionalKeep, type KeptPeriods } from '../../src/options/kept-periods.js'
import { parseTime } from './published-version.js'
import { UsageError } from './usage.js'
import { countText } from './words.js'

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

/** A span, as the library takes it. */
export function parseSpan(text: string): string {
  if (msOf(text) === undefined) throw new UsageError('It must be a number with s, m, h, d or w, such as 7d.')
  return text
}

/** A span of a second or more. */
export function parseInterval(text: string): string {
  if (!(msOf(text)! > 0)) throw new UsageError('It must be 1s or more, a number with s, m, h, d or w.')
  return text
}

/** When something ends: a span from now on, or a time. */
export function parseEnd(text: string): string | Date {
  if (/^\d{4}-/.test(text)) return parseTime(text)
  if (msOf(text) === undefined)
    throw new UsageError(
      'It must be a number with s, m, h, d or w, such as 30d, or a time such as 2026-11-28T18:00:00Z.',
    )
  return text
}

/** Of which periods the last versions stay: `hourly=24,daily=7`. */
export function parseKeep(text: string): KeptPeriods {
  const parts = text.split(',').map(part => /^([a-z]+)=(\d+)$/.exec(part))
  const keep = Object.fromEntries(parts.map(part => [part?.[1], Number(part?.[2])]))
  try {
    // None is given twice.
    if (Object.keys(keep).length === parts.length) return optionalKeep(keep, 'keep')!
  } catch {
    // As below.
  }
  throw new UsageError(
    'It must be one or more of hourly, daily and weekly, each with a number: daily=7,weekly=4.',
  )
}

/** 604800000 as `7 days`, in the largest unit of which it is a multiple. */
export function spanText(ms: number): string {
  const unit = UNITS.find(([, unitMs]) => ms > 0 && ms % unitMs === 0)
  return unit === undefined ? countText(ms / 1000, 'second') : countText(ms / unit[1], unit[0])
}

function msOf(text: string): number | undefined {
  try {
    return durationOf(text, 'time')
  } catch {
    return undefined
  }
}

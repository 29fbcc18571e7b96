/** Spans of time as people write them: milliseconds, or a text such as `'30d'`. */
import { describeValue } from '../base/describe-value.js'
import { invalidOption, outside, unexpected } from './arguments.js'

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
/** A hundred years: times stay valid dates. */
const DURATION_MS_MAX = 100 * 366 * 86_400_000

/** The span in milliseconds. Throws with `FLASHTABLE_INVALID_OPTION`. `besides`: what else the option takes. */
export function durationOf(value: unknown, name: string, besides = ''): number {
  const expected = `${besides}milliseconds, or a number with s, m, h, d or w, such as '30d'`
  if (typeof value !== 'number' && typeof value !== 'string') throw unexpected(name, expected, value)
  const match = typeof value === 'string' ? /^(\d{1,12}) ?([smhdw])$/.exec(value) : undefined
  if (match === null) throw invalidOption(`${name}: expected ${expected}, found ${describeValue(value)}`)
  const ms = match === undefined ? (value as number) : Number(match[1]) * UNITS[match[2]!]!
  if (!Number.isFinite(ms) || ms < 0 || ms > DURATION_MS_MAX) throw outside(name, expected, value)
  return ms
}

/** Less would be one request after the other. */
const INTERVAL_MS_MIN = 10

/** How often something is done, in milliseconds, or left out. */
export function optionalInterval(value: unknown, name: string): number | undefined {
  const ms = optionalDuration(value, name)
  if (ms !== undefined && ms < INTERVAL_MS_MIN)
    throw outside(name, `${INTERVAL_MS_MIN} milliseconds or more`, value)
  return ms
}

/** An option that is a span of time, in milliseconds, or left out. */
export function optionalDuration(value: unknown, name: string): number | undefined {
  return value === undefined ? undefined : durationOf(value, name)
}

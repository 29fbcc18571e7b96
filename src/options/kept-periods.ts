/** The option `keep`: for how many hours, days and weeks their last versions stay. */
import { firstOther, outside, unexpected } from './arguments.js'

/** For how many hours the last version of each hour stays, and so on; what is left out is not kept. Periods are those of UTC. */
export interface KeptPeriods {
  readonly hourly?: number | undefined
  readonly daily?: number | undefined
  /** Weeks begin on Mondays. */
  readonly weekly?: number | undefined
}

const PERIODS = { hourly: true, daily: true, weekly: true }
const PERIODS_MAX = 10_000

/** An option that names periods, or left out. Throws with `FLASHTABLE_INVALID_OPTION`. */
export function optionalKeep(value: unknown, name: string): KeptPeriods | undefined {
  if (value === undefined) return undefined
  const expected = 'an object of hourly, daily and weekly, such as { daily: 7 }'
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unexpected(name, expected, value)
  const other = firstOther(value, PERIODS)
  if (other !== undefined) throw unexpected(name, expected, other)
  const { hourly, daily, weekly } = value as KeptPeriods
  const keep = { hourly, daily, weekly }
  for (const [period, count] of Object.entries(keep)) {
    if (count === undefined) continue
    const place = `${name}.${period}`
    if (typeof count !== 'number') throw unexpected(place, 'a number of periods', count)
    if (!Number.isInteger(count) || count < 1 || count > PERIODS_MAX)
      throw outside(place, `an integer from 1 to ${PERIODS_MAX}`, count)
  }
  return keep
}

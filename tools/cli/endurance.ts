/** What a device endures, and how fast a table wears it out, as text. */
import { projectedLifeDays, type TableStats, type WrittenSpan } from '../../src/index.js'
import { bytesText, durationText } from './event-text.js'
import { UsageError } from './usage.js'

/** Bytes that may be written to a device in its life. */
export interface Endurance {
  readonly bytes: number
  /** As it was given. */
  readonly text: string
}

const UNITS = ['K', 'M', 'G', 'T', 'P']
const YEAR_DAYS = 365.25
const HOUR_MS = 3_600_000
/** A rate of less than that says nothing: a few records are a page, and an open writes some. */
const RATE_LEAST_MS = 10 * 60_000
/** Nobody sells a smaller device: a unit was forgotten. */
const LEAST_BYTES = 1e6

/** `150TB`, `1.5PiB`, or a number of bytes. */
export function parseEndurance(text: string): Endurance {
  const [, number, unit, binary] = /^(\d{1,15}(?:\.\d{1,9})?) ?(?:([KMGTP])(i)?)?B?$/i.exec(text) ?? []
  const power = unit === undefined ? 0 : UNITS.indexOf(unit.toUpperCase()) + 1
  const bytes = number === undefined ? 0 : Number(number) * (binary === undefined ? 1000 : 1024) ** power
  if (bytes >= LEAST_BYTES) return { bytes, text }
  throw new UsageError(
    'It must be bytes, with MB to PB or MiB to PiB, such as 150TB; a data sheet says it as TBW.',
  )
}

/** What was written lately, and with `endurance` how long a device lasts. */
export function wearText(stats: TableStats, endurance?: Endurance): [label: string, value: string][] {
  const { lastHour, lastDay, bytesPerDay } = stats.wear
  if (bytesPerDay === undefined) {
    const unknown = 'not known: there is no event log'
    return endurance === undefined ? [] : [['projected life', unknown]]
  }
  if (lastDay.ms < RATE_LEAST_MS) {
    const soon = `not known yet: ${bytesText(lastDay.bytes)} in the ${durationText(lastDay.ms)} that are known`
    return [
      ['write rate', soon],
      ...(endurance === undefined ? [] : [['projected life', soon] as [string, string]]),
    ]
  }
  return [
    ['write rate', `${rateText(lastHour, 1, 'hour')}, ${rateText(lastDay, 24, 'day')}`],
    ...(endurance === undefined ? [] : [lifeText(projectedLifeDays(stats, endurance.bytes)!, endurance)]),
  ]
}

/** What was written in that many hours, as far as they are known. */
function rateText({ bytes, ms }: WrittenSpan, hours: number, name: string): string {
  const spanMs = hours * HOUR_MS
  if (ms >= spanMs) return `${bytesText(bytes)} in the last ${name}`
  return `${bytesText((bytes / ms) * spanMs)} ${name === 'hour' ? 'an' : 'a'} ${name} (from the last ${durationText(ms)})`
}

function lifeText(days: number, { text }: Endurance): [label: string, value: string] {
  const years = days / YEAR_DAYS
  const life =
    years >= 2
      ? `${years.toLocaleString('en-US', { maximumFractionDigits: years < 100 ? 1 : 0 })} years`
      : `${days.toFixed(days < 10 ? 1 : 0)} days`
  return [
    'projected life',
    `${days === Infinity ? 'without end, nothing is written' : life}: of a new device that endures ${text}, at this rate, by this table alone`,
  ]
}

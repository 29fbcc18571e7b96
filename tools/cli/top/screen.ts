/** The screen of `flashtable top`: pure text, lines that fit the terminal. */
import { visible } from '../../../src/base/describe-value.js'
import { bytesText, durationText, EVENT_HEAD, eventText } from '../event-text.js'
import { formatCount } from '../output.js'
import { ratesOf } from './rates.js'
import type { TableStats } from '../../../src/index.js'
import type { Sample } from './sample.js'

/** Files of a level are drawn up to this many. */
const BAR_FILES_MAX = 40
const LABEL_WIDTH = 11

/** The lines, no more than `rows` of no more than `columns` characters. `samples`: oldest first, the last is now. */
export function screenOf(
  directory: string,
  samples: readonly Sample[],
  { columns, rows }: { readonly columns: number; readonly rows: number },
): string[] {
  const now = samples.at(-1)!
  const head = [headLine(directory, now), '', ...rowsOf(samples).map(lineOf), '']
  const room = Math.max(0, rows - head.length - 1)
  // The newest first: what does not fit is old. Seals come many a second, and the rows above tell what they do.
  const events = now.events.filter(({ event }) => event !== 'seal')
  const lines = events.slice(-room).toReversed().map(eventText)
  const last =
    now.events.length === 0
      ? ['No event log: the writer does not keep one, or was never open.']
      : [EVENT_HEAD, ...lines]
  return [...head, ...last].slice(0, rows).map(line => visible(line).slice(0, columns))
}

type Row = readonly [label: string, text: string]

function lineOf([label, text]: Row): string {
  return `${label.padEnd(LABEL_WIDTH)} ${text}`
}

function headLine(directory: string, { timeMs, writer, stats }: Sample): string {
  const who = writer === undefined ? 'not open for writing' : `writer: process ${writer.pid}`
  const poisoned = stats.poisoned === undefined ? '' : `  POISONED: ${stats.poisoned}`
  return `${directory}  ${new Date(timeMs).toISOString().slice(11, 19)} UTC  ${who}${poisoned}`
}

function rowsOf(samples: readonly Sample[]): Row[] {
  const now = samples.at(-1)!
  const { stats } = now
  const rates = ratesOf(samples)
  return [
    [
      'records',
      `${formatCount(stats.records)}${stats.recordsAreExact ? '' : ' (hidden ones among them)'}, ${rateText(rates.recordsPerSecond, formatRate)} put`,
    ],
    [
      'written',
      `${bytesText(now.writtenBytes)}, ${rateText(rates.bytesPerSecond, bytesText)} in the last minute, ${amplificationText(now)}`,
    ],
    ...wearRows(now),
    [
      'on disk',
      `${bytesText(stats.bytesOnDisk)}, of it log ${bytesText(stats.logBytesOnDisk)}, spare segments ${bytesText(stats.spareBytesOnDisk)}`,
    ],
    [
      'in the log',
      `${formatCount(stats.memtable.operations + stats.runs.operations)} operations that are in no bucket file yet`,
    ],
    ['memory', memoryText(now, rates.processorShare)],
    ...levelRows(now),
    ['being made', growingText(now)],
    ['looked', `in ${durationText(now.tookMs)}`],
  ]
}

function rateText(rate: number | undefined, format: (rate: number) => string): string {
  return rate === undefined ? '?/s' : `${format(rate)}/s`
}

function formatRate(rate: number): string {
  return formatCount(Math.round(rate))
}

function amplificationText({ stats, writtenBytes }: Sample): string {
  const { recordBytesPut } = stats
  return recordBytesPut === 0 ? 'nothing put yet' : `${(writtenBytes / recordBytesPut).toFixed(2)} a byte put`
}

function wearRows({ stats: { wear, budget } }: Sample): Row[] {
  const { lastHour, lastDay, bytesPerDay } = wear
  const rate = bytesPerDay === undefined ? '' : `, ${bytesText(bytesPerDay)} a day at this rate`
  const rows: Row[] = [['wear', `${spanText(lastHour)}, ${spanText(lastDay)}${rate}`]]
  if (budget !== undefined) {
    const waits = budget.waiting ? ', a merge waits for it' : ''
    rows.push([
      'budget',
      `${bytesText(budget.usedBytes)} of ${bytesText(budget.bytesPerDay)} a day are used${waits}`,
    ])
  }
  return rows
}

function spanText({ bytes, ms }: TableStats['wear']['lastDay']): string {
  return `${bytesText(bytes)} in the last ${durationText(ms)}`
}

function memoryText({ writer }: Sample, processorShare: number | undefined): string {
  if (writer === undefined) return 'no writer'
  if (writer.residentBytes === undefined) return `process ${writer.pid}: this system does not tell`
  const processor =
    processorShare === undefined ? '' : `, ${(100 * processorShare).toFixed(0)} % of a processor`
  return `${bytesText(writer.residentBytes)} resident in process ${writer.pid}${processor}`
}

function levelRows({ stats: { levels } }: Sample): Row[] {
  if (levels.length === 0) return [['files', 'none']]
  return levels.map((count, level): Row => {
    const bar = `${'#'.repeat(Math.min(count, BAR_FILES_MAX))}${count > BAR_FILES_MAX ? '+' : ''}`
    return [level === 0 ? 'files' : '', `level ${level}  ${String(count).padStart(3)} ${bar}`]
  })
}

function growingText({ growing, writer }: Sample): string {
  if (growing.length === 0) return 'nothing'
  const files = growing.map(({ name, bytes }) => `${name}, ${bytesText(bytes)} so far`)
  return `${files.join('; ')}${writer === undefined ? ' (left by a writer that ended; the next one removes it)' : ''}`
}

/** The screen of `flashtable top`: pure text, lines that fit the terminal. */
import { visible } from '../../../src/base/describe-value.js'
import { wearText } from '../endurance.js'
import { bytesText, durationText } from '../event-text.js'
import { formatCount } from '../output.js'
import { countText } from '../words.js'
import { ratesOf } from './rates.js'
import type { LoggedEvent } from '../../../src/index.js'
import type { Sample } from './sample.js'

/** Files of a level are drawn up to this many. */
const BAR_FILES_MAX = 40
const LABEL_WIDTH = 11
const EVENT_WIDTH = 20

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
  const lines = events.slice(-room).toReversed().map(eventLine)
  const last =
    now.events.length === 0
      ? ['No event log: the writer does not keep one, or was never open.']
      : ['events, the newest first, without seals:', ...lines]
  return [...head, ...last].slice(0, rows).map(line => visible(line).slice(0, columns))
}

/** An event on a line that fits narrow terminals: `flashtable log` has them in columns. */
function eventLine({ time, event, reason, times, inputFiles, records, bytes, ms }: LoggedEvent): string {
  const what = [
    ...(times === undefined ? [] : [`${formatCount(times)} times`]),
    ...(inputFiles === undefined ? [] : [countText(inputFiles, 'input')]),
    ...(records === undefined ? [] : [countText(records, 'record')]),
    ...(bytes === undefined ? [] : [`${bytesText(bytes)} written`]),
    ...(ms === undefined ? [] : [`in ${durationText(ms)}`]),
  ]
  const name = reason === undefined ? event : `${event} (${reason})`
  return `${time.slice(11, 19)}  ${name.padEnd(EVENT_WIDTH)}  ${what.join(', ')}`.trimEnd()
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
      `${formatCount(stats.records)}${stats.recordsAreExact ? '' : ' (hidden ones among them)'}${rateText(rates.recordsPerSecond, formatRate, ' put')}`,
    ],
    [
      'written',
      `${bytesText(now.writtenBytes)}${rateText(rates.bytesPerSecond, bytesText, ' in the last minute')}, ${amplificationText(now)}`,
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

/** Nothing where it is not known: one look knows no rate of puts. */
function rateText(rate: number | undefined, format: (rate: number) => string, of: string): string {
  return rate === undefined ? '' : `, ${format(rate)}/s${of}`
}

function formatRate(rate: number): string {
  return formatCount(Math.round(rate))
}

function amplificationText({ stats, writtenBytes }: Sample): string {
  const { recordBytesPut } = stats
  return recordBytesPut === 0 ? 'nothing put yet' : `${(writtenBytes / recordBytesPut).toFixed(2)} a byte put`
}

function wearRows({ stats }: Sample): Row[] {
  const { budget } = stats
  const rows = wearText(stats).map(([, text]): Row => ['wear', text])
  if (budget !== undefined) {
    const waits = budget.waiting ? ', a merge waits for it' : ''
    rows.push([
      'budget',
      `${bytesText(budget.usedBytes)} of ${bytesText(budget.bytesPerDay)} a day are used${waits}`,
    ])
  }
  return rows
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

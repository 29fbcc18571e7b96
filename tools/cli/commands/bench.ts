/** `flashtable bench [DIR]`: how fast flashtable is on this machine and this disk, in about a minute. */
import { Option, type Command } from 'commander'
import { jsonOption, parseCount, parseDirectory, single } from '../arguments.js'
import { runBench, type BenchResult, type Rates } from '../bench/run.js'
import { interruptible } from '../interrupt.js'
import { formatCount, inLine, report, textList, textTable } from '../output.js'
import { UsageError } from '../usage.js'

/** About a minute on two cores, and more than the records that wait in memory. */
const DEFAULT_RECORDS = 20_000_000
/** Record numbers are an i32. */
const MOST_RECORDS = 2_000_000_000

const DETAILS = `
It makes tables of random records of 16 bytes ({ key: u64, time: u16, flags: u16, id: i32 }) in a new directory inside
DIR, and removes it at the end, also when it is interrupted. Answers are checked. Other programs that
are busy meanwhile make the figures worse.

Examples:
  flashtable bench --records 1000000
  flashtable bench /mnt/ssd --records 100000000 --json`

export function defineBench(program: Command): void {
  program
    .command('bench')
    .summary('measure how fast it is on this disk')
    .description('Measures puts, loads, lookups and scans on the disk of DIR, in about a minute.')
    .argument('[dir]', 'directory on the disk to measure; default: the current one', parseDirectory)
    .addOption(
      single(
        new Option('--records <n>', `records of a table; default: ${formatCount(DEFAULT_RECORDS)}`).argParser(
          parseRecords,
        ),
      ),
    )
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runCommand)
}

interface Options {
  readonly records?: number
  readonly json?: true
}

async function runCommand(directory: string | undefined, options: Options): Promise<void> {
  const result = await interruptible(signal =>
    runBench(directory ?? '.', options.records ?? DEFAULT_RECORDS, signal),
  )
  report(options.json, result, () => textOf(result))
}

/** What each figure is, and what is counted. */
const ROWS: readonly (readonly [name: keyof Rates, unit: string, what: string])[] = [
  ['putColumns', 'records', 'putColumns, 65,536 at a time, each on the device before the next'],
  ['bulkLoad', 'records', 'bulkLoad, until they are on the device'],
  ['put', 'puts', 'put, each awaited'],
  ['putTogether', 'puts', 'put, 1,000 awaited together'],
  ['putSynced', 'puts', 'put with sync, each awaited: on the device before the next'],
  ['getColumns', 'keys', 'getColumns, 10,000 keys at a time, in memory'],
  ['getColumnsCold', 'keys', 'getColumns, their pages only on the disk'],
  ['getSync', 'keys', 'getSync, one after another, in memory'],
  ['hasMissing', 'keys', 'has, of keys that are not there'],
  ['scanColumns', 'records', 'scanColumns, of everything, in memory'],
]

function textOf(result: BenchResult): string {
  const { perSecond, records, directory, seconds } = result
  const rows = ROWS.flatMap(([name, unit, what]) => {
    const rate = perSecond[name]
    return rate === undefined ? [] : [[rateText(rate), unit, what]]
  })
  return [
    `${formatCount(records)} records of ${result.recordBytes} bytes in ${inLine(directory)}, ${Math.round(seconds)} s`,
    textTable(['a second', 'of', 'by'], rows),
    textList(writtenText(result)),
  ].join('\n\n')
}

function writtenText(result: BenchResult): [label: string, value: string][] {
  const { bytesWritten, writeAmplification, device, notMeasured } = result
  const { wal, buckets, manifest, events } = bytesWritten
  return [
    [
      'written by putColumns',
      `${perByte(writeAmplification)}: log ${formatCount(wal)}, bucket files ${formatCount(buckets)}, ` +
        `manifest ${formatCount(manifest)}, event log ${formatCount(events)}`,
    ],
    [
      'written by the device',
      device === undefined
        ? `not measured: ${notMeasured['device']}`
        : `${perByte(device.writeAmplification)}: ${formatCount(device.bytesWritten)} by all programs on ${device.name}`,
    ],
    ...(notMeasured['getColumnsCold'] === undefined
      ? []
      : [['lookups on the disk', `not measured: ${notMeasured['getColumnsCold']}`] as [string, string]]),
  ]
}

function perByte(amplification: number): string {
  return `${amplification.toFixed(2)} bytes a byte of records`
}

/** Three digits count. */
function rateText(rate: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(rate)) - 2)
  return formatCount(rate < 100 ? Number(rate.toPrecision(3)) : Math.round(rate / unit) * unit)
}

function parseRecords(text: string): number {
  const records = parseCount(text)
  if (records < 1 || records > MOST_RECORDS)
    throw new UsageError(`It must be a number of records from 1 to ${MOST_RECORDS}, such as 1000000.`)
  return records
}

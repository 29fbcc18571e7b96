/** `flashtable top DIR`: what a table and its writer are doing, again and again, until q or Ctrl-C. */
import { Option, type Command } from 'commander'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from '../../../src/async/abort.js'
import { totalBytes } from '../../../src/event-log/event.js'
import { jsonOption, single } from '../arguments.js'
import { interruptible } from '../interrupt.js'
import { parseTable } from '../store.js'
import { printChunk, printText } from '../streams.js'
import { ratesOf } from '../top/rates.js'
import { Observer, type Sample } from '../top/sample.js'
import { screenOf } from '../top/screen.js'
import { ownScreen } from '../top/terminal.js'
import { UsageError } from '../usage.js'

const DEFAULT_SECONDS = 2
const LONGEST_SECONDS = 86_400
/** Looking takes no more than this share of the time: it reads the log of the table each time. */
const LOOK_SHARE = 0.1
/** Looks that are kept, for rates. */
const SAMPLES_MAX = 120
/** Where nobody says how large the terminal is: all there is. */
const PAGE = { columns: 200, rows: 40 }

const DETAILS = `
Opens the table for reading only, beside the program that writes it. The writer's process is told on Linux. Where the
log of the table is long, it looks less often: each look reads it.

Examples:
  flashtable top fingerprints.table
  flashtable top fingerprints.table --once
  flashtable top fingerprints.table --interval 10 --json | jq .recordsPerSecond`

interface Options {
  readonly interval?: number
  readonly once?: true
  readonly json?: true
}

export function defineTop(program: Command): void {
  program
    .command('top')
    .summary('watch what a table and its writer are doing')
    .description(
      'Shows what the table in DIR and its writer are doing, again and again: records put, bytes written, wear, memory, ' +
        'files, merges, events. q or Ctrl-C ends it. In a pipe it shows one page. Changes nothing.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .addOption(
      single(
        new Option('--interval <seconds>', `time between two looks; default: ${DEFAULT_SECONDS}`).argParser(
          parseInterval,
        ),
      ),
    )
    .addOption(new Option('--once', 'one page, then end'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runTop)
}

function parseInterval(text: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : 0
  if (seconds >= 0.1 && seconds <= LONGEST_SECONDS) return seconds * 1000
  throw new UsageError(`It must be a number of seconds from 0.1 to ${LONGEST_SECONDS}, such as 2.`)
}

async function runTop(
  given: string,
  { interval = DEFAULT_SECONDS * 1000, once, json }: Options,
): Promise<void> {
  const directory = resolve(given)
  await interruptible(async signal => {
    const observer = await Observer.open(directory, signal)
    try {
      if (json === true) await printLooks(observer, { interval, once: once === true, signal })
      else if (once === true || !process.stdout.isTTY)
        printText(`${screenOf(given, [await observer.look()], PAGE).join('\n')}\n`)
      else await showLooks(given, observer, interval, signal)
    } finally {
      await observer.close()
    }
  })
}

/** One line of JSON for each look. */
async function printLooks(
  observer: Observer,
  {
    interval,
    once,
    signal,
  }: { readonly interval: number; readonly once: boolean; readonly signal: AbortSignal },
): Promise<void> {
  let samples: readonly Sample[] = []
  for (let goesOn = true; goesOn;) {
    samples = await lookAgain(observer, samples)
    goesOn = (await printChunk(Buffer.from(`${JSON.stringify(lineOf(samples))}\n`), signal)) && !once
    if (goesOn) await sleep(pauseAfter(samples.at(-1)!, interval), undefined, { signal }).catch(() => {})
    throwIfAborted(signal)
  }
}

/** On a screen of its own, until q. */
async function showLooks(
  given: string,
  observer: Observer,
  interval: number,
  signal: AbortSignal,
): Promise<void> {
  await ownScreen(signal, async (draw, ended) => {
    let samples: readonly Sample[] = []
    while (!ended.aborted) {
      samples = await lookAgain(observer, samples)
      const shown = samples
      draw(size => screenOf(given, shown, size))
      await sleep(pauseAfter(samples.at(-1)!, interval), undefined, { signal: ended }).catch(() => {})
    }
  })
  throwIfAborted(signal)
}

async function lookAgain(observer: Observer, samples: readonly Sample[]): Promise<readonly Sample[]> {
  return [...samples, await observer.look()].slice(-SAMPLES_MAX)
}

function pauseAfter({ tookMs }: Sample, interval: number): number {
  return Math.max(interval, tookMs / LOOK_SHARE)
}

function lineOf(samples: readonly Sample[]): object {
  const { timeMs, stats, writtenBytes, writer, growing, events, tookMs } = samples.at(-1)!
  const { records, recordsPut, recordBytesPut, wear, budget, bytesOnDisk, levels } = stats
  const last = events.at(-1)
  return {
    time: new Date(timeMs).toISOString(),
    records,
    recordsPut,
    ...ratesOf(samples),
    writtenBytes,
    recordBytesPut,
    wear,
    budget,
    bytesOnDisk,
    levels,
    logOperations: stats.memtable.operations + stats.runs.operations,
    growing,
    writer,
    lastEvent: last && { ...last, written: totalBytes(last.written) },
    tookMs,
  }
}

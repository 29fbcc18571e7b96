/** `flashtable log DIR`: what has happened in a table, one event a line; also as it happens, beside its writer. */
import { Option, type Command } from 'commander'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from '../../../src/async/abort.js'
import { EVENT_NAMES, type EventName, type LoggedEvent } from '../../../src/event-log/event.js'
import { EventLogReader } from '../../../src/event-log/reader.js'
import { nodeFileSystem } from '../../../src/io/node-file-system.js'
import { jsonOption, parseCount, parseNames, single } from '../arguments.js'
import { EVENT_HEAD, eventText } from '../event-text.js'
import { interruptible } from '../interrupt.js'
import { parseTable } from '../store.js'
import { printChunk } from '../streams.js'
import { UsageError } from '../usage.js'

/** How often it looks for new lines. */
const LOOK_MS = 500
const NAMES: readonly string[] = EVENT_NAMES

const DETAILS = `
Events: ${EVENT_NAMES.join(', ')}.
Columns: files is how many bucket files there are afterwards; of the life of the table are written, all bytes that it
has written, and amplification, these / bytes of the records put. --json prints the lines as they are in the file.

Examples:
  flashtable log fingerprints.table --limit 20
  flashtable log fingerprints.table --follow --event merge,flush
  flashtable log fingerprints.table --json | jq -r 'select(.event == "merge") | .bytes'`

interface Options {
  readonly follow?: true
  readonly limit?: number
  readonly event?: readonly EventName[]
  readonly json?: true
}

export function defineLog(program: Command): void {
  program
    .command('log')
    .summary('show what has happened in a table')
    .description(
      'Prints what has happened in the table in DIR, oldest first: flushes, merges, opens and the like, as far back as ' +
        'its event log goes. Changes nothing.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .addOption(new Option('--follow', 'go on with what happens, until Ctrl-C'))
    .addOption(single(new Option('--limit <count>', 'the newest events only').argParser(parseCount)))
    .addOption(
      single(new Option('--event <names>', 'only these events, separated by commas').argParser(parseEvents)),
    )
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runLog)
}

function parseEvents(text: string): readonly EventName[] {
  const names = parseNames(text)
  const other = names.find(name => !NAMES.includes(name))
  if (other !== undefined) throw new UsageError(`There is no event "${other}", only ${NAMES.join(', ')}.`)
  return names as readonly EventName[]
}

async function runLog(directory: string, options: Options): Promise<void> {
  const { follow, limit = Infinity, json } = options
  const isWanted = ({ event }: LoggedEvent): boolean => options.event?.includes(event) ?? true
  const lineOf = json === true ? (event: LoggedEvent) => JSON.stringify(event) : eventText
  await interruptible(async signal => {
    const reader = new EventLogReader(nodeFileSystem, resolve(directory))
    try {
      const all = (await reader.readNew()).filter(isWanted)
      const newest = all.slice(Math.max(0, all.length - limit))
      const head = json === true ? [] : [EVENT_HEAD]
      let goesOn = follow === true
      goesOn = (await printLines([...head, ...newest.map(lineOf)], signal)) && goesOn
      while (goesOn) {
        await sleep(LOOK_MS, undefined, { signal }).catch(() => {})
        throwIfAborted(signal)
        goesOn = await printLines((await reader.readNew()).filter(isWanted).map(lineOf), signal)
      }
    } finally {
      await reader.close()
    }
  })
}

/** Whether standard output takes more. */
async function printLines(lines: readonly string[], signal: AbortSignal): Promise<boolean> {
  if (lines.length === 0) return true
  return printChunk(Buffer.from(lines.map(line => `${line}\n`).join('')), signal)
}

/** `flashtable replicate DIR URL`: keeps a published table a few seconds behind one that another process writes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import { throwIfAborted } from '../../../src/async/abort.js'
import { visible } from '../../../src/base/describe-value.js'
import { hasCode, messageOf } from '../../../src/base/errors.js'
import { FlashTable, type ObjectStore, type Replica, type ReplicaStatus } from '../../../src/index.js'
import { jsonOption, single } from '../arguments.js'
import { closing } from '../closing.js'
import { inCommandLineWords } from '../failure.js'
import { interruptible } from '../interrupt.js'
import { formatCount } from '../output.js'
import { parseInterval } from '../span.js'
import { addPublishOptions, type PublishTexts } from '../publish-options.js'
import { addStoreOptions, openStore, parseTable, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'
import { printError, printLine, printText } from '../streams.js'
import { countText } from '../words.js'

const DETAILS = `${URL_DETAILS}

It runs beside the program that writes the table, takes no lock, and flushes nothing: every few seconds it uploads what
is new. A store that cannot be reached is tried again and again, but with --once. Ctrl-C uploads the rest and ends it,
with a line that says what is published. On a terminal it shows how far it is; with --json it prints a line for each
version. A program that has the table open replicates it itself, by table.replicate(). Times are a number with s, m, h,
d or w.

Examples:
  flashtable replicate fingerprints.table s3://backups/fingerprints --every 5s --retention 7d
  flashtable replicate fingerprints.table /mnt/nas/fingerprints --once`

/** How often its state is looked at, to be shown. */
const LOOK_MS = 200
/** The wait until a store that was not reached at the start is tried again; it doubles up to the maximum. */
const AGAIN_MS = 500
const AGAIN_MS_MAX = 60_000

export function defineReplicate(program: Command): void {
  const command = program
    .command('replicate')
    .summary('keep a published table a few seconds behind the table')
    .description(
      'Publishes what is put into the table in DIR to URL, every few seconds, until it is interrupted. Another program ' +
        'may have the table open and write it.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .argument('<url>', 'where it is published', parseUrl)
  addStoreOptions(command).addOption(
    single(
      new Option('--every <time>', 'how often what is new is published, at first 10s').argParser(
        parseInterval,
      ),
    ),
  )
  addPublishOptions(command)
    .addOption(new Option('--once', 'publish what is there now, and end'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runReplicate)
}

interface Options extends StoreTexts, PublishTexts {
  readonly every?: string
  readonly once?: true
  readonly json?: true
}

async function runReplicate(directory: string, to: string, options: Options): Promise<void> {
  const store = await openStore(to, options)
  await interruptible(signal =>
    closing(store, async () => {
      const table = await FlashTable.open(directory, { readOnly: true, signal })
      await closing(table, async () => {
        const replica = await start(table, store, options, signal)
        await closing(replica, () =>
          options.once === true ? replica.sync() : follow(replica, options, signal),
        )
        const status = replica.status()
        printText(options.json === true ? lineOf(status) : `${textOf(status)}, in ${store.url}\n`)
      })
    }),
  )
}

/** The replica, when the store has been reached. With `once` it is tried once. */
async function start(
  table: FlashTable,
  store: ObjectStore,
  { every, retention, keep, takeOver, once }: Options,
  signal: AbortSignal,
): Promise<Replica> {
  let told: string | undefined
  for (let failures = 0; ; failures++) {
    try {
      return await table.replicate(store, { interval: every, retention, keep, takeOver, signal })
    } catch (error) {
      throwIfAborted(signal)
      if (once === true || !hasCode(error, 'FLASHTABLE_UNAVAILABLE')) throw error
      const message = messageOf(error)
      if (message !== told)
        printLine(`flashtable: ${inCommandLineWords(message)}; it is tried until it succeeds`)
      told = message
      await sleep(Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** Math.min(failures, 20)), undefined, {
        signal,
      }).catch(() => throwIfAborted(signal))
    }
  }
}

/** Shows how far it is until the signal aborts. Rejects if it has ended before. */
async function follow(replica: Replica, { json }: Options, signal: AbortSignal): Promise<void> {
  const line = new StatusLine()
  let shown: ReplicaStatus | undefined
  try {
    while (!signal.aborted) {
      const status = replica.status()
      if (status.ended) await replica.sync()
      const { version, failure } = status
      const isNew = version !== shown?.version || failure !== shown.failure
      if (isNew && json === true) printText(lineOf(status))
      if (failure !== undefined && failure !== shown?.failure) {
        line.end()
        printLine(`flashtable: ${inCommandLineWords(failure)}`)
      }
      shown = status
      line.update(textOf(status))
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {})
    }
  } finally {
    line.end()
  }
}

/** For programs, a line for each version. */
function lineOf(status: ReplicaStatus): string {
  return `${JSON.stringify(status)}\n`
}

function textOf({ version, lagRecords, lagMs, failure }: ReplicaStatus): string {
  const lag = lagRecords === 0 ? 'up to date' : `${countText(lagRecords, 'operation')} behind`
  const since = lagMs < 1000 ? '' : `, ${formatCount(Math.round(lagMs / 1000))} s`
  return `version ${formatCount(version)}, ${lag}${since}${failure === undefined ? '' : ', trying again'}`
}

/** One line on a terminal that is written over. */
class StatusLine {
  readonly #isDrawn = process.stderr.isTTY && process.env['TERM'] !== 'dumb'
  #drawn = 0

  update(text: string): void {
    if (!this.#isDrawn) return
    const line = visible(text).slice(0, (process.stderr.columns || 80) - 1)
    printError(`\r${line.padEnd(this.#drawn)}`)
    this.#drawn = line.length
  }

  end(): void {
    if (this.#drawn > 0) printError('\n')
    this.#drawn = 0
  }
}

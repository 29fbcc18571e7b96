/**
 * A process whose power is cut: makes the calls of a {@link Life}, given as JSON in `argv[2]`, and writes to its output
 * what is acknowledged. It ends where a call is rejected; else it waits for its end.
 */
import { writeSync } from 'node:fs'
import { FlashTable } from '../../src/index.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { closing } from '../../tools/cli/closing.js'
import { Random } from '../support/random.js'
import { callOf, makeCall, TABLE_OPTIONS, type CallTable } from './calls.js'
import { formatReport, type Life, type Report } from './life.js'

const RUNS_PER_FLUSH = 3
/** After one group in this many comes a `compact`, which nobody awaits. */
const COMPACT_ONE_IN = 60

/** Blocking, so that what is told does not depend on what this process does next; the pipe may be full for a moment. */
function tell(report: Report): void {
  for (;;) {
    try {
      writeSync(1, formatReport(report))
      return
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error
    }
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? error)
}

/** Makes calls [first, end) together. */
async function makeGroup(table: CallTable, life: Life, first: number, end: number, random: Random) {
  tell({ type: 'made', end })
  const calls: Promise<void>[] = []
  for (let number = first; number < end; number++) {
    const call = callOf(life.seed, number)
    const isClear = call.type === 'clear'
    // It is no part of the log, and has no place among calls that wait together with it.
    if (isClear) await Promise.all(calls)
    const sync = isClear || random.below(life.syncOneIn) === 0
    const made = makeCall(table, call, { sync })
    const acknowledged = sync ? made.then(() => tell({ type: 'durable', end: number + 1 })) : made
    calls.push(acknowledged)
    if (isClear) await acknowledged
  }
  if (random.below(life.syncOneIn) === 0) {
    calls.push(table.sync().then(() => tell({ type: 'durable', end })))
  }
  await Promise.all(calls)
}

async function live(life: Life): Promise<void> {
  const options = {
    ...TABLE_OPTIONS,
    bufferBytes: life.bufferBytes,
    walBytes: life.walBytes,
    syncIntervalMs: life.syncIntervalMs ?? Infinity,
  }
  // Records of several seals are in memory and in the log alone.
  const environment = { ...nodeEnvironment, runsPerFlush: RUNS_PER_FLUSH }
  const table = (await FlashTable.openIn(life.directory, options, environment)) as unknown as CallTable
  tell({ type: 'open' })
  const end = await closing(table, table => makeCalls(table, life))
  tell({ type: 'durable', end })
  tell({ type: 'closed' })
}

/** Returns the number behind the last call. */
async function makeCalls(table: CallTable, life: Life): Promise<number> {
  const random = new Random(life.seed ^ life.first)
  let compacting: Promise<void> | undefined
  let next = life.first
  while (next < life.first + life.calls) {
    const end = next + life.atOnce
    await makeGroup(table, life, next, end, random)
    if (random.below(COMPACT_ONE_IN) === 0) {
      compacting ??= table.compact().finally(() => (compacting = undefined))
      // What makes it fail makes calls fail too, and those tell.
      compacting.catch(() => {})
    }
    next = end
  }
  await compacting
  return next
}

try {
  await live(JSON.parse(process.argv[2]!) as Life)
  setInterval(() => {}, 60_000)
} catch (error) {
  tell({ type: 'rejected', code: codeOf(error) })
  process.exit()
}

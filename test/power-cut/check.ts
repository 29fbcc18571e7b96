/** Whether a table that a power cut has left keeps what docs/durability.md promises. */
import { FlashTable } from '../../src/index.js'
import { verifyTable } from '../../src/offline/verify.js'
import { closing } from '../../tools/cli/closing.js'
import type { Random } from '../support/random.js'
import { makeCall, TABLE_OPTIONS, type CallRecord, type CallTable } from './calls.js'
import { BrokenPromise, type History, type Outcome, type Told } from './history.js'
import { differences, Model } from './model.js'

/** Calls that are made once the table has recovered. */
const CALLS_AFTER = 40
/** Keys that are looked up, beside a scan of everything. */
const LOOKUPS = 40

/** What was found. */
export interface Found extends Outcome {
  /** Files have been merged. */
  readonly isMerged: boolean
}

/** Looks at the table as the cut has left it, and changes nothing. */
export async function checkAsFound(directory: string, history: History, told: Told): Promise<Found> {
  await verify(directory, 'as the cut left it')
  const table = await FlashTable.open(directory, { ...TABLE_OPTIONS, readOnly: true })
  return closing(table, async table => {
    const outcome = history.settle(await readAll(table), told)
    return { ...outcome, isMerged: (await table.stats()).levels.length > 1 }
  })
}

/** Opens it for writing, which recovers it, and lets it go on. */
export async function checkRecovery(directory: string, history: History, random: Random): Promise<void> {
  await closing(await FlashTable.open(directory, TABLE_OPTIONS), async table => {
    await checkContent(table, history, random, 'after recovery')
    for (let call = 0; call < CALLS_AFTER; call++) {
      await makeCall(table, history.call(history.next), { sync: random.chance(0.2) })
      history.advance()
    }
    await table.sync()
    await checkContent(table, history, random, 'after calls that followed recovery')
  })
  if (await verify(directory, 'after recovery and close')) {
    throw new BrokenPromise('the log is torn although the table was closed')
  }
  await closing(await FlashTable.open(directory, TABLE_OPTIONS), table =>
    checkContent(table, history, random, 'after close and open'),
  )
}

/** Returns whether the log ends in the middle of a segment. */
async function verify(directory: string, when: string): Promise<boolean> {
  const { problems, tornAt } = await verifyTable(directory)
  if (problems.length === 0) return tornAt !== undefined
  const lines = problems.map(({ file, offset, message }) => `${file}:${offset ?? ''}: ${message}`)
  throw new BrokenPromise([`verify finds problems ${when}:`, ...lines].join('\n  '))
}

async function checkContent(table: CallTable, history: History, random: Random, when: string): Promise<void> {
  const [found, expected] = [await readAll(table), history.model]
  const lines = differences(found, expected, 5)
  if (lines.length > 0) throw new BrokenPromise([`wrong records ${when}:`, ...lines].join('\n  '))
  for (let lookup = 0; lookup < LOOKUPS && expected.keys.length > 0; lookup++) {
    const key = random.pick(expected.keys)
    const records = await table.getAll(key)
    const looked = new Model([[key, records.map(value => ({ key, ...value }))]])
    if (looked.digest === new Model([[key, expected.recordsOf(key)]]).digest) continue
    throw new BrokenPromise(`getAll(${key}) is not what a scan finds, ${when}`)
  }
}

async function readAll(table: CallTable): Promise<Model> {
  const records = new Map<number, CallRecord[]>()
  for await (const columns of table.scanColumns()) {
    for (let row = 0; row < columns.key.length; row++) {
      const key = Number(columns.key[row])
      const record = { key, call: columns.call[row]!, index: columns.index[row]! }
      const list = records.get(key)
      if (list === undefined) records.set(key, [record])
      else list.push(record)
    }
  }
  return new Model(records)
}

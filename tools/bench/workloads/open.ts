/** How long it takes to open a table that was closed. */
import { join } from 'node:path'
import { inChildren } from '../child.js'
import { bulkLoadRandom, openTable, putRandom, settled } from '../table.js'
import { check, type Workload } from '../workload.js'

/** Each open has a process of its own. */
const OPENS = 9
const SMALL_RECORDS = 3_000_000

export const open: Workload = {
  name: 'open',
  sentence:
    'Closed tables of random records are opened by fresh processes, nine each, whose modules are loaded ' +
    'before; the files are in the page cache of the system; the median counts. One table has 3 M records (or ' +
    'all, if they are fewer), one has all; each is one bucket file and an empty log. In a last one, 3 M by ' +
    '`putColumns`, the newest are in the log.',
  stores: ['flashtable'],
  records: 100_000_000,
  figures: {
    smallOpenMs: { unit: 'ms open, 3 M records', better: 'less', target: 15 },
    smallLaterOpenMs: {
      unit: 'ms open, 3 M records, in a process that has opened it before',
      better: 'less',
    },
    smallFirstHitMs: { unit: 'ms the first getSync, 3 M records', better: 'less' },
    openMs: { unit: 'ms open, all records', better: 'less', target: 50 },
    laterOpenMs: { unit: 'ms open, all records, in a process that has opened it before', better: 'less' },
    firstHitMs: { unit: 'ms the first getSync, all records', better: 'less' },
    logOpenMs: { unit: 'ms open, 3 M records, some of them in the log', better: 'less' },
    logRecords: { unit: 'records in that log' },
  },
  async run({ directory, records }) {
    const few = Math.min(records, SMALL_RECORDS)
    const small = join(directory, 'small')
    const large = join(directory, 'large')
    const log = join(directory, 'log')
    await (await bulkLoadRandom(small, few)).close()
    await (await bulkLoadRandom(large, records)).close()
    const logRecords = await putAndClose(log, few)
    // One open that does not count: its files may still have to be read.
    const opens = async (directory: string, records: number) => {
      await inChildren(1, 'openOnce', { directory, records })
      return inChildren(OPENS, 'openOnce', { directory, records })
    }
    const ofSmall = await opens(small, few)
    const ofLarge = await opens(large, records)
    const ofLog = await opens(log, few)
    return {
      smallOpenMs: ofSmall['openMs']!,
      smallLaterOpenMs: ofSmall['laterOpenMs']!,
      smallFirstHitMs: ofSmall['firstHitMs']!,
      ...ofLarge,
      logOpenMs: ofLog['openMs']!,
      logRecords,
    }
  },
}

/** Puts records and closes the table; returns how many are in its log then. */
async function putAndClose(directory: string, records: number): Promise<number> {
  const table = await openTable(directory)
  await putRandom(table, 0, records)
  const { memtable, records: stored } = await settled(table)
  check(stored === records, () => `${stored} records of ${records}`)
  await table.close()
  return memtable.operations
}

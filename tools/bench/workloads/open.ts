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
    'Tables of random records, closed before, are opened in fresh processes, nine each, whose modules are loaded before the clock starts; the files are in the page cache of the system. The median counts. A small table has 3 M records (or all, if that is fewer), a large one all; both are one bucket file and no log, but for the last rows: 3 M by `putColumns`, of which the last are in the log.',
  stores: ['flashtable'],
  records: 100_000_000,
  figures: {
    smallOpenMs: { unit: 'ms open, 3 M records', better: 'less', target: 15 },
    smallFirstHitMs: { unit: 'ms the first getSync after it', better: 'less' },
    openMs: { unit: 'ms open, all records', better: 'less', target: 50 },
    firstHitMs: { unit: 'ms the first getSync after it', better: 'less' },
    logOpenMs: { unit: 'ms open, 3 M records, some of them in the log', better: 'less' },
    logRecords: { unit: 'records in that log' },
  },
  async run({ directory, records }) {
    const few = Math.min(records, SMALL_RECORDS)
    const [small, large, log] = ['small', 'large', 'log'].map(name => join(directory, name)) as [
      string,
      string,
      string,
    ]
    await (await bulkLoadRandom(small, few)).close()
    await (await bulkLoadRandom(large, records)).close()
    const logRecords = await putAndClose(log, few)
    // One open that does not count: its files may still have to be read.
    const opens = async (directory: string, records: number) => {
      await inChildren(1, 'openOnce', { directory, records })
      return inChildren(OPENS, 'openOnce', { directory, records })
    }
    const { openMs: smallOpenMs, firstHitMs: smallFirstHitMs } = await opens(small, few)
    const { openMs, firstHitMs } = await opens(large, records)
    const { openMs: logOpenMs } = await opens(log, few)
    return {
      smallOpenMs: smallOpenMs!,
      smallFirstHitMs: smallFirstHitMs!,
      openMs: openMs!,
      firstHitMs: firstHitMs!,
      logOpenMs: logOpenMs!,
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

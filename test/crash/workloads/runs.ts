/** Workloads with several runs to a flush: sealed memtables are runs in memory, and only the log has their records. */
import { COMBINE } from '../history.js'
import { MEMTABLE_RECORDS } from '../table.js'
import { combining } from './merges.js'
import { countOf, expectReached, put, type Workloads } from './workload.js'

const RUNS = 3
/** Records of a memtable. */
const ROWS = Math.ceil(MEMTABLE_RECORDS / RUNS)

export const RUN_WORKLOADS: Workloads = {
  /** Seals, flushes and merges as they come, with a batch that is larger than a memtable. */
  runs: {
    options: { runsPerFlush: RUNS },
    async run(driver) {
      await driver.open()
      for (let i = 0; i < 5; i++) await driver.columns(driver.records(ROWS), i === 3)
      await driver.batch(driver.records(10).map(put))
      await driver.columns(driver.records(2 * ROWS + 1), true)
      for (let i = 0; i < 6; i++) await driver.columns(driver.records(ROWS - 1))
      await driver.settle()
      await driver.sync()
      await driver.put(driver.record())
      await driver.close()
      const merged = countOf(driver, 'unlink', '.bucket')
      expectReached('a merge', `${merged} bucket files removed`, merged >= 2)
    },
  },

  /** Deletes of every kind in runs, of what is older and of what is in the same run; a run of which nothing is left. */
  runsDeletes: { options: { runsPerFlush: RUNS }, run: deletes },

  /** The same where a put replaces the older records of its key. */
  runsReplace: { options: { runsPerFlush: RUNS, duplicates: 'replace' }, run: deletes },

  /** The same where the records of a key become one. */
  runsCombine: { options: { runsPerFlush: RUNS, combine: COMBINE }, run: combining },

  /** Clean ends with runs in memory: the next life finds their records in the log, and goes on. */
  runsLives: {
    options: { runsPerFlush: RUNS },
    async run(driver) {
      for (let life = 0; life < 4; life++) {
        await driver.open()
        for (let i = 0; i <= life; i++) await driver.columns(driver.records(ROWS - 2), i === 1)
        await driver.del(driver.record().key)
        if (life === 2) await driver.settle()
        await driver.close()
      }
      // This one is killed: its log is written to bucket files.
      await driver.open()
      for (let i = 0; i < 2; i++) await driver.columns(driver.records(ROWS), true)
      await driver.open()
      await driver.put(driver.record(), true)
      await driver.close()
    },
  },

  /** A checkpoint, `compact` and `clear` while there are runs. */
  runsUpkeep: {
    options: { runsPerFlush: RUNS },
    async run(driver) {
      await driver.open()
      for (let i = 0; i < 2; i++) await driver.columns(driver.records(ROWS), i === 1)
      await driver.columns(driver.records(3))
      await driver.checkpoint('/tables/copy')
      const compacting = driver.table.compact()
      await Promise.all([compacting, driver.columns(driver.records(5), true)])
      for (let i = 0; i < 2; i++) await driver.columns(driver.records(ROWS))
      await driver.settle()
      await driver.clear()
      await driver.columns(driver.records(ROWS), true)
      await driver.columns(driver.records(ROWS))
      await driver.close()
    },
  },
}

async function deletes(driver: Parameters<(typeof RUN_WORKLOADS)[string]['run']>[0]): Promise<void> {
  await driver.open()
  // Nothing is left of the first memtable.
  await driver.columns(driver.records(8))
  for (const id of [0, 1, 2, 3, 4]) await driver.delWhere(id, id === 3)
  await driver.columns(driver.records(ROWS))
  // What is older than the second one stays hidden.
  await driver.columns(driver.records(8))
  for (const id of [0, 1, 2, 3, 4]) await driver.delWhere(id)
  const second = driver.records(ROWS)
  await driver.columns(second)
  await driver.del(second[3]!.key)
  await driver.delRecord(second[5]!)
  await driver.delWhere(2, true)
  const third = driver.records(ROWS)
  await driver.columns(third)
  await driver.batch([put(third[0]!), { kind: 'del', key: third[1]!.key }, put(third[1]!)])
  await driver.columns(driver.records(2 * ROWS), true)
  await driver.delWhere(4)
  for (let i = 0; i < 4; i++) await driver.columns(driver.records(ROWS))
  await driver.settle()
  await driver.close()
}

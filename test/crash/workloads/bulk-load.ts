/** Workloads with a bulk load, into a new table or into one that was cleared. */
import type { Driver } from '../driver.js'
import { MEMTABLE_RECORDS } from '../table.js'
import { countOf, expectReached, type Workloads } from './workload.js'

export const BULK_LOADS: Workloads = {
  /** A bulk load that waits on the disk: all of it or nothing; then ordinary life. */
  bulk: {
    async run(driver) {
      await driver.bulkLoad(driver.records(200), 45, 0)
      await liveOn(driver)
      const spills = countOf(driver, 'unlink', '.spill')
      expectReached('spills', `${spills} removed`, spills >= 4)
    },
  },

  /** The same where some records, or all, wait in memory. */
  bulkInMemory: {
    async run(driver) {
      await driver.bulkLoad(driver.records(200), 45, MEMTABLE_RECORDS * 20)
      await liveOn(driver)
    },
  },

  /** A bulk load into a table that was cleared, after records in files and in the log: the old ones are gone for good. */
  bulkAfterClear: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.columns(driver.records(40))
      await driver.clear()
      await driver.close()
      await driver.bulkLoad(driver.records(150), 45, 0)
      await driver.columns(driver.records(30), true)
      await driver.clear()
      // kill -9: what clear has done stays.
      await driver.settle()
      await driver.bulkLoad(driver.records(20), 45, 0)
      await liveOn(driver)
    },
  },
}

/** Puts until there are seals and merges; with another life between. */
async function liveOn(driver: Driver): Promise<void> {
  await driver.put(driver.record())
  await driver.columns(driver.records(20), true)
  await driver.columns(driver.records(MEMTABLE_RECORDS))
  await driver.open()
  await driver.columns(driver.records(20))
  await driver.close()
}

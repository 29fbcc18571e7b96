/** Workloads with metadata, which tell how many calls had been written: never more than a crash leaves. */
import { MEMTABLE_RECORDS } from '../table.js'
import { countOf, expectReached, type Workloads } from './workload.js'

const COPY = '/tables/copy'

export const META: Workloads = {
  /** Between puts and beside them, seals, a checkpoint, `clear`, the end of a life by a kill and by a close. */
  meta: {
    async run(driver) {
      await driver.open()
      await driver.setMeta()
      await driver.columns(driver.records(20))
      await driver.setMeta()
      for (const record of driver.records(3)) await driver.put(record)
      await Promise.all([driver.setMeta(), driver.columns(driver.records(30)), driver.setMeta()])
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await Promise.all([driver.columns(driver.records(MEMTABLE_RECORDS)), driver.setMeta()])
      await Promise.all([driver.checkpoint(COPY), driver.put(driver.record()), driver.setMeta()])
      await driver.clear()
      await driver.columns(driver.records(25))
      await driver.setMeta()
      // kill -9 with a log.
      await driver.open()
      await driver.put(driver.record())
      await driver.setMeta()
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.settle()
      await driver.close()
      await driver.open()
      await driver.put(driver.record())
      await driver.setMeta()
      await driver.close()
      const flushed = countOf(driver, 'create', '.bucket')
      expectReached('seals', `${flushed} bucket files`, flushed >= 3)
    },
  },
}

/** Workloads of the event log: it is torn, full and put aside, and nothing depends on it. */
import { EVENT_LOG_BYTES_MAX } from '../../../src/event-log/event-log.js'
import { DIRECTORY } from '../table.js'
import { countOf, expectReached, type Workloads } from './workload.js'

const PATH = `${DIRECTORY}/LOG.jsonl`

export const EVENT_LOG_WORKLOADS: Workloads = {
  /** The file is nearly full, with a torn line at its end: it is put aside, twice. */
  eventLog: {
    options: { eventLog: true },
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(5), true)
      await driver.close()
      for (let life = 0; life < 2; life++) {
        driver.writeFile(PATH, new Uint8Array(EVENT_LOG_BYTES_MAX - 1).fill(0x20))
        await driver.open()
        await driver.columns(driver.records(5), true)
        await driver.settle()
        await driver.columns(driver.records(5))
        await driver.close()
      }
      const renames = countOf(driver, 'rename', 'LOG.jsonl')
      expectReached('a file that is put aside', `${renames} renames`, renames === 2)
    },
  },
}

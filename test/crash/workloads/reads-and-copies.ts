/** Workloads with a snapshot, a reader or a checkpoint beside the writer. */
import { contents, MEMTABLE_RECORDS } from '../table.js'
import type { Workloads } from './workload.js'

const COPY = '/tables/copy'
const SECOND_COPY = '/tables/second'

export const READS_AND_COPIES: Workloads = {
  /** A snapshot, and a scan that has begun, stay what they are over seals, merges and `compact`. */
  snapshot: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.columns(driver.records(50))
      await using snapshot = driver.table.snapshot()
      const before = await contents(driver.table)
      const scan = driver.table.keys({ snapshot })
      await scan.next()
      await driver.delWhere(3)
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.table.compact()
      await driver.columns(driver.records(30))
      const held = await contents(driver.table, snapshot)
      if (held !== before) throw new Error(`the snapshot held '${before}', and now '${held}'`)
      for await (const key of scan) if (key > 97n) throw new Error('a key that was never put')
      await snapshot.close()
      await driver.close()
    },
  },

  /** A checkpoint while puts go on; it is opened too, or is no table. */
  checkpoint: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.columns(driver.records(40))
      await driver.delWhere(1)
      await Promise.all([
        driver.checkpoint(COPY),
        driver.columns(driver.records(50)),
        driver.put(driver.record(), true),
      ])
      await driver.columns(driver.records(30))
      await driver.close()
    },
  },

  /** Checkpoints, taken while memtables are sealed, written, and their memory is used again. */
  checkpointsBeside: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.columns(driver.records(30))
      const copies = { running: true }
      const copy = async (): Promise<void> => {
        for (const directory of [COPY, SECOND_COPY]) await driver.checkpoint(directory)
        copies.running = false
      }
      const put = async (): Promise<void> => {
        for (let calls = 0; copies.running && calls < 16; calls++) await driver.columns(driver.records(60))
      }
      await Promise.all([copy(), put()])
      await driver.close()
    },
  },

  /** A reader makes copies beside the writer, which seals, merges and removes what the reader has open. */
  readerCheckpoint: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.columns(driver.records(40))
      await Promise.all([driver.readerCheckpoint(COPY), driver.columns(driver.records(50))])
      await driver.readerCheckpoint(SECOND_COPY, () => driver.table.compact())
      await driver.columns(driver.records(30))
      await driver.close()
    },
  },

  /** Readers that open, read and refresh while the writer puts, seals and merges. */
  readers: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(50))
      await Promise.all([driver.read(), driver.columns(driver.records(60))])
      await driver.read(async reader => {
        await Promise.all([driver.columns(driver.records(MEMTABLE_RECORDS), true), reader.refresh()])
      })
      await Promise.all([driver.table.compact(), driver.read(), driver.put(driver.record())])
      await Promise.all([driver.close(), driver.read()])
      await driver.read()
    },
  },
}

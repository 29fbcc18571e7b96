/** Workloads that seal and merge: bucket files come, are merged, and are removed. */
import type { Driver } from '../driver.js'
import { COMBINE } from '../history.js'
import { MEMTABLE_RECORDS } from '../table.js'
import { countOf, expectReached, put, type Workloads } from './workload.js'

export const MERGES: Workloads = {
  /** Batches, columns larger than a page and as large as a memtable; seals and merges as they come. */
  batches: {
    async run(driver) {
      await driver.open()
      await driver.batch(driver.records(20).map(put))
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.columns(driver.records(60))
      await driver.batch(driver.records(30).map(put), true)
      for (let i = 0; i < 4; i++) await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.settle()
      await driver.sync()
      await driver.columns(driver.records(10))
      await driver.close()
      const merged = countOf(driver, 'unlink', '.bucket')
      expectReached('a merge', `${merged} bucket files removed`, merged >= 2)
    },
  },

  /** Deletes of every kind, over seals and merges. */
  deletes: { run: deletes },

  /** The same where a put replaces the older records of its key. */
  replace: { options: { duplicates: 'replace' }, run: deletes },

  /** Records of a key become one, over seals, merges and lives: each put counts once, or not at all. */
  combine: { options: { combine: COMBINE }, run: combining },

  /** Several lives: clean ends, so that closed segments pile up. */
  lives: {
    async run(driver) {
      for (let life = 0; life < 4; life++) {
        await driver.open()
        await driver.columns(driver.records(25), life % 2 === 0)
        for (const record of driver.records(3)) await driver.put(record)
        if (life === 2) await driver.columns(driver.records(MEMTABLE_RECORDS))
        await driver.close()
      }
    },
  },

  /** Opens that merge: levels that are overdue, and small files with the records of a log whose writer was killed. */
  shortLives: {
    async run(driver) {
      await driver.open({ fanout: 64 })
      for (let i = 0; i < 6; i++) {
        await driver.columns(driver.records(MEMTABLE_RECORDS), i === 2)
        if (i === 3) await driver.delWhere(1)
        if (i === 4) await driver.del(driver.record().key)
        await driver.settle()
      }
      await driver.close()
      const unlinked = countOf(driver, 'unlink', '.bucket')
      await driver.open()
      const overdue = countOf(driver, 'unlink', '.bucket') - unlinked
      expectReached('a merge of what is overdue', `${overdue} bucket files removed`, overdue >= 5)
      for (let life = 0; life < 3; life++) {
        await driver.columns(driver.records(9 + life), life === 1)
        if (life === 1) await driver.delWhere(2)
        await driver.delRecord(driver.record())
        await driver.open({ fanout: 8 })
      }
      const small = countOf(driver, 'unlink', '.bucket') - unlinked - overdue
      expectReached('a merge of small files', `${small} bucket files removed`, small >= 3)
      await driver.put(driver.record(), true)
      await driver.close()
    },
  },

  /** A *delete where* in the log alone, while older files are merged without it. */
  hiding: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.columns(driver.records(20))
      await driver.delWhere(1)
      await driver.settle()
      const merged = countOf(driver, 'unlink', '.bucket')
      expectReached('a merge', `${merged} bucket files removed`, merged >= 2)
      await driver.put(driver.record())
      await driver.close()
    },
  },

  /** Files of which much is hidden are merged, though no level is full: one alone, then two with deletes of keys. */
  forgetting: {
    async run(driver) {
      await driver.open()
      for (let i = 0; i < 3; i++) await driver.columns(driver.records(MEMTABLE_RECORDS), i === 1)
      await driver.settle()
      const before = await oldestFile(driver)
      await driver.delWhere(1)
      await driver.delWhere(2, true)
      await driver.columns(driver.records(20))
      await driver.settle()
      const alone = await oldestFile(driver)
      const found = JSON.stringify([before, alone])
      expectReached('a merge of one file', found, alone.level === 1 && alone.records < before.records)
      for (let key = 0; key < 60; key++) await driver.del(key, key === 30)
      await driver.columns(driver.records(20))
      await driver.settle()
      await driver.put(driver.record(), true)
      await driver.close()
      // What is left to be merged is merged after an open, and then no more.
      await driver.open()
      await driver.settle()
      await driver.put(driver.record())
      await driver.close()
    },
  },

  /** Files of which much was replaced are merged with what has replaced it. */
  overwriting: {
    options: { duplicates: 'replace' },
    async run(driver) {
      await driver.open()
      for (let i = 0; i < 3; i++) await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.settle()
      await driver.delWhere(1)
      await driver.delWhere(2, true)
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.settle()
      await driver.columns(driver.records(30))
      await driver.close()
    },
  },

  /** Files are dropped whole, because all of their records are older than a bound: one after the other, then all. */
  expiring: {
    async run(driver) {
      await driver.open({ fanout: 64 })
      for (let i = 0; i < 3; i++) await driver.columns(driver.records(MEMTABLE_RECORDS), i === 1)
      await driver.settle()
      await driver.delBefore(MEMTABLE_RECORDS - 1)
      await driver.put(driver.record())
      await driver.settle()
      await driver.delBefore(MEMTABLE_RECORDS)
      await driver.settle()
      const one = countOf(driver, 'unlink', '.bucket')
      await driver.delWhere(1)
      await driver.del(5)
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.delBefore(3 * MEMTABLE_RECORDS, true)
      await driver.settle()
      const all = countOf(driver, 'unlink', '.bucket')
      expectReached('files dropped', `${one}, then ${all}`, one >= 1 && all > one)
      await driver.put(driver.record())
      await driver.delBefore(5 * MEMTABLE_RECORDS)
      await driver.close()
      await driver.open()
      await driver.settle()
      await driver.put(driver.record(), true)
      await driver.close()
    },
  },

  /** Ranges of keys are cleared: files are dropped whole, rewritten without them, and keys are put again. */
  clearing: {
    async run(driver) {
      await driver.open({ fanout: 64 })
      for (let i = 0; i < 3; i++) await driver.columns(driver.records(MEMTABLE_RECORDS), i === 1)
      await driver.settle()
      await driver.clearKeys(0, 30)
      await driver.put({ ...driver.record(), key: 5 })
      await driver.clearKeys(31, 2 ** 40, true)
      await driver.settle()
      await driver.columns(driver.records(20))
      await driver.clearKeys(30, 31)
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.settle()
      const gone = countOf(driver, 'unlink', '.bucket')
      expectReached('files dropped', `${gone}`, gone >= 3)
      await driver.clearKeys(10, 20)
      await driver.close()
      await driver.open()
      await driver.settle()
      await driver.put(driver.record(), true)
      await driver.clearKeys(15, 40)
      await driver.close()
    },
  },

  /** `compact` while puts go on, then once more. */
  compact: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.columns(driver.records(40))
      const compacting = driver.table.compact()
      const putting = driver.columns(driver.records(20), true)
      await Promise.all([compacting, putting])
      await driver.del(driver.record().key)
      await driver.table.compact()
      await driver.columns(driver.records(5))
      await driver.close()
    },
  },

  /** `close` while a merge and a `compact` run, with puts waiting. */
  closing: {
    async run(driver) {
      await driver.open()
      for (let i = 0; i < 4; i++) await driver.columns(driver.records(MEMTABLE_RECORDS), i === 1)
      await driver.close()
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      const compacting = driver.table.compact().then(
        () => 'done',
        (error: { code?: unknown }) => error.code,
      )
      const putting = driver.columns(driver.records(10))
      await Promise.all([putting, driver.close()])
      const outcome = await compacting
      expectReached('a compaction that close ends', `${outcome}`, outcome === 'FLASHTABLE_NOT_OPEN')
      await driver.open()
      await driver.put(driver.record(), true)
      await driver.close()
    },
  },

  /** `clear` between other things. */
  clear: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS), true)
      await driver.columns(driver.records(30))
      await driver.clear()
      await driver.columns(driver.records(30), true)
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      await driver.close()
    },
  },
}

async function deletes(driver: Driver): Promise<void> {
  await driver.open()
  const first = driver.records(60)
  await driver.columns(first)
  await driver.del(first[3]!.key)
  await driver.delRecord(first[5]!)
  await driver.delWhere(2, true)
  const second = driver.records(60)
  await driver.columns(second)
  await driver.batch([
    put(second[0]!),
    { kind: 'del', key: second[1]!.key },
    put(second[1]!),
    { kind: 'delRecord', record: second[2]! },
  ])
  await driver.delWhere(4)
  await driver.columns(driver.records(70), true)
  await driver.del(second[7]!.key, true)
  await driver.columns(driver.records(MEMTABLE_RECORDS))
  await driver.columns(driver.records(MEMTABLE_RECORDS))
  await driver.close()
}

export async function combining(driver: Driver): Promise<void> {
  await driver.open()
  await driver.columns(driver.records(60))
  await driver.columns(driver.records(60), true)
  const [first, second] = driver.records(2)
  await driver.del(first!.key)
  await driver.batch([put(first!), { kind: 'del', key: second!.key }, put(second!), put(second!)])
  for (let i = 0; i < 4; i++) await driver.columns(driver.records(MEMTABLE_RECORDS), i === 1)
  await driver.clearKeys(20, 40)
  await driver.columns(driver.records(60))
  await driver.settle()
  const merged = countOf(driver, 'unlink', '.bucket')
  expectReached('a merge', `${merged} bucket files removed`, merged >= 2)
  await driver.del(driver.record().key, true)
  await driver.close()
  // Put from the log into memory, and after a kill into files.
  for (let life = 0; life < 2; life++) {
    await driver.open()
    await driver.columns(driver.records(30), life === 0)
  }
  await driver.table.compact()
  await driver.put(driver.record(), true)
  await driver.close()
}

async function oldestFile({ table }: Driver): Promise<{ level: number; records: number }> {
  const { files } = await table.stats()
  const { level, records } = files[0]!
  return { level, records }
}

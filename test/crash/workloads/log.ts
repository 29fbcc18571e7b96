/** Workloads for what befalls the log: groups, syncs, seals, recycled segments, recovery. */
import type { Driver } from '../driver.js'
import { MEMTABLE_RECORDS } from '../table.js'
import { expectReached, type Workloads } from './workload.js'

export const LOG: Workloads = {
  /** Single puts, some synced, some awaited together. */
  puts: {
    async run(driver) {
      await driver.open()
      for (const record of driver.records(6)) await driver.put(record)
      await driver.put(driver.record(), true)
      await Promise.all(driver.records(9).map((record, i) => driver.put(record, i % 4 === 0)))
      await driver.sync()
      for (const record of driver.records(3)) await driver.put(record)
      await driver.close()
    },
  },

  /** Segments written over in their second and third life, with frames of the earlier ones behind. */
  recycled: {
    async run(driver) {
      await driver.open()
      for (let i = 0; i < 5; i++) {
        await driver.columns(driver.records(70 - 9 * i))
        for (const record of driver.records(4)) await driver.put(record, i % 2 === 0)
      }
      await driver.sync()
      await driver.put(driver.record())
      const recycled = driver.disk.log.filter(({ op, target }) => op === 'rename' && target?.endsWith('.wal'))
      expectReached('two recycled segments', `${recycled.length}`, recycled.length >= 2)
      // kill -9 in the middle of a recycled segment, then a clean end in another.
      await driver.open()
      await driver.columns(driver.records(30))
      await driver.put(driver.record(), true)
      await driver.columns(driver.records(60))
      await driver.close()
    },
  },

  /** A manifest is installed while the log opens a segment. */
  opening: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(MEMTABLE_RECORDS))
      for (let i = 0; i < 3; i++) {
        const installed = installWhileOpening(driver)
        await driver.columns(driver.records(MEMTABLE_RECORDS - 1))
        await driver.put(driver.record(), true)
        expectReached('an install while a segment is opened', `none at ${i}`, installed())
      }
      await driver.close()
    },
  },

  /** Puts with and without sync, all at once, while memtables are sealed under them. */
  mixed: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(65))
      await Promise.all(driver.records(24).map((record, i) => driver.put(record, i % 3 === 1)))
      await Promise.all([
        driver.columns(driver.records(60), true),
        ...driver.records(8).map((record, i) => driver.put(record, i % 2 === 0)),
        driver.sync(),
        driver.columns(driver.records(40)),
        driver.put(driver.record(), true),
      ])
      await driver.close()
    },
  },

  /** Groups written while a sync of the ones before runs, at the start of new and of recycled segments too. */
  overlapping: {
    async run(driver) {
      await driver.open()
      for (let i = 0; i < 2; i++) await putDuringSync(driver, 1 + i)
      for (let i = 0; i < 3; i++) {
        await driver.put(driver.record())
        await driver.columns(driver.records(60))
        await putDuringSync(driver, 3)
        await putDuringSync(driver, 0)
      }
      // kill -9, and a new segment over an old one.
      await driver.open()
      await putDuringSync(driver, 2)
      await putDuringSync(driver, 2)
      await driver.close()
    },
  },

  /** A sync behind every commit group. */
  'sync-each-group': {
    options: { syncIntervalMs: 0 },
    async run(driver) {
      await driver.open()
      for (const record of driver.records(4)) await driver.put(record)
      await Promise.all(driver.records(5).map(record => driver.put(record)))
      await driver.columns(driver.records(60))
      await driver.columns(driver.records(30))
      await driver.put(driver.record(), true)
      await driver.close()
    },
  },

  /** Small syncs, one after another: zeros ahead of the frames, in new files and in recycled ones that grow. */
  trickle: {
    options: { walBytes: 32_768 },
    async run(driver) {
      await driver.open()
      for (const record of driver.records(4)) await driver.put(record, true)
      await driver.put(driver.record())
      await driver.put(driver.record(), true)
      // The next segments get zeros with their first sync.
      for (let i = 0; i < 2; i++) {
        await driver.columns(driver.records(MEMTABLE_RECORDS - 2), true)
        await driver.settle()
        for (const record of driver.records(4 + 5 * i)) await driver.put(record, i === 1)
      }
      // kill -9 among zeros; the next segment writes over one that ended.
      await driver.open()
      for (const record of driver.records(3)) await driver.put(record, true)
      await driver.put(driver.record())
      const zeros = segmentsWithZeros(driver)
      const recycled = driver.disk.log.filter(({ target }) => target !== undefined && zeros.includes(target))
      expectReached(
        'zeros in three segments and a recycled one',
        `${zeros.length}, ${recycled.length}`,
        zeros.length - recycled.length >= 3 && recycled.length > 0,
      )
      await driver.close()
    },
  },

  /** Conditional puts, alone, together, in batches and in columns: what was decided is what recovery gives. */
  ifAbsent: {
    async run(driver) {
      await driver.open()
      const first = driver.records(45)
      await driver.columns(first.slice(0, 30))
      for (const record of first.slice(26, 34)) await driver.putIfAbsent(record, record.id === 2)
      await Promise.all(driver.records(12).map((record, i) => driver.putIfAbsent(record, i % 4 === 0)))
      await driver.columnsIfAbsent([...first, ...driver.records(20)], true)
      await driver.batch([
        { kind: 'del', key: first[3]!.key },
        { kind: 'putIfAbsent', record: first[3]! },
        { kind: 'delRecord', record: first[3]! },
        { kind: 'putIfAbsent', record: first[40]! },
        { kind: 'putIfAbsent', record: first[3]! },
      ])
      await driver.delWhere(3)
      await driver.columnsIfAbsent([...first, ...driver.records(20)])
      // kill -9: the log is all there is of the last ones.
      await driver.open()
      await driver.columnsIfAbsent([...driver.records(20), ...first])
      await driver.putIfAbsent(first[9]!, true)
      await driver.close()
    },
  },

  /** Recovery itself: the process dies with its log full, recovers, dies again. */
  recovery: {
    async run(driver) {
      await driver.open()
      await driver.columns(driver.records(70), true)
      await driver.columns(driver.records(70))
      await driver.put(driver.record())
      // kill -9: nothing is closed; the next life finds what the operating system has.
      await driver.open()
      await driver.columns(driver.records(30), true)
      await driver.open()
      await driver.put(driver.record(), true)
      await driver.close()
    },
  },
}

/** Paths of the segments with writes that are larger than any frame here. */
function segmentsWithZeros({ disk }: Driver): string[] {
  const zeros = disk.log.filter(({ op, path, bytes = 0 }) => {
    return op === 'write' && path.endsWith('.wal') && bytes > 4096
  })
  return [...new Set(zeros.map(({ path }) => path))]
}

/**
 * The next segment of the log is opened only when a manifest has been installed meanwhile; returns whether that has
 * happened. Requires: the segment is needed because a memtable is sealed.
 */
function installWhileOpening({ disk }: Driver): () => boolean {
  let installed = false
  const waitForInstall = async (): Promise<void> => {
    const begun = disk.calls
    while (!installed && !disk.crashed) {
      await new Promise(resolve => void setImmediate(resolve))
      const renamed = disk.log.find(({ step, target }) => step > begun && target?.endsWith('/MANIFEST'))
      // The sync of the directory, which ends the install, is the last call or behind it.
      installed = renamed !== undefined && disk.calls > renamed.step + 1
    }
  }
  disk.onCall = ({ op, path, target }) => {
    if ((op !== 'create' && op !== 'rename') || !(target ?? path).endsWith('.wal')) return undefined
    disk.onCall = undefined
    return waitForInstall()
  }
  return () => installed
}

/** A synced put. When its sync has begun, `others` more puts come, and the sync ends after them. */
async function putDuringSync(driver: Driver, count: number): Promise<void> {
  const { disk } = driver
  // A put that waited for a seal would wait for ever: the seal retires its segment when the sync has ended.
  await driver.settle()
  let during: Promise<void> | undefined
  disk.onCall = ({ op, path }) => {
    if (op !== 'sync' || !path.endsWith('.wal')) return undefined
    disk.onCall = undefined
    during = putAll(driver, count)
    return during
  }
  await driver.put(driver.record(), true)
  await during
}

async function putAll(driver: Driver, count: number): Promise<void> {
  for (const record of driver.records(count)) await driver.put(record)
  await driver.columns(driver.records(40))
}

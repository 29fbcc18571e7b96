/**
 * Workloads of the crash explorer: small tables, so that every state on disk comes up within a few hundred calls of the
 * file system - groups, seals, merges, recycled segments, manifests, recovery itself.
 *
 * A workload fails where it does not reach what it is there for.
 */
import type { JobForm } from '../support/simulated-environment.js'
import type { Driver } from './driver.js'
import type { CrashRecord } from './history.js'
import { MEMTABLE_RECORDS, contents } from './table.js'

export interface Workload {
  /** Of every open. */
  readonly options?: {
    readonly duplicates?: 'replace'
    readonly syncIntervalMs?: number
    readonly jobs?: JobForm
  }
  readonly run: (driver: Driver) => Promise<void>
}

const COPY = '/tables/copy'
const SECOND_COPY = '/tables/second'

const put = (record: CrashRecord) => ({ kind: 'put', record }) as const

const INLINE: Readonly<Record<string, Workload>> = {
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

/** Each workload twice: its jobs run at once, or later and beside other calls. */
export const WORKLOADS: Readonly<Record<string, Workload>> = Object.fromEntries(
  Object.entries(INLINE).flatMap(([name, { options, run }]): [string, Workload][] => [
    [name, { options: { ...options }, run }],
    [`${name}-later`, { options: { ...options, jobs: 'later' }, run }],
  ]),
)

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

/** Puts until there are seals and merges; with another life between. */
async function liveOn(driver: Driver): Promise<void> {
  await driver.put(driver.record())
  await driver.columns(driver.records(20), true)
  await driver.columns(driver.records(MEMTABLE_RECORDS))
  await driver.open()
  await driver.columns(driver.records(20))
  await driver.close()
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

async function oldestFile({ table }: Driver): Promise<{ level: number; records: number }> {
  const { files } = await table.stats()
  const { level, records } = files[0]!
  return { level, records }
}

function countOf({ disk }: Driver, op: string, suffix: string): number {
  return disk.log.filter(call => call.op === op && call.path.endsWith(suffix)).length
}

function expectReached(what: string, found: string, reached: boolean): void {
  if (!reached) throw new Error(`the workload does not reach what it is there for: ${what}, found ${found}`)
}

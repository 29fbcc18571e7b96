/** A process that reads the table of the benchmark and tells how fast. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PartitionedTable } from '../../../src/index.js'
import { s3Store } from '../../../src/s3.js'
import { countedStore } from './counted-store.js'
import { keysAt, type ReaderFigures, type ReaderTask } from './keys.js'

const ONE_BY_ONE = 500
const AT_ONCE = 3200
const COLUMNS = 5000

async function measure({ url, options, records, seed }: ReaderTask): Promise<ReaderFigures> {
  const cacheDirectory = mkdtempSync(join(tmpdir(), 'flashtable-cache-'))
  try {
    const { store, counts } = countedStore(s3Store(url, options))
    const requests = (): number => Object.values(counts).reduce((sum, count) => sum + count, 0)
    const open = (): Promise<PartitionedTable> =>
      PartitionedTable.open(store, { cacheDirectory, refreshInterval: Infinity, filterBytes: 0 })
    let startMs = performance.now()
    const reader = await open()
    // Partitions are opened when they are read.
    await reader.stats()
    const openMs = performance.now() - startMs
    const openRequests = requests()
    const keys = keysAt(seed, ONE_BY_ONE + AT_ONCE, records)
    const first = keys.subarray(0, ONE_BY_ONE)
    const coldOneByOne = await oneByOne(reader, first)
    const [cpu, before] = [process.cpuUsage(), requests()]
    startMs = performance.now()
    for (let at = ONE_BY_ONE; at < keys.length; at += 32) {
      const found = await Promise.all(Array.from(keys.subarray(at, at + 32), key => reader.has(key as never)))
      if (!found.every(Boolean)) throw new Error('a key is missing')
    }
    const coldMs = performance.now() - startMs
    const { user, system } = process.cpuUsage(cpu)
    const requestsCold = (requests() - before) / AT_ONCE
    startMs = performance.now()
    await reader.getColumns(keysAt(seed + 1000, COLUMNS, records) as never)
    const columnsMs = performance.now() - startMs
    const warm = requests()
    const warmOneByOne = await oneByOne(reader, first)
    const requestsWarm = (requests() - warm) / ONE_BY_ONE
    await reader.close()
    // Nothing is in memory any more.
    const again = await open()
    await again.stats()
    const diskOneByOne = await oneByOne(again, first)
    await again.close()
    return {
      openMs,
      openRequests,
      coldOneByOne,
      coldAtOnce: (AT_ONCE / coldMs) * 1000,
      coldColumns: (COLUMNS / columnsMs) * 1000,
      requestsCold,
      cpuMsCold: (user + system) / 1000 / AT_ONCE,
      diskOneByOne,
      warmOneByOne,
      requestsWarm,
    }
  } finally {
    rmSync(cacheDirectory, { recursive: true, force: true })
  }
}

async function oneByOne(reader: PartitionedTable, keys: BigUint64Array): Promise<number> {
  const startMs = performance.now()
  for (const key of keys) if (!(await reader.has(key as never))) throw new Error('a key is missing')
  return (keys.length / (performance.now() - startMs)) * 1000
}

process.once('message', task => {
  void measure(task as ReaderTask).then(figures => {
    process.send!(figures)
    process.disconnect()
  })
})

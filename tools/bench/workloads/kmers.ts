/** Counts k-mers: by `combine`, beside a record for each, and beside peers. */
import { FlashTable } from '../../../src/index.js'
import { hitKeys, mix } from '../records.js'
import { openCounter } from '../stores/counter.js'
import { bytesWritten, settled, SYNC_RECORDS, tableDirectory } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

/** Each k-mer comes so often, on average. */
const TIMES = 10
/** The k-mer whose count is checked. */
const CHECKED = 7
const ENCODINGS = { keyEncoding: 'u64', valueEncoding: 'u32' } as const

export const kmers: Workload = {
  name: 'kmers',
  sentence:
    'K-mers, each ten times on average, in random order, are counted: flashtable adds 1 to each by `putColumns` with `combine: { value: "sum" }`, RocksDB merges by its operator `uint64add`, SQLite upserts, and LMDB reads and writes. Then the same by flashtable with a record for each, not combined.',
  stores: ['flashtable', 'rocksdb', 'lmdb', 'sqlite'],
  records: 100_000_000,
  figures: {
    perSecond: { unit: 'k-mers/s counted, merges included', better: 'more' },
    cpuNs: { unit: 'ns of processor time a k-mer, all threads', better: 'less' },
    writtenPerRecord: { unit: 'bytes written a k-mer', better: 'less' },
    keepPerSecond: { unit: 'k-mers/s with a record for each', better: 'more' },
    keepWrittenPerRecord: { unit: 'bytes written a k-mer with a record for each', better: 'less' },
    timeShare: { unit: 'time combined / with a record for each', better: 'less', target: 1 },
    bytesShare: { unit: 'bytes written combined / with a record for each', better: 'less', target: 1 },
  },
  async run({ directory, store, records }) {
    if (store !== 'flashtable') {
      const counter = await openCounter(store, directory)
      const took = await seconds(async () => {
        for (const keys of batches(records)) await counter.add(keys)
      })
      const [key] = hitKeys(Uint32Array.of(CHECKED))
      const count = await counter.get(key!)
      check(count === expected(records), () => `${count} times`)
      await counter.close()
      return { perSecond: records / took }
    }
    const combined = await count(`${directory}/combined`, records, { combine: { value: 'sum' } })
    const kept = await count(`${directory}/kept`, records, { duplicates: 'keep' })
    return {
      perSecond: records / combined.seconds,
      cpuNs: combined.cpuNs,
      writtenPerRecord: combined.written / records,
      keepPerSecond: records / kept.seconds,
      keepWrittenPerRecord: kept.written / records,
      timeShare: combined.seconds / kept.seconds,
      bytesShare: combined.written / kept.written,
    }
  },
}

async function count(
  directory: string,
  records: number,
  options: { readonly combine: { readonly value: 'sum' } } | { readonly duplicates: 'keep' },
) {
  const table = await FlashTable.open(tableDirectory(directory), { ...ENCODINGS, ...options })
  const cpu = process.cpuUsage()
  const took = await seconds(async () => {
    for (const key of batches(records)) {
      await table.putColumns({ key, value: new Uint32Array(key.length).fill(1) })
      await table.sync()
    }
    await settled(table as never)
  })
  const { user, system } = process.cpuUsage(cpu)
  const written = bytesWritten(await table.stats())
  const [key] = hitKeys(Uint32Array.of(CHECKED))
  const values = await table.getAll(key!)
  const found = values.reduce((sum, value) => sum + value, 0)
  check(found === expected(records), () => `${found} times`)
  await table.close()
  return { seconds: took, cpuNs: ((user + system) * 1000) / records, written }
}

/** Keys in random order, those of a MiB of records at a time. */
function* batches(records: number): Generator<BigUint64Array<ArrayBuffer>> {
  const distinct = Math.ceil(records / TIMES)
  for (let from = 0; from < records; from += SYNC_RECORDS) {
    const length = Math.min(SYNC_RECORDS, records - from)
    yield hitKeys(Uint32Array.from({ length }, (_, row) => mix(from + row) % distinct))
  }
}

/** How often the checked k-mer comes. */
function expected(records: number): number {
  const distinct = Math.ceil(records / TIMES)
  let times = 0
  for (let number = 0; number < records; number++) if (mix(number) % distinct === CHECKED) times++
  return times
}

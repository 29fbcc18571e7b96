/** Records put one by one. */
import { randomRecords } from '../records.js'
import { openStore } from '../stores/open.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

/** How many promises are awaited together. */
const TOGETHER = 1000
/** Each part ends after this many seconds: slow stores get fewer puts. */
const SECONDS = 10

export const put: Workload = {
  name: 'put',
  sentence: 'Random records are put one by one: the promises of 1,000 awaited together, then each awaited.',
  stores: ['flashtable', 'rocksdb', 'leveldb', 'lmdb', 'sqlite'],
  records: 1_000_000,
  figures: {
    togetherPerSecond: { unit: 'puts/s, awaited together', better: 'more', target: 3_000_000 },
    awaitedPerSecond: { unit: 'puts/s, each awaited', better: 'more', target: 400_000 },
    logBytesPerPut: {
      unit: 'bytes of log a put of 16 bytes, each awaited',
      better: 'less',
      target: 32,
      digits: 4,
    },
  },
  async run({ directory, store: name, records }) {
    const store = await openStore(name, directory)
    const { key, time, id } = randomRecords(0, 2 * records)
    const putRow = (row: number) => store.put(key[row]!, { time: time[row]!, flags: 0, id: id[row]! })
    let together = 0
    const togetherSeconds = await seconds(async () => {
      const end = performance.now() + SECONDS * 1000
      while (together < records && performance.now() < end) {
        await Promise.all(Array.from({ length: TOGETHER }, (_, row) => putRow(together + row)))
        together += TOGETHER
      }
    })
    const logBytesBefore = await store.logBytes?.()
    let awaited = records
    const awaitedSeconds = await seconds(async () => {
      const end = performance.now() + SECONDS * 1000
      while (awaited < 2 * records && (awaited % 100 !== 0 || performance.now() < end)) {
        await putRow(awaited)
        awaited++
      }
    })
    const logBytes = await store.logBytes?.()
    const last = await store.get(key[awaited - 1]!)
    check(last?.id === id[awaited - 1], () => 'the last record is not there')
    await store.close()
    const figures = {
      togetherPerSecond: together / togetherSeconds,
      awaitedPerSecond: (awaited - records) / awaitedSeconds,
    }
    if (logBytes === undefined || logBytesBefore === undefined) return figures
    return { ...figures, logBytesPerPut: (logBytes - logBytesBefore) / (awaited - records) }
  },
}

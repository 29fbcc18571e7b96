/** Forgets the older half of the records by their time. */
import { FlashTable, struct } from '../../../src/index.js'
import { directoryBytes } from '../files.js'
import { hitKeys, randomNumbers } from '../records.js'
import { bytesWritten, settled, SYNC_RECORDS, tableDirectory } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

const LOOKUPS = 200_000
const ENCODINGS = { keyEncoding: 'u64', valueEncoding: struct({ time: 'u32', id: 'i32' }) } as const
type Table = FlashTable<'u64', typeof ENCODINGS.valueEncoding>

export const expiry: Workload = {
  name: 'expiry',
  sentence:
    'Random records come in the order of their times; then the older half is deleted by one `delWhere({ time: { lt } })`. Lookups of the other half before and after.',
  stores: ['flashtable'],
  records: 30_000_000,
  figures: {
    deleteMs: { unit: 'ms for the delWhere, synced', better: 'less' },
    settledMs: { unit: 'ms until files that it hides are gone', better: 'less' },
    bytesWritten: { unit: 'bytes written for it', better: 'less' },
    spaceAfter: { unit: 'bytes on disk after / before', better: 'less' },
    hitsBefore: { unit: 'getSync hits/s before', better: 'more' },
    hitsAfter: { unit: 'getSync hits/s after', better: 'more' },
    missesAfter: { unit: 'getSync of deleted records/s after', better: 'more' },
  },
  async run({ directory, records }) {
    const location = tableDirectory(directory)
    const table = await FlashTable.open(location, ENCODINGS)
    for (let from = 0; from < records; from += SYNC_RECORDS) {
      const numbers = Uint32Array.from(
        { length: Math.min(SYNC_RECORDS, records - from) },
        (_, row) => from + row,
      )
      await table.putColumns({ key: hitKeys(numbers), time: numbers, id: new Int32Array(numbers.length) })
      await table.sync()
    }
    await settled(table as never)
    const half = Math.floor(records / 2)
    const old = randomNumbers(LOOKUPS, half)
    const young = randomNumbers(LOOKUPS, records - half).map(number => half + number)
    lookUp(table, young, true)
    const hitsBefore = lookUp(table, young, true)
    const before = bytesWritten(await table.stats())
    const spaceBefore = directoryBytes(location)
    const deleteSeconds = await seconds(() => table.delWhere({ time: { lt: half } }, { sync: true }))
    const settledSeconds = await seconds(async () => void (await filesAtRest(table)))
    const written = bytesWritten(await table.stats()) - before
    lookUp(table, young, true)
    const hitsAfter = lookUp(table, young, true)
    const missesAfter = lookUp(table, old, false)
    const spaceAfter = directoryBytes(location) / spaceBefore
    check((await table.count()) === records - half, () => 'not half of the records are left')
    await table.close()
    return {
      deleteMs: 1000 * deleteSeconds,
      settledMs: 1000 * settledSeconds,
      bytesWritten: written,
      spaceAfter,
      hitsBefore,
      hitsAfter,
      missesAfter,
    }
  },
}

/** Waits until the list of files has been the same for a tenth of a second. */
async function filesAtRest(table: Table): Promise<void> {
  for (let quiet = 0, files = ''; quiet < 5;) {
    const { files: now } = await settled(table as never)
    const names = now.map(({ name }) => name).join()
    quiet = names === files ? quiet + 1 : 0
    files = names
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Lookups a second. */
function lookUp(table: Table, numbers: Uint32Array, isThere: boolean): number {
  const key = hitKeys(numbers)
  const start = performance.now()
  for (let row = 0; row < key.length; row++) {
    const found = table.getSync(key[row]!)
    check(found?.time === (isThere ? numbers[row] : undefined), () => `record ${numbers[row]}`)
  }
  return key.length / ((performance.now() - start) / 1000)
}

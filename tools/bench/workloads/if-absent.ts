/** Puts digests half of which are there already. */
import { hitKeys } from '../records.js'
import { BATCH_RECORDS, openTable, putRandom, settled, type Table } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

export const ifAbsent: Workload = {
  name: 'if-absent',
  sentence:
    'Columns of random digests, half of which are in the table, are put with `ifAbsent`; then as many again are looked up by `getColumns` and put by `putColumns`, one after the other.',
  stores: ['flashtable'],
  records: 10_000_000,
  figures: {
    rowsPerSecond: { unit: 'rows/s by putColumns with ifAbsent', better: 'more' },
    bothPerSecond: { unit: 'rows/s by getColumns, then putColumns', better: 'more' },
    share: { unit: 'time with ifAbsent / time of both', better: 'less', target: 1 },
  },
  async run({ directory, records }) {
    const half = Math.floor(records / 2)
    const table = await openTable(directory)
    await putRandom(table, 0, half)
    await settled(table)
    let put = 0
    const absentSeconds = await seconds(async () => {
      for (let from = 0; from < records; from += BATCH_RECORDS) {
        const answers = await table.putColumns(mixed(from, records, half, 0), { ifAbsent: true })
        for (const answer of answers) put += answer
      }
    })
    check(put === records - half, () => `${put} rows were put`)
    await settled(table)
    let found = 0
    const bothSeconds = await seconds(async () => {
      for (let from = 0; from < records; from += BATCH_RECORDS) {
        const columns = mixed(from, records, half, records)
        found += (await table.getColumns(columns.key)).query.length
        await table.putColumns(columns)
      }
    })
    check(found === half, () => `${found} rows were found`)
    await table.close()
    return {
      rowsPerSecond: records / absentSeconds,
      bothPerSecond: records / bothSeconds,
      share: absentSeconds / bothSeconds,
    }
  },
}

/** Rows of the first `half` record numbers and of new ones in turn; the new ones begin at `half + newFrom`. */
function mixed(
  from: number,
  records: number,
  half: number,
  newFrom: number,
): Parameters<Table['putColumns']>[0] {
  const count = Math.min(BATCH_RECORDS, records - from)
  const numbers = Uint32Array.from({ length: count }, (_, row) => {
    const at = Math.floor((from + row) / 2)
    return (from + row) % 2 === 0 ? at : half + newFrom + at
  })
  const zeros = new Uint16Array(count)
  return { key: hitKeys(numbers), time: zeros, flags: zeros, id: Int32Array.from(numbers) }
}

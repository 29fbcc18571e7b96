/** Real fingerprints, whose keys cluster: what they take on disk and what is written for them. */
import { deviceBytes } from '../device.js'
import { musicRecords, RECORD_BYTES } from '../records.js'
import { bytesWritten, openTable, settled, SYNC_RECORDS, BATCH_RECORDS } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Figures, type Workload } from '../workload.js'

export const music: Workload = {
  name: 'music',
  sentence:
    'The fingerprints of 41 music tracks (test/fixtures) go in as often as it takes, each time as other tracks, by `putColumns` of 10,000, synced every MiB; then the table is compacted.',
  stores: ['flashtable'],
  records: 14_028_700,
  figures: {
    recordsPerSecond: { unit: 'records/s, merges included', better: 'more' },
    writeAmplification: { unit: 'bytes written / record bytes', better: 'less', target: 0.5 },
    deviceAmplification: { unit: 'device bytes / record bytes', better: 'less', target: 0.5 },
    dataBytesPerRecord: {
      unit: 'bytes of data pages a record, compacted',
      better: 'less',
      target: 3.7,
      digits: 4,
    },
    bytesPerRecord: { unit: 'bytes a record with filter and fences, compacted', better: 'less', target: 5.9 },
  },
  async run({ directory, device, records }) {
    const before = device === undefined ? 0 : deviceBytes(device, directory)
    const table = await openTable(directory)
    let count = 0
    const spent = await seconds(async () => {
      let synced = 0
      for (const batch of musicRecords(Math.ceil(records / 140_287), BATCH_RECORDS)) {
        await table.putColumns(batch)
        count += batch.key.length
        if (count - synced < SYNC_RECORDS) continue
        await table.sync()
        synced = count
      }
      await table.sync()
      await settled(table)
    })
    const figures: Figures = {
      recordsPerSecond: count / spent,
      writeAmplification: bytesWritten(await table.stats()) / (count * RECORD_BYTES),
    }
    if (device !== undefined) {
      figures['deviceAmplification'] = (deviceBytes(device, directory) - before) / (count * RECORD_BYTES)
    }
    await table.compact()
    const { dataBytesOnDisk, files, records: stored } = await table.stats()
    check(stored === count, () => `${stored} records of ${count}`)
    await table.close()
    return {
      ...figures,
      dataBytesPerRecord: dataBytesOnDisk / count,
      bytesPerRecord: files.reduce((bytes, file) => bytes + file.bytes, 0) / count,
    }
  },
}

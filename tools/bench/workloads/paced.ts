/** The same records at the pace of a program that computes them: nobody asks for syncs, and write-back has its time. */
import { join } from 'node:path'
import { deviceBytes } from '../device.js'
import { randomRecords, RECORD_BYTES } from '../records.js'
import { loadMemmap, memmapVersion } from '../stores/memmap.js'
import { openTable, settled } from '../table.js'
import { check, Skipped, type Workload } from '../workload.js'

const BATCHES_PER_SECOND = 10
const RECORDS_PER_SECOND = 12_500
const BATCH_RECORDS = RECORDS_PER_SECOND / BATCHES_PER_SECOND

export const paced: Workload = {
  name: 'paced',
  sentence:
    'Random records go in at 12,500 a second, by batches of 1,250 without a sync: flashtable syncs every 5 s, and of numpy.memmap the kernel writes dirty pages back when it likes.',
  stores: ['flashtable', 'memmap'],
  records: 3_000_000,
  figures: {
    deviceAmplification: { unit: 'device bytes / record bytes', better: 'less', target: 1.3 },
    deviceBytesPerRecord: { unit: 'device bytes a record', better: 'less' },
  },
  async run({ directory, device, store, records }) {
    if (device === undefined) throw new Skipped('without a device of its own there is nothing to count')
    const before = deviceBytes(device, directory)
    await (store === 'memmap' ? loadPages : loadTable)(directory, records)
    const bytes = deviceBytes(device, directory) - before
    return { deviceAmplification: bytes / records / RECORD_BYTES, deviceBytesPerRecord: bytes / records }
  },
}

async function loadTable(directory: string, records: number): Promise<void> {
  const turn = turns()
  const table = await openTable(directory)
  for (let from = 0; from < records; from += BATCH_RECORDS) {
    await turn(from)
    await table.putColumns(randomRecords(from, Math.min(from + BATCH_RECORDS, records)))
  }
  await settled(table)
  await table.close()
}

async function loadPages(directory: string, records: number): Promise<void> {
  memmapVersion()
  const file = join(directory, 'records.memmap')
  const load = { file, count: records, batch: BATCH_RECORDS, records: randomRecords, flush: false }
  const { dropped } = await loadMemmap({ ...load, turn: turns() })
  check(dropped < records / 1000, () => `${dropped} records were dropped`)
}

/** Waits until it is time for the batch that begins with a record. */
function turns(): (from: number) => Promise<void> {
  const start = performance.now()
  return async from => {
    const wait = start + (1000 * from) / RECORDS_PER_SECOND - performance.now()
    if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait))
  }
}

/** Files stay open until the last read of them has ended, also where another one of the same call has failed. */
import { expect, test } from 'vitest'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { outcomeOf } from './faulty-life.js'
import { FlashTable } from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { DIRECTORY, MEMTABLE_RECORDS, OPTIONS, columnsOf, contents, type CrashTable } from './table.js'
import { until } from '../support/until.js'

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

/** A table with two files; the keys of the second one begin at 1000. */
async function twoFiles(disk: SimulatedFileSystem): Promise<CrashTable> {
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  let now = 0
  // Each look at the clock is a millisecond later: all reads are slow, so that none blocks after the first one.
  const environment = { ...simulatedEnvironment(disk), now: () => now++ }
  const options = { ...OPTIONS, fanout: 8 }
  const table = (await FlashTable.openIn(DIRECTORY, options, environment)) as unknown as CrashTable
  for (const first of [0, 1000, 2000]) {
    const rows = Array.from({ length: MEMTABLE_RECORDS }, (_, i) => ({ key: first + i, time: i, id: i }))
    await table.putColumns(columnsOf(rows))
  }
  await until(
    'there are two files',
    async () => (await table.stats()).files,
    files => files.length >= 2,
  )
  expect(await table.get(500)).toBeUndefined()
  return table
}

test.each([
  ['getMany', (table: CrashTable) => table.getMany([5, 1005])],
  ['getColumns within', (table: CrashTable) => table.getColumns([5, 1005], { within: 40 })],
])('%s lets go of its files when all of its reads have ended', async (_name, read) => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const table = await twoFiles(disk)
  let release!: () => void
  const compacted = new Promise<void>(resolve => (release = resolve))
  let reads = 0
  disk.onCall = ({ op }) => (op === 'read' ? heldRead(reads++) : undefined)
  /** The first one fails, once the files have been merged away; the others take longer. */
  const heldRead = async (number: number): Promise<void> => {
    await compacted
    if (number === 0) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    for (let turns = 0; turns < 20; turns++) await turn()
  }
  const reading = outcomeOf(read(table))
  await turn()
  disk.onCall = undefined
  expect(reads).toBeGreaterThan(1)
  await table.compact()
  release()
  expect(await reading).toBe('FLASHTABLE_IO_ERROR')
  for (let turns = 0; turns < 30; turns++) await turn()
  // The simulated disk refuses all calls once a file was closed under a read.
  expect((await contents(table)).split(' ').length).toBe(3 * MEMTABLE_RECORDS)
  await table.close()
  expect(disk.openHandles).toBe(0)
})

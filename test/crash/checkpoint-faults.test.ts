/** A checkpoint that fails leaves nothing of its own behind, whatever call fails: it can be made again there. */
import { describe, expect, test } from 'vitest'
import { allSealed } from '../support/all-sealed.js'
import { JOB_FORMS } from '../support/simulated-environment.js'
import { SimulatedFileSystem, describeCall, type Call } from '../support/simulated-file-system.js'
import { outcomeOf } from './faulty-life.js'
import { DIRECTORY, MEMTABLE_RECORDS, columnsOf, contents, openOn, type CrashTable } from './table.js'

const COPY = '/copies/of/today'
const SEEDS = [1, 2, 3]

interface Filled {
  readonly disk: SimulatedFileSystem
  readonly table: CrashTable
  readonly expected: string
}

/** A table with a bucket file and records in memory; nothing runs in the background. */
async function filledTable(seed: number): Promise<Filled> {
  const disk = new SimulatedFileSystem({ seed })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const table = await openOn(disk, { jobs: JOB_FORMS[seed % JOB_FORMS.length]! })
  for (const count of [MEMTABLE_RECORDS, 30]) {
    const records = Array.from({ length: count }, (_, i) => ({ key: i * 7, time: i, id: count }))
    await table.putColumns(columnsOf(records))
  }
  await allSealed(table)
  return { disk, table, expected: await contents(table) }
}

async function callsOfCheckpoint(seed: number): Promise<readonly Call[]> {
  const { disk, table } = await filledTable(seed)
  const before = disk.calls
  await table.checkpoint(COPY)
  return disk.log.slice(before)
}

describe.each(SEEDS)('a checkpoint, seed %i', seed => {
  test.each([
    ['EIO', 'any'],
    ['EIO', 'all'],
    ['ENOSPC', 'none'],
  ] as const)(
    'that fails with %s at any call, %s of which is done, is gone, and is made when asked again',
    async (code, effect) => {
      let failures = 0
      for (const call of await callsOfCheckpoint(seed)) {
        const { disk, table, expected } = await filledTable(seed)
        disk.failAt(call.step, code, { effect })
        const where = describeCall(call)
        if ((await outcomeOf(table.checkpoint(COPY))) !== undefined) {
          failures++
          // Who has made the directories above is not known where making them fails.
          const gone = call.op === 'makeDirectory' ? COPY : '/copies'
          expect(await disk.info(gone), where).toBeUndefined()
          await table.checkpoint(COPY)
        }
        const copy = await openOn(disk, {}, COPY)
        expect(await contents(copy), where).toBe(expected)
        expect(await contents(table), where).toBe(expected)
        await copy.close()
        await table.close()
        expect(disk.openHandles, where).toBe(0)
      }
      expect(failures).toBeGreaterThan(10)
    },
  )
})

test('a checkpoint that fails removes neither directories that were there nor the files of others', async () => {
  const { disk, table } = await filledTable(4)
  disk.writeFile('/copies/note', Uint8Array.of(1))
  disk.failAt(({ op, path }) => {
    if (op !== 'syncDirectory' || path !== COPY) return false
    disk.writeFile(`${COPY}/note`, Uint8Array.of(2))
    return true
  }, 'EIO')
  expect(await outcomeOf(table.checkpoint(COPY))).toBe('FLASHTABLE_IO_ERROR')
  expect(disk.files().filter(path => !path.startsWith(DIRECTORY))).toEqual([
    '/copies/note',
    `${COPY}/note`,
    '/tables/.keep',
  ])
  await table.close()
})

/** The order of a recovery: docs/durability.md, Recovery. */
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../../src/index.js'
import { simulatedEnvironment } from '../../support/simulated-environment.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { DIRECTORY, OPTIONS, manifestOf, newDisk, openTable } from '../../support/damaged-table.js'

const ORPHANS = [`${DIRECTORY}/000900.bucket`, `${DIRECTORY}/000901.spill`, `${DIRECTORY}/MANIFEST.tmp`]

/** A table with records in its log, ended without `close` or with it, and with files that no manifest names. */
async function tableWithOrphans(end: 'close' | 'kill'): Promise<SimulatedFileSystem> {
  const disk = newDisk()
  const table = await openTable(disk)
  for (let i = 0; i < 20; i++) await table.put(i, { time: i, id: 1 })
  await table.sync()
  const left = end === 'kill' ? disk.clone() : disk
  await table.close()
  for (const path of ORPHANS) left.writeFile(path, Uint8Array.of(1, 2, 3))
  return left
}

function logOf(disk: SimulatedFileSystem): string {
  const path = disk.files().find(name => name.endsWith('.wal'))
  if (path === undefined) throw new Error(`no segment in ${disk.files().join(', ')}`)
  return path
}

/** The calls of an open that name one of these paths or change names, in order. */
async function callsOfOpen(disk: SimulatedFileSystem): Promise<string[]> {
  const before = disk.log.length
  const table = await FlashTable.openIn(DIRECTORY, OPTIONS, simulatedEnvironment(disk))
  const calls = disk.log.slice(before).map(({ op, path }) => `${op} ${path.slice(DIRECTORY.length + 1)}`)
  await table.close()
  return calls
}

test.each(['close', 'kill'] as const)(
  'after an end by %s the log is replayed, then orphans are removed, then the manifest is installed',
  async end => {
    const disk = await tableWithOrphans(end)
    const segment = logOf(disk).slice(DIRECTORY.length + 1)
    const calls = await callsOfOpen(disk)
    const replayed = calls.lastIndexOf(`read ${segment}`)
    const removed = ORPHANS.map(path => calls.indexOf(`unlink ${path.slice(DIRECTORY.length + 1)}`))
    const installed = calls.indexOf('rename MANIFEST.tmp')
    expect(replayed).toBeGreaterThan(0)
    expect(Math.min(...removed)).toBeGreaterThan(replayed)
    expect(installed).toBeGreaterThan(Math.max(...removed))
  },
)

test('a log that is damaged leaves the directory as it was, orphans included', async () => {
  const disk = await tableWithOrphans('close')
  disk.flipByte(logOf(disk), 100)
  const before = disk.files().toSorted()
  await expect(openTable(disk)).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
  expect(disk.files().toSorted()).toEqual(before)
})

describe('after the recovery', () => {
  test('of a clean end the log stays and the records are in the memtable', async () => {
    const disk = await tableWithOrphans('close')
    const table = await openTable(disk)
    expect(await table.stats()).toMatchObject({ files: [], memtable: { operations: 20 } })
    await table.close()
  })

  test('of an unclean end the records are in a bucket file, under the next epoch', async () => {
    const disk = await tableWithOrphans('kill')
    const { epoch } = manifestOf(disk)
    const table = await openTable(disk)
    expect(await table.stats()).toMatchObject({ levels: [1], memtable: { operations: 0 }, recordsPut: 20 })
    expect(manifestOf(disk).epoch).toBe(epoch + 1)
    await table.close()
  })
})

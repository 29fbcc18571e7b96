/** A checkpoint by a reader copies what the reader has open, whatever has happened to the directory, and writes nothing there. */
import { expect, test } from 'vitest'
import { verifyTable } from '../../src/offline/verify.js'
import { allSealed } from '../support/all-sealed.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { outcomeOf } from './faulty-life.js'
import { DIRECTORY, MEMTABLE_RECORDS, columnsOf, contents, openOn, type CrashTable } from './table.js'

const COPY = '/copies/one'

async function filled(): Promise<{
  disk: SimulatedFileSystem
  table: CrashTable
  reader: CrashTable
  expected: string
}> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  // The writer's event log would write meanwhile, too.
  const table = await openOn(disk, { fanout: 8, eventLog: false })
  for (const count of [MEMTABLE_RECORDS, MEMTABLE_RECORDS, 30]) await put(table, count)
  await allSealed(table)
  const reader = await openOn(disk, { readOnly: true })
  return { disk, table, reader, expected: await contents(table) }
}

async function put(table: CrashTable, count: number): Promise<void> {
  await table.putColumns(
    columnsOf(Array.from({ length: count }, (_, i) => ({ key: i * 7, time: i, id: count }))),
  )
}

async function expectCopy(disk: SimulatedFileSystem, expected: string): Promise<void> {
  const copy = await openOn(disk, { createIfMissing: false }, COPY)
  expect(await contents(copy)).toBe(expected)
  await copy.close()
  expect((await verifyTable(COPY, { fileSystem: disk })).problems).toEqual([])
}

test('of an open table writes nothing into its directory', async () => {
  const { disk, reader, expected } = await filled()
  const before = disk.calls
  await reader.checkpoint(COPY)
  const reading = new Set(['open', 'read', 'size', 'close', 'list', 'info', 'link'])
  const calls = disk.log
    .slice(before)
    .filter(({ path, op }) => path.startsWith(DIRECTORY) && !reading.has(op))
  expect(calls).toEqual([])
  await reader.close()
  await expectCopy(disk, expected)
})

test('holds what the reader shows where the writer has merged its files away', async () => {
  const { disk, table, reader, expected } = await filled()
  await table.compact()
  await put(table, MEMTABLE_RECORDS)
  await allSealed(table)
  expect(disk.files().filter(path => path.endsWith('.bucket')).length).toBeLessThan(3)
  await reader.checkpoint(COPY)
  await reader.close()
  await expectCopy(disk, expected)
})

test('holds what the reader shows where another table has the names of its files', async () => {
  const { disk, table, reader, expected } = await filled()
  const { files } = await table.stats()
  await table.close()
  for (const { name } of files) {
    await disk.unlink(`${DIRECTORY}/${name}`)
    disk.writeFile(`${DIRECTORY}/${name}`, new Uint8Array(8192).fill(1))
  }
  await reader.checkpoint(COPY)
  await reader.close()
  await expectCopy(disk, expected)
})

test('beside refresh() holds what the reader showed when it was asked for', async () => {
  const { disk, table, reader, expected } = await filled()
  await put(table, MEMTABLE_RECORDS)
  await table.compact()
  // The reader has moved on before the first file is copied.
  disk.onCall = ({ op, path }) => (op === 'makeDirectory' && path === COPY ? reader.refresh() : undefined)
  await reader.checkpoint(COPY)
  await reader.close()
  await expectCopy(disk, expected)
  await table.close()
  expect(disk.openHandles).toBe(0)
})

test('of a reader whose file is damaged is refused, and leaves nothing', async () => {
  const { disk, table, reader } = await filled()
  const { files } = await table.stats()
  await table.close()
  const path = `${DIRECTORY}/${files[0]!.name}`
  const handle = await disk.open(path, 'update')
  await handle.write(new Uint8Array(8).fill(1), (await handle.size()) - 100)
  await handle.close()
  expect(await outcomeOf(reader.checkpoint(COPY))).toBe('FLASHTABLE_CORRUPTION')
  expect(await disk.info(COPY)).toBeUndefined()
  await reader.close()
})

test('a step of a scan after close() does not begin', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const table = await openOn(disk, { bufferBytes: 2 ** 18, walBytes: 2 ** 18 })
  await put(table, 10_000)
  await table.compact()
  const scan = table.scanColumns()
  await scan.next()
  await table.close()
  expect(await outcomeOf(scan.next())).toBe('FLASHTABLE_NOT_OPEN')
})

/** How a checkpoint is written: what is linked, what is copied, and what remains of one that fails. */
import { expect, test } from 'vitest'
import { parseManifest } from '../../../src/manifest/manifest.js'
import { writeCheckpoint } from '../../../src/table/checkpoint.js'
import type { TableParts } from '../../../src/table/table-parts.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { closeParts } from './close.js'
import { newDisk, openParts, putKeys, sealed } from './parts.js'

const COPY = '/tables/copy'
const TABLE_ID = 'c0'.repeat(16)

function write({ state, writer }: TableParts, directory = COPY): Promise<void> {
  const { jobs } = writer!
  const options = { tableId: TABLE_ID, jobs, filterBitsPerRecord: 10, replace: false }
  return writeCheckpoint(state, directory, options)
}

function manifestOf(disk: SimulatedFileSystem) {
  const path = `${COPY}/MANIFEST`
  return parseManifest(disk.readFile(path), path)
}

test('bucket files are linked and keep the identity of their table; the copy has its own', async () => {
  const disk = newDisk()
  const parts = await openParts(disk)
  await putKeys(parts, 0, 300)
  await sealed(parts)
  const before = disk.log.length
  await write(parts)
  const { tableId } = parts.state.manifest
  const { files, ...copy } = manifestOf(disk)
  expect(copy).toMatchObject({ tableId: TABLE_ID, clean: true, nextSequence: 300, log: { closed: [] } })
  const links = disk.log.slice(before).filter(({ op }) => op === 'link')
  expect(links.length).toBeGreaterThan(0)
  expect(files.filter(file => file.tableId === tableId)).toHaveLength(links.length)
  expect(files.reduce((sum, { records }) => sum + records, 0)).toBe(300)
  await closeParts(parts)
})

test('the manifest of the copy comes last: before it the directory is no table', async () => {
  const disk = newDisk()
  const parts = await openParts(disk)
  await putKeys(parts, 0, 200)
  const before = disk.log.length
  await write(parts)
  const writes = disk.log.slice(before).filter(({ op, path }) => op === 'rename' || path.endsWith('.bucket'))
  expect(writes.at(-1)).toMatchObject({ op: 'rename' })
  await closeParts(parts)
})

test('a checkpoint that fails removes what it has made, and the table goes on', async () => {
  const disk = newDisk()
  const parts = await openParts(disk)
  await putKeys(parts, 0, 200)
  disk.failAt(({ op, path }) => op === 'write' && path.startsWith(COPY), 'ENOSPC')
  await expect(write(parts)).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
  expect(await disk.info(COPY)).toBeUndefined()
  await putKeys(parts, 200, 210)
  await write(parts)
  expect(manifestOf(disk).nextSequence).toBe(210)
  await closeParts(parts)
  expect(disk.openHandles).toBe(0)
})

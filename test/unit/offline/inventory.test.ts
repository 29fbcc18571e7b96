/** What repair finds: by the manifest, or by the files alone. */
import { describe, expect, test } from 'vitest'
import { assertUnchanged, takeInventory } from '../../../src/offline/repair/inventory.js'
import type { Inventory } from '../../../src/offline/repair/types.js'
import { DIRECTORY, makeTable, manifestOf, openTable, SCHEMA } from '../../support/damaged-table.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'

/** The bucket files of the inventory, in its order. */
function bucketsOf({ items }: Inventory): string[] {
  return items.flatMap(item => ('path' in item && item.path.endsWith('.bucket') ? [item.path] : []))
}

function takeOf(disk: SimulatedFileSystem, options: object = {}): Promise<Inventory> {
  return takeInventory(disk, DIRECTORY, options)
}

describe('an inventory', () => {
  test('of an intact table names every file of the manifest, oldest first, and no loss', async () => {
    const disk = await makeTable(true)
    const { files } = manifestOf(disk)
    const inventory = await takeOf(disk)
    expect(bucketsOf(inventory)).toEqual(
      files.map(({ number }) => `${DIRECTORY}/${String(number).padStart(6, '0')}.bucket`),
    )
    expect(inventory).toMatchObject({ losses: [], schemaGiven: false, pageBytes: 4096, duplicates: 'keep' })
  })

  test('without the manifest finds the same bucket files in the same order', async () => {
    const disk = await makeTable(true)
    const expected = bucketsOf(await takeOf(disk))
    disk.removeFile(`${DIRECTORY}/MANIFEST`)
    const found = await takeOf(disk, SCHEMA)
    expect(bucketsOf(found)).toEqual(expected)
    expect(found.losses.map(({ reason }) => reason)).toContain('the manifest')
  })

  test('without the manifest and without a schema says what to give', async () => {
    const disk = await makeTable(false)
    disk.removeFile(`${DIRECTORY}/MANIFEST`)
    await expect(takeOf(disk)).rejects.toMatchObject({
      code: 'FLASHTABLE_CORRUPTION',
      message: expect.stringContaining('give the schema of the table') as string,
    })
  })

  test('of a table that a writer has changed meanwhile is refused', async () => {
    const disk = await makeTable(false)
    const inventory = await takeOf(disk)
    await assertUnchanged(disk, DIRECTORY, inventory)
    const table = await openTable(disk)
    await table.close()
    await expect(assertUnchanged(disk, DIRECTORY, inventory)).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
    })
  })
})

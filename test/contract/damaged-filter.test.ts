/** A damaged page of a filter: lookups that need it say so, all else goes on, and the next merge writes a new filter. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { verifyTable } from '../../src/index.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables({ onDisk: true })
const FILTER_PAGE = 2
const PAGE_BYTES = 4096

/** Flips a byte in the first page of the filter of the table's only bucket file; returns where the page begins. */
async function damageFilter(directory: string): Promise<number> {
  const names = (await readdir(directory)).filter(name => name.endsWith('.bucket'))
  expect(names).toHaveLength(1)
  const path = join(directory, names[0]!)
  const content = await readFile(path)
  let offset = 0
  while (content[offset + 4] !== FILTER_PAGE) offset += PAGE_BYTES
  content[offset + 100]! ^= 1
  await writeFile(path, content)
  return offset
}

async function damagedTable(): Promise<{ table: FingerprintTable; offset: number }> {
  const table = await tables.fingerprints(SMALL)
  for (let n = 0; n < 2000; n += 250) await table.putColumns(fingerprintColumns(n, n + 250, spreadKey))
  await table.compact()
  await table.close()
  const offset = await damageFilter(table.location)
  return { table: await tables.open(table.location, { ...FINGERPRINT, ...SMALL }), offset }
}

test('lookups that need it are refused, scans and merges are not, and a merge mends it', async () => {
  const { table, offset } = await damagedTable()
  const damage = { code: 'FLASHTABLE_CORRUPTION', offset }
  await expect(table.get(spreadKey(1))).rejects.toMatchObject(damage)
  expect(() => table.getSync(spreadKey(5000))).toThrow(expect.objectContaining(damage))
  await expect(table.getColumns([spreadKey(5000)])).rejects.toMatchObject(damage)
  expect(await collect(table.keys())).toHaveLength(2000)
  for (let n = 2000; n < 2500; n += 250) await table.putColumns(fingerprintColumns(n, n + 250, spreadKey))
  await table.compact()
  for (let n = 0; n < 2500; n += 50) expect(await table.get(spreadKey(n))).toEqual(fingerprint(n))
  expect(await table.get(spreadKey(5000))).toBeUndefined()
})

test('verify names it once, and finds the records whole', async () => {
  const { table, offset } = await damagedTable()
  await table.close()
  const { problems, records } = await verifyTable(table.location)
  expect(problems).toMatchObject([{ offset }])
  expect(records).toBe(2000)
})

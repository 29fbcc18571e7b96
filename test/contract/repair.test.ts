/** Repair on a real disk, with threads that write the files of the new table. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { repairTable } from '../../src/offline/repair/repair.js'
import { verifyTable } from '../../src/offline/verify.js'

let parent: string

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'flashtable-repair-'))
})

afterAll(() => rm(parent, { recursive: true }))

test('a repair of more than a memtable saves all, with the manifest and without it', async () => {
  const schema = { keyEncoding: 'u32', valueEncoding: 'u32' } as const
  const path = join(parent, 'table')
  const table = await FlashTable.open(path, { ...schema, memtableBytes: 16_384 })
  const key = Uint32Array.from({ length: 2000 }, (_, i) => i)
  for (let from = 0; from < 20_000; from += 2000) {
    const keys = key.map(i => from + i)
    await table.putColumns({ key: keys, value: keys })
  }
  await table.close()
  for (const name of ['saved', 'saved-without']) {
    const into = join(parent, name)
    if (name === 'saved-without') await rm(join(path, 'MANIFEST'))
    const { records, losses } = await repairTable(path, into, { ...schema, memtableBytes: 16_384 })
    expect({ records, losses: losses.map(({ reason }) => reason) }).toEqual({
      records: 20_000,
      losses: name === 'saved' ? [] : ['the manifest'],
    })
    const { problems, orphans } = await verifyTable(into)
    expect({ problems, orphans }).toEqual({ problems: [], orphans: [] })
    expect((await readdir(into)).filter(file => file.endsWith('.bucket')).length).toBeGreaterThan(0)
  }
})

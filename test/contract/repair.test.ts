/** Repair on a real disk, with threads that write the files of the new table. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FlashTable, repairTable, verifyTable } from '../../src/index.js'

let parent: string

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'flashtable-repair-'))
})

afterAll(() => rm(parent, { recursive: true }))

test('a repair of more than a memtable saves all, with the manifest and without it', async () => {
  const schema = { keyEncoding: 'u32', valueEncoding: 'u32' } as const
  const path = join(parent, 'table')
  const table = await FlashTable.open(path, { ...schema, bufferBytes: 16_384 })
  const key = Uint32Array.from({ length: 2000 }, (_, i) => i)
  for (let from = 0; from < 20_000; from += 2000) {
    const keys = key.map(i => from + i)
    await table.putColumns({ key: keys, value: keys })
  }
  await table.close()
  for (const name of ['saved', 'saved-without']) {
    const into = join(parent, name)
    if (name === 'saved-without') await rm(join(path, 'MANIFEST'))
    const { records, losses } = await repairTable(path, into, { ...schema, bufferBytes: 16_384 })
    expect({ records, losses: losses.map(({ reason }) => reason) }).toEqual({
      records: 20_000,
      losses: name === 'saved' ? [] : ['the manifest'],
    })
    const { problems, orphans } = await verifyTable(into)
    expect({ problems, orphans }).toEqual({ problems: [], orphans: [] })
    expect((await readdir(into)).filter(file => file.endsWith('.bucket')).length).toBeGreaterThan(0)
  }
})

test('both take file: URLs, report their progress, and end with their signal', async () => {
  const location = pathToFileURL(join(parent, 'by-url'))
  const table = await FlashTable.open(location, { keyEncoding: 'u32' })
  await table.putColumns({ key: Uint32Array.from({ length: 3000 }, (_, i) => i) })
  await table.compact()
  await table.close()
  const seen: { done: number; total: number }[] = []
  const onProgress = (progress: { done: number; total: number }): void => void seen.push(progress)
  const { problems, records, frames } = await verifyTable(location, { onProgress })
  expect({ problems, records, frames }).toEqual({ problems: [], records: 3000, frames: 0 })
  const saved = await repairTable(location, pathToFileURL(join(parent, 'by-url-saved')), { onProgress })
  expect(saved).toEqual({ records: 3000, losses: [] })
  for (const { done, total } of seen) expect(done).toBeLessThanOrEqual(total)
  expect(seen.length).toBeGreaterThan(0)
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(verifyTable(location, { signal })).rejects.toThrow('enough')
  await expect(repairTable(location, join(parent, 'never'), { signal })).rejects.toThrow('enough')
  expect(await readdir(parent)).not.toContain('never')
})

test('verify counts the frames of single puts one by one', async () => {
  const path = join(parent, 'frames')
  const table = await FlashTable.open(path, { keyEncoding: 'u32' })
  for (let i = 0; i < 50; i++) await table.put(i)
  await table.close()
  expect(await verifyTable(path)).toMatchObject({ problems: [], frames: 50, records: 50 })
})

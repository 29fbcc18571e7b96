/** Publish and restore with a directory as the store, and publishers that are killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FlashTable, directoryStore, publishedTable, verifyPublished } from '../../src/index.js'
import { describePublishing, prefixOf } from './publishing.js'
import { programFile } from '../support/programs.js'

const KILLS = 4

let root: string
let stores = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-publish-'))
})
afterAll(() => rm(root, { recursive: true }))

describePublishing('in a directory', () => Promise.resolve(directoryStore(join(root, `${stores++}`))))

test('what is gone is told as that, and may be there again; takeOver begins anew', async () => {
  const [home, away] = [join(root, 'gone-store'), join(root, 'gone-away')]
  const store = directoryStore(home)
  const table = await FlashTable.open(join(root, 'gone'), { keyEncoding: 'u32' })
  await table.put(1)
  await table.publish(store)
  const gone = { code: 'FLASHTABLE_NOT_FOUND', message: expect.stringContaining('is gone: check') as string }
  for (const puts of [0, 1]) {
    await rename(home, away)
    if (puts > 0) await table.put(2)
    await expect(table.publish(store)).rejects.toMatchObject(gone)
    await expect(table.publish(store)).rejects.toMatchObject(gone)
    await rm(home, { recursive: true, force: true })
    await rename(away, home)
    expect(await table.publish(store)).toMatchObject({ version: 1 + puts })
  }
  await rm(home, { recursive: true })
  expect(await table.publish(store, { takeOver: true })).toMatchObject({ version: 1, uploadedFiles: 2 })
  expect((await verifyPublished(store)).problems).toEqual([])
  await table.close()
})

test('another retention is published, also where nothing else has changed', async () => {
  const store = directoryStore(join(root, 'retention-store'))
  const table = await FlashTable.open(join(root, 'retention'), { keyEncoding: 'u32' })
  await table.put(1)
  await table.publish(store)
  expect(await table.publish(store, { retention: '7d' })).toMatchObject({ version: 2, uploadedFiles: 0 })
  expect(await table.publish(store, { retention: '7d' })).toMatchObject({ version: 2 })
  expect(await table.publish(store)).toMatchObject({ version: 2 })
  expect((await publishedTable(store)).retentionMs).toBe(7 * 86_400_000)
  await table.close()
})

test('a publisher that is killed at any moment leaves versions that are prefixes, and goes on', async () => {
  const [table, url] = [join(root, 'killed'), join(root, 'killed-store')]
  const store = directoryStore(url)
  const program = await programFile('publishing-process.ts')
  let acknowledged = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, [program, table, url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    let lines = 0
    for await (const line of createInterface(child.stdout)) {
      acknowledged = Number(line)
      // In the middle of the next publish, a little later each time.
      if (++lines === 3 + kill) setTimeout(() => child.kill('SIGKILL'), 3 * kill)
    }
    await ended
    const { versions } = await publishedTable(store)
    expect(versions.at(-1)!.sequence).toBeGreaterThanOrEqual(acknowledged)
    expect((await verifyPublished(store)).problems).toEqual([])
    const copy = join(root, `killed-${kill}`)
    const { sequence } = await FlashTable.restore(store, copy)
    expect(await prefixOf(copy)).toBe(sequence)
  }
  expect(acknowledged).toBeGreaterThan(0)
})

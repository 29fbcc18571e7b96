/** A replica of a reader, beside a writer that goes on in the worst moments. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlashTable } from '../../src/flash-table.js'
import type { FileSystem } from '../../src/io/file-system.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { directoryStore } from '../../src/store/directory.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'

type SetTable = FlashTable<'u32', undefined>

let root: string
let opened: { close(): Promise<void> }[]
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-beside-'))
  opened = []
})
afterEach(async () => {
  for (const table of opened.toReversed()) await table.close().catch(() => {})
  await rm(root, { recursive: true })
})

async function newWriter(): Promise<SetTable> {
  const writer = await FlashTable.open(join(root, 'table'), { keyEncoding: 'u32', walBytes: 4096 })
  opened.push(writer)
  return writer
}

async function newReader(environment: Partial<Environment>): Promise<FlashTable> {
  const parts = { ...nodeEnvironment, ...environment }
  const reader = await FlashTable.openIn(join(root, 'table'), { readOnly: true }, parts)
  opened.push(reader)
  return reader
}

async function put(writer: SetTable, first: number, count: number): Promise<void> {
  await writer.putColumns({ key: Uint32Array.from({ length: count }, (_, at) => first + at) })
}

async function publishedCount(): Promise<number> {
  const published = await FlashTable.openRemote(directoryStore(join(root, 'store')))
  opened.push(published)
  return published.count()
}

test('segments that the writer has used again since they were read are no failure', async () => {
  const writer = await newWriter()
  await put(writer, 0, 500)
  const segments = async (): Promise<string[]> =>
    (await readdir(writer.location)).filter(name => name.endsWith('.wal')).toSorted()
  const read = await segments()
  let isDone = false
  // The lock is taken when the reader has seen the log, and before it syncs it.
  const reader = await newReader({
    acquireLock: async (directory, options) => {
      const lock = await nodeEnvironment.acquireLock(directory, options)
      await writer.compact()
      for (let at = 500; at < 5000; at += 500) await put(writer, at, 500)
      isDone = true
      return lock
    },
  })
  const replica = await reader.replicate(directoryStore(join(root, 'store')), { interval: '1h' })
  expect(isDone).toBe(true)
  expect((await segments()).filter(name => read.includes(name))).toEqual([])
  expect(replica.status().sequence).toBe(5000)
  expect(await publishedCount()).toBe(5000)
})

test('a put within one tick of the clock of the file system is seen by the next look', async () => {
  const writer = await newWriter()
  await put(writer, 0, 10)
  // No file ever looks as if it had changed.
  const stamp: FileSystem['stamp'] = async path => {
    const found = await nodeFileSystem.stamp(path)
    return found && { ...found, bytes: 0, changed: 'today' }
  }
  let replays = 0
  const fileSystem: FileSystem = {
    ...nodeFileSystem,
    stamp,
    open: (path, mode, fileMode) => {
      if (path.endsWith('MANIFEST')) replays++
      return nodeFileSystem.open(path, mode, fileMode)
    },
  }
  const reader = await newReader({ fileSystem })
  const replica = await reader.replicate(directoryStore(join(root, 'store')), { interval: '1h' })
  await put(writer, 10, 10)
  await replica.sync()
  expect(await publishedCount()).toBe(20)
  // From then on what does not change is not read again.
  const before = replays
  await replica.sync()
  expect(replays).toBe(before)
})

test('a table that is closed while its replica begins has none', async () => {
  const writer = await newWriter()
  await put(writer, 0, 10)
  const store = directoryStore(join(root, 'store'))
  let closing: Promise<void> | undefined
  const now = store.now.bind(store)
  store.now = async options => {
    closing ??= writer.close()
    return now(options)
  }
  await expect(writer.replicate(store)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
  await closing
  await writer.close()
  // Its lock is free.
  const again = await newWriter()
  await again.publish(store)
})

test('what is changed while a version is being made is in the next one', async () => {
  let duringJob: (() => Promise<void>) | undefined
  const writer = (await FlashTable.openIn(
    join(root, 'table'),
    { keyEncoding: 'u32' },
    {
      ...nodeEnvironment,
      newExecutor: () => {
        const executor = nodeEnvironment.newExecutor()
        const run = executor.run.bind(executor)
        executor.run = async (job, control) => {
          await duringJob?.()
          return run(job, control)
        }
        return executor
      },
    },
  )) as unknown as SetTable
  opened.push(writer)
  const store = directoryStore(join(root, 'store'))
  const replica = await writer.replicate(store, { interval: '1h' })
  await put(writer, 0, 10)
  duringJob = () => {
    duringJob = undefined
    return writer.setMeta({ note: 'new' })
  }
  await replica.sync()
  await replica.sync()
  const published = await FlashTable.openRemote(store)
  opened.push(published)
  expect(published.meta).toEqual({ note: 'new' })
  // The same of a clear. It waits for the job, and the version has what there was before.
  await put(writer, 10, 10)
  let clearing: Promise<void> | undefined
  duringJob = () => {
    duringJob = undefined
    clearing = writer.clear()
    return Promise.resolve()
  }
  await replica.sync()
  await clearing
  await replica.sync()
  await published.refresh()
  expect(await published.count()).toBe(0)
})

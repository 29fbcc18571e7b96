/** What a publish sends, and that tables of every kind come back whole: on a simulated disk, to a simulated store. */
import { expect, test } from 'vitest'
import { EventLogReader } from '../../../src/event-log/reader.js'
import { FlashTable } from '../../../src/flash-table.js'
import { environmentOf, Machine, newStored, remoteOf, upTo } from '../../support/published.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { SimulatedStore } from '../../support/simulated-store.js'
import type { PublishResult } from '../../../src/remote/publisher.js'
import type { PublishOptions } from '../../../src/table/publish.js'
import type { OpenOptions } from '../../../src/index.js'

/** The requests of the call, by name. */
async function billOf(store: SimulatedStore, call: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = { ...store.counts }
  await call()
  const names = Object.keys(store.counts).filter(name => store.counts[name] !== (before[name] ?? 0))
  return Object.fromEntries(names.map(name => [name, store.counts[name]! - (before[name] ?? 0)]))
}

test('a publish costs one request a file, and two besides; of an unchanged table one', async () => {
  const machine = new Machine(new SimulatedStore(newStored()))
  await machine.put(40)
  await machine.publish({ retention: 0 })
  for (let version = 2; version < 6; version++) {
    await machine.put(1)
    let uploaded: PublishResult | undefined
    const bill = await billOf(machine.store, async () => {
      uploaded = await machine.publish()
    })
    // Deletes are of what merges have replaced: each object is deleted once.
    const { delete: deletes = 0, ...others } = bill
    expect(uploaded!.version).toBe(version)
    // A merge beside it may have made another file.
    expect(others).toEqual({ put: uploaded!.uploadedFiles, now: 1, swap: 1 })
    expect(deletes).toBeLessThanOrEqual(3)
  }
  expect(await billOf(machine.store, () => machine.publish())).toEqual({ load: 1 })
  expect(await machine.publish()).toMatchObject({ version: 5, uploadedBytes: 0, uploadedFiles: 0 })
  // A name is a version, without an upload.
  expect(await billOf(machine.store, () => machine.publish({ name: 'x' }))).toEqual({ now: 1, swap: 1 })
  await machine.close()
})

test('a new process looks once, claims, and looks for orphans once', async () => {
  const machine = new Machine(new SimulatedStore(newStored()))
  await machine.put(40)
  await machine.publish()
  await machine.close()
  await machine.put(1)
  expect(await billOf(machine.store, () => machine.publish())).toEqual({
    load: 2,
    swap: 2,
    list: 1,
    abortUploads: 1,
    put: 1,
    now: 1,
  })
  await machine.close()
})

test('metadata alone make a new version, and the retention of the last publish stays', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(10)
  await machine.publish({ retention: '7d' })
  await machine.table!.setMeta({ source: 'radio' })
  expect(await machine.publish()).toMatchObject({ version: 2, uploadedFiles: 0 })
  expect(remoteOf(stored)!.retentionMs).toBe(7 * 86_400_000)
  expect(remoteOf(stored)!.versions.map(({ meta }) => meta)).toEqual([{}, { source: 'radio' }])
  await machine.close()
})

test('progress ends with all bytes, and what it throws ends the publish', async () => {
  const machine = new Machine(new SimulatedStore(newStored()))
  await machine.put(100)
  const seen: [number, number][] = []
  const { uploadedBytes } = await machine.publish({
    onProgress: ({ done, total }) => void seen.push([done, total]),
  })
  expect(seen.at(-1)).toEqual([uploadedBytes, uploadedBytes])
  expect(seen.map(([done]) => done)).toEqual(seen.map(([done]) => done).toSorted((a, b) => a - b))
  await machine.put(1)
  const enough = (): never => {
    throw new Error('enough')
  }
  await expect(machine.publish({ onProgress: enough })).rejects.toThrow('enough')
  expect((await machine.publish()).sequence).toBe(101)
  await machine.close()
})

test('wrong options are refused before anything is sent', async () => {
  const machine = new Machine(new SimulatedStore(newStored()))
  const table = await machine.open()
  const wrong: readonly object[] = [
    { name: '' },
    { name: 'x'.repeat(201) },
    { name: 'a\nb' },
    { name: 'x', expires: 'soon' },
    { name: 'x', expires: new Date(NaN) },
    { expires: '30d' },
    { retention: '7 days' },
    { retention: -1 },
    { retention: Infinity },
    { takeOver: 'yes' },
    { nmae: 'x' },
  ]
  for (const options of wrong)
    await expect(table.publish(machine.store, options as PublishOptions)).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  for (const store of [undefined, null, 's3://bucket/prefix', {}, { ...machine.store, url: 's' }])
    await expect(table.publish(store as never)).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
      message: expect.stringMatching(/made by directoryStore\(\), by s3Store\(\)/) as string,
    })
  for (const options of [{ version: 1, name: 'x' }, { version: 0 }, { at: 'now' }, { name: 7 }])
    await expect(FlashTable.restore(machine.store, '/x', options as never)).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  expect(machine.store.counts).toEqual({})
  await machine.close()
})

interface Kind {
  readonly options: Record<string, unknown>
  readonly fill: (table: FlashTable) => Promise<unknown>
  readonly expected: readonly unknown[]
}

const KINDS: Readonly<Record<string, Kind>> = {
  'an empty table': { options: { keyEncoding: 'u32' }, fill: () => Promise.resolve(), expected: [] },
  'only deletes': {
    options: { keyEncoding: 'u32' },
    fill: async table => {
      await table.del(7)
      await table.clear({ gte: 10, lt: 20 })
    },
    expected: [],
  },
  'deletes of fields and ranges': {
    options: { keyEncoding: 'u32', valueEncoding: 'u32' },
    fill: async table => {
      for (const key of upTo(30)) await table.put(key, key % 3)
      await table.del(7)
      await table.delWhere({ value: 1 } as never)
      await table.clear({ gte: 10 })
    },
    expected: [0, 2, 3, 5, 6, 8, 9].map(key => [key, key % 3]),
  },
  'a table after clear()': {
    options: { keyEncoding: 'u32' },
    fill: async table => {
      await table.put(1, undefined)
      await table.clear()
    },
    expected: [],
  },
  'a table that replaces': {
    options: { keyEncoding: 'u32', valueEncoding: 'u32', duplicates: 'replace' },
    fill: async table => {
      for (const value of [1, 2, 3]) await table.put(9, value)
    },
    expected: [[9, 3]],
  },
  'a table that combines': {
    options: { keyEncoding: 'u32', valueEncoding: 'u32', combine: { value: 'sum' } },
    fill: async table => {
      for (const value of [1, 2, 3]) await table.put(9, value)
    },
    expected: [[9, 6]],
  },
}

test.each(Object.keys(KINDS))('%s comes back as it was', async name => {
  const { options, fill, expected } = KINDS[name]!
  const store = new SimulatedStore(newStored())
  const environment = environmentOf(new SimulatedFileSystem())
  const table = (await FlashTable.openIn(
    '/table',
    { bufferBytes: 1024, ...options } as OpenOptions<'u32', 'u32'>,
    environment,
  )) as unknown as FlashTable
  // A version before all, so that files are dropped.
  await table.publish(store, { retention: 0 })
  await fill(table)
  const { sequence } = await table.publish(store, { retention: 0 })
  await FlashTable.restoreIn(store, '/copy', { verify: true }, environment)
  const copy = (await FlashTable.openIn('/copy', {}, environment)) as unknown as FlashTable
  const rows: unknown[] = []
  for await (const row of copy.entries()) rows.push(options['valueEncoding'] === undefined ? row[0] : row)
  expect(rows).toEqual(expected)
  expect((await copy.stats()).sequence.next).toBe(sequence)
  // Files of a table with another id are published as well, from the copy.
  await fill(copy)
  await copy.put(5, options['valueEncoding'] === undefined ? undefined : 5)
  expect((await copy.publish(store, { takeOver: true })).sequence).toBeGreaterThan(sequence)
  await FlashTable.restoreIn(store, '/third', { verify: true }, environment)
  await copy.close()
  await table.close()
})

test('the event log tells each new version, and what was uploaded for it', async () => {
  const machine = new Machine(new SimulatedStore(newStored()))
  await machine.put(5)
  const { uploadedBytes } = await machine.publish()
  await machine.publish()
  await machine.publish({ name: 'again' })
  await (await machine.open()).close()
  const reader = new EventLogReader(machine.disk, machine.directory)
  const events = await reader.readNew()
  await reader.close()
  expect(events.filter(({ event }) => event === 'publish')).toMatchObject([
    { reason: 'version 1', inputFiles: 1, bytes: uploadedBytes },
    { reason: 'version 2', inputFiles: 0, bytes: 0 },
  ])
})

/** Stores that users have made: which of them are taken, and that they are told apart. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlashTable, PartitionedTable, publishedTable, struct, type ObjectStore } from '../../src/index.js'
import { SimulatedStore } from '../support/simulated-store.js'

let directory: string
let table: Awaited<ReturnType<typeof openTable>>

function openTable(path: string) {
  return FlashTable.open(path, { keyEncoding: 'u64', valueEncoding: struct({ id: 'u32' }) })
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-own-'))
  table = await openTable(join(directory, 't'))
})

afterEach(async () => {
  await table.close()
  await rm(directory, { recursive: true, force: true })
})

test.each([
  ['its url is not a text', { url: new URL('s3://b/x') }],
  ['its url is not a text', { url: '' }],
  ['it has no method abortUploads', { abortUploads: undefined }],
  ['its url has a password', { url: 'https://me:word@host/x' }],
])('a store is refused where %s, and the password is not told', async (reason, changed) => {
  const store = Object.assign(new SimulatedStore(), changed) as ObjectStore
  const failure = await table.publish(store).catch((error: unknown) => error as Error)
  expect(failure).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
  expect((failure as Error).message).toContain(reason)
  expect((failure as Error).message).not.toContain('word@')
})

test('a table with partitions needs a store with places below', async () => {
  const store = Object.assign(new SimulatedStore(), { below: undefined }) as unknown as ObjectStore
  await expect(PartitionedTable.open(store)).rejects.toMatchObject({
    code: 'FLASHTABLE_INVALID_OPTION',
    message: expect.stringContaining('has no method below') as string,
  })
})

test('two stores with one url are told apart, and a publish does not go to the other one', async () => {
  const [first, second] = [new SimulatedStore(), new SimulatedStore()]
  await table.put(1n, { id: 1 })
  await table.publish(first)
  await table.put(2n, { id: 2 })
  await expect(table.publish(second)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
  expect((await publishedTable(first)).versions).toHaveLength(1)
  await table.publish(second, { takeOver: true })
  expect((await publishedTable(second)).versions).toMatchObject([{ records: 2 }])
})

test('a publish goes on with the store that it is given, where the last one was closed', async () => {
  const place = new SimulatedStore()
  let isClosed = false
  const connect = (ends: boolean): ObjectStore =>
    new Proxy(place, {
      get: (_, name) => {
        const value: unknown = Reflect.get(place, name)
        if (typeof value !== 'function') return value
        return ends && isClosed ? () => Promise.reject(new Error('closed')) : (value.bind(place) as unknown)
      },
    })
  await table.put(1n, { id: 1 })
  await table.publish(connect(true))
  isClosed = true
  await table.put(2n, { id: 2 })
  const next = connect(false)
  expect(await table.publish(next)).toMatchObject({ version: 2, uploadedFiles: 1 })
  // It has the claim of the first one.
  expect(await publishedTable(next)).toMatchObject({ epoch: 1 })
})

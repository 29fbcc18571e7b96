/** The options `at` and `name` of a table with partitions: each is read as it was, and stays so. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  collectGarbage,
  directoryStore,
  PartitionedTable,
  publishedTable,
  type ObjectStore,
} from '../../src/index.js'
import { until } from '../support/until.js'

const OPTIONS = { keyEncoding: 'u16', valueEncoding: 'u32', partitions: 4, bufferBytes: 65_536 } as const

let root = ''
let writer: PartitionedTable<'u16', 'u32'>
/** After the first publish, of partitions 0 and 1. */
let begin = new Date(0)

const newStore = () => directoryStore(join(root, 'store'))
const read = (options: object) => PartitionedTable.open(newStore(), { refreshInterval: Infinity, ...options })
const write = (numbers: readonly number[]) =>
  PartitionedTable.open(newStore(), {
    ...OPTIONS,
    write: numbers,
    directory: join(root, `writer-${numbers[0]}`),
  })
const newestOf = async (name: string) =>
  (await publishedTable(newStore().below(`p/${name}`))).versions.at(-1)!

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-as-they-were-'))
  writer = await write([0, 1])
  await writer.put(1, 10)
  await writer.put(20_000, 11)
  await writer.publish({ name: 'begin' })
  for (const name of ['00', '01']) begin = new Date(Math.max(+begin, +(await newestOf(name)).at))
  await until('the clock has gone on', () => new Date() > begin)
  await writer.put(2, 12)
  await writer.publish()
  const second = await write([2])
  await second.put(40_000, 13)
  await second.publish()
  await second.close()
})
afterAll(async () => {
  await writer.close()
  await rm(root, { recursive: true })
})

test('at: what was the newest then; a partition that was published later is empty', async () => {
  const table = await read({ at: begin })
  expect(await table.count()).toBe(2)
  expect(await table.get(40_000)).toBeUndefined()
  const { partitions } = await table.stats()
  expect(partitions.map(({ table }) => table?.remote?.version)).toEqual([2, 2, undefined, undefined])
  await table.close()
})

test('name: that version of each, and none without it is taken for empty', async () => {
  const table = await read({ name: 'begin' })
  expect(await table.get(1)).toBe(10)
  expect(await table.get(2)).toBeUndefined()
  // Nobody has published the last one.
  expect(await table.get(65_535)).toBeUndefined()
  const refused = {
    code: 'FLASHTABLE_NOT_FOUND',
    message: expect.stringMatching(/^partition 02: .*does not have a version named "begin"/) as string,
  }
  await expect(table.get(40_000)).rejects.toMatchObject(refused)
  await expect(table.count()).rejects.toMatchObject(refused)
  await table.close()
})

test('it stays as it was, also by refresh', async () => {
  const table = await read({ at: new Date(8.64e15) })
  expect(await table.count()).toBe(4)
  await writer.put(3, 14)
  await writer.publish()
  await table.refresh()
  expect(await table.count()).toBe(4)
  const newest = await read({})
  expect(await newest.count()).toBe(5)
  await newest.close()
  await table.close()
})

test('a time that is forgotten is refused, and not taken for empty', async () => {
  const store = newStore().below('p/00')
  await collectGarbage(store, { retention: 0, forget: ['begin'] })
  const table = await read({ at: begin })
  await expect(table.get(1)).rejects.toMatchObject({
    code: 'FLASHTABLE_NOT_FOUND',
    message: expect.stringMatching(/^partition 00: .*does not have a version of 2/) as string,
  })
  expect(await table.get(20_000)).toBe(11)
  await table.close()
})

test('both, or one of them where partitions are written, are refused', async () => {
  const refused = { code: 'FLASHTABLE_INVALID_OPTION' }
  await expect(read({ at: begin, name: 'begin' })).rejects.toMatchObject(refused)
  for (const wrong of [{ at: 5 }, { at: new Date(Number.NaN) }, { name: 5 }])
    await expect(read(wrong)).rejects.toMatchObject(refused)
  for (const choice of [{ at: begin }, { name: 'begin' }])
    await expect(
      PartitionedTable.open(newStore(), {
        ...OPTIONS,
        ...choice,
        write: [3],
        directory: join(root, 'writer-3'),
      }),
    ).rejects.toMatchObject({ ...refused, message: expect.stringMatching(/only read/) as string })
})

test('at: a publish beside it that forgets what was the newest does not make it fail', async () => {
  const place = directoryStore(join(root, 'racing'))
  const writing = await PartitionedTable.open(place, {
    ...OPTIONS,
    partitions: 1,
    write: 'all',
    directory: join(root, 'racing-writer'),
  })
  await writing.put(1, 10)
  await writing.publish()
  // After the first look at the manifest of the partition, which is the newest then, there is another one.
  let looks = 0
  const racing = (store: ObjectStore): ObjectStore =>
    new Proxy(store, {
      get(target, name) {
        if (name === 'below') return (path: string) => racing(target.below(path))
        if (name === 'load') return load.bind(undefined, target)
        const value = Reflect.get(target, name, target) as unknown
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  const load = async (target: ObjectStore, key: string, call?: { readonly signal?: AbortSignal }) => {
    const loaded = await target.load(key, call)
    if (key === 'MANIFEST' && looks++ === 0) {
      await writing.put(2, 11)
      await writing.publish({ retention: 0 })
    }
    return loaded
  }
  const table = await PartitionedTable.open(racing(place), { at: new Date(8.64e15) })
  expect(await table.count()).toBeGreaterThan(0)
  expect(looks).toBeGreaterThan(0)
  await table.close()
  await writing.close()
})

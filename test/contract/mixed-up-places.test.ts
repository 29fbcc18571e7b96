/** A table, a published table, a table with partitions: who takes one for another is told so, and nothing is made there. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  directoryStore,
  FlashTable,
  PartitionedTable,
  publishedTable,
  type ObjectStore,
} from '../../src/index.js'
import { testCli } from './cli-tables.js'

const { cli, freshPath } = testCli()
const OPTIONS = { keyEncoding: 'u32', valueEncoding: 'u32' } as const

/** A table in a directory, where it is published, where one with partitions is, and the directory of their writer. */
let table = ''
let published = ''
let partitioned = ''
let writer = ''

beforeAll(async () => {
  ;[table, published, partitioned, writer] = [freshPath(), freshPath(), freshPath(), freshPath()]
  const first = await FlashTable.open(table, OPTIONS)
  await first.put(1, 10)
  await first.publish(directoryStore(published))
  await first.close()
  const options = { ...OPTIONS, partitions: 4, write: 'all', directory: writer } as const
  const second = await PartitionedTable.open(directoryStore(partitioned), options)
  await second.put(1, 10)
  await second.publish()
  await second.close()
})

const code = (name: string, text: string) => ({
  code: `FLASHTABLE_${name}`,
  message: expect.stringContaining(text) as string,
})

test('no table is made in a store, or in the directory of partitions', async () => {
  for (const [place, text] of [
    [published, 'FlashTable.restore makes a table of it'],
    [partitioned, 'PartitionedTable.open opens them'],
    [writer, 'PartitionedTable.open opens them'],
  ] as const) {
    const before = await readdir(place)
    await expect(FlashTable.open(place, OPTIONS)).rejects.toMatchObject(code('EXISTS', text))
    await expect(FlashTable.open(place)).rejects.toMatchObject(code('EXISTS', text))
    await expect(FlashTable.open(place, { readOnly: true })).rejects.toMatchObject(code('NOT_FOUND', text))
    expect(await readdir(place)).toEqual(before)
  }
})

test('nothing is published to the directory of a table', async () => {
  const opened = await FlashTable.open(table)
  const before = await readdir(table)
  const refused = code('EXISTS', `${table} is the directory of a table, and no store`)
  await expect(opened.publish(directoryStore(table))).rejects.toMatchObject(refused)
  await expect(FlashTable.openRemote(directoryStore(table))).rejects.toMatchObject(refused)
  expect((await readdir(table)).filter(name => !name.startsWith('REMOTE'))).toEqual(
    before.filter(name => !name.startsWith('REMOTE')),
  )
  await opened.close()
})

describe('in one store there is one table, with partitions or without', () => {
  test('what is for one published table names the partitions', async () => {
    const store = directoryStore(partitioned)
    const refused = code('NOT_FOUND', `${store.url} has a table with partitions`)
    await expect(FlashTable.openRemote(store)).rejects.toMatchObject(refused)
    await expect(publishedTable(store)).rejects.toMatchObject(refused)
    await expect(FlashTable.restore(store, freshPath())).rejects.toMatchObject(refused)
    expect((await publishedTable(store.below!('p/00'))).versions.at(-1)!.records).toBe(1)
  })

  test('the second one is refused', async () => {
    const opened = await FlashTable.open(table)
    await expect(opened.publish(directoryStore(partitioned))).rejects.toMatchObject(
      code('EXISTS', 'has a table with partitions'),
    )
    await opened.close()
    const open = (store: ObjectStore, options: object): Promise<unknown> =>
      PartitionedTable.open(store, { ...OPTIONS, ...options })
    for (const options of [{}, { partitions: 4, write: 'all', directory: freshPath() }])
      await expect(open(directoryStore(published), options)).rejects.toMatchObject(
        code('EXISTS', 'has a published table without partitions'),
      )
  })
})

test('the command line says so in its words', async () => {
  const url = pathToFileURL(partitioned).href
  const whole =
    `flashtable: FLASHTABLE_NOT_FOUND: ${url} has a table with partitions, and this is for one published table: ` +
    `take the URL of a partition, below ${url}/p\n`
  for (const [command, ...rest] of [['inspect'], ['restore', 'new']] as const)
    expect(await cli.run(command, partitioned, ...rest)).toEqual({ code: 1, stdout: '', stderr: whole })
  expect((await cli.run('count', join(partitioned, 'p', '00'))).stdout).toBe('1\n')
  expect((await cli.run('count', writer)).stderr).toContain('take the URL of its store, or one of them')
  const elsewhere = 'has a table with partitions: publish elsewhere'
  for (const command of [['publish'], ['replicate', '--once']] as const) {
    const [name, ...rest] = command
    expect((await cli.run(name, table, partitioned, ...rest)).stderr).toContain(elsewhere)
  }
  for (const rest of [
    ['put', partitioned, '1', 'value=2'],
    ['report', partitioned, '-o', '-'],
  ])
    expect((await cli.run(...rest)).stderr).toContain('A table with partitions is published there')
})

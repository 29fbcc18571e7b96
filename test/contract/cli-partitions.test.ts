/** The commands that read, at the URL of a table with partitions: what they print of one table with the same records. */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { directoryStore, FlashTable, PartitionedTable, publishedTable } from '../../src/index.js'
import { until } from '../support/until.js'
import { ENCODINGS, jsonHere as json, runHere as run, testCli } from './cli-tables.js'

const { freshPath } = testCli()

/** A table, and a store with the same records in four partitions: three of them are published, each in three versions. */
let table = ''
let store = ''
/** What its writer has on its disk. */
let writer = ''
let url = ''
/** As both were when the first version was published. */
let older = ''
let firstPublished = new Date(0)

/** The key number `i` of a partition. */
const keyOf = (partition: number, i: number): bigint => (BigInt(partition) << 62n) + BigInt(i)

beforeAll(async () => {
  ;[table, older, store, writer] = [freshPath(), freshPath(), freshPath(), freshPath()]
  url = pathToFileURL(store).href
  const one = await FlashTable.open(table, { ...ENCODINGS, mode: 0o640 })
  const many = await PartitionedTable.open(directoryStore(store), {
    ...ENCODINGS,
    mode: 0o640,
    partitions: 4,
    write: [0, 1, 2],
    directory: writer,
    bufferBytes: 65_536,
  })
  const put = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      const record = [keyOf(i % 3, i >> 2), { time: i, flags: i % 2, id: -i }] as const
      await Promise.all([one.put(...record), many.put(...record)])
    }
  }
  await put(0, 90)
  await many.publish({ name: 'first' })
  await one.checkpoint(older)
  for (const name of ['00', '01', '02']) {
    const { at } = (await publishedTable(directoryStore(store).below(`p/${name}`))).versions.at(-1)!
    if (at > firstPublished) firstPublished = at
  }
  await until('the clock has gone on', () => new Date() > firstPublished)
  await put(90, 120)
  await Promise.all([one.del(keyOf(1, 3)), many.del(keyOf(1, 3))])
  await many.publish()
  await one.close()
  await many.close()
})

/** A copy of the store, to be damaged. */
async function copyOfStore(): Promise<string> {
  const copy = freshPath()
  await cp(store, copy, { recursive: true })
  return copy
}

describe('reads', () => {
  test.each([
    ['get', '2', String(keyOf(1, 4)), String(keyOf(3, 0))],
    ['get', '5', '--within', '1'],
    ['get', String(keyOf(2, 6)), '--reverse', '--limit', '1'],
    ['scan'],
    ['scan', '--reverse', '--limit', '45', '--where', 'flags=1'],
    ['scan', '--gt', '20', '--lte', String(keyOf(1, 9)), '--columns', 'key,id', '--format', 'csv'],
    ['scan', '--keys', '--format', 'jsonl'],
    ['count'],
    ['count', '--gte', String(keyOf(0, 25)), '--lt', String(keyOf(2, 3)), '--where', 'time>=3'],
    ['export', '-', '--format', 'jsonl', '--columns', 'id,key', '--limit', '70', '--reverse'],
    ['dump'],
  ])('%s %s: the same bytes as of one table', async (command, ...rest) => {
    const ofTable = await run(command, table, ...rest)
    expect(ofTable.code).toBe(0)
    expect(ofTable.stdout).not.toBe('')
    expect(await run(command, store, ...rest)).toEqual(ofTable)
  })

  test('JSON has the URL in place of the directory; files are the same', async () => {
    for (const [command, ...rest] of [['get', '2'], ['scan', '--limit', '3'], ['count']] as const) {
      const { directory: _, ...result } = await json(command, table, ...rest)
      expect(await json(command, store, ...rest)).toEqual({ url, ...result })
    }
    const files = [freshPath(), freshPath()]
    for (const [i, place] of [table, store].entries())
      await run('export', place, files[i]!, '--format', 'npy', '--where', 'flags=0')
    expect(await readFile(files[1]!)).toEqual(await readFile(files[0]!))
    expect((await run('count', url)).stdout).toBe((await run('count', table)).stdout)
    expect(await run('get', store, '99')).toEqual({ code: 1, stdout: '' })
  })

  test('a version of each partition by its name and time; --version is refused', async () => {
    const expected = await run('dump', older)
    expect(await run('dump', store, '--name', 'first')).toEqual(expected)
    expect(await run('dump', store, '--at', firstPublished.toISOString())).toEqual(expected)
    await expect(run('count', store, '--name', 'second')).rejects.toMatchObject({
      code: 'FLASHTABLE_NOT_FOUND',
      message: expect.stringMatching(/^partition 0\d: .* does not have a version named "second"/) as string,
    })
    expect(await run('count', store, '--at', '2020-01-01T00:00:00Z')).toEqual({ code: 0, stdout: '0\n' })
    await expect(run('count', store, '--version', '1')).rejects.toThrow(
      /give --at or --name, or the URL of a/,
    )
    await expect(run('count', store, '--name', 'a', '--at', '2020-01-01')).rejects.toThrow(/give one of --at/)
  })

  test('--cache keeps what was fetched, and tells if it cannot', async () => {
    const [copy, cache] = [await copyOfStore(), freshPath()]
    const first = await run('get', copy, '7', '--cache', cache)
    for (const name of await readdir(join(copy, 'p', '00')))
      if (name.startsWith('e')) await rm(join(copy, 'p', '00', name), { recursive: true })
    expect(await run('get', copy, '7', '--cache', cache)).toEqual(first)
    await expect(run('get', copy, '7')).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    try {
      expect(await run('get', store, '7', '--cache', '/dev/null/cache')).toEqual(await run('get', store, '7'))
      expect(stderr.mock.calls.flat().join('')).toMatch(/^flashtable: nothing is kept in --cache/)
    } finally {
      stderr.mockRestore()
    }
  })

  test('a record of a damaged partition fails, and those of others do not', async () => {
    const copy = await copyOfStore()
    await damageManifest(copy, '01')
    expect((await run('get', copy, '7')).code).toBe(0)
    for (const [command, ...rest] of [['get', String(keyOf(1, 4))], ['count'], ['stats']] as const)
      await expect(run(command, copy, ...rest)).rejects.toMatchObject({
        code: 'FLASHTABLE_CORRUPTION',
        message: expect.stringMatching(/^partition 01: /) as string,
      })
  })
})

describe('stats', () => {
  test('sums, and each partition', async () => {
    const { stdout } = await run('stats', store)
    expect(stdout).toMatch(/^partitions +4 partitions, 1 not published\nschema +key:u64,time:u16/)
    expect(stdout).toMatch(/^records +120, deleted ones/m)
    expect(stdout).toMatch(/^ +01 +\S+Z +3 +40 +2 +[\d,]+$/m)
    expect(stdout).toMatch(/^ +03 +not published$/m)
    expect(await json('stats', store)).toMatchObject({
      url,
      partitions: [{ partition: 0, table: { remote: { version: 3 } } }, {}, {}, { partition: 3 }],
    })
    expect(await json('stats', store, '--name', 'first')).toMatchObject({ records: 90 })
  })

  test('metrics have the partition as a label; --tbw is for one table', async () => {
    const { stdout } = await run('stats', store, '--format', 'prometheus')
    const name = store.slice(store.lastIndexOf('/') + 1)
    expect(stdout).toContain(`flashtable_records{table="${name}",partition="02"} `)
    expect(stdout).not.toContain('partition="03"')
    expect(stdout.match(/^# HELP flashtable_records /gm)).toHaveLength(1)
    await expect(run('stats', store, '--tbw', '150TB')).rejects.toThrow(/--tbw is for one table/)
  })
})

describe('each partition', () => {
  test('status and history tell what is published, and of one that is not', async () => {
    const status = await run('status', store)
    expect(status.code).toBe(0)
    expect(status.stdout).toMatch(/^ +00 +\S+Z +3 +40 +2 +[\d,]+ +3 +\S.*, epoch 1$/m)
    expect(status.stdout).toMatch(/^ +03 +not published$/m)
    expect(status.stdout).toMatch(/\n4 partitions, 1 not published: 120 records; stored in all: /)
    expect(await json('status', store)).toMatchObject({
      url,
      partitions: [
        { partition: 0, url: `${url}/p/00`, published: true, versions: 3, newest: { version: 3 } },
        { published: true },
        { published: true },
        { partition: 3, url: `${url}/p/03`, published: false },
      ],
      total: { partitions: 4, published: 3, failed: 0 },
    })
    const history = await run('history', store)
    expect(history.stdout).toMatch(/^ +02 +\S+Z +2 +30 +1 +[\d,]+ +first\n +02 +\S+Z +3 /m)
    expect(history.stdout).toMatch(/\n4 partitions, 1 not published: 9 versions\n$/)
    expect((await json('history', store))['total']).toMatchObject({ versions: 9 })
    expect(await json('history', join(store, 'p', '00'))).toMatchObject({ url: `${url}/p/00` })
  })

  test('verify reads all', async () => {
    const { code, stdout } = await run('verify', store)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ +01 +no problem +3 +2 +8 +40$/m)
    expect(stdout).toMatch(/\n4 partitions, 1 not published: 6 files, 24 pages, 120 records: no problem\n$/)
  })

  test('verify, status and gc go on after one that is damaged, and exit with 1', async () => {
    const copy = await copyOfStore()
    await damageManifest(copy, '00')
    await damageObject(copy, '02')
    const { code, stdout } = await run('verify', copy)
    expect(code).toBe(1)
    expect(stdout).toMatch(/^ +00 +failed$/m)
    expect(stdout).toMatch(/^ +01 +no problem /m)
    expect(stdout).toMatch(/^ +02 +problems: \d+ /m)
    expect(stdout).toMatch(/^file:\S+\/p\/02\/e\S+: /m)
    expect(stdout).toMatch(/^partition 00: FLASHTABLE_CORRUPTION: .*publish the table anew/m)
    expect(stdout).toMatch(/\n4 partitions, 1 not published, 1 failed: .*: problems: \d+\n$/)
    const result = await json('verify', copy)
    expect(result).toMatchObject({
      partitions: [
        { published: true, error: { code: 'FLASHTABLE_CORRUPTION' } },
        { version: 3, problems: [] },
        { version: 3, problems: [{ message: expect.any(String) as string }] },
        { published: false },
      ],
      total: { partitions: 4, published: 3, failed: 1 },
    })
    for (const command of ['status', 'history', 'gc']) {
      const found = await run(command, copy)
      expect(found.code, command).toBe(1)
      expect(found.stdout, command).toMatch(/^ +01 +\S+ +\S+/m)
      expect(found.stdout, command).toMatch(/^partition 00: FLASHTABLE_CORRUPTION: /m)
    }
    // One that is damaged only in its pages is a problem, and no failure.
    const only = await copyOfStore()
    await damageObject(only, '01')
    expect((await run('verify', only)).code).toBe(1)
  })

  test('gc forgets a name in each partition that has it', async () => {
    const copy = await copyOfStore()
    await expect(run('gc', copy, '--forget', 'second')).rejects.toMatchObject({
      code: 'FLASHTABLE_NOT_FOUND',
      message: expect.stringMatching(/no partition has a version named "second"/) as string,
    })
    const options = ['--retention', '0s', '--forget', 'first']
    const dry = await run('gc', copy, ...options, '--dry-run')
    expect(dry.stdout).toMatch(/^ +00 +done +2 +\d+ +[\d,]+$/m)
    expect(dry.stdout).toMatch(
      /\n4 partitions, 1 not published: 6 versions, \d+ objects?, .* would be removed\n$/,
    )
    expect((await json('history', copy))['total']).toMatchObject({ versions: 9 })
    expect((await json('gc', copy, ...options))['total']).toMatchObject({ versions: 6, failed: 0 })
    expect((await json('history', copy))['total']).toMatchObject({ versions: 3 })
    expect((await run('count', copy)).stdout).toBe((await run('count', store)).stdout)
    await expect(run('gc', copy, '--retention', 'soon')).rejects.toThrow(/soon|time/)
    // One that cannot be read may have the name: that it is nowhere is not known.
    await damageManifest(copy, '00')
    const unread = await run('gc', copy, '--forget', 'second')
    expect(unread.code).toBe(1)
    expect(unread.stdout).toMatch(/^ +00 +failed$/m)
    expect(unread.stdout).toMatch(/^ +01 +done /m)
    expect(unread.stdout).toMatch(/^partition 00: FLASHTABLE_CORRUPTION: /m)
  })
})

describe('places', () => {
  test('a table of which nobody has published a partition is empty, at its path as at its URL', async () => {
    const copy = await copyOfStore()
    await rm(join(copy, 'p'), { recursive: true })
    for (const place of [copy, pathToFileURL(copy).href])
      expect(await run('count', place)).toEqual({ code: 0, stdout: '0\n' })
    await expect(run('put', copy, '1', '1')).rejects.toThrow(/A table with partitions is published there/)
  })

  test('the directory of a writer is no store', async () => {
    for (const [command, place] of [
      ['status', writer],
      ['gc', writer],
      ['count', pathToFileURL(writer).href],
    ] as const)
      await expect(run(command, place)).rejects.toThrow(/is what a writer of a table with partitions has/)
    await expect(run('count', writer)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
  })
})

/** The first bytes of the manifest of a partition become others. */
async function damageManifest(store: string, name: string): Promise<void> {
  const directory = join(store, 'p', name)
  for (const entry of await readdir(directory))
    if (entry.startsWith('MANIFEST.')) await writeFile(join(directory, entry, 'content'), 'no manifest')
}

/** The middle of an object of a partition is overwritten. */
async function damageObject(store: string, name: string): Promise<void> {
  const directory = join(store, 'p', name)
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile() && !entry.parentPath.includes('MANIFEST'))
  const path = join(files[0]!.parentPath, files[0]!.name)
  const bytes = await readFile(path)
  bytes.fill(0xa5, 100, 140)
  await writeFile(path, bytes)
}

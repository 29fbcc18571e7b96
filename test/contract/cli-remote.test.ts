/** The commands that read records, on a published table at its URL: they print what they print of the table itself. */
import { readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CommanderError } from 'commander'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { directoryStore, FlashTable, publishedTable } from '../../src/index.js'
import { commandLine } from '../../tools/cli/program.js'
import { LyingServer } from '../support/s3/lying-server.js'
import { until } from '../support/until.js'
import { ENCODINGS, imageOf, jsonHere as json, runHere as run, testCli } from './cli-tables.js'

const { cli, freshPath } = testCli()

/** A table with deletes and two bucket files, a copy of its first version, and where both were published. */
let table = ''
let older = ''
let store = ''

beforeAll(async () => {
  ;[table, older, store] = [freshPath(), freshPath(), freshPath()]
  const opened = await FlashTable.open(table, ENCODINGS)
  const put = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) await opened.put(BigInt(i >> 1), { time: i, flags: i % 2, id: -i })
  }
  await put(0, 40)
  await opened.publish(directoryStore(store), { name: 'first' })
  await opened.checkpoint(older)
  await put(40, 60)
  await opened.del(3n)
  await opened.publish(directoryStore(store))
  await opened.close()
})

/** Commands, with the rest of their arguments. */
const COMMANDS: readonly (readonly [string, ...string[]])[] = [
  ['get', '2', '3', '4'],
  ['get', '5', '--within', '1'],
  ['scan', '--gt', '2', '--lte', '22', '--where', 'flags=1', '--reverse'],
  ['scan', '--keys', '--format', 'csv'],
  ['count', '--where', 'time>=3'],
  ['export', '-', '--format', 'jsonl', '--columns', 'id,key', '--limit', '30'],
  ['dump'],
]

describe('a published table at its URL', () => {
  test.each(COMMANDS)('%s %s: the same bytes as of its directory', async (command, ...rest) => {
    const ofTable = await run(command, table, ...rest)
    expect(ofTable.code).toBe(0)
    expect(ofTable.stdout).not.toBe('')
    expect(await run(command, store, ...rest)).toEqual(ofTable)
  })

  test('an older version by its number, name and time, and by a file: URL', async () => {
    const { versions } = await publishedTable(directoryStore(store))
    const expected = await run('scan', older)
    expect(expected.stdout.split('\n')).toHaveLength(42)
    for (const options of [
      ['--version', '1'],
      ['--name', 'first'],
      ['--at', versions[0]!.at.toISOString()],
    ])
      expect(await run('scan', store, ...options)).toEqual(expected)
    const url = pathToFileURL(store).href
    expect(await run('dump', url, '--version', '1')).toEqual(await run('dump', older))
    await expect(run('count', url, '--version', '7')).rejects.toMatchObject({
      code: 'FLASHTABLE_NOT_FOUND',
      message: expect.stringMatching(/ does not have version 7: there are versions 1, 2/) as string,
    })
  })

  test('JSON has its url in place of the directory; files are the same', async () => {
    const url = pathToFileURL(store).href
    for (const [command, ...rest] of [['get', '2'], ['scan', '--limit', '3'], ['count']] as const) {
      const { directory, ...result } = await json(command, table, ...rest)
      expect(directory).toBe(table)
      expect(await json(command, store, ...rest)).toEqual({ url, ...result })
    }
    const files = [freshPath(), freshPath()]
    const options = ['--format', 'npy', '--where', 'flags=0', '--json']
    await run('export', table, files[0]!, ...options)
    expect(JSON.parse((await run('export', store, files[1]!, ...options)).stdout)).toMatchObject({ url })
    expect(await readFile(files[1]!)).toEqual(await readFile(files[0]!))
    expect(await run('get', store, '99')).toEqual({ code: 1, stdout: '' })
  })

  test('stats tells the version, and what was fetched', async () => {
    const { code, stdout } = await run('stats', store)
    expect(code).toBe(0)
    const ofTable = (await run('stats', table)).stdout.split('\n')
    for (const label of ['schema', 'records', 'keys', 'put', 'bucket files'])
      expect(stdout.split('\n').find(line => line.startsWith(`${label} `))).toBe(
        ofTable.find(line => line.startsWith(`${label} `)),
      )
    expect(stdout).toMatch(/^published at +file:\/\/\S+$/m)
    expect(stdout).toMatch(/^version +2 of \S+Z$/m)
    expect(stdout).toMatch(/^in the store +[\d,]+ bytes/m)
    expect(stdout).toMatch(/^fetched +[\d,]+ bytes by \d+ requests?, besides the manifest$/m)
    expect(stdout).not.toMatch(/^log on disk/m)
    expect(await json('stats', store, '--name', 'first')).toMatchObject({
      url: pathToFileURL(store).href,
      records: 40,
      remote: { version: 1 },
    })
    const name = store.slice(store.lastIndexOf('/') + 1)
    expect((await run('stats', store, '--format', 'prometheus')).stdout).toContain(`{table="${name}"`)
  })

  test('inspect shows its bucket files and their pages', async () => {
    const url = pathToFileURL(store).href
    const whole = await json('inspect', store)
    expect(whole).toMatchObject({ url, log: [], orphans: [], problems: [] })
    expect(whole['files']).toEqual((await json('inspect', table))['files'])
    const [{ name }] = whole['files'] as [{ name: string }]
    for (const rest of [[name], [name, '--page', '0']]) {
      const { directory, ...result } = await json('inspect', table, ...rest)
      expect(directory).toBe(table)
      expect(await json('inspect', store, ...rest)).toEqual({ url, ...result })
    }
    expect((await run('inspect', store, '--version', '1')).stdout).toMatch(/^table +file:/m)
  })

  test('reading changes nothing in the store', async () => {
    const before = await imageOf(join(store, 'e000000000001'))
    for (const [command, ...rest] of [['count'], ['stats'], ['inspect'], ['get', '2']] as const)
      expect((await run(command, store, ...rest)).code).toBe(0)
    expect(await imageOf(join(store, 'e000000000001'))).toEqual(before)
    expect((await readdir(store)).filter(name => !/^(MANIFEST\.\d+|e\d+)$/.test(name))).toEqual([])
  })

  test('a cache that cannot be used is told, and the command goes on', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    try {
      expect(await run('get', store, '7', '--cache', '/dev/null/cache')).toEqual(await run('get', store, '7'))
      expect(stderr.mock.calls.flat().join('')).toMatch(
        /^flashtable: nothing is kept in --cache \/dev\/null\/cache: cannot open a cache in .*ENOTDIR.*\n$/,
      )
    } finally {
      stderr.mockRestore()
    }
  })

  test('with --cache the next command needs only the manifest', async () => {
    const [copy, cache] = [freshPath(), freshPath()]
    await run('publish', older, copy)
    const first = await run('get', copy, '7', '--cache', cache)
    expect(first.code).toBe(0)
    for (const name of await readdir(copy))
      if (name.startsWith('e')) await rm(join(copy, name), { recursive: true })
    expect(await run('get', copy, '7', '--cache', cache)).toEqual(first)
    await expect(run('get', copy, '7')).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
  })
})

describe('what is meant for the other kind of place', () => {
  test.each([
    ['put', '7', 'time=1', 'flags=1', 'id=1'],
    ['delete', '7'],
    ['clear', '--all'],
    ['compact'],
    ['checkpoint', 'copy'],
    ['publish', 'elsewhere'],
    ['repair', '--into', 'copy'],
    ['log'],
    ['top'],
    ['report', '-o', '-'],
  ])('%s needs a table in a directory', async (command, ...rest) => {
    for (const place of [store, pathToFileURL(store).href, 's3://bucket/x']) {
      const running = commandLine().parseAsync([command, place, ...rest], { from: 'user' })
      await expect(running).rejects.toThrow(
        /A table is published there.*flashtable restore URL NEW makes one/,
      )
      await expect(running).rejects.toThrow(CommanderError)
    }
  })

  test.each([
    [() => ['status', table], 'is a table, and no place where one is published; flashtable publish DIR URL'],
    [() => ['publish', older, table], 'is a table, and no place where one is published'],
    [() => ['import', '-', store], 'A table is published there'],
    [() => ['get', pathToFileURL(table).href, '7'], 'is a table, and no place where one is published'],
    [() => ['get', table, '7', '--at', '2026-01-01'], '--at is for the URL of a published table'],
    [() => ['inspect', table, '--version', '1'], '--version is for the URL of a published table'],
    [() => ['count', table, '--cache', 'x'], '--cache is for the URL of a published table'],
    [() => ['verify', table, '--region', 'x'], '--endpoint and --region are for s3://bucket/prefix'],
    [() => ['count', store, '--region', 'x'], '--endpoint and --region are for s3://bucket/prefix'],
    [() => ['count', store, '--version', '1', '--name', 'x'], 'give one of --at, --version and --name'],
    [() => ['count', 'https://example.org/x'], 'a directory, a file: URL, or s3://bucket/prefix'],
    [() => ['restore', store, 's3://bucket/x'], 'It must be the path of a directory, not a URL'],
    [() => ['get', store, 'seven'], 'u64'],
  ])('%#: wrong usage', async (args, message) => {
    const running = commandLine().parseAsync(args(), { from: 'user' })
    await expect(running).rejects.toThrow(message)
    await expect(running).rejects.toThrow(CommanderError)
  })

  test('nothing is published there, and nothing is there', async () => {
    const nowhere = pathToFileURL(freshPath()).href
    expect(await cli.run('get', nowhere, '7')).toEqual({
      code: 1,
      stdout: '',
      stderr: `flashtable: FLASHTABLE_NOT_FOUND: there is no published table in ${nowhere}\n`,
    })
    await expect(run('get', freshPath(), '7')).rejects.toThrow('there is no table')
  })
})

describe('s3://', () => {
  /** And no warning of the SDK about the version of Node.js. */
  const SETTINGS = {
    AWS_ACCESS_KEY_ID: 'the-key',
    AWS_SECRET_ACCESS_KEY: 'the-secret',
    NODE_NO_WARNINGS: '1',
  }
  let server: LyingServer

  beforeAll(async () => {
    Object.assign(process.env, SETTINGS)
    server = await LyingServer.start()
    const numbers = (await readdir(store)).flatMap(name => (/^MANIFEST\.(\d+)$/.exec(name) ?? []).slice(1))
    const newest = Math.max(...numbers.map(Number))
    server.objects.set('/tables/t/MANIFEST', await readFile(join(store, `MANIFEST.${newest}`, 'content')))
    const folder = join(store, 'e000000000001')
    for (const name of await readdir(folder))
      server.objects.set(`/tables/t/e000000000001/${name}`, await readFile(join(folder, name)))
  })

  afterAll(async () => {
    for (const name of Object.keys(SETTINGS)) delete process.env[name]
    await server.stop()
  })

  test('the same, with few requests, and no connection is left to wait for', async () => {
    const { endpoint } = server
    const expected = { ...(await run('get', table, '7')), stderr: '' }
    expect(await cli.run('get', 's3://tables/t', '7', '--endpoint', endpoint)).toEqual(expected)
    // The manifest, and of each file its footer and a page.
    expect(server.bySdk + server.plain.length).toBeLessThan(8)
    // The server may learn a moment later that the process has ended.
    await expect.poll(() => server.connections).toBe(0)
  })

  // Without it, it would give up after a minute.
  test('Ctrl-C ends a read that gets no answer', async () => {
    const asked = server.plain.length
    server.always = () => {}
    const { child, result } = cli.start('get', 's3://tables/t', '7', '--endpoint', server.endpoint)
    await until('it has asked for a range', () => Promise.resolve(server.plain.length > asked))
    child.kill('SIGINT')
    const { code, stdout, stderr } = await result
    server.always = undefined
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(stderr).toBe('flashtable: INTERRUPTED: interrupted by SIGINT\n')
  })

  test('nobody answers at the endpoint', async () => {
    const closed = createServer()
    await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
    const { port } = closed.address() as AddressInfo
    await new Promise(resolve => closed.close(resolve))
    const endpoint = `http://127.0.0.1:${port}`
    const { code, stderr } = await cli.run('count', 's3://tables/t', '--endpoint', endpoint)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^flashtable: FLASHTABLE_UNAVAILABLE: .*check the address.*\n$/)
    expect(stderr).not.toContain('the-secret')
  })
})

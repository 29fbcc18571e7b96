/** `flashtable publish`, `restore` and the commands about published tables, as a user sees them. */
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { ENCODINGS, testCli } from './cli-tables.js'

const { cli, freshPath, smallTable } = testCli()

test('publish, put, publish, history, status, restore, verify, gc', async () => {
  const [table, store] = [await smallTable(), freshPath()]
  const url = pathToFileURL(store).href
  expect((await cli.run('probe', store)).stdout).toBe(
    `a table can be published to ${url}: of all who replace an object, one wins\n`,
  )
  const first = await cli.run('publish', table, store, '--name', 'first', '--expires', '30d')
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toMatch(/^version 1 in file:\S+: 1 file, [\d,]+ bytes uploaded\n$/)
  await cli.run('put', table, '9', 'time=3', 'flags=1', 'id=-3')
  expect(
    await cli.json('publish', table, url, '--retention', '7d', '--keep', 'hourly=24,daily=7'),
  ).toMatchObject({
    directory: table,
    url,
    version: 2,
    sequence: 4,
    uploadedFiles: 1,
  })
  expect((await cli.run('publish', table, store)).stdout).toContain('nothing had to be uploaded')

  const history = await cli.run('history', store)
  expect(history.stdout).toMatch(/^ +1 +\S+Z +3 +1 +\S+ +first \(until \S+Z\)$/m)
  expect(history.stdout).toMatch(/^ +2 +\S+Z +4 +2 +\S+$/m)
  expect(await cli.json('status', store)).toMatchObject({
    url,
    versions: 2,
    retentionMs: 7 * 86_400_000,
    newest: { version: 2, records: 4 },
    files: 2,
  })
  const status = (await cli.run('status', store)).stdout
  expect(status).toMatch(/^newest version +2 of .*Z$/m)
  expect(status).toMatch(/^versions +2; older ones are kept for 7 days$/m)

  const copies = [freshPath(), freshPath(), freshPath()]
  expect((await cli.run('restore', store, copies[0]!, '--verify')).stdout).toMatch(/^version 2 of .*, in /)
  expect((await cli.run('count', copies[0]!)).stdout).toBe('4\n')
  await cli.run('restore', store, copies[1]!, '--version', '1')
  expect((await cli.run('count', copies[1]!)).stdout).toBe('3\n')
  const { versions } = await cli.json('history', store)
  const at = (versions as { at: string }[])[1]!.at
  expect(await cli.json('restore', store, copies[2]!, '--at', at, '--dry-run')).toMatchObject({
    version: 2,
    records: 4,
    dryRun: true,
  })
  expect(existsSync(copies[2]!)).toBe(false)
  expect((await cli.run('restore', store, copies[0]!, '--if-exists', 'skip')).stdout).toContain(
    'nothing to do',
  )

  expect((await cli.run('verify', store)).stdout).toMatch(
    /^version 2: 2 files, \d+ pages, 4 records: no problem\n$/,
  )
  expect(await cli.json('gc', store, '--retention', '0s', '--dry-run')).toMatchObject({
    versions: [],
    files: 0,
    dryRun: true,
  })

  // A copy goes on only if it is told to, and then the first one is stopped.
  const refused = await cli.run('publish', copies[0]!, store)
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toMatch(
    /^flashtable: FLASHTABLE_FENCED: .* pass --take-over, and it can publish no more\n$/,
  )
  expect(await cli.run('publish', copies[0]!, store, '--take-over')).toMatchObject({ code: 0 })
  expect((await cli.run('publish', table, store, '--take-over')).stderr).toContain('FLASHTABLE_FENCED')
})

test('a name that is not needed any more is forgotten', async () => {
  const [table, store] = [await smallTable(), freshPath()]
  await cli.run('publish', table, store, '--name', 'one')
  await cli.run('publish', table, store, '--name', 'two')
  const wrong = await cli.run('gc', store, '--forget', 'three')
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('the names "one", "two"')])
  expect((await cli.run('gc', store, '--forget', 'one', 'two')).code).toBe(0)
  expect((await cli.run('history', store)).stdout).not.toMatch(/one|two/)
})

test('a name expires at a time that is given', async () => {
  const [table, store] = [await smallTable(), freshPath()]
  await cli.run('publish', table, store, '--name', 'kept', '--expires', '2100-01-01T00:00:00Z')
  expect((await cli.run('history', store)).stdout).toContain('kept (until 2100-01-01T00:00:00.000Z)')
})

test('damage of a published table is told by its object, and answers 1', async () => {
  const [table, store] = [await smallTable(), freshPath()]
  await cli.run('publish', table, store)
  const folder = join(store, 'e000000000001')
  const object = join(folder, (await readdir(folder))[0]!)
  const content = await readFile(object)
  content[100]! ^= 1
  await writeFile(object, content)
  const { code, stdout } = await cli.run('verify', store)
  expect(code).toBe(1)
  expect(stdout).toContain(`${pathToFileURL(object).href}:0: `)
  expect(stdout).toContain('problems: 1')
  const restored = await cli.run('restore', store, freshPath(), '--verify')
  expect(restored.code).toBe(1)
  expect(restored.stderr).toContain('FLASHTABLE_CORRUPTION')
})

test('what is not there, what is open elsewhere, and what is wrongly asked for', async () => {
  const [table, store] = [await smallTable(), freshPath()]
  for (const command of [
    ['history', store],
    ['status', store],
    ['gc', store],
    ['restore', store, freshPath()],
  ]) {
    const { code, stderr } = await cli.run(...command)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^flashtable: FLASHTABLE_NOT_FOUND: there is no published table in file:/)
  }
  expect(existsSync(store)).toBe(false)
  const writer = await FlashTable.open(table, ENCODINGS)
  expect((await cli.run('publish', table, store)).stderr).toContain('FLASHTABLE_LOCKED')
  await writer.close()
  for (const [args, message] of [
    [
      ['publish', table, 'https://example.org/x'],
      'It must be a directory, a file: URL, or s3://bucket/prefix',
    ],
    [['publish', table, store, '--region', 'x'], '--endpoint and --region are for s3://bucket/prefix'],
    [
      ['publish', table, store, '--retention', 'long'],
      "'--retention <time>' argument 'long' is invalid. It must be",
    ],
    [
      ['publish', table, store, '--keep', 'daily'],
      'hourly, daily and weekly, each with a number: daily=7,weekly=4',
    ],
    [['publish', table, store, '--keep', 'daily=7,daily=8'], 'each with a number'],
    [['publish', table, store, '--keep', 'daily=0'], 'each with a number'],
    [['replicate', table, store, '--keep', 'monthly=7'], 'each with a number'],
    [['publish', table, store, '--retention', '7'], 'a number with s, m, h, d or w, such as 7d'],
    [['publish', table, store, '--name', 'x', '--expires', 'soon'], 'such as 30d, or a time such as'],
    [['publish', table, store, '--expires', '1d'], 'no name is given'],
    [['replicate', table, store, '--every', '0s'], 'It must be 1s or more'],
    [
      ['restore', store, freshPath(), '--version', '1', '--name', 'x'],
      'give one of --at, --version and --name',
    ],
    [['restore', store, freshPath(), '--at', 'yesterday'], 'It must be a time such as'],
    [
      ['history', 's3://bucket/x', '--endpoint', 'http://me:secret-word@127.0.0.1:1'],
      'without user and password',
    ],
  ] as const) {
    const { code, stderr } = await cli.run(...args)
    expect({ args, code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(message) as string,
    })
    expect(stderr).not.toContain('secret-word')
  }
})

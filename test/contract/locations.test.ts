/** Where a table may lie: whatever text a caller gives, it is opened there or refused with a code, and nothing hangs. */
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { startNode } from '../support/run-cli.js'
import { testTables } from '../support/tables.js'
import { LIBRARY, programOf } from '../support/programs.js'

const tables = testTables()
/** A text that was cut in the middle of an emoji. */
const CUT = 'track🎵'.slice(0, 6)
const SET = { keyEncoding: 'u32' } as const

/** Opens a table there, writes, copies it beside, and closes; resolves to the name of what was opened. */
async function live(location: string | URL): Promise<string> {
  const table = await tables.open(location as string, SET)
  await table.put(7)
  await table.checkpoint(`${table.location} copy`)
  await table.close()
  const copy = await tables.open(`${table.location} copy`, { ...SET, readOnly: true })
  expect(await copy.count(7)).toBe(1)
  return table.location
}

describe('a location', () => {
  test('with half of a character is refused by open, bulkLoad and checkpoint, and makes nothing', async () => {
    const root = tables.path()
    await mkdir(root)
    const refused = {
      code: 'FLASHTABLE_INVALID_OPTION',
      message: expect.stringContaining('position') as string,
    }
    for (const path of [join(root, CUT), join(root, CUT, 'table'), join(root, '\uDC00')]) {
      await expect(tables.open(path, SET)).rejects.toMatchObject(refused)
      await expect(tables.open(path, { readOnly: true })).rejects.toMatchObject(refused)
    }
    const table = await tables.open(join(root, 'table'), SET)
    await expect(table.checkpoint(join(root, CUT))).rejects.toMatchObject(refused)
    expect(await readdir(root)).toEqual(['table'])
  })

  test.each([
    ['a NUL character', 'a\0b'],
    ['nothing', ''],
    ['the text of a URL', 'file:///tmp/table'],
    ['a URL of the web', new URL('https://example.org/table')],
    ['a Buffer', Buffer.from('/tmp/table')],
    ['a number', 7],
    ['null', null],
  ])('that is %s is refused with a code', async (_, location) => {
    const refused = { name: 'TypeError', code: 'FLASHTABLE_INVALID_OPTION' }
    await expect(tables.open(location as string, SET)).rejects.toMatchObject(refused)
    const table = await tables.open(tables.path(), SET)
    await expect(table.checkpoint(location as string)).rejects.toMatchObject(refused)
  })

  test.each(['a b', 'a\nb', 'naïve 🎵', 'עברית', '\u202Erlo', '-rf', '%2e', 'a'.repeat(200)])(
    'named %j is made, and a table in it can be opened and copied',
    async name => {
      const root = tables.path()
      expect(await live(join(root, name))).toBe(join(root, name))
      expect((await readdir(root)).sort()).toEqual([name, `${name} copy`])
    },
  )

  test.each(['x//y', 'x/./y', 'x/z/../y', 'x/y/', 'x/y//'])(
    'written as %s is the directory that it means',
    async name => {
      const root = tables.path()
      expect(await live(`${root}/${name}`)).toBe(join(root, 'x/y'))
    },
  )

  test('may be a file: URL', async () => {
    const path = join(tables.path(), 'a b%')
    expect(await live(pathToFileURL(path))).toBe(path)
  })

  test('that is relative stays where it was when the current directory changes', async () => {
    const path = tables.path()
    const before = process.cwd()
    const table = await tables.open(relative(before, path), SET)
    // The threads of the tests cannot change the directory: the copy's path is resolved when the call is made.
    const copied = table.checkpoint(relative(before, `${path}-copy`))
    await copied
    expect(table.location).toBe(path)
    await table.close()
    expect(await readdir(dirname(path))).toContain(`${path}-copy`.slice(dirname(path).length + 1))
  })

  test('of many new directories, one in another, makes them all', async () => {
    const path = join(tables.path(), ...Array<string>(500).fill('d'))
    expect(await live(path)).toBe(path)
  })

  test.each([
    ['a name that is too long', (root: string) => join(root, 'a'.repeat(300)), 'FLASHTABLE_IO_ERROR'],
    [
      'a path that is too long',
      (root: string) => join(root, ...Array<string>(3000).fill('d')),
      'FLASHTABLE_IO_ERROR',
    ],
    ['a file', (root: string) => join(root, 'file'), 'FLASHTABLE_IO_ERROR'],
    ['a path below a file', (root: string) => join(root, 'file/below'), 'FLASHTABLE_IO_ERROR'],
    ['a link to nowhere', (root: string) => join(root, 'dangling'), 'FLASHTABLE_IO_ERROR'],
    ['a path below a link to nowhere', (root: string) => join(root, 'dangling/below'), 'FLASHTABLE_IO_ERROR'],
    ['a link to itself', (root: string) => join(root, 'loop'), 'FLASHTABLE_IO_ERROR'],
    ['a link to a file', (root: string) => join(root, 'to-file'), 'FLASHTABLE_IO_ERROR'],
  ])('that is %s is told with a code, for writing and for reading', async (_, pathIn, code) => {
    const root = tables.path()
    await mkdir(root)
    await writeFile(join(root, 'file'), '')
    await symlink(join(root, 'nowhere'), join(root, 'dangling'))
    await symlink(join(root, 'loop'), join(root, 'loop'))
    await symlink(join(root, 'file'), join(root, 'to-file'))
    const path = pathIn(root)
    const said = { name: 'FlashTableError', message: expect.stringContaining(root) as string }
    await expect(tables.open(path, SET)).rejects.toMatchObject({ ...said, code })
    const reading = tables.open(path, { readOnly: true })
    await expect(reading).rejects.toMatchObject({
      ...said,
      code: expect.stringMatching(/^FLASHTABLE_(NOT_FOUND|IO_ERROR)$/) as string,
    })
    const table = await tables.open(join(root, 'table'), SET)
    await expect(table.checkpoint(path)).rejects.toMatchObject({
      ...said,
      code: expect.stringMatching(/^FLASHTABLE_(EXISTS|IO_ERROR)$/) as string,
    })
  })

  test('may be a link to a directory', async () => {
    const root = tables.path()
    await mkdir(join(root, 'real'), { recursive: true })
    await symlink(join(root, 'real'), join(root, 'link'))
    expect(await live(join(root, 'link'))).toBe(join(root, 'link'))
    expect(await readdir(join(root, 'real'))).toContain('MANIFEST')
  })

  test.skipIf(process.getuid?.() === 0)('that may not be written is told with a code', async () => {
    const root = tables.path()
    await mkdir(root)
    await chmod(root, 0o500)
    await expect(tables.open(join(root, 'table'), SET)).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR' })
    await chmod(root, 0o700)
  })
})

describe('a location that is relative', () => {
  test('to a current directory that has been removed is told with a code', async () => {
    const program = `
      import { FlashTable } from ${LIBRARY}
      import { mkdtempSync, rmdirSync } from 'node:fs'
      const directory = mkdtempSync(${JSON.stringify(join(tmpdir(), 'flashtable-gone-'))})
      process.chdir(directory)
      rmdirSync(directory)
      await FlashTable.open('table', { keyEncoding: 'u8' }).catch(error => console.log(error.code))`
    const { stdout } = await startNode(await programOf(program)).result
    expect(stdout).toBe('FLASHTABLE_IO_ERROR\n')
  })
})

describe('an open that is aborted', () => {
  test('rejects with the reason, whatever code that has', async () => {
    const table = await tables.open(tables.path(), SET)
    for (const reason of [Object.assign(new Error('stop'), { code: 'EMFILE' }), { code: 'MINE' }, 'stop']) {
      const controller = new AbortController()
      const waiting = tables.open(table.location, { lockTimeoutMs: Infinity, signal: controller.signal })
      controller.abort(reason)
      await expect(waiting).rejects.toBe(reason)
    }
  })
})

describe('makeDirectory', () => {
  test('ends where the disk makes another name of the one that was asked for', async () => {
    const root = tables.path()
    await mkdir(root)
    const path = join(root, CUT, 'below')
    expect(await nodeFileSystem.makeDirectory(path)).toBe(join(root, CUT))
    expect(await readdir(join(root, 'track\uFFFD'))).toEqual(['below'])
    expect(await nodeFileSystem.makeDirectory(path)).toBeUndefined()
  })

  test('of the root of the file system, and of what is there, makes nothing', async () => {
    expect(await nodeFileSystem.makeDirectory('/')).toBeUndefined()
    expect(await nodeFileSystem.makeDirectory(tmpdir())).toBeUndefined()
  })
})

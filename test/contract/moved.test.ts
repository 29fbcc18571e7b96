/** The directory of an open table becomes another one, on the real disk: nothing of somebody else's is touched. */
import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { FlashTable, struct } from '../../src/index.js'
import type { FileSystem } from '../../src/io/file-system.js'
import { lockOf, realLockParts } from '../../src/io/lock.js'
import { verifyTable } from '../../src/offline/verify.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'
import { imageOf, testTables } from '../support/tables.js'

const tables = testTables({ onDisk: true })
const OPTIONS = {
  keyEncoding: 'u32',
  valueEncoding: struct({ id: 'u32' }),
  bufferBytes: 8192,
  walBytes: 16_384,
  fanout: 3,
  syncIntervalMs: Infinity,
} as const
type Table = FlashTable<'u32', typeof OPTIONS.valueEncoding>
/** As where fs-ext is not there: its lock lasts as long as the directory does. */
const withoutFlock = { ...nodeEnvironment, acquireLock: lockOf({ ...realLockParts(), flock: undefined }) }
type Open = (location: string) => Promise<Table>
const openTable: Open = location => tables.open(location, OPTIONS)
const openWithoutFlock: Open = async location =>
  (await FlashTable.openIn(location, OPTIONS, withoutFlock)) as unknown as Table

const MOVED = { code: 'FLASHTABLE_POISONED', cause: { code: 'FLASHTABLE_MOVED' } }

async function put(table: Table, count: number, first = 0): Promise<void> {
  for (let from = first; from < first + count; from += 500) {
    const key = Uint32Array.from({ length: Math.min(500, first + count - from) }, (_, i) => from + i)
    await table.putColumns({ key, id: key })
  }
}

async function countOf(table: Table): Promise<number> {
  let count = 0
  for await (const { key } of table.scanColumns()) count += key.length
  return count
}

/** A table with records in files and in the log. */
async function opened(location = tables.path(), open: Open = openTable): Promise<Table> {
  const table = await open(location)
  await put(table, 3000)
  return table
}

/** Another table, closed, that has been worked with. */
async function stranger(location: string, open: Open = openTable, count = 5000): Promise<void> {
  const table = await open(location)
  await put(table, count, 100_000)
  await table.compact()
  await table.close()
}

/** All that changes the disk rejects, says why, and leaves `location` alone; reads go on. */
async function expectMoved(table: Table, location = table.location): Promise<void> {
  const before = await imageOf(location).catch(() => undefined)
  await expect(table.sync().then(() => table.compact())).rejects.toMatchObject(MOVED)
  await expect(table.put(1, { id: 1 })).rejects.toMatchObject(MOVED)
  await expect(table.clear()).rejects.toMatchObject(MOVED)
  expect(await table.get(2999)).toEqual({ id: 2999 })
  expect(await countOf(table)).toBe(3000)
  await expect(table.close()).rejects.toMatchObject(MOVED)
  expect(await imageOf(location).catch(() => undefined)).toEqual(before)
}

/** As {@link expectMoved}, beside a table that is being written. */
async function expectClosedMoved(table: Table): Promise<void> {
  await expect(table.compact()).rejects.toMatchObject(MOVED)
  expect(await countOf(table)).toBe(3000)
  await expect(table.close()).rejects.toMatchObject(MOVED)
}

async function expectStranger(location: string, count = 5000): Promise<void> {
  const table = await tables.open(location, OPTIONS)
  expect(await countOf(table)).toBe(count)
  await table.close()
  expect((await verifyTable(location)).problems).toEqual([])
}

describe('the directory of an open table', () => {
  test('was removed, and another table made there: closing the first leaves the second whole', async () => {
    const table = await opened()
    await rm(table.location, { recursive: true })
    await stranger(table.location)
    await expect(table.close()).rejects.toMatchObject({
      ...MOVED,
      message: expect.stringContaining('another directory has taken its place') as string,
    })
    await expectStranger(table.location)
  })

  test('was removed, and another table is open there: both say what is theirs', async () => {
    const table = await opened()
    await rm(table.location, { recursive: true })
    const second = await tables.open(table.location, OPTIONS)
    await put(second, 5000, 100_000)
    await expectClosedMoved(table)
    await second.compact()
    await second.close()
    await expectStranger(table.location)
  })

  test('has a rebuilt table in its place by rename', async () => {
    const table = await opened()
    const built = tables.path()
    await stranger(built)
    await rename(table.location, `${table.location}.old`)
    await rename(built, table.location)
    await expectMoved(table)
    await expectStranger(table.location)
  })

  test('was emptied, and another table made in it', async () => {
    const table = await opened(tables.path(), openWithoutFlock)
    for (const name of await readdir(table.location)) await rm(join(table.location, name))
    await stranger(table.location, openWithoutFlock)
    await expectMoved(table)
    await expectStranger(table.location)
  })

  test('was moved away: nothing is made where it was', async () => {
    const table = await opened()
    await rename(table.location, `${table.location}.moved`)
    await expectMoved(table)
    await expect(readdir(table.location)).rejects.toMatchObject({ code: 'ENOENT' })
    // It is not locked any more, though the process that had it lives.
    const moved = await tables.open(`${table.location}.moved`, OPTIONS)
    expect(await countOf(moved)).toBe(3000)
  })

  test('was reached by a symbolic link that leads elsewhere now', async () => {
    const [target, other, link] = [tables.path(), tables.path(), tables.path()]
    await mkdir(target)
    await stranger(other)
    await symlink(target, link)
    const table = await opened(link)
    await unlink(link)
    await symlink(other, link)
    await expectMoved(table)
    await expectStranger(other)
  })

  test('has something mounted over it', async context => {
    const table = await opened()
    try {
      execFileSync('mount', ['-t', 'tmpfs', 'none', table.location], { stdio: 'pipe' })
    } catch (error) {
      await table.close()
      return context.skip(`no mount: ${String((error as { stderr?: Buffer }).stderr)}`)
    }
    try {
      await expectMoved(table)
      expect(await readdir(table.location)).toEqual([])
    } finally {
      execFileSync('umount', [table.location])
    }
  })

  test('was let to another writer, as LOCK was deleted by hand', async () => {
    const table = await opened(tables.path(), openWithoutFlock)
    await table.sync()
    await unlink(join(table.location, 'LOCK'))
    const second = await openWithoutFlock(table.location)
    await put(second, 2000, 3000)
    await expectClosedMoved(table)
    await expect(FlashTable.open(table.location)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await second.compact()
    await second.close()
    await expectStranger(table.location)
  })

  test('has a backup restored into it', async () => {
    const table = await opened()
    const backup = tables.path()
    await table.checkpoint(backup)
    await put(table, 5000)
    await table.compact()
    await cp(backup, table.location, { recursive: true, force: true, preserveTimestamps: true })
    await expect(table.sync().then(() => table.compact())).rejects.toMatchObject(MOVED)
    await expect(table.close()).rejects.toMatchObject(MOVED)
    await expectStranger(table.location, 3000)
  })

  test('has lost its MANIFEST: the table is closed, and writes nothing there', async () => {
    const table = await opened()
    await rename(join(table.location, 'MANIFEST'), join(table.location, 'MANIFEST.away'))
    const names = await readdir(table.location)
    await expectClosedMoved(table)
    expect(await readdir(table.location)).toEqual(names.filter(name => name !== 'LOCK'))
  })

  test('is what it was where its files were touched, or LOCK deleted and nobody came', async () => {
    const table = await opened()
    await utimes(join(table.location, 'MANIFEST'), 1, 1)
    await utimes(join(table.location, 'LOCK'), 1, 1)
    await table.compact()
    await unlink(join(table.location, 'LOCK'))
    await put(table, 3000)
    await table.compact()
    await table.close()
    await expectStranger(table.location, 6000)
  })

  test('was given by a path relative to where the process was: it goes on elsewhere', async () => {
    const location = tables.path()
    const before = process.cwd()
    const table = await opened(relative(before, location))
    try {
      process.chdir('/')
      await put(table, 2000, 3000)
      await table.compact()
      await table.close()
    } finally {
      process.chdir(before)
    }
    await expectStranger(location)
  })

  test('has a LOCK of somebody else at close, which stays', async () => {
    const table = await opened()
    await table.compact()
    await writeFile(join(table.location, 'LOCK'), 'of somebody else')
    await expect(table.close()).rejects.toMatchObject(MOVED)
    expect(await readdir(table.location)).toContain('LOCK')
  })
})

describe('an open', () => {
  test('of a directory that never is the one that was held ends, and leaves no lock', async () => {
    const location = tables.path()
    let looks = 0
    const fileSystem: FileSystem = {
      ...nodeEnvironment.fileSystem,
      async stamp(path) {
        const stamp = await nodeEnvironment.fileSystem.stamp(path)
        return stamp && { ...stamp, identity: `another ${looks++}` }
      },
    }
    const opening = FlashTable.openIn(location, OPTIONS, { ...nodeEnvironment, fileSystem })
    await expect(opening).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      message: expect.stringContaining('another directory 50 times') as string,
    })
    expect(await readdir(location)).toEqual([])
  })

  test('that fails says why, also where LOCK cannot be removed then', async () => {
    const location = tables.path()
    await (await tables.open(location, OPTIONS)).close()
    const acquireLock: Environment['acquireLock'] = async (...given) => {
      const lock = await nodeEnvironment.acquireLock(...given)
      return {
        release: async () => {
          await lock.release()
          throw new Error('LOCK stays')
        },
      }
    }
    const opening = FlashTable.openIn(
      location,
      { ...OPTIONS, errorIfExists: true },
      { ...nodeEnvironment, acquireLock },
    )
    await expect(opening).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
  })
})

describe('a reader whose table', () => {
  test.each(['was replaced by rename', 'was removed and made anew'])(
    '%s refuses to refresh, and goes on',
    async how => {
      const table = await opened()
      const { location } = table
      await table.close()
      const reader = await tables.open(location, { ...OPTIONS, readOnly: true })
      if (how === 'was replaced by rename') await rename(location, `${location}.old`)
      else await rm(location, { recursive: true })
      await expect(reader.refresh()).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
      await stranger(location)
      const refusal = {
        code: 'FLASHTABLE_MOVED',
        message: expect.stringContaining('another table') as string,
      }
      await expect(reader.refresh()).rejects.toMatchObject(refusal)
      expect(await reader.get(2999)).toEqual({ id: 2999 })
      expect(await reader.get(100_000)).toBeUndefined()
      expect(await countOf(reader)).toBe(3000)
      await expect(reader.refresh()).rejects.toMatchObject(refusal)
      await reader.close()
      await expectStranger(location)
    },
  )

  test('has another schema now refuses too, and says the same', async () => {
    const table = await opened()
    const { location } = table
    await table.close()
    const reader = await tables.open(location, { readOnly: true })
    await rm(location, { recursive: true })
    await (await FlashTable.open(location, { keyEncoding: 'u64' })).close()
    await expect(reader.refresh()).rejects.toMatchObject({ code: 'FLASHTABLE_MOVED' })
    expect(await reader.get(1)).toEqual({ id: 1 })
  })

  test('was cleared by its writer sees that', async () => {
    const table = await opened()
    const reader = await tables.open(table.location, { ...OPTIONS, readOnly: true })
    await table.clear()
    await put(table, 10)
    await reader.refresh()
    expect(await countOf(reader)).toBe(10)
  })
})

describe('a table that is poisoned', () => {
  test('rejects a compact that has nothing to do, and tells why in stats() and util.inspect', async () => {
    const table = await opened()
    await table.compact()
    expect((await table.stats()).poisoned).toBeUndefined()
    expect(inspect(table)).not.toContain('poisoned')
    await rename(table.location, `${table.location}-moved`)
    await expect(table.sync().then(() => table.put(1, { id: 1 }, { sync: true }))).rejects.toMatchObject(
      MOVED,
    )
    await expect(table.compact()).rejects.toMatchObject(MOVED)
    const { message } = await table.put(1, { id: 1 }).then(
      () => new Error('put'),
      (error: Error) => error,
    )
    await rename(`${table.location}-moved`, table.location)
    const { poisoned } = await table.stats()
    expect(poisoned).toBeTypeOf('string')
    expect(message).toContain(poisoned)
    expect(inspect(table)).toContain('poisoned: ')
    await expect(table.close()).rejects.toMatchObject(MOVED)
  })
})

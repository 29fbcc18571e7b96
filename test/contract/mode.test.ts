/** `mode`: the permissions of all files of a table, so that readers of a group, or other users, can be. */
import fs from 'node:fs'
import { chmod, chown, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inlineExecutor } from '../../src/executor/inline-executor.js'
import { FlashTable, repairTable } from '../../src/index.js'
import type { FileSystem } from '../../src/io/file-system.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  settled,
  SMALL,
  spreadKey,
  testTables,
} from '../support/tables.js'

const tables = testTables()
const OPTIONS = { ...FINGERPRINT, ...SMALL }

const permissions = async (path: string): Promise<number> => (await stat(path)).mode & 0o7777

/** The permissions of all files in the directory, each once, without those of the lock. */
async function modesIn(directory: string): Promise<number[]> {
  const names = (await readdir(directory)).filter(name => !name.startsWith('LOCK'))
  return [...new Set(await Promise.all(names.map(name => permissions(join(directory, name)))))]
}

/** An environment that notes the permissions of each new file right after it was made, by the ending of its name. */
function watched(): { environment: Environment; seen: Map<string, Set<number>> } {
  const seen = new Map<string, Set<number>>()
  const fileSystem: FileSystem = {
    ...nodeFileSystem,
    async open(path, mode, fileMode) {
      const file = await nodeFileSystem.open(path, mode, fileMode)
      const kind = /\w+$/.exec(path)![0]
      if (mode === 'create') seen.set(kind, (seen.get(kind) ?? new Set()).add(await permissions(path)))
      return file
    },
  }
  return {
    environment: { ...nodeEnvironment, fileSystem, newExecutor: () => inlineExecutor(fileSystem) },
    seen,
  }
}

async function fill(table: Awaited<ReturnType<typeof tables.fingerprints>>): Promise<void> {
  for (let from = 0; from < 4000; from += 250)
    await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
  await table.compact()
  for (let from = 0; from < 700; from += 50)
    await table.putColumns(fingerprintColumns(from, from + 50, spreadKey))
}

describe.each([0o600, 0o640, 0o644, 0o664])('a table of mode %o', mode => {
  const directoryMode = { 0o600: 0o700, 0o640: 0o750, 0o644: 0o755, 0o664: 0o775 }[mode]!

  test.each([0o022, 0o077])('has it on every file that it ever makes, whatever the umask: %o', async mask => {
    const before = process.umask(mask)
    try {
      const path = join(tables.path(), 'parent', 'table')
      const { environment, seen } = watched()
      const open = (options: object, location = path) =>
        FlashTable.openIn(location, { ...OPTIONS, ...options }, environment) as ReturnType<
          typeof tables.fingerprints
        >
      let table = await open({ mode })
      expect(table.mode).toBe(mode)
      for (const made of [path, dirname(path), dirname(dirname(path))])
        expect(await permissions(made)).toBe(directoryMode)
      await fill(table)
      // Segments that were recycled keep it.
      const copy = join(tables.path(), 'copy')
      await table.checkpoint(copy)
      await table.close()
      table = await open({})
      expect(table.mode).toBe(mode)
      await table.clear()
      await table.close()
      const source = [fingerprintColumns(0, 3000, spreadKey)]
      await (await FlashTable.bulkLoadIn(path, { ...OPTIONS, memoryBytes: 0 }, source, environment)).close()
      const saved = join(tables.path(), 'saved')
      await repairTable(copy, saved)
      for (const directory of [path, copy, saved]) {
        expect(await modesIn(directory)).toEqual([mode])
        expect(await permissions(directory)).toBe(directoryMode)
        const again = await open({ mode }, directory)
        expect(again.mode).toBe(mode)
        await again.close()
      }
      expect([...seen.keys()].toSorted()).toEqual(['bucket', 'jsonl', 'spill', 'tmp', 'wal'])
      for (const modes of seen.values()) expect([...modes]).toEqual([mode])
    } finally {
      process.umask(before)
    }
  })
})

describe('mode', () => {
  const onDisk = testTables({ onDisk: true })

  test('reaches the files that threads make', async () => {
    const before = process.umask(0o077)
    try {
      const table = await onDisk.fingerprints({ ...SMALL, mode: 0o664 })
      await fill(table)
      await table.compact()
      await table.checkpoint(`${table.location}-copy`)
      for (const directory of [table.location, `${table.location}-copy`])
        expect(await modesIn(directory)).toEqual([0o664])
    } finally {
      process.umask(before)
    }
  })

  test('is 0600 if nobody asks, and stored: another one is refused, and the message names both', async () => {
    const table = await tables.fingerprints()
    expect(table.mode).toBe(0o600)
    await table.close()
    expect(await modesIn(table.location)).toEqual([0o600])
    for (const options of [{ mode: 0o640 }, { mode: 0o640, readOnly: true }]) {
      await expect(FlashTable.open(table.location, options)).rejects.toMatchObject({
        code: 'FLASHTABLE_SCHEMA_MISMATCH',
        message: expect.stringContaining('created with mode 0o600, but 0o640 was given') as string,
      })
    }
  })

  test('leaves a directory that was there as it is, and keeps the setgid bit of one that it makes', async () => {
    const parent = tables.path()
    await mkdir(parent)
    await chmod(parent, 0o2711)
    await tables.open(parent, { ...OPTIONS, mode: 0o640 })
    expect(await permissions(parent)).toBe(0o2711)
    const before = process.umask(0o077)
    try {
      await tables.open(join(parent, 'table'), { ...OPTIONS, mode: 0o660 })
      expect(await permissions(join(parent, 'table'))).toBe(0o2770)
    } finally {
      process.umask(before)
    }
  })

  test('is given to repair if the manifest is lost', async () => {
    const table = await tables.fingerprints({ ...SMALL, mode: 0o640 })
    await table.put(1n, fingerprint(1))
    await table.close()
    await rm(join(table.location, 'MANIFEST'))
    for (const [mode, expected] of [
      [0o644, 0o644],
      [undefined, 0o600],
    ] as const) {
      const into = tables.path()
      await repairTable(table.location, into, { ...FINGERPRINT, mode })
      expect(await modesIn(into)).toEqual([expected])
    }
    await expect(
      repairTable(table.location, tables.path(), { ...FINGERPRINT, mode: 0o777 }),
    ).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  })

  test.each([
    ['EPERM', undefined],
    ['ENOTSUP', undefined],
    ['EIO', 'FLASHTABLE_IO_ERROR'],
  ])(
    'where chmod fails with %s an open fails with %s: some file systems have no modes',
    async (code, failure) => {
      const before = process.umask(0o077)
      const { fchmod, chmod } = fs
      const failing = (_target: unknown, _mode: unknown, done: (error: Error) => void): void =>
        process.nextTick(done, Object.assign(new Error(code), { code }))
      Object.assign(fs, { fchmod: failing, chmod: failing })
      syncBuiltinESMExports()
      try {
        const opened = tables.open(tables.path(), { ...OPTIONS, mode: 0o644 })
        if (failure === undefined) expect(await modesIn((await opened).location)).toEqual([0o600])
        else await expect(opened).rejects.toMatchObject({ code: failure })
      } finally {
        Object.assign(fs, { fchmod, chmod })
        syncBuiltinESMExports()
        process.umask(before)
      }
    },
  )
})

describe.runIf(process.getuid?.() === 0)('another user', () => {
  const GROUP = 54_321
  const USER = 54_322
  const ownGroups = process.getgroups!()
  let before = 0

  /** Runs `action` as another user, of the group or not. */
  async function asUser<T>(action: () => Promise<T>, group = GROUP): Promise<T> {
    process.setgroups!([group])
    process.setegid!(group)
    process.seteuid!(USER)
    try {
      return await action()
    } finally {
      process.seteuid!(0)
      process.setegid!(0)
      process.setgroups!(ownGroups)
    }
  }

  /** A directory whose entries belong to the group; others get in, too. */
  async function groupDirectory(): Promise<string> {
    const parent = tables.path()
    await mkdir(parent)
    await chown(parent, 0, GROUP)
    await chmod(parent, 0o2777)
    await chmod(dirname(parent), 0o755)
    return parent
  }

  beforeEach(() => void (before = process.umask(0o077)))
  afterEach(() => void process.umask(before))

  test('of the group reads a table of mode 640 beside its writer, refreshes and copies it, and cannot write', async () => {
    const parent = await groupDirectory()
    const path = join(parent, 'table')
    const table = (await tables.open(path, { ...OPTIONS, mode: 0o640 })) as Awaited<
      ReturnType<typeof tables.fingerprints>
    >
    await fill(table)
    // The user is that of the whole process: nothing may run in the background.
    await settled(table)
    const expected = await collect(table.entries())
    await asUser(async () => {
      const reader = await tables.open(path, { ...OPTIONS, readOnly: true })
      expect(await collect(reader.entries())).toEqual(expected)
      await reader.checkpoint(join(parent, 'copy'))
      expect(await modesIn(join(parent, 'copy'))).toEqual([0o640])
      const copy = await tables.open(join(parent, 'copy'), { ...OPTIONS, readOnly: true })
      expect(await collect(copy.entries())).toEqual(expected)
      await copy.close()
      await expect(tables.open(path, OPTIONS)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      await reader.close()
    })
    await table.put(1n, fingerprint(1))
    const count = await asUser(async () => {
      const reader = await tables.open(path, { ...OPTIONS, readOnly: true })
      const found = await reader.count(1n)
      await reader.close()
      return found
    })
    expect(count).toBe(1)
    await table.close()
    await expect(asUser(() => tables.open(path, OPTIONS))).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
    })
    const refused = asUser(() => tables.open(path, { ...OPTIONS, readOnly: true }), GROUP + 5)
    await expect(refused).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR' })
  })

  test('of the group writes a table of mode 660, learns who has it open, and both go on in turns', async () => {
    const path = join(await groupDirectory(), 'table')
    const first = (await tables.open(path, { ...OPTIONS, mode: 0o660 })) as Awaited<
      ReturnType<typeof tables.fingerprints>
    >
    await fill(first)
    await settled(first)
    await expect(asUser(() => tables.open(path, OPTIONS))).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
    })
    const records = (await collect(first.keys())).length
    await first.close()
    await asUser(async () => {
      const second = (await tables.open(path, OPTIONS)) as typeof first
      await fill(second)
      await second.close()
    })
    expect(await modesIn(path)).toEqual([0o660])
    const third = (await tables.open(path, OPTIONS)) as typeof first
    await fill(third)
    expect(await collect(third.keys())).toHaveLength(records)
    await third.close()
  })

  test('of no group reads a table of mode 604', async () => {
    const path = join(await groupDirectory(), 'table')
    await (await tables.open(path, { ...OPTIONS, mode: 0o604 })).close()
    const opened = asUser(
      async () => (await tables.open(path, { ...OPTIONS, readOnly: true })).close(),
      GROUP + 5,
    )
    await expect(opened).resolves.toBeUndefined()
  })
})

/** `checkpoint`: a full copy that opens as a table of its own, while the table goes on. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  imageOf,
  settled,
  sizesOf,
  SMALL,
  spreadKey,
  testTables,
} from '../support/tables.js'

const tables = testTables()
const OPTIONS = { ...FINGERPRINT, ...SMALL }

describe('checkpoint', () => {
  test('holds everything put before it, from memory and files, deletes included', async () => {
    const table = await tables.fingerprints()
    for (let from = 0; from < 3000; from += 250)
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    await table.del(spreadKey(5))
    await table.delRecord(spreadKey(2999), fingerprint(2999))
    await table.delWhere({ flags: 3 })
    const put = table.put(1n, fingerprint(1))
    const path = tables.path()
    await table.checkpoint(path)
    await put
    const copy = await tables.open(path, OPTIONS)
    const entries = await collect(table.entries())
    expect(await collect(copy.entries())).toEqual(entries)
    expect(entries.length).toBeLessThan(2600)
    expect(await copy.getAll(1n)).toEqual([fingerprint(1)])
    expect((await copy.stats()).recordsPut).toBe(3001)
  })

  test('is a table of its own: neither sees what happens to the other', async () => {
    const table = await tables.fingerprints()
    for (let from = 0; from < 2000; from += 250)
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    const path = tables.path()
    await table.checkpoint(path)
    const expected = await collect(table.entries())
    const copy = await tables.open(path, OPTIONS)
    await table.clear()
    await table.put(1n, fingerprint(1))
    await copy.delWhere({ flags: 1 })
    await copy.compact()
    expect(await collect(copy.entries())).toEqual(expected.filter(([, { flags }]) => flags !== 1))
    expect(await collect(table.entries())).toEqual([[1n, fingerprint(1)]])
    const again = await tables.reopen(table)
    expect(await collect(again.entries())).toEqual([[1n, fingerprint(1)]])
  })

  test.each(['copy', '000009.bucket', 'MANIFEST.tmp', 'LOCK.x/copy'])(
    'is refused inside the directory of the table, whose files it could be taken for: %s',
    async name => {
      const table = await tables.fingerprints()
      await table.put(1n, fingerprint(1))
      const link = tables.path()
      await symlink(table.location, link)
      const names = await readdir(table.location)
      for (const directory of [join(table.location, name), join(link, name)]) {
        await expect(table.checkpoint(directory)).rejects.toMatchObject({
          name: 'RangeError',
          code: 'FLASHTABLE_INVALID_OPTION',
        })
        expect(await readdir(table.location)).toEqual(names)
      }
      await table.checkpoint(tables.path())
    },
  )

  test('is one state, while puts and merges go on', async () => {
    const table = await tables.fingerprints()
    const paths = Array.from({ length: 4 }, () => tables.path())
    let made = 0
    const write = async (): Promise<void> => {
      for (let round = 0; made < paths.length || round < 20; round++) {
        await table.putColumns(fingerprintColumns(round * 100, round * 100 + 100, n => spreadKey(n % 100)))
        if (round % 7 === 6) await table.compact()
      }
    }
    const copy = async (): Promise<void> => {
      for (const path of paths) {
        await table.checkpoint(path)
        made++
      }
    }
    await Promise.all([write(), copy()])
    let last = 0
    for (const path of paths) {
      const opened = await tables.open(path, OPTIONS)
      const rounds = (await opened.count(spreadKey(0))) + 0
      expect(rounds).toBeGreaterThanOrEqual(last)
      for (let key = 0; key < 100; key++) {
        expect(await opened.getAll(spreadKey(key))).toEqual(
          Array.from({ length: rounds }, (_, round) => fingerprint(round * 100 + key)),
        )
      }
      last = rounds
    }
  })

  test('shares its files with the table: it writes the memtables alone', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 2 ** 20, walBytes: 2 ** 20 })
    await table.putColumns(fingerprintColumns(0, 20_000, spreadKey))
    await table.compact()
    const { files } = await settled(table)
    const path = tables.path()
    await table.checkpoint(path)
    const name = files[0]!.name
    expect((await stat(join(path, name))).ino).toBe((await stat(join(table.location, name))).ino)
    expect([...(await sizesOf(path)).keys()].sort()).toEqual([name, 'MANIFEST'].sort())
  })

  test.each(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EACCES', 'EINVAL', 'EMLINK', 'EXDEV'])(
    'copies its files where a link fails with %s',
    async code => {
      const disk = new SimulatedFileSystem()
      const environment = simulatedEnvironment(disk)
      const table = await FlashTable.openIn('/table', { keyEncoding: 'u32' }, environment)
      await table.putColumns({ key: Uint32Array.of(1, 2, 3) })
      await table.compact()
      disk.failAt(({ op }) => op === 'link', code)
      await table.checkpoint('/copy')
      const copy = await FlashTable.openIn('/copy', {}, environment)
      expect(await collect(copy.keys())).toEqual([1, 2, 3])
      await copy.close()
      await table.close()
    },
  )

  test('of an empty table is an empty table', async () => {
    const table = await tables.fingerprints()
    const path = tables.path()
    await table.checkpoint(path)
    const copy = await tables.open(path)
    expect(await collect(copy.entries())).toEqual([])
    await copy.put(1n, fingerprint(1))
  })

  test('needs a directory that is not there, and touches none that is', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    const empty = tables.path()
    await mkdir(empty)
    const other = await tables.fingerprints()
    await other.put(2n, fingerprint(2))
    for (const path of [empty, other.location, table.location]) {
      const before = await imageOf(path)
      await expect(table.checkpoint(path)).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
      expect(await imageOf(path)).toEqual(before)
    }
    await table.put(3n, fingerprint(3))
  })

  test('beside clear() and close() holds the state before or behind, and close() waits for it', async () => {
    for (const seals of [0, 1, 3]) {
      const table = await tables.fingerprints()
      await table.putColumns(fingerprintColumns(0, 200, spreadKey))
      for (let i = 0; i < seals; i++) await table.putColumns(fingerprintColumns(200, 450, spreadKey))
      const before = (await collect(table.keys())).length
      const [first, second] = [tables.path(), tables.path()]
      await Promise.all([table.checkpoint(first), table.clear()])
      await table.putColumns(fingerprintColumns(0, 200, spreadKey))
      const copying = table.checkpoint(second)
      await table.close()
      expect(existsSync(join(second, 'MANIFEST'))).toBe(true)
      await copying
      for (const [path, counts] of [
        [first, [0, before]],
        [second, [200]],
      ] as const) {
        const copy = await tables.open(path, OPTIONS)
        expect(counts).toContain((await collect(copy.keys())).length)
        await copy.close()
      }
    }
  })

  test('is refused by a table that is closed, which makes nothing', async () => {
    const table = await tables.fingerprints()
    const path = tables.path()
    await table.close()
    await expect(table.checkpoint(path)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
    expect(existsSync(path)).toBe(false)
  })
})

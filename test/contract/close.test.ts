/** `close`: what was put is found again, everything is released, and every call is refused. */
import { existsSync } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables({ onDisk: true })
const NOT_OPEN = { name: 'FlashTableError', code: 'FLASHTABLE_NOT_OPEN' }

/** Files of the directory that this process has open. */
async function openFiles(directory: string): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )
  return links.filter(path => path.startsWith(directory))
}

/** A table that has been through seals and merges. */
async function busyTable(): Promise<FingerprintTable> {
  const table = await tables.fingerprints()
  for (let from = 0; from < 3000; from += 250)
    await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
  return table
}

describe('close', () => {
  test('commits the calls that were made before it', async () => {
    const table = await tables.fingerprints()
    const calls: Promise<void>[] = []
    for (let i = 0; i < 1500; i++) calls.push(table.put(spreadKey(i), fingerprint(i)))
    calls.push(
      table.del(spreadKey(7)),
      table.putColumns(fingerprintColumns(1500, 1700, spreadKey), { sync: true }),
    )
    const closed = table.close()
    expect((await Promise.allSettled(calls)).every(({ status }) => status === 'fulfilled')).toBe(true)
    await closed
    const again = await tables.open(table.location, FINGERPRINT)
    expect(await collect(again.keys())).toHaveLength(1699)
    expect(await again.has(spreadKey(7))).toBe(false)
    expect(await again.get(spreadKey(1699))).toEqual(fingerprint(1699))
  })

  test('is one act, however often and however it is called', async () => {
    const table = await busyTable()
    await Promise.all([table.close(), table.close(), table[Symbol.asyncDispose]()])
    await table.close()
    const path = tables.path()
    {
      await using table = await FlashTable.open(path, FINGERPRINT)
      await table.put(1n, fingerprint(1))
    }
    const again = await tables.open(path, FINGERPRINT)
    expect(await again.get(1n)).toEqual(fingerprint(1))
  })

  test('lets nothing work any more', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    await table.close()
    const calls: (() => unknown)[] = [
      () => table.put(1n, fingerprint(1)),
      () => table.batch([{ type: 'del', key: 1n }]),
      () => table.batch([]),
      () => table.putColumns(fingerprintColumns(0, 1, spreadKey)),
      () => table.del(1n),
      () => table.delRecord(1n, fingerprint(1)),
      () => table.delWhere({ id: 1 }),
      () => table.get(1n),
      () => table.getMany([1n]),
      () => table.getAll(1n),
      () => table.getColumns([1n]),
      () => table.getSync(1n),
      () => table.getAllSync(1n),
      () => table.has(1n),
      () => table.count(1n),
      () => collect(table.entries()),
      () => collect(table.keys()),
      () => collect(table.values()),
      () => collect(table.scanColumns()),
      () => table.snapshot(),
      () => table.sync(),
      () => table.compact(),
      () => table.clear(),
      () => table.refresh(),
      () => table.stats(),
    ]
    for (const call of calls) await expect((async () => call())()).rejects.toMatchObject(NOT_OPEN)
    expect(table.location).toContain('/')
  })

  test('rejects what is still running, and waits for it', async () => {
    const table = await busyTable()
    await table.compact()
    await table.put(1n, fingerprint(1))
    const scan = table.entries()
    await scan.next()
    const running = [
      collect(scan),
      table.compact(),
      table.getMany(Array.from({ length: 3000 }, (_, i) => spreadKey(i))),
      collect(table.scanColumns({ reverse: true })),
      table.stats(),
    ]
    const settled = Promise.allSettled(running)
    await table.close()
    for (const result of await settled) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject(NOT_OPEN)
    }
    expect((await settled)[0]!.status).toBe('rejected')
    const again = await tables.open(table.location, FINGERPRINT)
    expect(await collect(again.keys())).toHaveLength(3001)
  })

  test.skipIf(!existsSync('/proc/self/fd'))('leaves no file open and no lock behind', async () => {
    const table = await busyTable()
    expect(await openFiles(table.location)).not.toEqual([])
    table.snapshot()
    const scan = table.entries()
    await scan.next()
    const reader = await tables.open(table.location, { ...FINGERPRINT, readOnly: true })
    await reader.get(1n)
    await reader.refresh()
    await table.close()
    await reader.close()
    expect(await openFiles(table.location)).toEqual([])
    expect(await readdir(table.location)).not.toContain('LOCK')
    await tables.open(table.location)
  })

  test.skipIf(!existsSync('/proc/self/fd'))('after a failed open there is nothing to close', async () => {
    const table = await busyTable()
    await table.close()
    await expect(FlashTable.open(table.location, { keyEncoding: 'u8' })).rejects.toThrow()
    await expect(FlashTable.open(table.location, { readOnly: true, pageBytes: 8192 })).rejects.toThrow()
    expect(await openFiles(table.location)).toEqual([])
  })

  test('and open again and again keep every record', async () => {
    let table = await tables.fingerprints()
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 40; i++) void table.put(BigInt(i % 7), fingerprint(round * 40 + i))
      table = await tables.reopen(table, SMALL)
      const all = await collect(table.values())
      expect(all).toHaveLength((round + 1) * 40)
      const sevens = Array.from({ length: (round + 1) * 40 }, (_, i) => i).filter(i => (i % 40) % 7 === 3)
      expect(await table.getAll(3n)).toEqual(sevens.map(fingerprint))
    }
  })
})

/** One writer at a time: in this process, in another one, and after a process that was killed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, symlink } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { programFile } from '../support/programs.js'
import { FINGERPRINT, fingerprint, SMALL, testTables } from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables({ onDisk: true })
const LOCKED = { name: 'FlashTableError', code: 'FLASHTABLE_LOCKED' }

let processes: ChildProcess[] = []
afterEach(async () => {
  for (const child of processes) await kill(child)
  processes = []
})

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** A process that has the table open. `put` makes it put this many more fingerprints of key 1. */
async function holder(
  path: string,
): Promise<{ child: ChildProcess; put: (count: number) => Promise<number> }> {
  const child = spawn(process.execPath, [await programFile('hold-table.ts'), path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  processes.push(child)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  expect(await lines.next()).toEqual({ value: 'open', done: false })
  return {
    child,
    async put(count) {
      child.stdin.write(`${count}\n`)
      return Number((await lines.next()).value)
    },
  }
}

/** The greatest number of a bucket file in the directory. */
async function newestBucket(path: string): Promise<number> {
  const names = (await readdir(path)).filter(name => name.endsWith('.bucket'))
  return Math.max(0, ...names.map(name => Number.parseInt(name, 10)))
}

describe('a second writer', () => {
  test('of the same process is refused at once, by whatever path it comes, until the first has closed', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    await expect(FlashTable.open(table.location)).rejects.toMatchObject(LOCKED)
    await expect(
      FlashTable.open(`${table.location}/../${table.location.split('/').at(-1)}/`),
    ).rejects.toMatchObject(LOCKED)
    const link = tables.path()
    await symlink(table.location, link)
    await expect(FlashTable.open(link)).rejects.toMatchObject(LOCKED)
    await table.put(1n, fingerprint(2))
    await table.close()
    const again = await tables.open(link, FINGERPRINT)
    expect(await again.count(1n)).toBe(2)
  })

  test('of several that come together is refused, and one gets the table', async () => {
    const path = tables.path()
    const opened = await Promise.allSettled(Array.from({ length: 5 }, () => tables.open(path, FINGERPRINT)))
    expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of opened) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject(LOCKED)
    }
  })

  test('waits for lockTimeoutMs, and gets the table when the first one closes', async () => {
    const table = await tables.fingerprints()
    const waiting = tables.open(table.location, { ...FINGERPRINT, lockTimeoutMs: 60_000 })
    await table.put(1n, fingerprint(1))
    await table.close()
    expect(await (await waiting).get(1n)).toEqual(fingerprint(1))
  })

  test('ends its waiting with its signal', async () => {
    const table = await tables.fingerprints()
    const controller = new AbortController()
    const waiting = FlashTable.open(table.location, { lockTimeoutMs: Infinity, signal: controller.signal })
    const reason = new Error('enough')
    setImmediate(() => controller.abort(reason))
    await expect(waiting).rejects.toBe(reason)
    await table.put(1n, fingerprint(1))
  })

  test('gets a table whose open failed', async () => {
    const table = await tables.fingerprints()
    await table.close()
    await expect(FlashTable.open(table.location, { pageBytes: 8192 })).rejects.toMatchObject({
      code: 'FLASHTABLE_SCHEMA_MISMATCH',
    })
    await tables.open(table.location)
  })

  test('of another process is refused; after kill -9 it gets the table, with all that was acknowledged', async () => {
    const path = tables.path()
    const first = await holder(path)
    expect(await first.put(5000)).toBe(5000)
    await expect(FlashTable.open(path)).rejects.toMatchObject(LOCKED)
    const reader = await tables.open(path, { ...FINGERPRINT, readOnly: true })
    expect(await reader.count(1n)).toBe(5000)
    expect(await first.put(700)).toBe(5700)
    await reader.refresh()
    expect(await reader.count(1n)).toBe(5700)
    await kill(first.child)

    const table = await tables.open(path, { ...FINGERPRINT, ...SMALL })
    expect(await table.getAll(1n)).toEqual(Array.from({ length: 5700 }, (_, i) => fingerprint(i)))
    await table.put(1n, fingerprint(5700))
    await table.close()

    const second = await holder(path)
    expect(await second.put(10)).toBe(5711)
    await kill(second.child)
    const again = await tables.open(path, FINGERPRINT)
    expect(await again.count(1n)).toBe(5711)
  })

  test('gets the table after a kill -9 in the middle of puts and merges, with a prefix of them', async () => {
    const path = tables.path()
    let acknowledged = 0
    for (let round = 0; round < 3; round++) {
      const { child, put } = await holder(path)
      acknowledged = await put(3000)
      void put(200_000)
      // Some time while it writes: when a few more memtables are in bucket files.
      const end = (await newestBucket(path)) + 4 + round
      await until(
        `bucket file ${end} is there`,
        () => newestBucket(path),
        newest => newest >= end,
      )
      await kill(child)
      const table = await tables.open(path, {
        ...FINGERPRINT,
        ...SMALL,
        bufferBytes: 2 ** 20,
        walBytes: 2 ** 21,
      })
      const ids = (await table.getAll(1n)).map(({ id }) => 0 - id)
      expect(ids.length).toBeGreaterThanOrEqual(acknowledged)
      expect(ids.every((id, i) => id === i)).toBe(true)
      await table.close()
    }
  })
})

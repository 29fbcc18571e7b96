/** Space on the disk: nothing of it is hidden, and what nobody needs is given back. */
import { execFileSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import {
  fingerprint,
  fingerprintColumns,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables()
const MIB = 2 ** 20
const ROOMY = { bufferBytes: MIB, walBytes: 4 * MIB }

/** What `du` says. */
function du(directory: string): number {
  return 1024 * Number(execFileSync('du', ['-sk', directory], { encoding: 'utf8' }).split('\t')[0])
}

/** A table with a log of some MiB, which has been sealed a few times. */
async function grown(options: object = {}): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...options, bufferBytes: 8 * MIB, walBytes: 16 * MIB })
  for (let from = 0; from < 1_500_000; from += 500_000)
    await table.putColumns(fingerprintColumns(from, from + 500_000, spreadKey))
  await table.put(1n, fingerprint(1))
  await table.put(1n, fingerprint(1))
  await until(
    'there are spare segments',
    () => table.stats(),
    ({ spareBytesOnDisk }) => spareBytesOnDisk >= 4 * MIB,
  )
  return table
}

describe('bytesOnDisk', () => {
  test('is what du says, of an open table and of a closed one', async () => {
    const table = await grown()
    await table.compact()
    const { bytesOnDisk } = await table.stats()
    expect(bytesOnDisk).toBe(du(table.location))
    await table.close()
    const reader = await tables.open(table.location, { readOnly: true })
    expect((await reader.stats()).bytesOnDisk).toBe(du(table.location))
  })

  test('has the log and the spare segments in it, apart', async () => {
    const table = await grown()
    await table.compact()
    await table.put(1n, fingerprint(1))
    const { files, bytesOnDisk, logBytesOnDisk, spareBytesOnDisk } = await table.stats()
    expect(logBytesOnDisk).toBeGreaterThan(0)
    const buckets = files.reduce((sum, { bytes }) => sum + bytes, 0)
    // Manifest, lock and the directory are what is left.
    const rest = bytesOnDisk - buckets - logBytesOnDisk - spareBytesOnDisk
    expect(rest).toBeGreaterThan(0)
    expect(rest).toBeLessThan(32 * 1024)
  })
})

describe('spare segments of more than a few MiB', () => {
  const SPARES = 4 * MIB
  test.each<[string, (table: FingerprintTable) => Promise<unknown>]>([
    ['compact', table => table.compact()],
    ['clear', table => table.clear()],
    ['close', table => table.close()],
  ])('are gone after %s', async (_name, act) => {
    const table = await grown()
    await act(table)
    const reader = await tables.open(table.location, { readOnly: true })
    const { spareBytesOnDisk, files, bytesOnDisk, logBytesOnDisk } = await reader.stats()
    expect(spareBytesOnDisk).toBeLessThanOrEqual(SPARES)
    const buckets = files.reduce((sum, { bytes }) => sum + bytes, 0)
    expect(bytesOnDisk - buckets - logBytesOnDisk).toBeLessThanOrEqual(SPARES + 64 * 1024)
  })

  test('and small ones stay, so that short lives write over them', async () => {
    const table = await tables.fingerprints(ROOMY)
    await table.putColumns(fingerprintColumns(0, 1000, spreadKey))
    await table.compact()
    expect((await table.stats()).spareBytesOnDisk).toBeGreaterThan(0)
  })
})

/** A scan after its first step. */
async function begun(scan: AsyncGenerator): Promise<AsyncGenerator> {
  await scan.next()
  return scan
}

/** Collects garbage until it is `done`. */
async function collectUntil(what: string, done: () => boolean): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await until(what, () => {
    collect()
    return done()
  })
}

describe('files that a merge has replaced', () => {
  test('are shown while a snapshot or a scan holds them, and given back when that is closed', async () => {
    const table = await tables.fingerprints(ROOMY)
    await table.putColumns(fingerprintColumns(0, 1000, spreadKey))
    await table.compact()
    const { files } = await table.stats()
    const snapshot = table.snapshot()
    const scan = table.entries()
    await scan.next()
    await table.put(1n, fingerprint(1))
    expect((await table.stats()).pinnedBytes).toBe(0)
    await table.compact()
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    expect((await table.stats()).pinnedBytes).toBe(bytes)
    await snapshot.close()
    expect((await table.stats()).pinnedBytes).toBe(bytes)
    await scan.return()
    expect(await table.stats()).toMatchObject({ pinnedBytes: 0, pins: 0 })
  })

  test.each<['snapshot' | 'scan', string, (table: FingerprintTable) => Promise<unknown>]>([
    ['snapshot', 'snapshot()', async table => table.snapshot()],
    ['scan', 'entries()', table => begun(table.entries())],
    ['scan', 'keys()', table => begun(table.keys({ reverse: true }))],
    ['scan', 'scanColumns()', table => begun(table.scanColumns())],
  ])('are given back when a %s, made by %s, is forgotten, and an event says so', async (what, _, make) => {
    const events: unknown[] = []
    const listen = (message: unknown): void => void events.push(message)
    subscribe('flashtable:forgotten', listen)
    try {
      const table = await tables.fingerprints(ROOMY)
      await table.putColumns(fingerprintColumns(0, 5000, spreadKey))
      await table.compact()
      // Held until it is forgotten on purpose: memory may be collected at any time.
      let held: unknown = await make(table)
      await table.put(1n, fingerprint(1))
      await table.compact()
      expect((await table.stats()).pins).toBe(1)
      expect(held).toBeDefined()
      held = undefined
      await collectUntil('it is forgotten', () => events.length > 0)
      expect(events).toEqual([{ directory: table.location, kind: 'forgotten', what, sequence: 5000 }])
      expect(await table.stats()).toMatchObject({ pinnedBytes: 0, pins: 0 })
      expect(await table.get(1n)).toEqual(fingerprint(1))
    } finally {
      unsubscribe('flashtable:forgotten', listen)
    }
  })

  test('are not given back while their snapshot is used', async () => {
    const table = await tables.fingerprints(ROOMY)
    await table.putColumns(fingerprintColumns(0, 100, spreadKey))
    const snapshot = table.snapshot()
    await table.clear()
    let rounds = 0
    await collectUntil('garbage was collected often enough', () => ++rounds > 5)
    expect(await table.get(spreadKey(7), { snapshot })).toEqual(fingerprint(7))
    expect((await table.stats()).pins).toBe(1)
    await snapshot.close()
  })
})

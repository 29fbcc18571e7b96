/**
 * Signals end what they say they end, wherever it waits: at each call of the file system in turn, and between them. Then
 * nothing is left over: no file open, no lock held, no listener on the signal.
 */
import { getEventListeners } from 'node:events'
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { FlashTable, struct } from '../../src/index.js'
import { repairTable } from '../../src/offline/repair/repair.js'
import { verifyTable } from '../../src/offline/verify.js'
import type { Environment } from '../../src/table/environment.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { collect, testTables } from '../support/tables.js'

const OPTIONS = { keyEncoding: 'u64', valueEncoding: struct({ id: 'u16' }), bufferBytes: 2048, fanout: 4 }
const LOCATION = '/tables/signals'
const RECORDS = 700
/** What a signal may be aborted with: whatever it is, it comes out as it went in. */
const REASONS = [new Error('no more'), Object.assign(new Error('EIO'), { code: 'EIO' }), 'a string', 0, null]

const tables = testTables()

interface Setting {
  readonly disk: SimulatedFileSystem
  readonly environment: Environment
  locksHeld: number
}

function settingOn(disk: SimulatedFileSystem): Setting {
  const setting: Setting = {
    disk,
    locksHeld: 0,
    environment: {
      ...simulatedEnvironment(disk),
      acquireLock: () => {
        setting.locksHeld++
        const release = async (): Promise<void> => void setting.locksHeld--
        return Promise.resolve({ release })
      },
    },
  }
  return setting
}

function columns(count: number, from = 0) {
  return {
    key: BigUint64Array.from({ length: count }, (_, i) => BigInt((from + i) * 7919) % 9973n),
    id: Uint16Array.from({ length: count }, (_, i) => i % 5),
  }
}

/** A disk with a table that has ended in the middle of its life: bucket files, and a log to be recovered. */
async function endedTable(): Promise<SimulatedFileSystem> {
  const { disk, environment } = settingOn(new SimulatedFileSystem({ seed: 1 }))
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const table = await FlashTable.openIn(LOCATION, OPTIONS, environment)
  for (let from = 0; from < RECORDS; from += 100) await table.putColumns(columns(100, from))
  return disk.clone()
}

async function recordsIn(disk: SimulatedFileSystem): Promise<number> {
  const { environment } = settingOn(disk)
  const table = await FlashTable.openIn(LOCATION, {}, environment)
  let records = 0
  for await (const { key } of table.scanColumns()) records += (key as BigUint64Array).length
  await table.close()
  return records
}

/** Runs the call once for each call of the file system that it makes, and aborts there. */
async function abortedAtEachCall(
  prepare: () => Promise<Setting>,
  call: (setting: Setting, signal: AbortSignal) => Promise<FlashTable | undefined>,
  check: (setting: Setting, aborted: boolean) => Promise<void>,
): Promise<void> {
  let aborted = 0
  for (let step = 1; ; step += 1 + (step % 2)) {
    const setting = await prepare()
    const { disk } = setting
    const first = disk.calls
    const controller = new AbortController()
    const reason = REASONS[step % REASONS.length]
    disk.onCall = ({ step: at }) => void (at === first + step && controller.abort(reason))
    const outcome = await call(setting, controller.signal).then(
      table => ({ table }),
      (error: unknown) => ({ error }),
    )
    disk.onCall = undefined
    if ('error' in outcome) {
      aborted++
      expect(outcome.error, `aborted at call ${step}`).toBe(reason)
    }
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    await check(setting, 'error' in outcome)
    if ('table' in outcome) await outcome.table?.close()
    if (!controller.signal.aborted) break
  }
  expect(aborted).toBeGreaterThan(5)
}

describe('an open', () => {
  test.each([false, true])(
    'that recovers a log ends at any call, and leaves nothing behind (readOnly: %s)',
    async readOnly => {
      const ended = await endedTable()
      await abortedAtEachCall(
        async () => settingOn(ended.clone()),
        ({ environment }, signal) => FlashTable.openIn(LOCATION, { readOnly, signal }, environment),
        async ({ disk, locksHeld }, aborted) => {
          if (!aborted) return
          expect([disk.openPaths, locksHeld]).toEqual([[], 0])
          expect(await recordsIn(disk)).toBe(RECORDS)
        },
      )
    },
  )

  test('that was aborted before makes nothing', async () => {
    const signal = AbortSignal.abort('before')
    const location = tables.path()
    await expect(FlashTable.open(location, { keyEncoding: 'u64', signal })).rejects.toBe('before')
    await expect(FlashTable.bulkLoad(location, { keyEncoding: 'u64', signal }, [])).rejects.toBe('before')
    const table = await tables.open(tables.path(), { keyEncoding: 'u64' })
    await table.put(1n)
    await expect(table.compact({ signal })).rejects.toBe('before')
    await expect(collect(table.keys({ signal }))).rejects.toBe('before')
    await expect(verifyTable(table.location, { signal })).rejects.toBe('before')
    await expect(repairTable(table.location, location, { signal })).rejects.toBe('before')
    expect(existsSync(location)).toBe(false)
  })
})

test('a signal that has opened a table does not end its refresh', async () => {
  const disk = await endedTable()
  const { environment } = settingOn(disk)
  const controller = new AbortController()
  const reader = await FlashTable.openIn(LOCATION, { readOnly: true, signal: controller.signal }, environment)
  controller.abort()
  await reader.refresh()
  await reader.close()
})

describe('a bulk load', () => {
  test('whose source stalls ends at once; the source is told, and the table can be opened', async () => {
    for (const reason of REASONS) {
      const controller = new AbortController()
      const location = tables.path()
      let told = 0
      let asked = 0
      const source = {
        [Symbol.asyncIterator]: () => ({
          next() {
            asked++
            if (asked === 1)
              return Promise.resolve({ done: false as const, value: { key: new BigUint64Array(9) } })
            setImmediate(() => controller.abort(reason))
            return new Promise<never>(() => {})
          },
          return() {
            told++
            return new Promise<never>(() => {})
          },
        }),
      }
      const load = FlashTable.bulkLoad(location, { keyEncoding: 'u64', signal: controller.signal }, source)
      expect(await load.catch((error: unknown) => [error])).toEqual([reason])
      expect([asked, told, getEventListeners(controller.signal, 'abort').length]).toEqual([2, 1, 0])
      const table = await tables.open(location, { keyEncoding: 'u64' })
      expect((await table.stats()).files).toEqual([])
    }
  })

  test('ends at any call, and leaves an empty table', async () => {
    await abortedAtEachCall(
      async () => {
        const disk = new SimulatedFileSystem({ seed: 1 })
        disk.writeFile('/tables/.keep', new Uint8Array(0))
        return settingOn(disk)
      },
      ({ environment }, signal) =>
        FlashTable.bulkLoadIn(
          LOCATION,
          { ...OPTIONS, memoryBytes: 0, signal },
          Array.from({ length: 5 }, (_, i) => columns(100, i * 100)),
          environment,
        ),
      async ({ disk, locksHeld, environment }, aborted) => {
        if (!aborted) return
        expect([disk.openPaths, locksHeld]).toEqual([[], 0])
        expect(disk.files().filter(path => /bucket|spill/.test(path))).toEqual([])
        const table = await FlashTable.openIn(LOCATION, OPTIONS, environment)
        expect((await table.stats()).records).toBe(0)
        await table.close()
      },
    )
  })
})

describe('compact()', () => {
  test('ends at any call; the table is as it was, or compacted', async () => {
    const ended = await endedTable()
    const opened: FlashTable[] = []
    await abortedAtEachCall(
      async () => {
        const setting = settingOn(ended.clone())
        opened[0] = await FlashTable.openIn(LOCATION, {}, setting.environment)
        // So that there is something to do; no record has the key.
        await opened[0].del(10_000n)
        return setting
      },
      async (_, signal) => void (await opened[0]!.compact({ signal })),
      async ({ disk }) => {
        const table = opened[0]!
        const { files, records } = await table.stats()
        expect(records).toBe(RECORDS)
        await table.compact()
        await table.close()
        expect(disk.openPaths).toEqual([])
        expect(files.length).toBeGreaterThan(0)
      },
    )
  })

  test('that waits for puts which wait for a full disk ends at once', async () => {
    const { disk, environment } = settingOn(await endedTable())
    let thereIsRoom!: () => void
    const tryAgain = new Promise<void>(resolve => (thereIsRoom = resolve))
    const table = await FlashTable.openIn(
      LOCATION,
      { bufferBytes: 2048 },
      {
        ...environment,
        // Of the full disk.
        wait: () => tryAgain,
      },
    )
    disk.failAt(({ path, op }) => op === 'create' && path.endsWith('.bucket'), 'ENOSPC', { repeat: 'sticky' })
    // Each fills a memtable; the last one waits for a seal, or is refused where one has just failed.
    const puts = [0, 200, 400, 600].map(from => table.putColumns(columns(200, from)).catch(() => {}))
    const controller = new AbortController()
    const compacting = table.compact({ signal: controller.signal })
    for (let turn = 0; turn < 20; turn++) await new Promise(resolve => void setImmediate(resolve))
    controller.abort('enough')
    const outcome = await compacting.catch((error: unknown) => error)
    expect(['enough', 'FLASHTABLE_DISK_FULL']).toContain((outcome as { code?: unknown }).code ?? outcome)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    disk.clearFaults()
    thereIsRoom()
    await Promise.all(puts)
    await table.close()
  })

  test('that waits for another compact() ends at once', async () => {
    const { environment } = settingOn(await endedTable())
    const table = await FlashTable.openIn(LOCATION, {}, environment)
    const first = table.compact()
    const controller = new AbortController()
    const second = table.compact({ signal: controller.signal })
    controller.abort('enough')
    await expect(second).rejects.toBe('enough')
    await first
    expect((await table.stats()).files.length).toBe(1)
    await table.close()
  })
})

describe('a scan', () => {
  test('ends before the next row, and holds nothing then', async () => {
    const table = await tables.open(tables.path(), {
      keyEncoding: 'u64',
      valueEncoding: OPTIONS.valueEncoding,
    })
    await table.putColumns(columns(5000) as never)
    for (const scan of ['entries', 'keys', 'values'] as const) {
      for (const reverse of [false, true]) {
        const controller = new AbortController()
        let rows = 0
        const run = async (): Promise<void> => {
          for await (const _ of table[scan]({ signal: controller.signal, reverse })) {
            if (++rows === 10) controller.abort('enough')
          }
        }
        await expect(run()).rejects.toBe('enough')
        expect([rows, (await table.stats()).pins, getEventListeners(controller.signal, 'abort')]).toEqual([
          10,
          0,
          [],
        ])
      }
    }
  })

  test('ends while its memtable is put in order, and where all is hidden', async () => {
    const table = await tables.open(tables.path(), {
      keyEncoding: 'u64',
      valueEncoding: OPTIONS.valueEncoding,
      bufferBytes: 2 ** 25,
    })
    for (let i = 0; i < 8; i++) {
      await table.putColumns({
        key: BigUint64Array.from(
          { length: 100_000 },
          (_, row) => (BigInt(row) * 0x9e3779b97f4a7c15n) & 0xffffffffffffn,
        ),
        id: new Uint16Array(100_000),
      } as never)
    }
    await table.delWhere({ id: 0 } as never)
    for (const orderedBefore of [false, true]) {
      if (orderedBefore) expect(await collect(table.keys())).toEqual([])
      const controller = new AbortController()
      const scan = collect(table.keys({ signal: controller.signal }))
      setImmediate(() => controller.abort('enough'))
      await expect(scan).rejects.toBe('enough')
      expect([(await table.stats()).pins, getEventListeners(controller.signal, 'abort')]).toEqual([0, []])
    }
  })
})

test('a signal that lives long keeps nothing of the calls it was given to', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const location = tables.path()
  for (let life = 0; life < 3; life++) {
    const table = await tables.open(location, { keyEncoding: 'u64', signal })
    for (let i = 0; i < 20; i++) {
      await table.put(BigInt(i))
      await table.compact({ signal })
      for await (const _ of table.keys({ signal })) if (i % 2 === 0) break
      await table.scanColumns({ signal }).next()
    }
    await table.close()
    await verifyTable(location, { signal })
  }
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

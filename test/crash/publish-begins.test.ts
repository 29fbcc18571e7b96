/** The first publish to a store, and what protects a published table from its own past. */
import { expect, test } from 'vitest'
import { codeOf } from '../../src/base/errors.js'
import { FlashTable } from '../../src/flash-table.js'
import { environmentOf, Machine, newStored, remoteOf, restoredKeys, upTo } from '../support/published.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { SimulatedStore } from '../support/simulated-store.js'

test('of two tables that are published to an empty store at once, one is there and whole, the other is told', async () => {
  const stored = newStored()
  const [one, other] = [1, 2].map(() => new Machine(new SimulatedStore(stored))) as [Machine, Machine]
  // Their files have the same numbers, and differ.
  for (const machine of [one, other]) await machine.put(50)
  one.store.beforeCall = async name => {
    // It has uploaded its files.
    if (name === 'now') await other.publish()
  }
  const failure: unknown = await one.publish().catch((error: unknown) => error)
  expect(codeOf(failure)).toBe('FLASHTABLE_EXISTS')
  expect(stored.used.size).toBe(2)
  expect(await restoredKeys(new SimulatedStore(stored), 1)).toEqual(upTo(50))
  for (const machine of [one, other]) await machine.close()
})

test('a directory that is copied during its first publish has one writer, although both copies know what was sent', async () => {
  const stored = newStored()
  const first = new Machine(new SimulatedStore(stored))
  await first.put(10)
  let twin: Machine | undefined
  let published: Promise<unknown> | undefined
  first.store.beforeCall = async name => {
    if (name !== 'swap' || first.store.counts['now'] === undefined || twin !== undefined) return
    // The first state is noted, and on its way.
    twin = new Machine(new SimulatedStore(stored), '/table', first.disk.crashState(1))
    await twin.put(5)
    await new Promise<void>(resolve => {
      twin!.store.beforeCall = name => {
        if (name === 'now') resolve()
        // It sends its own when the first one is there.
        return name === 'now' ? firstIsThere : Promise.resolve()
      }
      published = twin!.publish()
    })
  }
  let tell: () => void = () => {}
  const firstIsThere = new Promise<void>(resolve => (tell = resolve))
  expect((await first.publish()).version).toBe(1)
  tell()
  expect(await published).toMatchObject({ version: 2, sequence: 15 })
  expect(remoteOf(stored)!.epoch).toBe(2)
  await first.put(50)
  await expect(first.publish()).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
  expect(await restoredKeys(new SimulatedStore(stored), 2)).toEqual(upTo(15))
  for (const machine of [first, twin!]) await machine.close()
})

test('nothing is published to a store that ignores conditions', async () => {
  const stored = newStored()
  stored.swap = (key, bytes) => {
    const version = `v${stored.calls}`
    stored.pointers.set(key, { bytes, version })
    return version
  }
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(10)
  await expect(machine.publish()).rejects.toMatchObject({ code: 'FLASHTABLE_UNSUPPORTED_STORE' })
  expect(stored.objects.size + stored.pointers.size).toBe(0)
  await machine.close()
})

test('a clock of the store that is set back does not put a version before the one that it follows', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  for (const now of [5_000_000, 1_000_000, 6_000_000]) {
    stored.now = now
    await machine.put(10)
    await machine.publish()
  }
  const times = remoteOf(stored)!.versions.map(({ at }) => at)
  expect(times[1]).toBe(times[0])
  expect(times[2]).toBeGreaterThan(6_000_000)
  await machine.close()
})

test('a copy of an older version cannot take over', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  for (let version = 1; version <= 2; version++) {
    await machine.put(10)
    await machine.publish()
  }
  const old = new Machine(new SimulatedStore(stored), '/old')
  await FlashTable.restoreIn(old.store, '/old', { version: 1 }, environmentOf(old.disk))
  await old.put(30)
  await expect(old.publish({ takeOver: true })).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
  expect(remoteOf(stored)!.versions.at(-1)!.sequence).toBe(20)
  await machine.close()
  await old.close()
})

test('an object that is not the one that was published is not restored, with and without a verify', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(100)
  await machine.publish()
  stored.onCall = () => {}
  const { key } = remoteOf(stored)!.files[0]!
  const bytes = stored.objects.get(key)!
  const restore = (verify: boolean): Promise<unknown> => {
    const environment = environmentOf(new SimulatedFileSystem())
    return FlashTable.restoreIn(machine.store, '/copy', { verify }, environment)
  }
  const flipped = bytes.slice()
  // The first page is data, the last one the footer.
  flipped[100]! ^= 1
  stored.objects.set(key, flipped)
  await expect(restore(true)).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
  stored.objects.set(key, new Uint8Array(bytes.byteLength))
  for (const verify of [false, true])
    await expect(restore(verify)).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
  stored.objects.set(key, bytes)
  await restore(false)
  await machine.close()
})

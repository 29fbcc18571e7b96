/** A writer that is asleep in the middle of a publish, while another one takes over: nothing is lost, and the first is stopped. */
import { expect, test } from 'vitest'
import { codeOf } from '../../src/base/errors.js'
import { collectGarbage } from '../../src/index.js'
import { Machine, newStored, remoteOf, restoredKeys, upTo } from '../support/published.js'
import { SimulatedStore, type StoredObjects } from '../support/simulated-store.js'

/** Puts the store to sleep before its call `at`, while `meanwhile` runs. False if it makes no such call any more. */
async function asleep<T>(
  store: SimulatedStore,
  at: number,
  meanwhile: () => Promise<void>,
  action: () => Promise<T>,
): Promise<{ readonly slept: boolean; readonly result: PromiseSettledResult<T> }> {
  const first = store.ownCalls
  let slept = false
  store.beforeCall = async (_, own) => {
    if (own !== first + at) return
    slept = true
    await meanwhile()
  }
  const [result] = await Promise.allSettled([action()])
  store.beforeCall = () => Promise.resolve()
  return { slept, result: result! }
}

async function expectVersions(stored: StoredObjects): Promise<void> {
  for (const { version, sequence } of remoteOf(stored)!.versions)
    expect(await restoredKeys(new SimulatedStore(stored), version)).toEqual(upTo(sequence))
}

/** A table with two versions; the third publish will upload, swap and delete. `isNew`: by a process that has to claim it. */
async function twoVersions(stored: StoredObjects, isNew: boolean): Promise<Machine> {
  const writer = new Machine(new SimulatedStore(stored))
  for (const count of [40, 40]) {
    await writer.put(count)
    await writer.publish({ retention: 0 })
  }
  await writer.put(40)
  await writer.table!.compact()
  if (isNew) await writer.close()
  return writer
}

test.each([
  ['in a publish', false],
  ['in a claim and a publish', true],
])('asleep %s at each call, while a copy takes over, publishes and collects', async (_, isNew) => {
  let outcomes = ''
  for (let at = 1; ; at++) {
    const stored = newStored()
    const writer = await twoVersions(stored, isNew)
    let restored = 0
    let copy: Machine
    const { slept, result } = await asleep(
      writer.store,
      at,
      async () => {
        restored = remoteOf(stored)!.versions.at(-1)!.sequence
        copy = await Machine.restored(new SimulatedStore(stored), '/copy')
        await copy.put(30)
        await copy.table!.compact()
        await copy.publish({ takeOver: true, retention: 0 })
        await collectGarbage(copy.store)
      },
      () => writer.publish({ retention: 0 }),
    )
    if (!slept) break
    // It is well only if its version was there before it fell asleep.
    expect(codeOf((result as PromiseRejectedResult).reason)).toBe(
      restored === 120 ? undefined : 'FLASHTABLE_FENCED',
    )
    outcomes += result.status === 'fulfilled' ? '+' : '-'
    expect(remoteOf(stored)!.versions.at(-1)!.sequence).toBe(restored + 30)
    await expectVersions(stored)
    // The copy goes on, and the writer cannot.
    await copy!.put(1)
    expect((await copy!.publish()).sequence).toBe(restored + 31)
    await writer.put(1)
    for (const takeOver of [false, true])
      expect(codeOf(await writer.publish({ takeOver }).catch((error: unknown) => error))).toBe(
        'FLASHTABLE_FENCED',
      )
    await writer.close()
    await copy!.close()
  }
  // Before the swap it is fenced, after it it is not.
  expect(outcomes).toMatch(/^-{3,}\+{1,}$/)
})

test('of one directory copied to two machines, which have the same id as writer, the one asleep is stopped by the epoch', async () => {
  for (let at = 1; ; at++) {
    const stored = newStored()
    const writer = await twoVersions(stored, false)
    const { slept, result } = await asleep(
      writer.store,
      at,
      async () => {
        // As the disk is in this moment.
        const twin = new Machine(new SimulatedStore(stored), '/table', writer.disk.crashState(1))
        await twin.put(7)
        await twin.publish({ retention: 0 })
        await twin.close()
      },
      () => writer.publish({ retention: 0 }),
    )
    if (!slept) break
    const { versions } = remoteOf(stored)!
    if (result.status === 'rejected') expect(codeOf(result.reason)).toBe('FLASHTABLE_FENCED')
    expect(versions.at(-1)!.sequence).toBeGreaterThan(120)
    await expectVersions(stored)
    await writer.close()
  }
})

test.each([
  ['in a publish', false],
  ['in a claim and a publish', true],
])(
  'garbage is collected beside a writer that is asleep %s, and takes nothing that it needs',
  async (_, isNew) => {
    for (let at = 1; ; at++) {
      const stored = newStored()
      const writer = await twoVersions(stored, isNew)
      const { slept, result } = await asleep(
        writer.store,
        at,
        async () => void (await collectGarbage(new SimulatedStore(stored), { retention: 0 })),
        () => writer.publish({ retention: 0 }),
      )
      if (!slept) break
      expect(result).toMatchObject({ status: 'fulfilled', value: { sequence: 120 } })
      await expectVersions(stored)
      await writer.close()
    }
  },
)

test('a publish of an unchanged table notices that another writer has taken over, and names no version that is forgotten', async () => {
  const stored = newStored()
  const writer = new Machine(new SimulatedStore(stored))
  await writer.put(10)
  await writer.publish({ retention: 0 })
  const copy = await Machine.restored(new SimulatedStore(stored), '/copy')
  expect(await writer.publish()).toMatchObject({ version: 1, sequence: 10, uploadedFiles: 0 })
  await copy.put(10)
  await copy.publish({ takeOver: true, retention: 0 })
  expect(remoteOf(stored)!.versions.map(({ version }) => version)).toEqual([2])
  await expect(writer.publish()).rejects.toMatchObject({
    code: 'FLASHTABLE_FENCED',
    message: expect.stringMatching(/has taken over the table/) as string,
  })
  // Beside a collection it goes on.
  await collectGarbage(copy.store)
  expect(await copy.publish()).toMatchObject({ version: 2, sequence: 20 })
  await writer.close()
  await copy.close()
})

test('a copy that was left behind cannot take over, at whichever version it was made', async () => {
  const stored = newStored()
  const writer = new Machine(new SimulatedStore(stored))
  await writer.put(10)
  await writer.publish()
  const behind = await Machine.restored(new SimulatedStore(stored), '/behind')
  await writer.put(10)
  await writer.publish()
  await behind.put(3)
  const failure: unknown = await behind.publish({ takeOver: true }).catch((error: unknown) => error)
  expect(failure).toMatchObject({
    code: 'FLASHTABLE_FENCED',
    message: expect.stringMatching(/has gone on .*version 2\) .*restore it anew/) as string,
  })
  expect(remoteOf(stored)!.versions.at(-1)!.sequence).toBe(20)
  await writer.close()
  await behind.close()
})

test('of two copies of the newest version one takes over, and the other is stopped', async () => {
  const stored = newStored()
  const writer = new Machine(new SimulatedStore(stored))
  await writer.put(10)
  await writer.publish()
  const copies = [
    await Machine.restored(new SimulatedStore(stored), '/one'),
    await Machine.restored(new SimulatedStore(stored), '/two'),
  ]
  // Without being told to, neither does.
  for (const copy of copies)
    await expect(copy.publish()).rejects.toMatchObject({
      code: 'FLASHTABLE_FENCED',
      message: expect.stringMatching(/if it has ended for good, pass takeOver: true/) as string,
    })
  for (const copy of copies) await copy.put(1)
  const results = await Promise.allSettled(copies.map(copy => copy.publish({ takeOver: true })))
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  expect(remoteOf(stored)!.versions.at(-1)!.sequence).toBe(11)
  for (const machine of [writer, ...copies]) await machine.close()
})

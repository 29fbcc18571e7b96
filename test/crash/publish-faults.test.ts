/** A publish to a store that fails at any one call, and a machine that dies there: it is found out by the next publish. */
import { expect, test } from 'vitest'
import { codeOf, hasCode } from '../../src/base/errors.js'
import { collectGarbage } from '../../src/index.js'
import { FlashTable } from '../../src/flash-table.js'
import { REMOTE_NAME } from '../../src/io/file-names.js'
import { environmentOf, Machine, newStored, remoteOf, restoredKeys, upTo } from '../support/published.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { SimulatedStore, StoredObjects, type StoreFault } from '../support/simulated-store.js'

const FAULTS: readonly StoreFault[] = ['before', 'after', 'late']

/** Before the publish that fails: nothing is published; it goes on; a new process has to claim it. */
const BEGINNINGS = ['first', 'next', 'claimed'] as const

async function begin(stored: StoredObjects, beginning: (typeof BEGINNINGS)[number]): Promise<Machine> {
  const machine = new Machine(new SimulatedStore(stored))
  const versions = beginning === 'first' ? 0 : 2
  for (let version = 0; version < versions; version++) {
    await machine.put(40)
    await machine.publish({ retention: 0 })
  }
  await machine.put(40)
  await machine.table!.compact()
  if (beginning === 'claimed') await machine.close()
  return machine
}

/** Versions are prefixes, and once another process has taken its turn nothing is stored that nobody needs. */
async function expectSound(stored: StoredObjects, machine: Machine): Promise<void> {
  stored.settle()
  for (const { version, sequence } of remoteOf(stored)!.versions)
    expect(await restoredKeys(new SimulatedStore(stored), version)).toEqual(upTo(sequence))
  await machine.close()
  await machine.put(1)
  await machine.publish({ retention: 0 })
  await collectGarbage(machine.store, { retention: 0 })
  const { files, epoch } = remoteOf(stored)!
  const left = [...stored.objects.keys()].filter(key => !files.some(file => file.key === key))
  expect(left.filter(key => !key.startsWith(`e${String(epoch).padStart(12, '0')}`))).toEqual([])
  expect([...stored.pointers.keys()].filter(key => !key.startsWith('probe-'))).toEqual(['MANIFEST'])
  await machine.close()
}

test.each(BEGINNINGS)('%s publish: each call is lost before, or after, or is done late', async beginning => {
  let failures = 0
  let isOver = false
  for (let at = 1; !isOver; at++) {
    for (const fault of FAULTS) {
      const stored = newStored()
      const machine = await begin(stored, beginning)
      const { store } = machine
      const first = store.ownCalls
      store.faultOf = (_, own) => (own === first + at ? fault : 'none')
      const [result] = await Promise.allSettled([machine.publish({ retention: 0 })])
      isOver = store.ownCalls < first + at
      store.faultOf = undefined
      const expected = beginning === 'first' ? 40 : 120
      if (result!.status === 'fulfilled') {
        expect(result!.value.sequence).toBe(expected)
        expect(remoteOf(stored)!.versions.at(-1)!.sequence).toBe(expected)
      } else {
        failures++
        expect(codeOf(result!.reason)).toBe('FLASHTABLE_UNAVAILABLE')
        // The same process tries again.
        expect((await machine.publish({ retention: 0 })).sequence).toBe(expected)
      }
      await expectSound(stored, machine)
    }
  }
  expect(failures).toBeGreaterThan(3)
})

test.each(BEGINNINGS)('%s publish: the machine dies at each call', async beginning => {
  for (let at = 1; ; at++) {
    const stored = newStored()
    const machine = await begin(stored, beginning)
    machine.store.crashAt = machine.store.ownCalls + at
    const [result] = await Promise.allSettled([machine.publish({ retention: 0 })])
    const isOver = machine.store.ownCalls < machine.store.crashAt
    // Deletes are best effort.
    if (isOver) expect(result!.status).toBe('fulfilled')
    const published = remoteOf(stored)?.versions.at(-1)?.sequence ?? 0
    await machine.cut(at)
    await machine.open()
    const { next } = (await machine.table!.stats()).sequence
    // What is published was on the device.
    expect(next).toBeGreaterThanOrEqual(published)
    await machine.put(5)
    expect((await machine.publish({ retention: 0 })).sequence).toBe(next + 5)
    await expectSound(stored, machine)
    if (isOver) return
  }
})

test('a new process whose swap was done without an answer finds it by the nonce that it had noted', async () => {
  for (const lost of ['claim', 'publish']) {
    const stored = newStored()
    const machine = await begin(stored, 'claimed')
    let swaps = 0
    let isLost = false
    machine.store.faultOf = name => {
      if (isLost) return 'before'
      if (name !== 'swap' || ++swaps < (lost === 'claim' ? 1 : 2)) return 'none'
      isLost = true
      return 'after'
    }
    await expect(machine.publish()).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
    machine.store.faultOf = undefined
    await machine.cut()
    expect((await machine.publish()).sequence).toBe(120)
    await machine.close()
  }
})

test('a first publish that arrives late is gone on with', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(10)
  // The manifest is created after the next attempt has seen that nothing is there.
  let late: (() => void) | undefined
  stored.later = (_calls, run) => (late = run)
  machine.store.faultOf = name => {
    if (late !== undefined) return 'before'
    // The clock is asked for right before the version is installed, after the store was probed.
    return name === 'swap' && machine.store.counts['now'] === 1 ? 'late' : 'none'
  }
  await expect(machine.publish()).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
  expect(late).toBeDefined()
  machine.store.faultOf = undefined
  machine.store.beforeCall = name => {
    if (name === 'put') {
      late?.()
      late = undefined
    }
    return Promise.resolve()
  }
  await machine.put(10)
  expect(await machine.publish()).toMatchObject({ version: 2, sequence: 20 })
  expect(remoteOf(stored)!.versions.map(({ sequence }) => sequence)).toEqual([10, 20])
  await machine.close()
})

test('everything put before the call is in it, and on the device: a power cut right after loses nothing of it', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const stored = newStored()
    const machine = new Machine(new SimulatedStore(stored), '/table', new SimulatedFileSystem({ seed }))
    await machine.put(30 + seed)
    expect((await machine.publish()).sequence).toBe(30 + seed)
    await machine.cut(seed)
    await machine.open()
    expect((await machine.table!.stats()).sequence.next).toBe(30 + seed)
    // REMOTE is there, too.
    await machine.put(1)
    expect((await machine.publish()).sequence).toBe(31 + seed)
    await machine.close()
  }
})

test('a disk that was set back, but for REMOTE, cannot publish what it has lost over what was published', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(10)
  await machine.publish()
  await machine.close()
  const before = machine.disk.crashState(0)
  await machine.put(10)
  await machine.publish()
  await machine.close()
  await copyFile(machine.disk, before, `/table/${REMOTE_NAME}`)
  machine.disk = before
  await expect(machine.publish()).rejects.toMatchObject({
    code: 'FLASHTABLE_FENCED',
    message: expect.stringMatching(/operations up to 20, and this table has lost those from 10 on/) as string,
  })
  await machine.close()
})

test('what was published and is gone is not begun anew without being told to', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(10)
  await machine.publish()
  await machine.close()
  // Another disk is mounted there.
  const other = new Machine(new SimulatedStore(newStored()), '/table', machine.disk)
  await expect(other.publish()).rejects.toMatchObject({
    code: 'FLASHTABLE_NOT_FOUND',
    message: expect.stringMatching(/is gone: check that the right disk or bucket is there/) as string,
  })
  expect((await other.publish({ takeOver: true })).version).toBe(1)
  await other.close()
})

test('a REMOTE that is damaged is told, and stops publishes only', async () => {
  const machine = new Machine(new SimulatedStore(newStored()))
  await machine.put(10)
  await machine.publish()
  const path = `/table/${REMOTE_NAME}`
  for (const content of ['', 'nonsense', '{"format":2,"published":[]}', '{"format":1,"published":[{}]}']) {
    await machine.disk.unlink(path)
    const file = await machine.disk.open(path, 'create')
    await file.write(new TextEncoder().encode(content), 0)
    await file.close()
    await machine.close()
    await expect(machine.publish()).rejects.toMatchObject({
      code: 'FLASHTABLE_CORRUPTION',
      message: expect.stringMatching(/\/table\/REMOTE is damaged .*to a new place only/) as string,
    })
    await machine.put(1)
  }
  await machine.close()
})

test('a publish that is aborted at each call can be made again', async () => {
  for (let at = 1; ; at++) {
    const stored = newStored()
    const machine = await begin(stored, 'claimed')
    const controller = new AbortController()
    const first = machine.store.ownCalls
    machine.store.beforeCall = (_, own) => {
      if (own === first + at) controller.abort(new Error('enough'))
      return Promise.resolve()
    }
    const [result] = await Promise.allSettled([machine.publish({ signal: controller.signal, retention: 0 })])
    if (result!.status === 'rejected') expect(result!.reason).toMatchObject({ message: 'enough' })
    machine.store.beforeCall = () => Promise.resolve()
    expect((await machine.publish({ retention: 0 })).sequence).toBe(120)
    await expectSound(stored, machine)
    if (!controller.signal.aborted) return
  }
})

test('a close waits for a running publish, and two publishes at once take turns', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(50)
  const both = [machine.publish({ name: 'one' }), machine.publish({ name: 'two' })]
  await Promise.all(both)
  expect(remoteOf(stored)!.names.map(({ name, version }) => [name, version])).toEqual([
    ['one', 1],
    ['two', 2],
  ])
  await machine.put(50)
  let isClosed = false
  machine.store.beforeCall = async name => {
    if (name !== 'put') return
    void machine.close().then(() => (isClosed = true))
    await new Promise(resolve => void setImmediate(resolve))
    expect(isClosed).toBe(false)
  }
  await machine.publish()
  expect(remoteOf(stored)!.versions.at(-1)!.sequence).toBe(100)
})

test('a table that is closed before its records are in files publishes nothing', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(50)
  const publishing = machine.publish()
  await machine.close()
  const failure = await publishing.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure === undefined) expect(remoteOf(stored)!.versions.at(-1)!.sequence).toBe(50)
  else {
    expect(hasCode(failure, 'FLASHTABLE_NOT_OPEN')).toBe(true)
    expect(remoteOf(stored)).toBeUndefined()
  }
})

test('a deleted object is damage, and a version that was forgotten meanwhile is not found', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(40)
  await machine.publish({ retention: 0 })
  const restore = (store: SimulatedStore): Promise<unknown> =>
    FlashTable.restoreIn(store, '/copy', {}, environmentOf(new SimulatedFileSystem()))
  const reader = new SimulatedStore(stored)
  reader.beforeCall = async name => {
    if (name !== 'get') return
    reader.beforeCall = () => Promise.resolve()
    await machine.put(40)
    await machine.table!.compact()
    await machine.publish({ retention: 0 })
  }
  await expect(restore(reader)).rejects.toMatchObject({
    code: 'FLASHTABLE_NOT_FOUND',
    message: expect.stringMatching(/forgotten while it was being restored/) as string,
  })
  stored.onCall = () => {}
  stored.objects.delete(remoteOf(stored)!.files[0]!.key)
  await expect(restore(reader)).rejects.toMatchObject({
    code: 'FLASHTABLE_CORRUPTION',
    message: expect.stringMatching(/somebody has deleted it/) as string,
  })
  await machine.close()
})

async function copyFile(from: SimulatedFileSystem, to: SimulatedFileSystem, path: string): Promise<void> {
  const source = await from.open(path, 'read')
  const bytes = new Uint8Array(await source.size())
  await source.read(bytes, 0)
  await source.close()
  await to.unlink(path)
  const target = await to.open(path, 'create')
  await target.write(bytes, 0)
  await target.close()
}

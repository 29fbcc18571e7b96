import { describe, expect, test } from 'vitest'
import type { FlashTableError } from '../../../src/base/errors.js'
import { Poison } from '../../../src/base/poison.js'
import { MANIFEST_BYTES_MAX, serializeManifest } from '../../../src/manifest/manifest.js'
import type { Manifest } from '../../../src/manifest/manifest.js'
import { installManifest, loadManifest } from '../../../src/manifest/store.js'
import { describeCall, SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { sampleManifest } from './sample.js'

const DIRECTORY = '/t'
const PATH = '/t/MANIFEST'
const oldManifest = sampleManifest()
const newManifest = sampleManifest({ epoch: 4, nextSequence: 7777 })

/** A disk with the old manifest on it. */
async function preparedDisk(): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem()
  await disk.makeDirectory(DIRECTORY)
  await disk.syncDirectory('/')
  await installManifest(disk, DIRECTORY, oldManifest, new Poison())
  return disk
}

async function load(disk: SimulatedFileSystem): Promise<Manifest | undefined> {
  return (await loadManifest(disk, DIRECTORY))?.manifest
}

async function failureOf(promise: Promise<unknown>): Promise<FlashTableError> {
  return promise.then(
    () => {
      throw new Error('it succeeded')
    },
    error => error as FlashTableError,
  )
}

/** Calls of one install, found out by a run. */
async function callsOfInstall(): Promise<number> {
  const disk = (await preparedDisk()).clone()
  await installManifest(disk, DIRECTORY, newManifest, new Poison())
  return disk.calls
}

test('where there is no manifest, none is loaded', async () => {
  const disk = new SimulatedFileSystem()
  await disk.makeDirectory(DIRECTORY)
  expect(await loadManifest(disk, DIRECTORY)).toBeUndefined()
  expect(await loadManifest(disk, '/elsewhere')).toBeUndefined()
})

test('an installed manifest is loaded, and both say how many bytes it has', async () => {
  const disk = await preparedDisk()
  const { bytes } = await installManifest(disk, DIRECTORY, newManifest, new Poison())
  const loaded = await loadManifest(disk, DIRECTORY)
  expect(loaded).toEqual({ manifest: newManifest, bytes })
  expect(bytes).toBe(disk.readFile(PATH).length)
  expect(disk.files()).toEqual([PATH])
  expect(disk.openHandles).toBe(0)
})

test('an install survives writes and reads that transfer less than asked', async () => {
  const disk = (await preparedDisk()).clone({ shortTransfers: 0.9, seed: 1 })
  await installManifest(disk, DIRECTORY, newManifest, new Poison())
  expect(await load(disk)).toEqual(newManifest)
})

test('the temporary file that a crash left is no obstacle', async () => {
  const disk = await preparedDisk()
  disk.writeFile('/t/MANIFEST.tmp', new Uint8Array(99_999).fill(1))
  await installManifest(disk, DIRECTORY, newManifest, new Poison())
  expect(await load(disk)).toEqual(newManifest)
  expect(disk.files()).toEqual([PATH])
})

describe('a power cut', () => {
  test('at any call of an install leaves the old manifest or the new one', async () => {
    const prepared = await preparedDisk()
    const calls = await callsOfInstall()
    const seen = new Set<string>()
    for (let crashAt = 1; crashAt <= calls + 1; crashAt++) {
      const disk = prepared.clone({ crashAt, seed: crashAt })
      let installed = false
      try {
        await installManifest(disk, DIRECTORY, newManifest, new Poison())
        installed = true
      } catch {
        expect(disk.crashed).toBe(true)
      }
      for (let seed = 0; seed < 60; seed++) {
        const after = disk.crashState(seed)
        const manifest = await load(after)
        const which = JSON.stringify(manifest) === JSON.stringify(newManifest) ? 'new' : 'old'
        if (which === 'old') expect(manifest, after.history.join('\n')).toEqual(oldManifest)
        if (installed) expect(which, after.history.join('\n')).toBe('new')
        seen.add(which)
        await installManifest(after, DIRECTORY, sampleManifest({ epoch: 9 }), new Poison())
        expect((await load(after))?.epoch).toBe(9)
      }
    }
    expect([...seen].sort()).toEqual(['new', 'old'])
  })

  test('during the first install leaves no manifest or that one', async () => {
    const empty = new SimulatedFileSystem()
    await empty.makeDirectory(DIRECTORY)
    for (let crashAt = 1; crashAt <= (await callsOfInstall()); crashAt++) {
      const disk = empty.clone({ crashAt, seed: crashAt })
      await installManifest(disk, DIRECTORY, newManifest, new Poison()).catch(() => {})
      for (let seed = 0; seed < 60; seed++) {
        expect([undefined, newManifest]).toContainEqual(await load(disk.crashState(seed)))
      }
    }
  })
})

describe('a failure', () => {
  test('of any call of an install, but for a full disk, poisons the table', async () => {
    const prepared = await preparedDisk()
    // The last one closes the directory, which was only synced.
    const calls = (await callsOfInstall()) - 1
    for (let step = 1; step <= calls; step++) {
      const disk = prepared.clone({ seed: step })
      disk.failAt(step, 'EIO')
      const poison = new Poison()
      const error = await failureOf(installManifest(disk, DIRECTORY, newManifest, poison))
      const call = describeCall(disk.log[step - 1]!)
      expect(error.code, call).toBe('FLASHTABLE_POISONED')
      expect(poison.latched).toBe(true)
      expect(disk.openHandles, call).toBe(0)
      // Reopened, it is one of the two.
      expect([oldManifest, newManifest]).toContainEqual(await load(disk))
      const again = await failureOf(installManifest(disk, DIRECTORY, newManifest, poison))
      expect(again.code).toBe('FLASHTABLE_POISONED')
    }
  })

  test.each(['ENOSPC', 'EDQUOT'])(
    'with %s before the rename leaves the old manifest and no litter',
    async code => {
      const prepared = await preparedDisk()
      const calls = (await callsOfInstall()) - 1
      for (let step = 1; step <= calls; step++) {
        const disk = prepared.clone({ seed: step })
        disk.failAt(step, code)
        const poison = new Poison()
        const error = await failureOf(installManifest(disk, DIRECTORY, newManifest, poison))
        const { op } = disk.log[step - 1]!
        if (op === 'syncDirectory') {
          expect(error.code).toBe('FLASHTABLE_POISONED')
          continue
        }
        expect(error.code, op).toBe('FLASHTABLE_DISK_FULL')
        expect(poison.latched).toBe(false)
        expect(disk.files(), op).toEqual([PATH])
        expect(disk.openHandles, op).toBe(0)
        expect(await load(disk)).toEqual(oldManifest)
        await installManifest(disk, DIRECTORY, newManifest, poison)
        expect(await load(disk)).toEqual(newManifest)
      }
    },
  )

  test('for want of descriptors or memory before the rename leaves the old manifest, and the next install works', async () => {
    const prepared = await preparedDisk()
    const calls = (await callsOfInstall()) - 1
    for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']) {
      for (let step = 1; step <= calls; step++) {
        const disk = prepared.clone({ seed: step })
        disk.failAt(step, code)
        const poison = new Poison()
        const error = await failureOf(installManifest(disk, DIRECTORY, newManifest, poison))
        const { op } = disk.log[step - 1]!
        expect(disk.openHandles, op).toBe(0)
        if (op === 'syncDirectory') {
          expect(error.code).toBe('FLASHTABLE_POISONED')
          continue
        }
        expect([error.code, poison.latched], `${code} at ${op}`).toEqual(['FLASHTABLE_IO_ERROR', false])
        expect(await load(disk)).toEqual(oldManifest)
        await installManifest(disk, DIRECTORY, newManifest, poison)
        expect(await load(disk)).toEqual(newManifest)
      }
    }
  })

  test('of a rename that was done all the same poisons the table, also with ENOSPC', async () => {
    const disk = (await preparedDisk()).clone()
    disk.failAt(call => call.op === 'rename', 'ENOSPC', { effect: 'all' })
    const poison = new Poison()
    const error = await failureOf(installManifest(disk, DIRECTORY, newManifest, poison))
    expect(error.code).toBe('FLASHTABLE_POISONED')
    expect(await load(disk)).toEqual(newManifest)
  })

  test('to write anything, on a disk without room, leaves the old manifest until room returns', async () => {
    const disk = await preparedDisk()
    disk.capacityBytes = disk.usedBytes
    const poison = new Poison()
    for (let attempt = 0; attempt < 3; attempt++) {
      const error = await failureOf(installManifest(disk, DIRECTORY, newManifest, poison))
      expect(error.code).toBe('FLASHTABLE_DISK_FULL')
      expect(error.message).toBe('cannot write /t/MANIFEST.tmp: no space left; make room and try again')
      expect(await load(disk)).toEqual(oldManifest)
    }
    disk.capacityBytes = Infinity
    await installManifest(disk, DIRECTORY, newManifest, poison)
    expect(await load(disk)).toEqual(newManifest)
  })

  test('of a read is an I/O error, not damage, and closes the file', async () => {
    for (const op of ['open', 'size', 'read']) {
      const disk = (await preparedDisk()).clone()
      disk.failAt(call => call.op === op, 'EIO')
      expect((await failureOf(loadManifest(disk, DIRECTORY))).code).toBe('FLASHTABLE_IO_ERROR')
      expect(disk.openHandles).toBe(0)
      expect(await load(disk)).toEqual(oldManifest)
    }
  })
})

test('a poisoned table installs nothing', async () => {
  const disk = (await preparedDisk()).clone()
  const poison = new Poison()
  poison.latch(new Error('an earlier one'))
  const error = await failureOf(installManifest(disk, DIRECTORY, newManifest, poison))
  expect(error.code).toBe('FLASHTABLE_POISONED')
  expect(disk.calls).toBe(0)
})

test('a manifest torn in any way is damage that names the file', async () => {
  const disk = await preparedDisk()
  const good = serializeManifest(oldManifest)
  for (const bytes of [good.subarray(0, 0), good.subarray(0, 512), new Uint8Array(good.length)]) {
    disk.writeFile(PATH, bytes)
    const error = await failureOf(loadManifest(disk, DIRECTORY))
    expect(error.code).toBe('FLASHTABLE_CORRUPTION')
    expect(error.message).toMatch(/^\/t\/MANIFEST is damaged at offset \d+: expected /)
    expect(disk.openHandles).toBe(0)
  }
})

test('an absurdly large file is refused before it is read', async () => {
  const disk = await preparedDisk()
  disk.writeFile(PATH, new Uint8Array(MANIFEST_BYTES_MAX + 1))
  const before = disk.calls
  expect((await failureOf(loadManifest(disk, DIRECTORY))).code).toBe('FLASHTABLE_CORRUPTION')
  expect(disk.log.slice(before).map(call => call.op)).toEqual(['open', 'size', 'close'])
})

/** The end of the process on the simulated file system. */
import { describe, expect, test } from 'vitest'
import { writeFully } from '../../../src/io/transfer.js'
import { SimulatedCrash, SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { create, createSynced, disk, expectBytes, filled, names, outcomes, SEEDS } from './disks.js'

describe('a crash', () => {
  test('ends the process at its step: that call and all later ones throw', async () => {
    const fs = await disk({ crashAt: 4 })
    const handle = await create(fs, '/t/a', filled(10, 1))
    await expect(handle.sync()).rejects.toThrow(SimulatedCrash)
    expect(() => handle.readSync(new Uint8Array(1), 0)).toThrowError(SimulatedCrash)
    await expect(handle.close()).rejects.toThrow(SimulatedCrash)
    await expect(fs.list('/t')).rejects.toThrow(SimulatedCrash)
    expect([fs.crashed, fs.calls, fs.log.at(-1)?.op]).toEqual([true, 4, 'sync'])
  })

  test('at every step of a run, and only there, stops it', async () => {
    const run = async (fs: SimulatedFileSystem): Promise<void> => {
      await fs.makeDirectory('/t')
      await createSynced(fs, '/t/a', filled(10, 1))
    }
    const whole = new SimulatedFileSystem()
    await run(whole)
    expect(whole.log.map(call => call.op)).toEqual([
      'makeDirectory',
      'create',
      'write',
      'sync',
      'syncDirectory',
      'close',
    ])
    for (let step = 1; step <= whole.calls; step++) {
      const fs = new SimulatedFileSystem({ crashAt: step })
      await expect(run(fs)).rejects.toThrow(SimulatedCrash)
      expect(fs.calls).toBe(step)
    }
    const beyond = new SimulatedFileSystem({ crashAt: whole.calls + 1 })
    await run(beyond)
    expect(beyond.crashed).toBe(false)
  })

  test('leaves the write at which it comes done in part, and unsynced', async () => {
    const sizes = new Set<number>()
    for (const seed of SEEDS) {
      const fs = await disk({ seed })
      await createSynced(fs, '/t/a', filled(10, 1))
      const handle = await fs.open('/t/a', 'update')
      fs.crashAt = fs.calls + 1
      await expect(handle.write(filled(50, 2), 10)).rejects.toThrow(SimulatedCrash)
      sizes.add(fs.readFile('/t/a').length)
      expect(fs.crashState(0, { data: 'none' }).readFile('/t/a').length).toBe(10)
    }
    expect(sizes).toContain(10)
    expect(sizes).toContain(60)
    expect(sizes.size).toBeGreaterThan(20)
  })

  test('catches the calls in flight: a sync has covered nothing, a write any part, a rename all or nothing', async () => {
    const seen = new Set<string>()
    for (const seed of SEEDS) {
      const fs = await disk({ seed })
      const handle = await create(fs, '/t/a', filled(4, 1))
      await fs.syncDirectory('/t')
      const calls = [handle.sync(), handle.write(filled(4, 2), 0), fs.rename('/t/a', '/t/b')]
      fs.crashNow()
      for (const result of await Promise.allSettled(calls)) {
        expect(result.status === 'rejected' && result.reason instanceof SimulatedCrash).toBe(true)
      }
      expect(fs.crashState(0, { data: 'none', entries: 'none' }).readFile('/t/a').length).toBe(0)
      seen.add(`${names(fs)} ${fs.readFile(names(fs)).join('')}`)
    }
    const written = ['1111', '2111', '2211', '2221', '2222']
    expect([...seen].sort()).toEqual([
      ...written.map(text => `/t/a ${text}`),
      ...written.map(text => `/t/b ${text}`),
    ])
  })

  test('leaves the page cache to the next process when only the process ends', async () => {
    const fs = await disk()
    const handle = await create(fs, '/t/a', filled(5000, 1))
    await handle.sync()
    await writeFully(handle, filled(5000, 2), 0)
    fs.crashNow()
    const next = fs.clone()
    expectBytes(next.readFile('/t/a'), filled(5000, 2))
    expect([next.crashed, next.openHandles, next.calls]).toEqual([false, 0, 0])
    // What was not synced before is still not.
    expect(outcomes(next, names)).toEqual(['', '/t/a'])
    const none = next.crashState(0, { data: 'none', entries: 'all' })
    expectBytes(none.readFile('/t/a'), filled(5000, 1))
    const again = await next.open('/t/a', 'update')
    await again.sync()
    expectBytes(next.crashState(0, { data: 'none', entries: 'all' }).readFile('/t/a'), filled(5000, 2))
    expectBytes(fs.crashState(0, { data: 'none', entries: 'all' }).readFile('/t/a'), filled(5000, 1))
  })

  test('at any call leaves what the run that ends there leaves, and the run goes on as if nobody had asked', async () => {
    /** Calls in flight at once, of all kinds. */
    const run = async (fs: SimulatedFileSystem): Promise<void> => {
      await fs.makeDirectory('/t')
      await createSynced(fs, '/t/a', filled(5000, 1))
      const [a, b] = [await fs.open('/t/a', 'update'), await create(fs, '/t/b', filled(10, 2))]
      await Promise.all([
        a.write(filled(700, 3), 4500),
        a.sync(),
        b.write(filled(4100, 4), 3),
        fs.rename('/t/b', '/t/c'),
        fs.makeDirectory('/t/d/e'),
        fs.open('/t/f', 'create').then(handle => handle.close()),
        fs.openDirectory('/t').then(async handle => handle.sync().finally(async () => handle.close())),
      ])
      await Promise.all([fs.unlink('/t/a'), fs.link('/t/c', '/t/g'), fs.removeDirectory('/t/d/e'), b.sync()])
      await Promise.all([a.write(filled(9000, 5), 100), fs.rename('/t/c', '/t/f'), fs.syncDirectory('/t')])
      const closed = Promise.all([a.close(), b.close()])
      await Promise.all([closed, create(fs, '/t/h', filled(300, 6)).then(handle => handle.close())])
    }
    const found = (fs: SimulatedFileSystem): unknown =>
      [fs, ...[1, 2, 3, 4, 5, 6].map(seed => fs.crashState(seed))].map(disk => ({
        files: disk.files().map(path => [path, Buffer.from(disk.readFile(path)).toString('hex')]),
        usedBytes: disk.usedBytes,
        choices: disk.history.filter(line => !/^(power cut after|killed at) call/.test(line)),
      }))
    for (const seed of SEEDS.slice(0, 12)) {
      const whole = new SimulatedFileSystem({ seed, shortTransfers: 0.2 })
      const left: { readonly step: number; readonly disk: SimulatedFileSystem }[] = []
      whole.onBegun = ({ step }) => left.push({ step, disk: whole.leftByKill() })
      await run(whole)
      const undisturbed = new SimulatedFileSystem({ seed, shortTransfers: 0.2 })
      await run(undisturbed)
      expect(whole.log).toEqual(undisturbed.log)
      expect(found(whole)).toEqual(found(undisturbed))
      expect([whole.openPaths, whole.bytesWritten]).toEqual([[], undisturbed.bytesWritten])
      for (const { step, disk } of left) {
        const ended = new SimulatedFileSystem({ seed, shortTransfers: 0.2, crashAt: step })
        await expect(run(ended)).rejects.toThrow(SimulatedCrash)
        expect(found(disk), `call ${step}, seed ${seed}`).toEqual(found(ended.clone()))
      }
    }
  })
})

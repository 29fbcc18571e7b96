/** What a power cut leaves of names and directories on the simulated disk. */
import { describe, expect, test } from 'vitest'
import { writeFully } from '../../../src/io/transfer.js'
import { SimulatedCrash, SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { create, createSynced, disk, expectBytes, filled, names, outcomes, SEEDS } from './disks.js'

describe('after a power cut', () => {
  test('an unlink or rename that was not synced may have happened or not, a synced one has', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(10, 1))
    await createSynced(fs, '/t/b', filled(10, 2))
    await fs.unlink('/t/a')
    expect(outcomes(fs, names)).toEqual(['/t/a /t/b', '/t/b'])
    await fs.syncDirectory('/t')
    expect(outcomes(fs, names)).toEqual(['/t/b'])
    await fs.rename('/t/b', '/t/c')
    expect(outcomes(fs, names)).toEqual(['/t/b', '/t/c'])
    await fs.syncDirectory('/t')
    expect(outcomes(fs, names)).toEqual(['/t/c'])
    expectBytes(fs.crashState(1).readFile('/t/c'), filled(10, 2))
  })

  test('a replacing rename is atomic: old or new, never none', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/M', filled(10, 1))
    const handle = await create(fs, '/t/M.tmp', filled(20, 2))
    await handle.sync()
    await handle.close()
    await fs.rename('/t/M.tmp', '/t/M')
    const look = (after: SimulatedFileSystem): string => `${names(after)} ${after.readFile('/t/M')[0]}`
    expect(outcomes(fs, look)).toEqual(['/t/M /t/M.tmp 1', '/t/M 1', '/t/M 2'])
  })

  test('operations on one name keep their order, those on others do not', async () => {
    const fs = await disk()
    await create(fs, '/t/a', filled(1, 1))
    await create(fs, '/t/b', filled(1, 1))
    await fs.unlink('/t/a')
    await create(fs, '/t/c', filled(1, 1))
    await fs.rename('/t/b', '/t/a')
    // A rename to a without the creation of b, or the unlink of a before it, is impossible.
    expect(outcomes(fs, names)).toEqual([
      '',
      '/t/a',
      '/t/a /t/b',
      '/t/a /t/b /t/c',
      '/t/a /t/c',
      '/t/b',
      '/t/b /t/c',
      '/t/c',
    ])
  })

  test('a name that was given to a new file is not on disk without the rename that made it free', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(1, 1))
    await fs.rename('/t/a', '/t/b')
    await (await create(fs, '/t/a', filled(1, 2))).sync()
    const look = (after: SimulatedFileSystem): string =>
      after
        .files()
        .map(path => `${path} ${after.readFile(path)[0]}`)
        .join(', ')
    expect(outcomes(fs, look)).toEqual(['/t/a 1', '/t/a 2, /t/b 1', '/t/b 1'])
  })

  test('two names of one file are still names of one file', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(512, 1))
    await fs.link('/t/a', '/t/b')
    await fs.syncDirectory('/t')
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(512, 2), 0)
    for (const seed of SEEDS) {
      const after = fs.crashState(seed)
      expectBytes(after.readFile('/t/a'), after.readFile('/t/b'))
      const again = await after.open('/t/b', 'update')
      await writeFully(again, filled(1, 3), 0)
      expect(after.readFile('/t/a')[0]).toBe(3)
    }
  })

  test('directories made are there once makeDirectory has resolved, and may be there in part before', async () => {
    const fs = new SimulatedFileSystem()
    await fs.makeDirectory('/x/y')
    for (const seed of SEEDS) expect(await fs.crashState(seed).list('/x')).toEqual(['y'])
    const seen = new Set<string>()
    for (const seed of SEEDS) {
      const broken = new SimulatedFileSystem({ seed, crashAt: 1 })
      await expect(broken.makeDirectory('/x/y')).rejects.toThrow(SimulatedCrash)
      const after = broken.crashState(seed)
      seen.add([...(await after.list('/')), ...(await after.list('/x').catch(() => []))].join(' '))
    }
    expect([...seen].sort()).toEqual(['', 'x', 'x y'])
  })

  test('a file that is on disk has its directory, though nobody has synced the entry of that', async () => {
    let found = 0
    for (const seed of SEEDS) {
      const broken = new SimulatedFileSystem({ seed, crashAt: 1 })
      await expect(broken.makeDirectory('/x/y')).rejects.toThrow(SimulatedCrash)
      // The next process finds the directory in the cache and uses it, unsynced as it is.
      const fs = broken.clone()
      if (!(await fs.list('/')).includes('x')) continue
      found++
      await create(fs, '/x/a', filled(1, 1))
      expect(new Set(outcomes(fs, names))).toEqual(new Set(['', '/x/a']))
      await fs.syncDirectory('/x')
      expect(outcomes(fs, names)).toEqual(['/x/a'])
    }
    expect(found).toBeGreaterThan(0)
  })
})

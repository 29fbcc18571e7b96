/** Disks that are made from a simulated one: by a power cut, or by a clone. */
import { describe, expect, test } from 'vitest'
import { writeFully } from '../../../src/io/transfer.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { create, createSynced, disk, expectBytes, filled, names, outcomes, SEEDS } from './disks.js'

describe('disks made from one', () => {
  test('a power cut that is told to keep all, or nothing, of what was not synced does so', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(100, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(200, 2), 0)
    await create(fs, '/t/b', filled(300, 3))
    const all = fs.crashState(5, { data: 'all', entries: 'all' })
    expect([all.readFile('/t/a'), all.readFile('/t/b')]).toEqual([filled(200, 2), filled(300, 3)])
    const none = fs.crashState(5, { data: 'none', entries: 'none' })
    expect([names(none), none.readFile('/t/a')]).toEqual(['/t/a', filled(100, 1)])
  })

  test('a disk that a power cut has left is synced: another one changes nothing', async () => {
    const fs = await disk()
    await create(fs, '/t/a', filled(5000, 1))
    await fs.rename('/t/a', '/t/b')
    for (const seed of SEEDS.slice(0, 50)) {
      const once = fs.crashState(seed)
      const twice = once.crashState(seed + 1)
      expect(names(twice)).toBe(names(once))
      for (const path of once.files()) expectBytes(twice.readFile(path), once.readFile(path))
    }
  })

  test('a clone and its origin do not see what is written to the other', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(512, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(512, 2), 0)
    const other = fs.clone()
    await writeFully(await other.open('/t/a', 'update'), filled(512, 3), 0)
    await writeFully(handle, filled(512, 4), 0)
    const look = (after: SimulatedFileSystem): string => String(after.readFile('/t/a')[0])
    expect(outcomes(fs, look)).toEqual(['1', '2', '4'])
    expect(outcomes(other, look)).toEqual(['1', '2', '3'])
  })

  test('the states of one disk do not see what is written to another', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(5000, 1))
    const states = SEEDS.slice(0, 3).map(seed => fs.crashState(seed))
    const handle = await states[0]!.open('/t/a', 'update')
    await writeFully(handle, filled(5000, 2), 0)
    await states[1]!.unlink('/t/a')
    expectBytes(states[2]!.readFile('/t/a'), filled(5000, 1))
    expectBytes(fs.readFile('/t/a'), filled(5000, 1))
  })

  test('the same seed gives the same disk, and its history tells how it came about', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(9000, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(9000, 2), 1000)
    await fs.rename('/t/a', '/t/b')
    for (const seed of SEEDS) {
      const [one, other] = [fs.crashState(seed), fs.crashState(seed)]
      expect(one.history).toEqual(other.history)
      expect(names(one)).toBe(names(other))
      for (const path of one.files()) expectBytes(one.readFile(path), other.readFile(path))
    }
    const history = fs.crashState(3).history.join('\n')
    expect(history).toMatch(/power cut after call \d+, seed 3/)
    expect(history).toMatch(/(kept|lost) rename \/t\/a -> \/t\/b/)
  })
})

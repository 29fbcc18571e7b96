/** What a sync of the simulated file system covers, and what one that failed has lost. */
import { describe, expect, test } from 'vitest'
import { writeFully, writeFullySync } from '../../../src/io/transfer.js'
import { create, createSynced, disk, expectBytes, filled, names, outcomes, SEEDS } from './disks.js'

describe('a sync', () => {
  test('covers what was written before it began, and nothing before it has ended', async () => {
    const fs = await disk()
    const handle = await create(fs, '/t/a', filled(512, 1))
    await fs.syncDirectory('/t')
    const syncing = handle.sync()
    writeFullySync(handle, filled(512, 2), 0)
    const during = outcomes(fs, after => String(after.readFile('/t/a')[0] ?? 'empty'))
    expect(during).toContain('empty')
    await syncing
    const synced = outcomes(fs, after => String(after.readFile('/t/a')[0]))
    expect(synced).toEqual(['1', '2'])
  })

  test('is not undone by a slower one that began earlier', async () => {
    const slower = new Set<string>()
    for (const seed of SEEDS) {
      const fs = await disk({ seed })
      const handle = await create(fs, '/t/a', filled(512, 1))
      await fs.syncDirectory('/t')
      const order: string[] = []
      const first = handle.sync().then(() => order.push('first'))
      writeFullySync(handle, filled(512, 2), 0)
      const second = handle.sync().then(() => order.push('second'))
      // Dirty while both are in flight, or again after the faster one has ended.
      if (seed % 2 === 0) writeFullySync(handle, filled(512, 3), 0)
      await Promise.race([first, second])
      if (seed % 2 === 1) writeFullySync(handle, filled(512, 3), 0)
      await Promise.all([first, second])
      expectBytes(fs.crashState(seed, { data: 'none' }).readFile('/t/a'), filled(512, 2))
      expectBytes(fs.crashState(seed, { data: 'all' }).readFile('/t/a'), filled(512, 3))
      slower.add(order.join())
    }
    expect([...slower].sort()).toEqual(['first,second', 'second,first'])
  })

  test('does not cover the growth of the file meanwhile', async () => {
    const fs = await disk()
    const handle = await create(fs, '/t/a', filled(512, 1))
    await fs.syncDirectory('/t')
    const syncing = handle.sync()
    writeFullySync(handle, filled(512, 2), 512)
    await syncing
    expectBytes(fs.crashState(0, { data: 'none' }).readFile('/t/a'), filled(512, 1))
  })

  test('covers a page that was written many times meanwhile', async () => {
    const fs = await disk()
    const handle = await create(fs, '/t/a', filled(512, 1))
    await fs.syncDirectory('/t')
    const syncing = handle.sync()
    for (let byte = 2; byte < 40; byte++) writeFullySync(handle, filled(512, byte), 0)
    await syncing
    expectBytes(fs.crashState(0, { data: 'none' }).readFile('/t/a'), filled(512, 1))
    for (const seed of SEEDS) expect(fs.crashState(seed).readFile('/t/a')[0]).toBeGreaterThan(0)
    expect(fs.crashState(0, { data: 'all' }).readFile('/t/a')[0]).toBe(39)
  })

  test('of a directory does not cover what was done after it began', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(1, 1))
    const syncing = fs.syncDirectory('/t')
    const renaming = fs.rename('/t/a', '/t/b')
    await Promise.all([syncing, renaming])
    expect(outcomes(fs, names)).toEqual(['/t/a', '/t/b'])
  })

  test('of one directory says nothing about another', async () => {
    const fs = await disk()
    await fs.makeDirectory('/u')
    await create(fs, '/u/a', filled(1, 1))
    await fs.syncDirectory('/t')
    expect(outcomes(fs, names)).toEqual(['', '/u/a'])
  })

  test('that failed leaves the pages clean: read back, gone when evicted, not written by the next sync', async () => {
    const lost: string[] = []
    for (const seed of SEEDS) {
      const fs = await disk({ seed })
      await createSynced(fs, '/t/a', filled(8192, 1))
      const handle = await fs.open('/t/a', 'update')
      await writeFully(handle, filled(8192, 2), 0)
      fs.failAt(call => call.op === 'sync', 'EIO')
      await expect(handle.sync()).rejects.toMatchObject({ code: 'EIO', syscall: 'fdatasync', path: '/t/a' })
      await handle.sync()
      expectBytes(fs.readFile('/t/a'), filled(8192, 2))
      const cut = fs.crashState(seed).readFile('/t/a')
      fs.dropCache()
      expectBytes(fs.readFile('/t/a'), cut)
      lost.push([...new Set(cut)].sort().join('+'))
    }
    expect([...new Set(lost)].sort()).toEqual(['1', '1+2', '2'])
  })

  test('that failed has lost the page also when it was written again, until the next sync', async () => {
    const before = new Set<number>()
    for (const seed of SEEDS) {
      const fs = await disk({ seed })
      await createSynced(fs, '/t/a', filled(512, 1))
      const handle = await fs.open('/t/a', 'update')
      await writeFully(handle, filled(512, 2), 0)
      fs.failAt(call => call.op === 'sync', 'EIO')
      await expect(handle.sync()).rejects.toThrow(/EIO/)
      await writeFully(handle, filled(1, 3), 0)
      before.add(fs.crashState(seed, { data: 'none' }).readFile('/t/a')[0]!)
    }
    expect([...before].sort()).toEqual([1, 2])
  })

  test('that failed has its effect on the disk of the next process, and on files without a name', async () => {
    for (const seed of SEEDS) {
      const fs = await disk({ seed })
      await createSynced(fs, '/t/a', filled(512, 1))
      const handle = await fs.open('/t/a', 'update')
      await writeFully(handle, filled(512, 2), 0)
      fs.failAt(call => call.op === 'sync', 'EIO')
      await expect(handle.sync()).rejects.toThrow(/EIO/)
      const cut = fs.crashState(seed).readFile('/t/a')
      const next = fs.clone()
      expect(next.readFile('/t/a')[0]).toBe(2)
      next.dropCache()
      expectBytes(next.readFile('/t/a'), cut)
      await fs.unlink('/t/a')
      fs.dropCache()
      const buffer = new Uint8Array(512)
      handle.readSync(buffer, 0)
      expectBytes(buffer, cut)
    }
  })

  test('writes a page again that was lost to a failed one and written since', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(4096, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(4096, 2), 0)
    fs.failAt(call => call.op === 'sync', 'EIO')
    await expect(handle.sync()).rejects.toThrow(/EIO/)
    await writeFully(handle, filled(1, 3), 0)
    await handle.sync()
    fs.dropCache()
    const expected = filled(4096, 2)
    expected[0] = 3
    for (const seed of SEEDS) expectBytes(fs.crashState(seed).readFile('/t/a'), expected)
  })
})

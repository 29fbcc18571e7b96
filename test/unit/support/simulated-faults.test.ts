/** Calls of the simulated file system that fail, transfer less than asked, or find the disk full. */
import { describe, expect, test } from 'vitest'
import { create, createSynced, disk, filled, names, SEEDS } from './disks.js'

describe('faults', () => {
  test('a call fails once at its step, with an error like that of the system', async () => {
    const fs = await disk()
    fs.failAt(3, 'EIO', { effect: 'none' })
    const handle = await fs.open('/t/a', 'create')
    await expect(handle.write(filled(4, 1), 0)).rejects.toMatchObject({
      code: 'EIO',
      errno: -5,
      syscall: 'write',
      path: '/t/a',
      message: "EIO: i/o error, write '/t/a'",
    })
    expect(await handle.size()).toBe(0)
    expect(await handle.write(filled(4, 1), 0)).toBe(4)
  })

  test('a sticky fault goes on until it is cleared', async () => {
    const fs = await disk()
    fs.failAt(call => call.op === 'write' && call.path.endsWith('.wal'), 'ENOSPC', { repeat: 'sticky' })
    const log = await fs.open('/t/1.wal', 'create')
    const other = await fs.open('/t/1.bucket', 'create')
    for (let i = 0; i < 3; i++) {
      await expect(log.write(filled(1, 1), 0)).rejects.toMatchObject({ code: 'ENOSPC' })
      expect(() => log.writeSync(filled(1, 1), 0)).toThrowError(/ENOSPC/)
      expect(await other.write(filled(1, 1), i)).toBe(1)
    }
    fs.clearFaults()
    expect(await log.write(filled(1, 1), 0)).toBe(1)
  })

  test('a sticky fault at a step is the end of all calls from there on', async () => {
    const fs = await disk()
    fs.failAt(2, 'EIO', { repeat: 'sticky' })
    await expect(fs.list('/t')).rejects.toThrow(/EIO/)
    await expect(fs.open('/t/a', 'create')).rejects.toThrow(/EIO/)
  })

  test('a failed write may have written any part, a failed rename may have happened', async () => {
    const seen = new Set<string>()
    for (const seed of SEEDS) {
      const fs = await disk({ seed })
      const handle = await fs.open('/t/a', 'create')
      fs.failAt(call => call.op === 'write' || call.op === 'rename', 'EIO', { repeat: 'sticky' })
      await expect(handle.write(filled(3, 1), 0)).rejects.toThrow(/EIO/)
      await expect(fs.rename('/t/a', '/t/b')).rejects.toThrow(/EIO/)
      seen.add(`${names(fs)} ${await handle.size()}`)
    }
    expect([...seen].sort()).toEqual(
      ['a', 'b'].flatMap(name => [0, 1, 2, 3].map(size => `/t/${name} ${size}`)),
    )
  })

  test('the effect of a failed call can be fixed', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(1, 1))
    fs.failAt(call => call.op === 'rename', 'EIO', { effect: 'all' })
    await expect(fs.rename('/t/a', '/t/b')).rejects.toThrow(/EIO/)
    expect(names(fs)).toBe('/t/b')
    fs.failAt(call => call.op === 'rename', 'EIO', { effect: 'none' })
    await expect(fs.rename('/t/b', '/t/a')).rejects.toThrow(/EIO/)
    expect(names(fs)).toBe('/t/b')
  })

  test('a failed open leaves no handle, a failed close none either', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(1, 1))
    fs.failAt(call => call.op === 'open' || call.op === 'close', 'EIO', { repeat: 'sticky', effect: 'any' })
    await expect(fs.open('/t/a', 'read')).rejects.toThrow(/EIO/)
    fs.failAt(call => call.op === 'create', 'EIO', { effect: 'all' })
    await expect(fs.open('/t/b', 'create')).rejects.toThrow(/EIO/)
    expect(names(fs)).toBe('/t/a /t/b')
    expect(fs.openHandles).toBe(0)
    const handle = await fs.open('/t/a', 'update')
    await expect(handle.close()).rejects.toThrow(/EIO/)
    expect(fs.openHandles).toBe(0)
  })

  test('transfers are short as often as asked for, never by nothing and never by error', async () => {
    const fs = await disk({ seed: 7, shortTransfers: 0.5 })
    const handle = await fs.open('/t/a', 'create')
    const counts: number[] = []
    for (let i = 0; i < 200; i++)
      counts.push(handle.writeSync(filled(10, 1), 0), handle.readSync(filled(10, 0), 0))
    const short = counts.filter(count => count < 10)
    expect(short.length).toBeGreaterThan(100)
    expect(short.length).toBeLessThan(300)
    expect(Math.min(...short)).toBeGreaterThan(0)
  })
})

describe('a full disk', () => {
  test('takes what fits, then refuses; overwrites still work', async () => {
    const fs = await disk({ capacityBytes: 3 * 4096 })
    const handle = await fs.open('/t/a', 'create')
    expect(await handle.write(filled(16_384, 1), 0)).toBe(12_288)
    await expect(handle.write(filled(1, 1), 12_288)).rejects.toMatchObject({ code: 'ENOSPC', path: '/t/a' })
    expect(() => handle.writeSync(filled(1, 1), 12_288)).toThrowError(/ENOSPC/)
    expect(await fs.freeBytes('/t')).toBe(0)
    expect(await handle.write(filled(12_288, 2), 0)).toBe(12_288)
    expect(await handle.size()).toBe(12_288)
  })

  test('has room again when a file is unlinked and closed, or the limit is raised', async () => {
    const fs = await disk({ capacityBytes: 2 * 4096 })
    const first = await create(fs, '/t/a', filled(8192, 1))
    const second = await fs.open('/t/b', 'create')
    await fs.unlink('/t/a')
    await expect(second.write(filled(1, 1), 0)).rejects.toThrow(/ENOSPC/)
    await first.close()
    expect(await second.write(filled(8192, 1), 0)).toBe(8192)
    await expect(second.write(filled(1, 1), 8192)).rejects.toThrow(/ENOSPC/)
    fs.capacityBytes = 3 * 4096
    expect(await fs.freeBytes('/t')).toBe(4096)
    expect(await second.write(filled(1, 1), 8192)).toBe(1)
  })
})

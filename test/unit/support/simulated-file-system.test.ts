/** The simulated file system is a file system, and lets tests see and steer what is done on it. */
import { describe, expect, test } from 'vitest'
import { fileSystemContract } from '../../contract/file-system-contract.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { create, createSynced, disk, expectBytes, filled, names, SEEDS } from './disks.js'

fileSystemContract('simulated', async () => {
  const fileSystem = new SimulatedFileSystem()
  await fileSystem.makeDirectory('/home/table')
  return { fileSystem, directory: '/home/table' }
})

describe('what tests see and steer', () => {
  test('the log names every call with its place', async () => {
    const fs = await disk()
    const handle = await fs.open('/t/a', 'create')
    handle.writeSync(filled(4, 1), 8)
    await fs.rename('/t/a', '/t/b')
    expect(fs.log.slice(2)).toEqual([
      { step: 3, op: 'write', path: '/t/a', position: 8, bytes: 4, blocking: true },
      { step: 4, op: 'rename', path: '/t/a', target: '/t/b', blocking: false },
    ])
  })

  test('a hook sees a call before it is done, can hold it, and can fail it', async () => {
    const fs = await disk()
    let release = (): void => {}
    fs.onCall = call => {
      if (call.op === 'rename') return new Promise(resolve => (release = resolve))
      if (call.op === 'unlink') throw new Error('no')
      return undefined
    }
    await createSynced(fs, '/t/a', filled(1, 1))
    const renaming = fs.rename('/t/a', '/t/b')
    await fs.syncDirectory('/t')
    expect(names(fs)).toBe('/t/a')
    release()
    await renaming
    expect(names(fs)).toBe('/t/b')
    await expect(fs.unlink('/t/b')).rejects.toThrow('no')
  })

  test('calls overtake each other, in the same order for the same seed', async () => {
    const order = async (seed: number): Promise<string> => {
      const fs = await disk({ seed })
      const done: number[] = []
      await Promise.all([0, 1, 2, 3].map(i => fs.list('/t').then(() => done.push(i))))
      return done.join('')
    }
    const orders: string[] = []
    for (const seed of SEEDS) orders.push(await order(seed))
    expect(new Set(orders).size).toBeGreaterThan(5)
    expect(await order(3)).toBe(orders[3])
  })

  test('a buffer that is changed while its write is in flight may be written so', async () => {
    const fs = await disk()
    const handle = await fs.open('/t/a', 'create')
    const buffer = filled(4, 1)
    const writing = handle.write(buffer, 0)
    buffer.fill(2)
    await writing
    expectBytes(fs.readFile('/t/a'), filled(4, 2))
  })

  test('a handle that is closed with calls in flight is reported, by every later call too', async () => {
    const fs = await disk()
    const handle = await fs.open('/t/a', 'create')
    const syncing = handle.sync()
    await expect(handle.close()).rejects.toThrow(/closed with calls on it in flight/)
    await syncing
    await expect(fs.list('/t')).rejects.toThrow(/closed with calls on it in flight/)
  })

  test('open handles and bytes written are counted', async () => {
    const fs = await disk()
    const handle = await create(fs, '/t/a', filled(1000, 1))
    handle.writeSync(filled(24, 1), 0)
    expect([fs.bytesWritten, fs.openHandles, fs.openPaths]).toEqual([1024, 1, ['/t/a']])
    await handle.close()
    expect([fs.openHandles, fs.openPaths]).toEqual([0, []])
  })

  test('files are damaged behind the back of the program, for good', async () => {
    const fs = new SimulatedFileSystem()
    fs.writeFile('/x/t/a', filled(5000, 1))
    fs.flipByte('/x/t/a', 4500)
    fs.flipByte('/x/t/a', 1, 0x80)
    fs.writeFile('/x/t/b', filled(5000, 2))
    fs.truncateFile('/x/t/b', 700)
    fs.writeFile('/x/t/c', filled(1, 1))
    fs.removeFile('/x/t/c')
    expect(fs.calls).toBe(0)
    for (const seed of SEEDS) {
      const after = fs.crashState(seed)
      expect(names(after)).toBe('/x/t/a /x/t/b')
      expect([after.readFile('/x/t/a')[4500], after.readFile('/x/t/a')[1]]).toEqual([0xfe, 0x81])
      expectBytes(after.readFile('/x/t/b'), filled(700, 2))
    }
    expect(() => fs.flipByte('/x/t/b', 700)).toThrow(RangeError)
    expect(() => fs.readFile('/x/t/c')).toThrowError(/ENOENT/)
  })

  test('placing a file where an unsynced rename has been makes that rename synced', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(1, 1))
    await fs.rename('/t/a', '/t/b')
    fs.writeFile('/t/b', filled(2, 2))
    for (const seed of SEEDS) expect(names(fs.crashState(seed))).toBe('/t/b')
  })
})

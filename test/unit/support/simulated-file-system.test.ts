import { describe, expect, test } from 'vitest'
import type { FileHandle } from '../../../src/io/file-system.js'
import { writeFully, writeFullySync } from '../../../src/io/transfer.js'
import { fileSystemContract } from '../../contract/file-system-contract.js'
import { Random } from '../../support/random.js'
import {
  SimulatedCrash,
  SimulatedFileSystem,
  type SimulationOptions,
} from '../../support/simulated-file-system.js'

const SEEDS = Array.from({ length: 300 }, (_, seed) => seed)

fileSystemContract('simulated', async () => {
  const fileSystem = new SimulatedFileSystem()
  await fileSystem.makeDirectory('/home/table')
  return { fileSystem, directory: '/home/table' }
})

/** `toEqual` takes milliseconds for a page. */
function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length)
  expect(Buffer.compare(actual, expected)).toBe(0)
}

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)

async function disk(options: SimulationOptions = {}): Promise<SimulatedFileSystem> {
  const fs = new SimulatedFileSystem(options)
  await fs.makeDirectory('/t')
  return fs
}

/** A new file with this content; nothing is synced. */
async function create(fs: SimulatedFileSystem, path: string, bytes: Uint8Array): Promise<FileHandle> {
  const handle = await fs.open(path, 'create')
  await writeFully(handle, bytes, 0)
  return handle
}

/** A file that survives, closed. */
async function createSynced(fs: SimulatedFileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const handle = await create(fs, path, bytes)
  await handle.sync()
  await fs.syncDirectory('/t')
  await handle.close()
}

/** The distinct outcomes over all seeds, sorted. */
function outcomes(fs: SimulatedFileSystem, look: (after: SimulatedFileSystem) => string): string[] {
  return [...new Set(SEEDS.map(seed => look(fs.crashState(seed))))].sort()
}

const names = (fs: SimulatedFileSystem): string => fs.files().join(' ')

describe('after a power cut', () => {
  test('synced data in a synced directory are there, whatever else happens to the file', async () => {
    const fs = await disk()
    const data = new Random(1).bytes(20_000)
    await createSynced(fs, '/t/a', data)
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(8192, 1), 20_480)
    for (const seed of SEEDS) expectBytes(fs.crashState(seed).readFile('/t/a').subarray(0, 20_000), data)
  })

  test('a file that was synced and whose directory was not may be missing, or be there whole', async () => {
    const fs = await disk()
    const handle = await create(fs, '/t/a', filled(5000, 1))
    await handle.sync()
    expect(outcomes(fs, names)).toEqual(['', '/t/a'])
    for (const seed of SEEDS) {
      const after = fs.crashState(seed)
      if (after.files().length > 0) expectBytes(after.readFile('/t/a'), filled(5000, 1))
    }
  })

  test('a file whose directory was synced and which was not is there, with any part of its data', async () => {
    const fs = await disk()
    await create(fs, '/t/a', filled(5000, 1))
    await fs.syncDirectory('/t')
    const sizes = SEEDS.map(seed => fs.crashState(seed).readFile('/t/a').length)
    expect(sizes).toContain(0)
    expect(sizes).toContain(5000)
    expect(sizes.some(size => size > 0 && size < 5000)).toBe(true)
  })

  test('unsynced 512-byte pieces of an overwrite are old or new, each for itself', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(8192, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(8192, 2), 0)
    const mixed = new Set<string>()
    for (const seed of SEEDS) {
      const bytes = fs.crashState(seed, { data: 'pieces' }).readFile('/t/a')
      expect(bytes.length).toBe(8192)
      let pattern = ''
      for (let piece = 0; piece < 16; piece++) {
        const part = bytes.subarray(piece * 512, piece * 512 + 512)
        expect(part.every(byte => byte === part[0])).toBe(true)
        pattern += part[0]
      }
      mixed.add(pattern)
    }
    expect(mixed.size).toBeGreaterThan(100)
    // Each piece alone can be the only one that is missing, or the only one that has arrived.
    const texts = [...mixed]
    expect(texts.some(text => text.replaceAll('1', '').length === 15)).toBe(true)
    expect(texts.some(text => text.replaceAll('1', '').length === 1)).toBe(true)
  })

  test('unsynced pages can be old or new whole', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(12_288, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(12_288, 2), 0)
    const pattern = (seed: number): string => {
      const bytes = fs.crashState(seed, { data: 'pages' }).readFile('/t/a')
      return [0, 4096, 8192]
        .map(at => new Set(bytes.subarray(at, at + 4096)).size + ':' + bytes[at])
        .join(' ')
    }
    const seen = new Set(SEEDS.map(pattern))
    expect([...seen].sort()).toEqual([
      '1:1 1:1 1:1',
      '1:1 1:1 1:2',
      '1:1 1:2 1:1',
      '1:1 1:2 1:2',
      '1:2 1:1 1:1',
      '1:2 1:1 1:2',
      '1:2 1:2 1:1',
      '1:2 1:2 1:2',
    ])
  })

  test('the device may have stopped at any piece of a stream', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(8192, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(8192, 2), 0)
    for (const seed of SEEDS) {
      const bytes = fs.crashState(seed, { data: 'prefix' }).readFile('/t/a')
      const stop = bytes.indexOf(1)
      expect(stop % 512 === 0 || stop === -1).toBe(true)
      if (stop >= 0) expect(bytes.lastIndexOf(2)).toBe(stop - 1)
    }
  })

  test('a state between two unsynced writes may be what has reached the device', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(512, 1))
    const handle = await fs.open('/t/a', 'update')
    for (const byte of [2, 3]) await writeFully(handle, filled(512, byte), 0)
    expect(outcomes(fs, after => String(after.readFile('/t/a')[0]))).toEqual(['1', '2', '3'])
  })

  test('a hole that was synced holds zeros or what was written into it', async () => {
    const fs = await disk()
    const handle = await create(fs, '/t/a', new Uint8Array(0))
    await writeFully(handle, filled(1, 1), 8192)
    await handle.sync()
    await fs.syncDirectory('/t')
    await writeFully(handle, filled(4096, 2), 0)
    expect(
      outcomes(fs, after => [...new Set(after.readFile('/t/a').subarray(0, 4096))].sort().join('+')),
    ).toEqual(['0', '0+2', '2'])
  })

  test('a file may have its new size and zeros, noise or old blocks in place of data', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/gone', filled(8192, 9))
    await fs.unlink('/t/gone')
    await createSynced(fs, '/t/a', filled(100, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(8192, 2), 4096)
    const kinds = outcomes(fs, after => {
      const bytes = after.readFile('/t/a')
      if (bytes.length < 12_288) return 'shorter'
      const page = new Set(bytes.subarray(4096, 8192))
      if (page.size > 20) return 'noise'
      return page.has(9) ? 'old blocks' : page.has(2) ? 'data' : 'zeros'
    })
    expect(kinds).toEqual(['data', 'noise', 'old blocks', 'shorter', 'zeros'])
    expect(fs.crashState(0, { data: 'size' }).readFile('/t/a').length).toBe(12_288)
  })

  test('what was synced stays as it was where a file grows in the same page', async () => {
    const fs = await disk()
    await createSynced(fs, '/t/a', filled(100, 1))
    const handle = await fs.open('/t/a', 'update')
    await writeFully(handle, filled(300, 2), 100)
    for (const seed of SEEDS) {
      const bytes = fs.crashState(seed).readFile('/t/a')
      expectBytes(bytes.subarray(0, 100), filled(100, 1))
      expect([...new Set(bytes.subarray(100))].every(byte => byte === 0 || byte === 2)).toBe(true)
    }
  })

  test('bytes cut off by a shorter size are zeros when the file grows over them again', async () => {
    const fs = await disk()
    await fs.syncDirectory('/t')
    const handle = await create(fs, '/t/a', filled(4096, 5))
    await fs.syncDirectory('/t')
    await handle.close()
    for (const seed of SEEDS) {
      const after = fs.crashState(seed)
      const size = after.readFile('/t/a').length
      const again = await after.open('/t/a', 'update')
      await writeFully(again, filled(1, 7), 4095)
      const tail = after.readFile('/t/a').subarray(size, 4095)
      expect(tail.every(byte => byte === 0)).toBe(true)
    }
  })

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

  test('two names of one file are one file still', async () => {
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

  test('all and none are what they say', async () => {
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
})

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

describe('for tests', () => {
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

/** What a power cut leaves of the data of a file on the simulated disk. */
import { describe, expect, test } from 'vitest'
import { writeFully } from '../../../src/io/transfer.js'
import { Random } from '../../support/random.js'
import { create, createSynced, disk, expectBytes, filled, names, outcomes, SEEDS } from './disks.js'

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
})

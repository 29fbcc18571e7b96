import { describe, expect, test } from 'vitest'
import type { FileHandle } from '../../../src/io/file-system.js'
import { readFully, readFullySync, writeFully, writeFullySync } from '../../../src/io/transfer.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const DATA = new Random(1).bytes(20_000)

/** A new file on a disk where nearly every call transfers a part only. */
async function shortFile(seed: number): Promise<{ fs: SimulatedFileSystem; file: FileHandle }> {
  const fs = new SimulatedFileSystem({ seed, shortTransfers: 0.9 })
  await fs.makeDirectory('/t')
  return { fs, file: await fs.open('/t/a', 'create') }
}

const seeds = Array.from({ length: 50 }, (_, seed) => seed)

describe('over calls that transfer less than asked', () => {
  test('writeFully and writeFullySync write all, each byte in its place', async () => {
    for (const seed of seeds) {
      const { fs, file } = await shortFile(seed)
      await writeFully(file, DATA.subarray(0, 12_000), 100)
      writeFullySync(file, DATA.subarray(12_000), 12_100)
      expect(Buffer.compare(fs.readFile('/t/a').subarray(100), DATA)).toBe(0)
      expect(fs.calls).toBeGreaterThan(4)
    }
  })

  test('readFully and readFullySync fill the buffer, or stop at the end of the file', async () => {
    for (const seed of seeds) {
      const { fs, file } = await shortFile(seed)
      fs.writeFile('/t/a', DATA)
      const buffer = new Uint8Array(5000)
      expect(await readFully(file, buffer, 3000)).toBe(5000)
      expect(Buffer.compare(buffer, DATA.subarray(3000, 8000))).toBe(0)
      expect(readFullySync(file, buffer, 4000)).toBe(5000)
      expect(Buffer.compare(buffer, DATA.subarray(4000, 9000))).toBe(0)
      expect(await readFully(file, buffer, 18_000)).toBe(2000)
      expect(readFullySync(file, buffer, 19_000)).toBe(1000)
      expect(Buffer.compare(buffer.subarray(0, 1000), DATA.subarray(19_000))).toBe(0)
      expect(await readFully(file, buffer, 20_000)).toBe(0)
    }
  })

  test('a transfer of nothing makes no call', async () => {
    const { fs, file } = await shortFile(1)
    const before = fs.calls
    const nothing = new Uint8Array(0)
    await writeFully(file, nothing, 5)
    writeFullySync(file, nothing, 5)
    expect([await readFully(file, nothing, 0), readFullySync(file, nothing, 0)]).toEqual([0, 0])
    expect(fs.calls).toBe(before)
  })

  test('a disk that fills up on the way is an error, with a part written', async () => {
    const { fs, file } = await shortFile(1)
    fs.capacityBytes = 8192
    await expect(writeFully(file, DATA, 0)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(() => writeFullySync(file, DATA, 0)).toThrowError(/ENOSPC/)
    expect(Buffer.compare(fs.readFile('/t/a'), DATA.subarray(0, 8192))).toBe(0)
  })
})

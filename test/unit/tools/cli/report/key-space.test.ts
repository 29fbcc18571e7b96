import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bytes, FlashTable, type KeyEncoding } from '../../../../../src/index.js'
import { nodeFileSystem } from '../../../../../src/io/node-file-system.js'
import { inspecting } from '../../../../../tools/cli/inspect/open-table.js'
import type { AnyTable } from '../../../../../tools/cli/records.js'
import { keySpaceOf, type KeySpace } from '../../../../../tools/cli/report/key-space.js'

let directory: string
let names = 0
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-key-space-'))
})
afterAll(() => rm(directory, { recursive: true }))

/** Of a table whose memory is small: each file has some hundred records. */
async function spaceOf(keyEncoding: KeyEncoding, keys: readonly unknown[]): Promise<KeySpace | undefined> {
  const path = join(directory, `${names++}`)
  const options = { keyEncoding, bufferBytes: 1024, fanout: 64 }
  const table = (await FlashTable.open(path, options)) as unknown as AnyTable
  for (const key of keys) await table.put(key as never, undefined as never)
  await table.close()
  return spaceIn(path)
}

async function spaceIn(path: string): Promise<KeySpace | undefined> {
  const { space } = await inspecting(
    { fileSystem: nodeFileSystem, directory: path },
    new AbortController().signal,
    async table => ({
      space: await keySpaceOf(table),
      problems: [],
    }),
  )
  return space
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: (to - from) / step }, (_, i) => from + i * step)
}

test('a table without bucket files has no key space', async () => {
  expect(await spaceOf('u32', [1, 2, 3])).toBeUndefined()
})

test('files that follow each other are told one after the other', async () => {
  const space = (await spaceOf('u32', range(0, 8192, 4)))!
  expect(space.leastKey).toBe('0')
  const records = space.files.reduce((sum, file) => sum + file.records, 0)
  expect(space.bins.reduce((sum, bin) => sum + bin.records, 0)).toBeCloseTo(records)
  expect(space.files.length).toBeGreaterThan(2)
  for (const [i, { from, to }] of space.files.entries()) {
    expect(from).toBeCloseTo(i === 0 ? 0 : space.files[i - 1]!.to, 1)
    expect(to).toBeGreaterThan(from)
  }
  expect(space.meanFiles).toBeLessThan(1.5)
  expect(space.mostFiles).toBeLessThanOrEqual(2)
  expect(space.fullestTenth).toBeGreaterThan(0.08)
  expect(space.fullestTenth).toBeLessThan(0.2)
})

test('files that overlap are counted where they do', async () => {
  const once = (await spaceOf('u32', range(0, 8192, 4)))!
  const thrice = (await spaceOf('u32', [range(0, 8192, 4), range(0, 8192, 4), range(0, 8192, 4)].flat()))!
  expect(thrice.meanFiles).toBeGreaterThan(2)
  expect(thrice.meanFiles).toBeGreaterThan(2 * once.meanFiles)
  expect(thrice.mostFiles).toBeGreaterThanOrEqual(3)
})

test('a last page that is nearly empty does not count as a full one', async () => {
  for (let records = 3000; records < 6000; records += 700) {
    const path = join(directory, `${names++}`)
    const table = await FlashTable.open(path, { keyEncoding: 'u32' })
    const key = Uint32Array.from({ length: records }, (_, i) => (i * 2_654_435_761) >>> 0)
    await table.putColumns({ key })
    await table.compact()
    await table.close()
    const space = (await spaceIn(path))!
    expect(space.files).toHaveLength(1)
    expect(space.fullestTenth).toBeLessThan(0.12)
  }
})

test('places are spread over the records, in the order of the files', async () => {
  const { places } = (await spaceOf('u32', range(0, 8192, 4)))!
  expect(places).toHaveLength(200)
  expect(places).toEqual(places.toSorted((a, b) => (a as number) - (b as number)))
})

test('where most keys are near each other, that is told', async () => {
  const keys = [2n ** 64n - 1n, ...range(0, 2000, 1).map(BigInt)]
  const space = (await spaceOf('u64', keys))!
  expect(space.greatestKey).toBe(String(2n ** 64n - 1n))
  expect(space.fullestTenth).toBeGreaterThan(0.9)
})

test('keys that are bytes have their places too, by the first bytes in which they differ', async () => {
  const keys = range(0, 1024, 1).map(i => Uint8Array.of(7, 7, 7, 7, 7, i >> 2, (i & 3) << 6, 0))
  const space = (await spaceOf(bytes(8), keys))!
  expect(space.leastKey).toBe('0707070707000000')
  expect(space.files.at(-1)!.to).toBe(1)
  expect(space.fullestTenth).toBeLessThan(0.2)
})

import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { FileSystem } from '../../../src/io/file-system.js'
import { nodeFileSystem } from '../../../src/io/node-file-system.js'
import { DirectoryStore } from '../../../src/store/directory-store.js'
import { sourceOf } from '../../../src/store/object-store.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { describeObjectStore, keysOf } from '../../contract/object-store-contract.js'

const made: string[] = []

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-store-'))
  made.push(directory)
  return directory
}

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

describeObjectStore('a directory', async () => {
  const directory = join(await newDirectory(), 'store')
  const store = new DirectoryStore(nodeFileSystem, directory, `file://${directory}`)
  return { store, other: new DirectoryStore(nodeFileSystem, directory, `file://${directory}`) }
})

describeObjectStore('a directory of a simulated disk', () => {
  const disk = new SimulatedFileSystem({ shortTransfers: 0.3 })
  const store = new DirectoryStore(disk, '/store', 'file:///store')
  return Promise.resolve({ store, other: new DirectoryStore(disk, '/store', 'file:///store') })
})

test('what was stored, and what was swapped, survive a power cut', async () => {
  const disk = new SimulatedFileSystem()
  const store = new DirectoryStore(disk, '/store', 'file:///store')
  await store.put('e1/a', sourceOf(text('a')))
  const version = await store.swap('MANIFEST', text('one'), undefined)
  await store.swap('MANIFEST', text('two'), version)
  for (let seed = 0; seed < 50; seed++) {
    const after = new DirectoryStore(disk.crashState(seed), '/store', 'file:///store')
    expect(await after.get('e1/a')).toEqual(text('a'))
    expect((await after.load('MANIFEST'))?.bytes).toEqual(text('two'))
  }
})

test('a power cut in the middle of a swap leaves the old pointer or the new one', async () => {
  const life = async (disk: SimulatedFileSystem): Promise<void> => {
    const store = new DirectoryStore(disk, '/store', 'file:///store')
    let version = await store.swap('MANIFEST', text('0'), undefined)
    for (let at = 1; at < 6; at++) version = await store.swap('MANIFEST', text(String(at)), version)
  }
  const whole = new SimulatedFileSystem()
  await life(whole)
  let acknowledged = 0
  for (let crashAt = 1; crashAt < whole.calls; crashAt++) {
    const disk = new SimulatedFileSystem({ crashAt })
    await life(disk).catch(() => {})
    for (let seed = 0; seed < 10; seed++) {
      const after = new DirectoryStore(disk.crashState(seed), '/store', 'file:///store')
      const loaded = await after.load('MANIFEST')
      const value = loaded === undefined ? -1 : Number(new TextDecoder().decode(loaded.bytes))
      expect(value).toBeGreaterThanOrEqual(-1)
      acknowledged = Math.max(acknowledged, value)
      // The next one can go on.
      expect(await after.swap('MANIFEST', text('next'), loaded?.version)).toBeTypeOf('string')
    }
  }
  expect(acknowledged).toBe(5)
})

test('a writer that was asleep while others went on does not win by a number that was removed', async () => {
  const directory = await newDirectory()
  const store = new DirectoryStore(nodeFileSystem, directory, 'file:///x')
  let version = await store.swap('MANIFEST', text('0'), undefined)
  const seen = version
  // Asleep between its look at the numbers and its rename.
  let others = async (): Promise<void> => {}
  const asleep = new DirectoryStore(
    {
      ...nodeFileSystem,
      async rename(from, to) {
        await others()
        await nodeFileSystem.rename(from, to)
      },
    },
    directory,
    'file:///x',
  )
  others = async () => {
    others = async () => {}
    for (let at = 1; at < 8; at++) version = await store.swap('MANIFEST', text(String(at)), version)
  }
  expect(await asleep.swap('MANIFEST', text('late'), seen)).toBeUndefined()
  expect((await store.load('MANIFEST'))!.bytes).toEqual(text('7'))
  expect((await readdir(directory)).toSorted()).toEqual(['MANIFEST.6', 'MANIFEST.7', 'MANIFEST.8'])
})

test('uploads that were never finished are no objects, and can be cleaned up', async () => {
  const directory = await newDirectory()
  const store = new DirectoryStore(nodeFileSystem, directory, 'file:///x')
  await store.put('e1/a', sourceOf(text('a')))
  await writeFile(join(directory, 'e1/.upload-0123456789abcdef'), 'half')
  await mkdir(join(directory, '.upload-fedcba9876543210'))
  await writeFile(join(directory, '.upload-fedcba9876543210/content'), 'half')
  expect(await keysOf(store, '')).toEqual(['e1/a'])
  // Of a writer that may be alive, and what only a killed one can have left.
  await store.abortUploads('e', { which: () => false })
  expect((await readdir(directory)).toSorted()).toEqual(['.upload-fedcba9876543210', 'e1'])
  await utimes(join(directory, '.upload-fedcba9876543210'), 1, 1)
  await store.abortUploads('e', { which: () => false })
  expect(await readdir(directory)).toEqual(['e1'])
  await store.abortUploads('')
  expect(await readdir(join(directory, 'e1'))).toEqual(['a'])
})

test('a store that cannot be reached says so, and what to do', async () => {
  const directory = await newDirectory()
  await writeFile(join(directory, 'file'), '')
  const store = new DirectoryStore(nodeFileSystem, join(directory, 'file'), 'file:///x')
  await expect(store.put('e1/a', sourceOf(text('a')))).rejects.toMatchObject({
    code: 'FLASHTABLE_UNAVAILABLE',
    message: expect.stringMatching(/file:\/\/\/x cannot write e1\/a: .*try again/s) as string,
  })
})

test('some objects are read at once, the others wait: descriptors are few', async () => {
  const atOnce = 64
  let [begun, open, most] = [0, 0, 0]
  let openGate!: () => void
  // While the gate is shut no read ends, so that none makes room for another one.
  const gate = new Promise<void>(resolve => (openGate = resolve))
  const gated = new Proxy(nodeFileSystem, {
    get: (_, name) =>
      name === 'open'
        ? async (...args: Parameters<FileSystem['open']>) => {
            begun++
            most = Math.max(most, ++open)
            await gate
            const file = await nodeFileSystem.open(...args)
            const close = file.close.bind(file)
            file.close = () => close().finally(() => open--)
            return file
          }
        : (Reflect.get(nodeFileSystem, name) as unknown),
  })
  const directory = await newDirectory()
  const writer = new DirectoryStore(nodeFileSystem, directory, 'file:///x')
  for (const place of [writer, writer.below('p')]) await place.put('e1/a', sourceOf(text('a')))
  const store = new DirectoryStore(gated, directory, 'file:///x')
  const below = store.below('p')
  const reads = Array.from({ length: 400 }, (_, at) => (at % 2 === 0 ? store : below).get('e1/a'))
  // A read that may begin waits for nothing before it opens its file: after a turn of the event loop it has.
  await new Promise(resolve => void setImmediate(resolve))
  const begunAtFirst = begun
  openGate()
  for (const bytes of await Promise.all(reads)) expect(bytes).toEqual(text('a'))
  expect({ begunAtFirst, most, begun, open }).toEqual({
    begunAtFirst: atOnce,
    most: atOnce,
    begun: 400,
    open: 0,
  })
})

/** No argument is ignored: whatever a method does not take is refused with a code, before anything happens. */
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as flashtable from '../../src/index.js'
import {
  bytes,
  collectGarbage,
  directoryStore,
  encodings,
  fixed,
  FlashTable,
  probeStore,
  publishedTable,
  repairTable,
  Snapshot,
  struct,
  verifyPublished,
  verifyTable,
} from '../../src/index.js'
import { s3Store } from '../../src/s3.js'
import { SimulatedStore } from '../support/simulated-store.js'
import { collect, fingerprint, imageOf, testTables } from '../support/tables.js'
import { thrownBy } from '../support/thrown-by.js'
import { call, expectRefused, filledTable, METHODS, NO_OPTIONS, textOf } from './method-arguments.js'

const tables = testTables()

/** For the library's own parts, tests and tools, which the types do not show; and what JSON.stringify calls, with a key. */
const INTERNAL = ['checkWritable', 'commitOperations', 'replicateAlone', 'viewFor', 'toJSON']

test('every public method and function has its entry in method-arguments.ts', () => {
  const names = Object.getOwnPropertyNames(FlashTable.prototype).filter(
    name =>
      typeof Object.getOwnPropertyDescriptor(FlashTable.prototype, name)!.value === 'function' &&
      name !== 'constructor',
  )
  expect(names.filter(name => !INTERNAL.includes(name)).sort()).toEqual(Object.keys(METHODS).sort())
  const statics = Object.getOwnPropertyNames(FlashTable).filter(
    name => typeof Object.getOwnPropertyDescriptor(FlashTable, name)!.value === 'function',
  )
  expect(statics.sort()).toEqual([
    'bulkLoad',
    'bulkLoadIn',
    'open',
    'openIn',
    'openRemote',
    'openRemoteIn',
    'restore',
    'restoreIn',
  ])
  const ofSnapshot = Object.getOwnPropertyNames(Snapshot.prototype)
  expect(ofSnapshot.filter(name => !INTERNAL.includes(name)).sort()).toEqual(['close', 'constructor'])
  expect(Object.keys(flashtable).sort()).toEqual([
    'FlashTable',
    'FlashTableError',
    'PartitionedSnapshot',
    'PartitionedTable',
    'Snapshot',
    'bytes',
    'collectGarbage',
    'directoryStore',
    'encodings',
    'fixed',
    'probeStore',
    'projectedLifeDays',
    'publishedTable',
    'readEventLog',
    'repairTable',
    'struct',
    'verifyPublished',
    'verifyTable',
  ])
})

/** What stays as it is while time goes on. */
async function timeless(table: Pick<FlashTable, 'stats'>): Promise<object> {
  const { wear: _, ...stats } = await table.stats()
  return stats
}

describe('arguments that a method does not take', () => {
  test.each(Object.entries(METHODS))('%s refuses, and nothing has happened', async (name, method) => {
    const table = await filledTable(tables)
    const args = method.args.map(argument => (argument === '<new>' ? tables.path() : argument))
    const before = [await collect(table.entries()), await timeless(table), await imageOf(table.location)]
    const snapshot = table.snapshot()
    const calls: [string, readonly unknown[]][] = []
    const behind = [...args]
    if (method.optionsAt !== undefined) {
      for (const junk of [...NO_OPTIONS, snapshot]) calls.push([textOf(junk), [...args, junk]])
      for (const [option, values] of Object.entries(method.options ?? {})) {
        for (const value of values) {
          calls.push([`${option}: ${textOf(value)}`, [...args, { [option]: value }]])
          // Inherited and behind a getter it is the same option.
          const getter = { get: () => value, enumerable: true }
          calls.push([`inherited ${option}`, [...args, Object.create({ [option]: value })]])
          calls.push([`get ${option}`, [...args, Object.defineProperty({}, option, getter)]])
        }
      }
      behind.push(undefined)
    }
    for (const junk of [...NO_OPTIONS, snapshot]) {
      calls.push([`another argument ${textOf(junk)}`, [...behind, junk]])
      calls.push([`a later argument ${textOf(junk)}`, [...behind, undefined, undefined, junk]])
    }
    for (const [what, args] of calls) await expectRefused(call(table, name, args), `${name}: ${what}`)
    await snapshot.close()
    const [entries, stats, image] = before
    expect(await collect(table.entries())).toEqual(entries)
    expect(await timeless(table)).toEqual(stats)
    expect(await imageOf(table.location)).toEqual(image)
    for (const path of args) if (typeof path === 'string') expect(existsSync(path)).toBe(false)
    // What may be left out may be undefined.
    if (name !== 'refresh') await call(table, name, [...behind, undefined, undefined])
  })

  test('of open and bulkLoad are refused before a directory is made or a source is asked', async () => {
    const path = tables.path()
    const options = { keyEncoding: 'u64', valueEncoding: 'u32' } as const
    let asked = false
    const source = {
      [Symbol.iterator]() {
        asked = true
        return [][Symbol.iterator]()
      },
    }
    const open = FlashTable.open as (...args: unknown[]) => Promise<unknown>
    const bulkLoad = FlashTable.bulkLoad as (...args: unknown[]) => Promise<unknown>
    for (const junk of [
      null,
      true,
      5,
      'u64',
      () => {},
      [],
      new Map([['keyEncoding', 'u64']]),
      { key: 'u64' },
    ]) {
      await expectRefused(open(path, junk), `open ${textOf(junk)}`)
      await expectRefused(bulkLoad(path, junk, source), `bulkLoad ${textOf(junk)}`)
      if (junk === null) continue
      await expectRefused(open(path, options, junk), `open and ${textOf(junk)}`)
      await expectRefused(bulkLoad(path, options, source, junk), `bulkLoad and ${textOf(junk)}`)
    }
    for (const wrong of [
      {},
      { keyEncoding: 'u33' },
      { keyEncoding: null },
      { keyEncoding: 'i8' },
      { keyEncoding: struct({ a: 'u8' }) },
      { keyEncoding: { a: 'u8' } },
      { keyEncoding: 'u64', valueEncoding: { a: 'u32' } },
      { keyEncoding: 'u64', valueEncoding: 'json' },
      { valueEncoding: 'u32' },
      { ...options, bufferBytes: 2n ** 20n },
      { ...options, signal: new EventTarget() },
    ]) {
      await expectRefused(open(path, wrong), `open ${JSON.stringify(Object.keys(wrong))}`)
      await expectRefused(bulkLoad(path, wrong, source), `bulkLoad ${JSON.stringify(Object.keys(wrong))}`)
    }
    for (const wrong of [
      null,
      undefined,
      5,
      'columns',
      {},
      { key: new BigUint64Array(2) },
      new Uint8Array(3),
      () => [],
    ]) {
      await expectRefused(bulkLoad(path, options, wrong), `bulkLoad of ${textOf(wrong)}`)
    }
    expect(asked).toBe(false)
    expect(existsSync(path)).toBe(false)
  })

  test('of verifyTable and repairTable are refused, and nothing is read or written', async () => {
    const [path, into] = [tables.path(), tables.path()]
    const verify = verifyTable as (...args: unknown[]) => Promise<unknown>
    const repair = repairTable as (...args: unknown[]) => Promise<unknown>
    for (const junk of NO_OPTIONS) {
      await expectRefused(verify(path, junk), `verifyTable and ${textOf(junk)}`)
      await expectRefused(repair(path, into, junk), `repairTable and ${textOf(junk)}`)
    }
    for (const wrong of [
      { signal: new EventTarget() },
      { onProgress: 'log' },
      { fileSystem: {} },
      { environment: {} },
    ]) {
      await expectRefused(verify(path, wrong), `verifyTable ${JSON.stringify(Object.keys(wrong))}`)
      await expectRefused(repair(path, into, wrong), `repairTable ${JSON.stringify(Object.keys(wrong))}`)
    }
    for (const wrong of [
      { keyEncoding: 'u33' },
      { duplicates: 'drop' },
      { pageBytes: 5 },
      { bufferBytes: '1' },
    ])
      await expectRefused(repair(path, into, wrong), `repairTable ${JSON.stringify(wrong)}`)
    await expectRefused(verify(path, undefined, 5), 'verifyTable and more')
    await expectRefused(repair(path, into, undefined, 5), 'repairTable and more')
    await expectRefused(verify(5), 'verifyTable of a number')
    await expectRefused(repair(path, new URL('https://example.org/')), 'repairTable into the web')
    expect([existsSync(path), existsSync(into)]).toEqual([false, false])
  })

  test('of openRemote are refused, and nothing is asked of a store', async () => {
    const store = new SimulatedStore()
    const openRemote = FlashTable.openRemote as (...args: unknown[]) => Promise<unknown>
    // An encoding is an option of an open.
    const isOption = (junk: unknown): boolean => Object.hasOwn(Object(junk) as object, 'valueEncoding')
    for (const junk of NO_OPTIONS.filter(junk => !isOption(junk)))
      await expectRefused(openRemote(store, junk), `openRemote and ${textOf(junk)}`)
    for (const junk of [null, 5, 'x', {}, [], undefined]) await expectRefused(openRemote(junk), textOf(junk))
    for (const wrong of [
      { at: 5 },
      { version: 0 },
      { name: 5 },
      { version: 1, name: 'x' },
      { cacheDirectory: 5 },
      { cacheDiskBytes: 2 ** 24 },
      { cacheDirectory: '/x', cacheDiskBytes: 5 },
      { cacheBytes: -1 },
      { filterBytes: 1.5 },
      { refreshInterval: 0 },
      { refreshInterval: 'often' },
      { readOnly: true },
      { signal: 5 },
      { latency: 1 },
    ])
      await expectRefused(openRemote(store, wrong), `openRemote with ${JSON.stringify(wrong)}`)
    await expectRefused(openRemote(store, undefined, 5), 'openRemote and more')
    expect(store.ownCalls).toBe(0)
  })

  test('of restore, stores and published tables are refused, and nothing is asked of a store', async () => {
    const store = new SimulatedStore()
    const path = tables.path()
    const restore = FlashTable.restore as (...args: unknown[]) => Promise<unknown>
    const ofStores = { publishedTable, collectGarbage, verifyPublished, probeStore }
    for (const junk of NO_OPTIONS) {
      await expectRefused(restore(store, path, junk), `restore and ${textOf(junk)}`)
      for (const [name, method] of Object.entries(ofStores))
        await expectRefused(method(store, junk as never), `${name} and ${textOf(junk)}`)
    }
    for (const junk of [undefined, null, 5, 's3://bucket/x', {}, [], new Map()]) {
      await expectRefused(restore(junk, path), `restore from ${textOf(junk)}`)
      for (const [name, method] of Object.entries(ofStores))
        await expectRefused(method(junk as never), `${name} of ${textOf(junk)}`)
    }
    for (const wrong of [
      { at: '2026-11-28' },
      { at: new Date(NaN) },
      { version: 0 },
      { version: 1.5 },
      { version: '1' },
      { name: 5 },
      { version: 1, name: 'x' },
      { verify: 1 },
      { signal: new EventTarget() },
    ])
      await expectRefused(restore(store, path, wrong), `restore with ${JSON.stringify(wrong)}`)
    for (const wrong of [{ retention: 'x' }, { dryRun: 1 }, { signal: 5 }])
      await expectRefused(collectGarbage(store, wrong as never), `collectGarbage ${JSON.stringify(wrong)}`)
    await expectRefused(restore(store, path, undefined, 5), 'restore and more')
    await expectRefused(restore(store, 5), 'restore into a number')
    for (const wrong of [
      5,
      null,
      's3:/x',
      'https://example.org/x',
      's3://Bucket/x',
      's3://bucket/../x',
      's3://me:pw@bucket/x',
    ])
      expect(thrownBy(() => s3Store(wrong as never))).toMatchObject({
        code: 'FLASHTABLE_INVALID_OPTION',
        message: expect.not.stringContaining('pw') as string,
      })
    for (const wrong of [
      { endpoint: 'http://user:pw@x/' },
      { endpoint: 'ftp://x' },
      { region: 5 },
      { region: '' },
      { credentials: 'id:pw' },
      { credentials: { accessKeyId: 'pw' } },
      { url: 'x' },
    ])
      expect(thrownBy(() => s3Store('s3://bucket/x', wrong as never))).toMatchObject({
        code: 'FLASHTABLE_INVALID_OPTION',
        message: expect.not.stringContaining('pw') as string,
      })
    for (const wrong of [5, null, '', new URL('https://example.org/')])
      expect(thrownBy(() => directoryStore(wrong as never))).toMatchObject({
        code: 'FLASHTABLE_INVALID_OPTION',
      })
    expect(store.counts).toEqual({})
    expect(existsSync(path)).toBe(false)
  })

  test('of struct, bytes, fixed and constructors are refused', () => {
    const wrong: [string, () => unknown][] = [
      ['struct without fields', () => struct(undefined as never)],
      ['struct of null', () => struct(null as never)],
      ['struct of an array', () => struct(['u8'] as never)],
      ['struct of names alone', () => struct('u8' as never)],
      ['struct of no encoding', () => struct({ a: 5 } as never)],
      ['struct of fields of fields', () => struct({ a: { b: 'u8' } } as never)],
      ['struct and options', () => struct({ a: 'u8' }, {} as never)],
      ['bytes without a length', () => bytes(undefined as never)],
      ['bytes of text', () => bytes('4' as never)],
      ['bytes of a bigint', () => bytes(4n as never)],
      ['bytes in a map', () => [4, 8].map(bytes as never)],
      ['fixed without a length', () => fixed('hex', undefined as never)],
      ['fixed the other way round', () => fixed(4 as never, 'hex' as never)],
      ['fixed of an unknown name', () => fixed('hexx' as never, 4)],
      ['struct of inherited fields', () => struct(Object.create({ a: 'u8' }) as never)],
      ['struct of a field that is a symbol', () => struct({ a: 'u8', [Symbol('b')]: 'u8' } as never)],
      ['fixed of an encoding that has a width', () => fixed(bytes(4) as never, 8)],
      ['fixed of an encoding that declares another width', () => fixed({ ...encodings.u32 } as never, 8)],
      [
        'a table that nobody opened',
        () => new (FlashTable as never as new (...args: unknown[]) => unknown)({}),
      ],
      ['a snapshot of no table', () => new (Snapshot as never as new (...args: unknown[]) => unknown)({})],
      ['fixed of null', () => fixed(null as never, 4)],
      ['fixed and more', () => (fixed as (...args: unknown[]) => unknown)('hex', 4, 8)],
    ]
    for (const [what, make] of wrong) {
      expect(thrownBy(make), what).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    }
  })

  test('of the close of a snapshot are refused, and it stays open', async () => {
    const table = await filledTable(tables)
    const snapshot = table.snapshot()
    await expectRefused(snapshot.close('now' as never), 'close')
    expect(await table.get(1n, { snapshot })).toEqual(fingerprint(1))
    await snapshot.close()
  })
})

/**
 * No argument is ignored: whatever a method does not take is refused with a code, before anything happens.
 *
 * Every public method has an entry; one that comes without fails here.
 */
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { describeValue } from '../../src/base/describe-value.js'
import * as flashtable from '../../src/index.js'
import {
  bytes,
  encodings,
  fixed,
  FlashTable,
  repairTable,
  Snapshot,
  struct,
  verifyTable,
} from '../../src/index.js'
import { Random } from '../support/random.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  imageOf,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'
import { thrownBy } from '../support/thrown-by.js'

const tables = testTables()
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)

/** A method: the arguments of a right call, where its options stand, and which options it has. */
interface Method {
  readonly args: readonly unknown[]
  /** `undefined`: it takes no options. */
  readonly optionsAt?: number
  /** Wrong values of each option. */
  readonly options?: Readonly<Record<string, readonly unknown[]>>
  readonly isIterator?: true
}

const NO_BOOLEANS = [null, 1, 'true', 0n, [], {}]
const NO_SNAPSHOTS = [null, 1, 'newest', {}, [], new Map(), { close() {} }]
const NO_SIGNALS = [null, true, 'abort', {}, new AbortController(), new EventTarget(), { aborted: false }]
const write = { sync: NO_BOOLEANS }
const read = { snapshot: NO_SNAPSHOTS }
const range = {
  gt: [null, 'x', 1.5, -1n, {}],
  gte: [null, 'x', NaN, {}],
  lt: [null, true, [], 2n ** 64n],
  lte: [null, '', Symbol('key')],
  reverse: NO_BOOLEANS,
  limit: [null, '5', 5n, 1.5, -2, NaN, {}],
  signal: NO_SIGNALS,
  snapshot: NO_SNAPSHOTS,
}
const scan = { args: [], optionsAt: 0, options: range, isIterator: true } as const

const METHODS: Readonly<Record<string, Method>> = {
  put: { args: [9n, fingerprint(9)], optionsAt: 2, options: write },
  del: { args: [1n], optionsAt: 1, options: write },
  delRecord: { args: [1n, fingerprint(1)], optionsAt: 2, options: write },
  delWhere: { args: [{ id: -1 }], optionsAt: 1, options: write },
  batch: { args: [[{ type: 'del', key: 1n }]], optionsAt: 1, options: write },
  putColumns: { args: [fingerprintColumns(0, 3, spreadKey)], optionsAt: 1, options: write },
  get: { args: [1n], optionsAt: 1, options: read },
  getMany: { args: [[1n]], optionsAt: 1, options: read },
  getAll: { args: [1n], optionsAt: 1, options: read },
  getSync: { args: [1n], optionsAt: 1, options: read },
  getAllSync: { args: [1n], optionsAt: 1, options: read },
  getColumns: {
    args: [[1n]],
    optionsAt: 1,
    options: { ...read, within: [null, '1', -1, -1n, 1.5, 2 ** 53, NaN, {}] },
  },
  has: { args: [1n], optionsAt: 1, options: read },
  count: { args: [1n], optionsAt: 1, options: read },
  entries: scan,
  keys: scan,
  values: scan,
  scanColumns: scan,
  snapshot: { args: [] },
  sync: { args: [] },
  compact: {
    args: [],
    optionsAt: 0,
    options: { signal: NO_SIGNALS, onProgress: [null, true, 'log', {}, []] },
  },
  checkpoint: { args: ['<new>'] },
  clear: { args: [] },
  refresh: { args: [] },
  stats: { args: [] },
  close: { args: [] },
}

/** For the library's own parts, tests and tools, which the types do not show; and what JSON.stringify calls, with a key. */
const INTERNAL = ['commitOperations', 'viewFor', 'toJSON']

/** What is no object of options, or has names that no method has. */
const NO_OPTIONS: readonly unknown[] = [
  null,
  true,
  false,
  0,
  5,
  1n,
  'sync',
  '',
  Symbol('sync'),
  () => {},
  [],
  [{ sync: true }],
  new Map([['sync', true]]),
  new Set(['sync']),
  new Date(),
  new Uint8Array(4),
  new ArrayBuffer(4),
  AbortSignal.abort(),
  Promise.resolve({ sync: true }),
  { fsync: true },
  { Sync: true },
  { sync: undefined, durable: true },
  JSON.parse('{ "__proto__": { "sync": true } }'),
  Object.create({ fsync: true }),
  { [Symbol('sync')]: true },
  { valueEncoding: 'json' },
  { ...fingerprint(1) },
]

async function filled(): Promise<FingerprintTable> {
  const table = await tables.fingerprints()
  for (let i = 0; i < 5; i++) await table.put(BigInt(i), fingerprint(i))
  await table.sync()
  return table
}

/** Calls the method; what it does or throws becomes a promise. */
async function call(table: object, name: string, args: readonly unknown[]): Promise<unknown> {
  const method = (table as Record<string, (...args: unknown[]) => unknown>)[name]!
  const result: unknown = method.apply(table, [...args])
  return METHODS[name]?.isIterator ? collect(result as AsyncIterable<unknown>) : result
}

async function expectRefused(promise: Promise<unknown>, what: string): Promise<void> {
  const error: unknown = await promise.then(
    () => 'nothing',
    (reason: unknown) => reason,
  )
  expect(error, `${what} is refused`).toMatchObject({
    code: expect.stringMatching(/^FLASHTABLE_INVALID_/) as string,
    name: expect.stringMatching(/^(Type|Range)Error$/) as string,
  })
}

function textOf(argument: unknown): string {
  return typeof argument === 'symbol' ? 'a symbol' : describeValue(argument)
}

test('every public method and function has its entry in this file', () => {
  const names = Object.getOwnPropertyNames(FlashTable.prototype).filter(
    name =>
      typeof Object.getOwnPropertyDescriptor(FlashTable.prototype, name)!.value === 'function' &&
      name !== 'constructor',
  )
  expect(names.filter(name => !INTERNAL.includes(name)).sort()).toEqual(Object.keys(METHODS).sort())
  const statics = Object.getOwnPropertyNames(FlashTable).filter(
    name => typeof Object.getOwnPropertyDescriptor(FlashTable, name)!.value === 'function',
  )
  expect(statics.sort()).toEqual(['bulkLoad', 'bulkLoadIn', 'open', 'openIn'])
  const ofSnapshot = Object.getOwnPropertyNames(Snapshot.prototype)
  expect(ofSnapshot.filter(name => !INTERNAL.includes(name)).sort()).toEqual(['close', 'constructor'])
  expect(Object.keys(flashtable).sort()).toEqual([
    'FlashTable',
    'FlashTableError',
    'Snapshot',
    'bytes',
    'encodings',
    'fixed',
    'repairTable',
    'struct',
    'verifyTable',
  ])
})

describe('arguments that a method does not take', () => {
  test.each(Object.entries(METHODS))('%s refuses, and nothing has happened', async (name, method) => {
    const table = await filled()
    const args = method.args.map(argument => (argument === '<new>' ? tables.path() : argument))
    const before = [await collect(table.entries()), await table.stats(), await imageOf(table.location)]
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
    expect(await table.stats()).toEqual(stats)
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
      { ...options, memtableBytes: 2n ** 20n },
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
      { memtableBytes: '1' },
    ])
      await expectRefused(repair(path, into, wrong), `repairTable ${JSON.stringify(wrong)}`)
    await expectRefused(verify(path, undefined, 5), 'verifyTable and more')
    await expectRefused(repair(path, into, undefined, 5), 'repairTable and more')
    await expectRefused(verify(5), 'verifyTable of a number')
    await expectRefused(repair(path, new URL('https://example.org/')), 'repairTable into the web')
    expect([existsSync(path), existsSync(into)]).toEqual([false, false])
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
    const table = await filled()
    const snapshot = table.snapshot()
    await expectRefused(snapshot.close('now' as never), 'close')
    expect(await table.get(1n, { snapshot })).toEqual(fingerprint(1))
    await snapshot.close()
  })
})

describe('idioms of other stores', () => {
  const wrong: [string, (table: FingerprintTable) => Promise<unknown>, string][] = [
    ['clear of a range', t => t.clear({ gte: 8n } as never), 'clear() deletes all records'],
    ['del of a key and a value', t => t.del(1n, fingerprint(1) as never), 'delRecord(key, value)'],
    ['del of a key and a number', t => t.del(1n, 5 as never), 'delRecord(key, value)'],
    ['a put with fsync', t => t.put(1n, fingerprint(1), { fsync: true } as never), "'fsync'"],
    ['a put with true', t => t.put(1n, fingerprint(1), true as never), 'found true'],
    ['a get of a snapshot', t => t.get(1n, t.snapshot() as never), 'snapshot'],
    ['a get with a callback', t => t.get(1n, (() => {}) as never), 'returns a promise'],
    ['a get with a limit', t => t.get(1n, { limit: 1, reverse: true } as never), "'limit'"],
    ['a get with an encoding', t => t.get(1n, { valueEncoding: 'json' } as never), "'valueEncoding'"],
    ['a snapshot that is null', t => t.get(1n, { snapshot: null } as never), "'snapshot'"],
    ['a batch of nothing', t => t.batch(null as never), 'an iterable of operations'],
    ['a chained batch', t => t.batch(undefined as never), 'no chained one'],
    [
      'an operation that deletes a key and gives a value',
      t => t.batch([{ type: 'del', key: 1n, value: fingerprint(1) } as never]),
      "'delRecord'",
    ],
    [
      'an operation with options',
      t => t.batch([{ type: 'put', key: 1n, value: fingerprint(1), sync: true } as never]),
      "'sync'",
    ],
    [
      'an operation with an encoding',
      t => t.batch([{ type: 'del', key: 1n, keyEncoding: 'u64' } as never]),
      "'keyEncoding'",
    ],
    ['an operation with a misspelt type', t => t.batch([{ typ: 'del', key: 1n } as never]), "'typ'"],
    ['an async iterable of operations', t => t.batch(operations() as never), 'an iterable of operations'],
    ['keys that are all holes', t => t.getMany(Array(2 ** 32 - 1)), 'without holes'],
    ['a compact of null', t => t.compact(null as never), 'found null'],
    ['a checkpoint to nowhere', t => t.checkpoint(undefined as never), 'path of a directory'],
    ['a range with start and end', t => collect(t.keys({ start: 1n, end: 2n } as never)), 'gte: key'],
    ['a range that is a key', t => collect(t.entries(5n as never)), 'gte: key'],
    ['a close with a callback', t => t.close((() => {}) as never), 'a function'],
    ['a delete by inherited fields that are none', t => t.delWhere(Object.create({ x: 1 }) as never), "'x'"],
  ]

  async function* operations() {
    yield { type: 'del', key: 1n }
  }

  test.each(wrong)('%s is refused, and nothing has happened', async (_, attempt, text) => {
    const table = await filled()
    const before = await collect(table.entries())
    await expect(attempt(table)).rejects.toMatchObject({
      code: expect.stringMatching(/^FLASHTABLE_INVALID_/) as string,
      message: expect.stringContaining(text) as string,
    })
    expect(await collect(table.entries())).toEqual(before)
  })

  test('an object of types where a struct is meant says so', async () => {
    const open = FlashTable.open(tables.path(), { keyEncoding: 'u64', valueEncoding: { a: 'u32' } } as never)
    await expect(open).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
      message: expect.stringContaining('struct({ ... })') as string,
    })
  })

  test('a value for a set is refused', async () => {
    const set = await tables.open(tables.path(), { keyEncoding: 'u8', ...SMALL })
    const call = set as unknown as FlashTable<'u8', 'u8'>
    await expectRefused(call.put(1, 5), 'put')
    await expectRefused(call.put(1, { sync: true } as never), 'put with options in the place of a value')
    await expectRefused(call.batch([{ type: 'put', key: 1, value: 5 }]), 'batch')
    expect(await set.has(1)).toBe(false)
  })

  test('a delete by fields counts inherited ones too', async () => {
    const table = await filled()
    class Where {
      readonly time = fingerprint(1).time
      get id(): number {
        return 1_000_000
      }
    }
    await table.delWhere(new Where())
    await table.delWhere(Object.assign(Object.create({ id: 1_000_000 }) as object, { flags: 0 }))
    expect(await collect(table.entries())).toHaveLength(5)
  })
})

describe('memory that is gone', () => {
  /** Typed arrays of `column`, whose memory is not there any more. */
  function gone<C extends { buffer: ArrayBufferLike; constructor: unknown; length: number }>(column: C): C[] {
    const Column = column.constructor as new (memory: number | ArrayBuffer, at?: number, length?: number) => C
    const transferred = new Column(column.length)
    structuredClone(transferred.buffer, { transfer: [transferred.buffer as ArrayBuffer] })
    const resizable = (): ArrayBuffer & { resize(length: number): void } =>
      new (ArrayBuffer as unknown as new (length: number, options: object) => never)(64, {
        maxByteLength: 64,
      })
    const shrunk = resizable()
    const beyond = new Column(shrunk, 8, 2)
    const tracking = new Column(shrunk, 16)
    shrunk.resize(8)
    return [transferred, beyond, tracking]
  }

  test('is refused in columns, one or all of them, and is not taken for no rows', async () => {
    const table = await filled()
    const columns = fingerprintColumns(0, 3, spreadKey)
    const names = ['key', 'time', 'flags', 'id'] as const
    for (const [i] of gone(columns.key).entries()) {
      const none = Object.fromEntries(names.map(name => [name, gone(columns[name])[i]!]))
      await expectRefused(table.putColumns(none as never), 'all columns')
      for (const name of names) {
        await expectRefused(table.putColumns({ ...columns, [name]: none[name] } as never), name)
      }
      await expectRefused(
        FlashTable.bulkLoad(tables.path(), FINGERPRINT, [none] as never),
        'all columns of a bulk load',
      )
    }
    expect(await collect(table.entries())).toHaveLength(5)
  })

  test('is refused in keys, values and what an encoding gives', async () => {
    const table = await filled()
    for (const keys of gone(BigUint64Array.of(1n, 2n))) {
      await expectRefused(table.getMany(keys), 'getMany')
      await expectRefused(table.getColumns(keys), 'getColumns')
      await expectRefused(table.getColumns(keys, { within: 1 }), 'within')
    }
    const [none] = gone(new Uint8Array(4))
    const encoding = {
      name: 'gone',
      format: 'view',
      encode: () => gone(new Uint8Array(4))[0]!,
      decode: String,
    }
    const view = { ...encoding, encode: () => new DataView(gone(new Uint8Array(4))[0]!.buffer) }
    const byteKeys = await tables.open(tables.path(), {
      keyEncoding: bytes(4),
      valueEncoding: bytes(4),
      ...SMALL,
    })
    await expectRefused(byteKeys.put(none!, new Uint8Array(4)), 'a key')
    await expectRefused(byteKeys.put(new Uint8Array(4), none!), 'a value')
    await expectRefused(byteKeys.getMany([none!]), 'a key of many')
    await expectRefused(byteKeys.getMany(none!), 'a column of keys')
    await expectRefused(byteKeys.putColumns({ key: none!, value: none! }), 'columns of bytes')
    for (const given of [encoding, view]) {
      const custom = await tables.open(tables.path(), {
        keyEncoding: 'u8',
        valueEncoding: fixed(given as never, 4),
        ...SMALL,
      })
      await expectRefused(custom.put(1, 5 as never), 'what an encoding gives')
      expect(await custom.has(1)).toBe(false)
    }
  })

  test('is refused where a getter takes it away while the columns are read', async () => {
    const table = await filled()
    const columns = fingerprintColumns(0, 3, spreadKey)
    const taking = {
      ...columns,
      get id() {
        structuredClone(columns.key.buffer, { transfer: [columns.key.buffer] })
        return new Int32Array(3)
      },
    }
    await expectRefused(table.putColumns(taking), 'columns')
    expect(await collect(table.entries())).toHaveLength(5)
  })

  test('is copied before the call returns, shared memory too', async () => {
    const table = await filled()
    const key = new BigUint64Array(new SharedArrayBuffer(16))
    key.set([100n, 101n])
    const put = table.putColumns({
      key,
      time: new Uint16Array(2),
      flags: new Uint16Array(2),
      id: new Int32Array(2),
    })
    key.fill(7n)
    await put
    expect(await table.getMany([100n, 101n, 7n])).toEqual([
      { time: 0, flags: 0, id: 0 },
      { time: 0, flags: 0, id: 0 },
      undefined,
    ])
  })
})

describe('random junk', () => {
  const CODES = /^FLASHTABLE_(INVALID_KEY|INVALID_VALUE|INVALID_OPTION|READ_ONLY|SNAPSHOT_CLOSED)$/
  const OWN = new Error('of the user')

  /** Arguments that no method was made for, some of which throw when they are looked at. */
  function junk(random: Random): unknown {
    const throwing = () => {
      throw OWN
    }
    return random.pick<unknown>([
      undefined,
      null,
      true,
      0,
      -1,
      1.5,
      NaN,
      2 ** 53,
      1n,
      -1n,
      2n ** 70n,
      Symbol('junk'),
      () => 1n,
      {},
      [],
      [1n, 2n],
      [undefined],
      Array(3),
      new Map(),
      new Date(),
      new Uint8Array(3),
      new BigUint64Array(2),
      new DataView(new ArrayBuffer(8)),
      Object.create(null),
      { key: 1n },
      { type: 'put', key: 1n },
      [{ type: 'put', key: 1n, value: null }],
      [null],
      { id: 'x' },
      { time: 1, flags: 2, id: 3 },
      { sync: 'yes' },
      { snapshot: 5 },
      { signal: 5 },
      { gte: {} },
      { within: -5 },
      { limit: 'all' },
      { onProgress: 5 },
      {
        get id() {
          return throwing()
        },
      },
      {
        get sync() {
          return throwing()
        },
      },
      { [Symbol.iterator]: throwing },
      new Proxy({}, { get: throwing, has: throwing, ownKeys: throwing }),
      new Proxy([], { get: throwing }),
    ])
  }

  test(`given to any method rejects with a documented code or not at all (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    const table = await filled()
    const names = Object.keys(METHODS).filter(name => name !== 'close')
    for (let i = 0; i < 4000; i++) {
      const name = random.pick(names)
      const args = Array.from({ length: random.below(4) }, () => junk(random))
      const error: unknown = await call(table, name, args).then(
        result => (result instanceof Snapshot ? result.close() : undefined),
        (reason: unknown) => reason,
      )
      if (error === undefined || error === OWN) continue
      const { code, cause } = error as { code?: unknown; cause?: unknown }
      if (cause === OWN) continue
      expect(code, `${name}(${args.map(textOf).join(', ')}): ${String(error)}`).toMatch(CODES)
    }
    for (let i = 0; i < 500; i++) {
      const args = [undefined, ...Array.from({ length: random.below(3) }, () => junk(random))]
      const start = random.pick(['open', 'bulkLoad'] as const)
      const error: unknown = await (FlashTable[start] as (...args: unknown[]) => Promise<unknown>)(
        ...args,
      ).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    }
  })
})

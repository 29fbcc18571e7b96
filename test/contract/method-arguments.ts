/**
 * Every public method with arguments that it takes, and with wrong values of each of its options.
 *
 * A method without an entry fails in arguments.test.ts.
 */
import { expect } from 'vitest'
import { describeValue } from '../../src/base/describe-value.js'
import { SimulatedStore } from '../support/simulated-store.js'
import {
  collect,
  fingerprint,
  fingerprintColumns,
  type FingerprintTable,
  spreadKey,
  type TestTables,
  SMALL,
} from '../support/tables.js'

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

const readAll = {
  ...read,
  limit: [null, '5', 5n, 1.5, -2, NaN, -Infinity, {}],
  offset: [null, '5', 5n, 1.5, -1, NaN, Infinity, 2 ** 53, {}],
  reverse: NO_BOOLEANS,
}

const bounds = {
  gt: [null, 'x', 1.5, -1n, {}],
  gte: [null, 'x', NaN, {}],
  lt: [null, true, [], 2n ** 64n],
  lte: [null, '', Symbol('key')],
}

const range = {
  ...bounds,
  reverse: NO_BOOLEANS,
  limit: [null, '5', 5n, 1.5, -2, NaN, {}],
  signal: NO_SIGNALS,
  snapshot: NO_SNAPSHOTS,
}

const { reverse: _reverse, limit: _limit, ...firstRange } = range
const { signal: _signal, ...firstSyncRange } = firstRange

const first = { args: [], optionsAt: 0, options: firstRange } as const
const firstSync = { args: [], optionsAt: 0, options: firstSyncRange } as const

const scan = { args: [], optionsAt: 0, options: range, isIterator: true } as const

export const METHODS: Readonly<Record<string, Method>> = {
  put: { args: [9n, fingerprint(9)], optionsAt: 2, options: write },
  putIfAbsent: { args: [1n, fingerprint(9)], optionsAt: 2, options: write },
  del: { args: [1n], optionsAt: 1, options: write },
  delRecord: { args: [1n, fingerprint(1)], optionsAt: 2, options: write },
  delWhere: { args: [{ id: -1 }], optionsAt: 1, options: write },
  batch: { args: [[{ type: 'del', key: 1n }]], optionsAt: 1, options: write },
  putColumns: {
    args: [fingerprintColumns(0, 3, spreadKey)],
    optionsAt: 1,
    options: { ...write, ifAbsent: NO_BOOLEANS },
  },
  get: { args: [1n], optionsAt: 1, options: read },
  getMany: { args: [[1n]], optionsAt: 1, options: read },
  getAll: { args: [1n], optionsAt: 1, options: readAll },
  getSync: { args: [1n], optionsAt: 1, options: read },
  getAllSync: { args: [1n], optionsAt: 1, options: readAll },
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
  first,
  last: first,
  firstSync,
  lastSync: firstSync,
  snapshot: { args: [] },
  sync: { args: [] },
  compact: {
    args: [],
    optionsAt: 0,
    options: { signal: NO_SIGNALS, onProgress: [null, true, 'log', {}, []] },
  },
  checkpoint: { args: ['<new>'] },
  publish: {
    args: [new SimulatedStore()],
    optionsAt: 1,
    options: {
      name: [null, 5, '', 'a\nb', {}],
      expires: [null, '30d', new Date(), {}],
      takeOver: NO_BOOLEANS,
      retention: [null, '7', 'a week', -1, NaN, 7n, {}, new Date()],
      signal: NO_SIGNALS,
      onProgress: [null, true, 'log', {}, []],
    },
  },
  replicate: {
    args: [new SimulatedStore()],
    optionsAt: 1,
    options: {
      interval: [null, '7', 'often', 0, -1, NaN, 7n, {}, new Date()],
      retention: [null, '7', 'a week', -1, NaN, 7n, {}, new Date()],
      takeOver: NO_BOOLEANS,
      signal: NO_SIGNALS,
    },
  },
  clear: { args: [], optionsAt: 0, options: { ...bounds, ...write } },
  setMeta: { args: [{ upTo: 1 }] },
  refresh: {
    args: [],
    optionsAt: 0,
    options: { atLeast: [null, '5', 0, -1, 1.5, 5n, {}], signal: NO_SIGNALS },
  },
  stats: { args: [] },
  close: { args: [] },
}

/** What is no object of options, or has names that no method has. */
export const NO_OPTIONS: readonly unknown[] = [
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

export async function filledTable(tables: TestTables): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...SMALL, eventLog: false })
  for (let i = 0; i < 5; i++) await table.put(BigInt(i), fingerprint(i))
  await table.sync()
  return table
}

/** Calls the method; what it does or throws becomes a promise. */
export async function call(table: object, name: string, args: readonly unknown[]): Promise<unknown> {
  const method = (table as Record<string, (...args: unknown[]) => unknown>)[name]!
  const result: unknown = method.apply(table, [...args])
  return METHODS[name]?.isIterator ? collect(result as AsyncIterable<unknown>) : result
}

export async function expectRefused(promise: Promise<unknown>, what: string): Promise<void> {
  const error: unknown = await promise.then(
    () => 'nothing',
    (reason: unknown) => reason,
  )
  expect(error, `${what} is refused`).toMatchObject({
    code: expect.stringMatching(/^FLASHTABLE_INVALID_/) as string,
    name: expect.stringMatching(/^(Type|Range)Error$/) as string,
  })
}

export function textOf(argument: unknown): string {
  return typeof argument === 'symbol' ? 'a symbol' : describeValue(argument)
}

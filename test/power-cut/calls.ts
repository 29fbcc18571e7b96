/**
 * The history that is cut: call `n` is a write that its number and a seed give, so that a process can make it and
 * another one can tell what it must have left. docs/durability.md, How it is tested.
 */
import { struct, type BatchOperation, type FlashTable, type WriteOptions } from '../../src/index.js'
import { Random } from '../support/random.js'

/** A record that can be told from all others: the call that put it, and its place there. */
export interface CallRecord {
  readonly key: number
  readonly call: number
  readonly index: number
}

export type Operation =
  | { readonly type: 'put'; readonly record: CallRecord }
  | { readonly type: 'del'; readonly key: number }
  | { readonly type: 'delRecord'; readonly record: CallRecord }

export type Call =
  | Operation
  | { readonly type: 'batch'; readonly operations: readonly Operation[] }
  | { readonly type: 'putColumns'; readonly records: readonly CallRecord[] }
  | { readonly type: 'delWhere'; readonly call: number }
  | { readonly type: 'clearKeys'; readonly gte: number; readonly lt: number }
  | { readonly type: 'clear' }

export const VALUE_ENCODING = struct({ call: 'u32', index: 'u16' })
export type CallTable = FlashTable<'u64', typeof VALUE_ENCODING>

/** So small that seals, merges, new segments and manifests never end. */
export const TABLE_OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: VALUE_ENCODING,
  bufferBytes: 32_768,
  walBytes: 65_536,
  cacheBytes: 262_144,
  fanout: 3,
} as const

/** Keys, so few that each has several records. */
const KEYS = 5000
/** A call deletes what was put at most this many calls before. */
const REACH = 400
const BATCH_MAX = 40
const COLUMNS_MAX = 600
/** A range of keys that is cleared has at most this many keys less one. */
const CLEARED_MAX = 60

/** Of 4,000 calls. */
const OF_ALL = 4000
const SHARES: readonly (readonly [share: number, type: Call['type']])[] = [
  [1, 'clear'],
  [40, 'clearKeys'],
  [60, 'putColumns'],
  [60, 'del'],
  [60, 'delRecord'],
  [60, 'delWhere'],
  [900, 'batch'],
]

export function callOf(seed: number, number: number): Call {
  const random = new Random(mixed(seed, number))
  const type = drawType(random)
  switch (type) {
    case 'put':
    case 'del':
    case 'delRecord':
      return operationOf(type, 0)
    case 'batch':
      return {
        type,
        operations: times(random.between(2, BATCH_MAX), index => operationOf(drawKind(), index)),
      }
    case 'putColumns':
      return { type, records: times(random.between(1, COLUMNS_MAX), index => recordOf(seed, number, index)) }
    case 'delWhere':
      return { type, call: earlier() }
    case 'clearKeys': {
      const gte = random.below(KEYS)
      return { type, gte, lt: gte + random.below(CLEARED_MAX) }
    }
    case 'clear':
      return { type }
  }

  function operationOf(type: Operation['type'], index: number): Operation {
    switch (type) {
      case 'put':
        return { type, record: recordOf(seed, number, index) }
      case 'del':
        return { type, key: random.below(KEYS) }
      case 'delRecord':
        // Mostly one that was put; else it deletes nothing, which is a case too.
        return { type, record: recordOf(seed, earlier(), 0) }
    }
  }

  function drawKind(): Operation['type'] {
    const draw = random.below(20)
    return draw === 0 ? 'del' : draw === 1 ? 'delRecord' : 'put'
  }

  function earlier(): number {
    return Math.max(0, number - 1 - random.below(REACH))
  }
}

/** Makes the call; resolves or rejects as it does. */
export function makeCall(table: CallTable, call: Call, options: WriteOptions = {}): Promise<void> {
  switch (call.type) {
    case 'put':
      return table.put(call.record.key, valueOf(call.record), options)
    case 'putColumns':
      return table.putColumns(columnsOf(call.records), options)
    case 'batch':
      return table.batch(call.operations.map(batchOperation), options)
    case 'del':
      return table.del(call.key, options)
    case 'delRecord':
      return table.delRecord(call.record.key, valueOf(call.record), options)
    case 'delWhere':
      return table.delWhere({ call: call.call }, options)
    case 'clearKeys':
      return table.clear({ gte: call.gte, lt: call.lt, ...options })
    case 'clear':
      return table.clear()
  }
}

function batchOperation(operation: Operation): BatchOperation<number, Value> {
  if (operation.type === 'del') return operation
  return { type: operation.type, key: operation.record.key, value: valueOf(operation.record) }
}

interface Value {
  readonly call: number
  readonly index: number
}

function valueOf({ call, index }: CallRecord): Value {
  return { call, index }
}

function columnsOf(records: readonly CallRecord[]) {
  return {
    key: BigUint64Array.from(records, ({ key }) => BigInt(key)),
    call: Uint32Array.from(records, ({ call }) => call),
    index: Uint16Array.from(records, ({ index }) => index),
  }
}

function recordOf(seed: number, call: number, index: number): CallRecord {
  return { key: new Random(mixed(mixed(seed, call), index)).below(KEYS), call, index }
}

function drawType(random: Random): Call['type'] {
  let draw = random.below(OF_ALL)
  for (const [share, type] of SHARES) {
    if (draw < share) return type
    draw -= share
  }
  return 'put'
}

/** Seeds of neighbours have nothing in common. */
function mixed(seed: number, number: number): number {
  return Math.imul(seed ^ Math.imul(number + 1, 0x9e37_79b1), 0x85eb_ca6b) >>> 0
}

function times<Item>(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

/** The plain twin of the table: what it must hold after a number of calls. */
import { after, type Change, type Rules } from '../support/oracle.js'
import type { Call, CallRecord, Operation } from './calls.js'

const RULES: Rules<CallRecord, number> = {
  keyOf: ({ key }) => key,
  isSame: (a, b) => a.key === b.key && a.call === b.call && a.index === b.index,
  replace: false,
}

/** A call that is one change: all but those of many records. */
type OneChange = Exclude<Call, { type: 'batch' | 'putColumns' }> | Operation

function changeOf(operation: OneChange): Change<CallRecord, number> {
  switch (operation.type) {
    case 'put':
    case 'delRecord':
      return { kind: operation.type, record: operation.record }
    case 'del':
      return { kind: 'del', key: operation.key }
    case 'delWhere':
      return { kind: 'delWhere', hides: ({ call }) => call === operation.call }
    case 'clearKeys':
      return { kind: 'delWhere', hides: ({ key }) => key >= operation.gte && key < operation.lt }
    case 'clear':
      return { kind: 'clear' }
  }
}

/** The records of each key, oldest first. Lists are replaced, never changed: a copy shares them. */
export class Model {
  #records: Map<number, readonly CallRecord[]>
  #digest = 0

  constructor(records: Iterable<readonly [key: number, records: readonly CallRecord[]]> = []) {
    this.#records = new Map()
    for (const [key, list] of records) this.#replace(key, list)
  }

  /** Differs between any two contents, but for one chance in 2^32. */
  get digest(): number {
    return this.#digest
  }

  get keys(): readonly number[] {
    return [...this.#records.keys()]
  }

  recordsOf(key: number): readonly CallRecord[] {
    return this.#records.get(key) ?? []
  }

  copy(): Model {
    const copy = new Model()
    copy.#records = new Map(this.#records)
    copy.#digest = this.#digest
    return copy
  }

  apply(call: Call): void {
    switch (call.type) {
      case 'batch':
        for (const operation of call.operations) this.#change(operation)
        break
      case 'putColumns':
        for (const record of call.records) this.#change({ type: 'put', record })
        break
      default:
        this.#change(call)
    }
  }

  /** The rules hold key by key, so only the keys that the change concerns are looked at. */
  #change(operation: OneChange): void {
    const change = changeOf(operation)
    for (const key of this.#keysOf(change)) {
      const before = this.recordsOf(key)
      const now = after(before, change, RULES)
      if (now.length !== before.length) this.#replace(key, now)
    }
  }

  #keysOf(change: Change<CallRecord, number>): readonly number[] {
    if (change.kind === 'del') return [change.key]
    return change.kind === 'put' || change.kind === 'delRecord' ? [change.record.key] : this.keys
  }

  #replace(key: number, records: readonly CallRecord[]): void {
    this.#digest = (this.#digest ^ hashOf(key, this.recordsOf(key)) ^ hashOf(key, records)) >>> 0
    if (records.length === 0) this.#records.delete(key)
    else this.#records.set(key, records)
  }
}

/** Up to `limit` keys whose records differ, as text. */
export function differences(found: Model, expected: Model, limit: number): string[] {
  const keys = new Set([...found.keys, ...expected.keys])
  const lines: string[] = []
  for (const key of keys) {
    const [is, should] = [textOf(found.recordsOf(key)), textOf(expected.recordsOf(key))]
    if (is !== should) lines.push(`key ${key} has [${is}], expected [${should}]`)
    if (lines.length === limit) break
  }
  return lines
}

function textOf(records: readonly CallRecord[]): string {
  return records.map(({ call, index }) => `${call}.${index}`).join(' ')
}

/** Of the records of a key in their order; 0 where there is none. */
function hashOf(key: number, records: readonly CallRecord[]): number {
  if (records.length === 0) return 0
  let hash = key + 1
  for (const { call, index } of records) {
    hash = Math.imul(hash ^ call, 0x9e37_79b1)
    hash = Math.imul(hash ^ (hash >>> 15) ^ index, 0x85eb_ca6b)
    hash ^= hash >>> 13
  }
  return hash
}

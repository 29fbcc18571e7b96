/** The plain twin of the table: what it must hold after a number of calls. */
import type { Call, CallRecord, Operation } from './calls.js'

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
        for (const operation of call.operations) this.#operate(operation)
        break
      case 'putColumns':
        for (const record of call.records) this.#put(record)
        break
      case 'delWhere':
        for (const key of this.keys) this.#keep(key, record => record.call !== call.call)
        break
      case 'clear':
        for (const key of this.keys) this.#replace(key, [])
        break
      default:
        this.#operate(call)
    }
  }

  #operate(operation: Operation): void {
    switch (operation.type) {
      case 'put':
        this.#put(operation.record)
        break
      case 'del':
        this.#replace(operation.key, [])
        break
      case 'delRecord': {
        const { key, call, index } = operation.record
        this.#keep(key, record => record.call !== call || record.index !== index)
      }
    }
  }

  #put(record: CallRecord): void {
    this.#replace(record.key, [...this.recordsOf(record.key), record])
  }

  #keep(key: number, isKept: (record: CallRecord) => boolean): void {
    const before = this.recordsOf(key)
    if (!before.every(isKept)) this.#replace(key, before.filter(isKept))
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

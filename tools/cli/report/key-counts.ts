/**
 * How many records the keys of a table have. All records are counted up to {@link COUNTED_MAX}; of a larger table some are,
 * from places that are spread over it.
 */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { StoredFieldType } from '../../../src/encoding/stored-schema.js'
import { cellText } from '../inspect/records.js'
import { scan, type AnyTable } from '../records.js'
import { jsonLinesFormat } from '../rows/row-format.js'

/** Records of a table whose keys are all counted: a second or two. */
export const COUNTED_MAX = 1_000_000
/** Records that are read at each place of a sample. */
const RECORDS_A_PLACE = 1000

export interface KeyCounts {
  /** `begin`: the first records by key, where there is no bucket file to choose places in. */
  readonly how: 'all' | 'sample' | 'begin'
  readonly places: number
  readonly keys: number
  readonly records: number
  /** Keys by how many records they have: 1, 2, 3 to 4, 5 to 8 and so on. Groups without keys are left out. */
  readonly groups: readonly KeyGroup[]
  /** Of those that were counted, one that has the most records. `isAtLeast`: the count was ended before its end. */
  readonly fullest:
    { readonly key: string; readonly records: number; readonly isAtLeast: boolean } | undefined
}

export interface KeyGroup {
  readonly least: number
  readonly most: number
  readonly keys: number
  readonly records: number
}

export interface CountOptions {
  readonly key: StoredFieldType
  /** As `stats()` tells them. */
  readonly records: number
  /** Keys to begin at, if there are more than {@link COUNTED_MAX} records. */
  readonly places: readonly unknown[]
  readonly signal: AbortSignal
  readonly onProgress: (done: number, total: number) => void
  readonly countedMax?: number
}

export async function countKeys(table: AnyTable, options: CountOptions): Promise<KeyCounts> {
  const { key, records, places, signal, onProgress, countedMax = COUNTED_MAX } = options
  const counter = new KeyCounter(key)
  if (records <= countedMax || places.length === 0) {
    const isAll = records <= countedMax
    for await (const columns of scan(table, isAll ? { signal } : { limit: countedMax, signal })) {
      counter.add(columns['key']!)
      onProgress(counter.records, Math.min(records, countedMax))
    }
    counter.end(isAll)
    return { how: isAll ? 'all' : 'begin', places: 0, ...counter.result() }
  }
  for (const [i, place] of places.entries()) {
    // The key itself is left out: the more records a key has, the more often a place is within it.
    const wanted = { gt: place, limit: RECORDS_A_PLACE, signal }
    let rows = 0
    for await (const columns of scan(table, wanted)) rows += counter.add(columns['key']!)
    counter.end(rows < RECORDS_A_PLACE)
    onProgress(i + 1, places.length)
  }
  return { how: 'sample', places: places.length, ...counter.result() }
}

/** Counts equal keys that follow each other, over batches. */
class KeyCounter {
  readonly #width: number
  readonly #type: StoredFieldType
  /** By the logarithm of the number of records, rounded up. */
  readonly #groups = new Map<number, { keys: number; records: number }>()
  #key: OwnColumn | undefined
  #count = 0
  /** Keys since the last `end`. */
  #ended = 0
  #fullest: { key: OwnColumn; records: number; isAtLeast: boolean } | undefined
  records = 0

  constructor(type: StoredFieldType) {
    this.#type = type
    this.#width = 'bytes' in type ? type.bytes : 1
  }

  /** Returns how many rows there were. */
  add(keys: OwnColumn): number {
    const width = this.#width
    for (let at = 0; at < keys.length; at += width) {
      if (this.#key !== undefined && this.#isKey(keys, at)) {
        this.#count++
        continue
      }
      if (this.#key !== undefined) this.#take(false)
      this.#key = keys.slice(at, at + width)
      this.#count = 1
    }
    return keys.length / width
  }

  /** What follows begins elsewhere. The last key counts if all of it was read, or if there is no other. */
  end(isComplete: boolean): void {
    if (this.#key !== undefined && (isComplete || this.#ended === 0)) this.#take(!isComplete)
    this.#key = undefined
    this.#ended = 0
  }

  result(): Pick<KeyCounts, 'keys' | 'records' | 'groups' | 'fullest'> {
    const groups = [...this.#groups]
      .sort(([a], [b]) => a - b)
      .map(([log, group]) => ({ least: log === 0 ? 1 : 2 ** (log - 1) + 1, most: 2 ** log, ...group }))
    const fullest = this.#fullest && { ...this.#fullest, key: keyText(this.#type, this.#fullest.key) }
    return { keys: groups.reduce((sum, { keys }) => sum + keys, 0), records: this.records, groups, fullest }
  }

  #take(isAtLeast: boolean): void {
    const log = Math.ceil(Math.log2(this.#count))
    const group = this.#groups.get(log) ?? { keys: 0, records: 0 }
    group.keys++
    group.records += this.#count
    this.#groups.set(log, group)
    this.records += this.#count
    this.#ended++
    if (this.#count > (this.#fullest?.records ?? 0))
      this.#fullest = { key: this.#key!, records: this.#count, isAtLeast }
  }

  #isKey(keys: OwnColumn, at: number): boolean {
    for (let i = 0; i < this.#width; i++) if (keys[at + i] !== this.#key![i]) return false
    return true
  }
}

/** As `inspect` shows it. */
function keyText(type: StoredFieldType, key: OwnColumn): string {
  const [line] = jsonLinesFormat([{ name: 'key', ...type }]).chunks({ key }, 0, 1)
  return cellText((JSON.parse(line!.toString()) as { key: unknown }).key)
}

/**
 * The calls that write: each checks its options, encodes what it was given, and hands it to the committer. `FlashTable`
 * documents these calls and hands them on to here. `call` is the name for errors.
 */
import type { Call } from '../commit/committer.js'
import { appendOperations } from '../encoding/given-operations.js'
import type { Schema } from '../encoding/schema.js'
import { copyMeta } from '../manifest/meta.js'
import { invalidOption, refuseExtra } from '../options/arguments.js'
import { checkClear } from '../query/range-options.js'
import { inclusiveBounds } from '../records/key-range.js'
import { canMatch } from '../records/lane-ranges.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer } from '../records/operations.js'
import { adviceFor, readPutColumnsOptions, readSync } from './call-options.js'
import type { TableSession } from './table-session.js'

export class WriteCalls {
  readonly #session: TableSession

  constructor(session: TableSession) {
    this.#session = session
  }

  /**
   * One row of this kind of operation. `given`: the arguments after the key, with the options at `optionsAt`. Hot:
   * usually there are none.
   */
  row(call: string, kind: number, key: unknown, given: readonly unknown[], optionsAt: number): Promise<void> {
    try {
      this.#begin()
      const sync = given.length > optionsAt && checkWrite(call, given[optionsAt], given.slice(optionsAt + 1))
      const { schema } = this.#session.parts
      if (kind === DELETE_RECORD) refuseCombined(call, schema)
      const record = kind === DELETE_KEY ? schema.encodeDeleteKey(key) : schema.encodeRecord(key, given[0])
      // Checked again: a custom encoding may have closed the table.
      return this.#session.writer().committer.commitRow(kind, record, sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** A put if the key has no record. `given`: the arguments after the key. */
  async putIfAbsent(key: unknown, given: readonly unknown[]): Promise<boolean> {
    this.#begin()
    const sync = checkWrite('putIfAbsent', given[1], given.slice(2))
    const record = this.#session.parts.schema.encodeRecord(key, given[0])
    // Checked again: a custom encoding may have closed the table.
    return this.#session.writer().committer.commitIfAbsent(record, sync)
  }

  delWhere(where: unknown, options: unknown, extra: readonly unknown[]): Promise<void> {
    return this.#commit('delWhere', options, extra, schema => {
      refuseCombined('delWhere', schema)
      const terms = schema.whereLanes(where)
      // What no record can match is not written; the call waits for its turn among the others anyway.
      const deletes = canMatch(terms) ? [{ position: 0, ...terms }] : []
      return { operations: new OperationBuffer(schema.layout, 1), deletes }
    })
  }

  /** Everything, or with a range the keys in it. */
  clear(options: unknown, extra: readonly unknown[]): Promise<void> {
    try {
      this.#begin()
      if (extra.length > 0) refuseExtra('clear', extra, adviceFor('clear'))
      const { schema } = this.#session.parts
      const { range, sync } = checkClear(schema, options, adviceFor('clear'))
      if (range === undefined) return this.#session.clear()
      const bounds = inclusiveBounds(schema.layout, range)
      // Of a range without keys nothing is written; the call waits for its turn among the others anyway.
      const deletes =
        bounds === undefined ? [] : [{ position: 0, lanes: [], values: [], ranges: [{ lane: 0, ...bounds }] }]
      return this.#session.clearRange({ operations: new OperationBuffer(schema.layout, 1), deletes }, sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  batch(operations: Iterable<unknown>, options: unknown, extra: readonly unknown[]): Promise<void> {
    return this.#commit('batch', options, extra, schema => {
      const rows = this.#session.writer().committer.takeBuffer()
      appendOperations(rows, schema, operations)
      return { operations: rows, deletes: [] }
    })
  }

  putColumns(
    columns: unknown,
    options: unknown,
    extra: readonly unknown[],
  ): Promise<void | Uint8Array<ArrayBuffer>> {
    try {
      this.#begin()
      refuseExtra('putColumns', extra, adviceFor('putColumns'))
      const { sync = false, ifAbsent = false } = readPutColumnsOptions(options)
      const given = this.#session.parts.schema.checkColumns(columns)
      return ifAbsent
        ? this.#session.commitColumnsIfAbsent(given, sync)
        : this.#session.commitColumns(given, sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  setMeta(meta: unknown, extra: readonly unknown[]): Promise<void> {
    try {
      this.#session.writer()
      refuseExtra('setMeta', extra)
      return this.#session.setMeta(copyMeta(meta))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** A call begins. Throws as {@link TableSession.writer}. */
  #begin(): void {
    this.#session.writer()
    this.#session.parts.latency?.begin()
  }

  /** Operations that are encoded already. */
  operations(call: Call, sync: boolean): Promise<void> {
    return this.#commit('commitOperations', { sync }, [], () => call)
  }

  #commit(
    call: string,
    options: unknown,
    extra: readonly unknown[],
    encode: (schema: Schema) => Call,
  ): Promise<void> {
    try {
      this.#begin()
      const sync = checkWrite(call, options, extra)
      return this.#session.commit(encode(this.#session.parts.schema), sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

/** A table with `combine` has no records of single puts: what a reader sees may lie in several files. */
function refuseCombined(call: string, { combine }: Schema): void {
  if (combine === undefined) return
  throw invalidOption(
    `${call}: the table combines the records of a key; read them, and use del(key) or clear(range)`,
  )
}

/** Refuses what a write does not take, before anything is read. Returns whether it waits for the device. */
function checkWrite(call: string, options: unknown, extra: readonly unknown[]): boolean {
  if (extra.length > 0) refuseExtra(call, extra, adviceFor(call))
  return options === undefined ? false : readSync(call, options)
}

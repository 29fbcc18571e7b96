/**
 * Checks the operations of a batch, and turns them into rows.
 *
 * Every property is read once, so that a getter cannot answer differently after the check. docs/api.md, batch.
 */
import { describeValue } from '../base/describe-value.js'
import { invalidType } from '../base/errors.js'
import { hasProperty, invalidOption } from '../options/arguments.js'
import { DELETE_KEY, DELETE_RECORD, PUT, PUT_IF_ABSENT, type OperationBuffer } from '../records/operations.js'
import type { Schema } from './schema.js'

/** Appends the operations of a batch. Throws with `FLASHTABLE_INVALID_KEY`, `_VALUE` or `_OPTION`, and what the iterable throws. */
export function appendOperations(into: OperationBuffer, schema: Schema, operations: unknown): void {
  if (!isIterable(operations)) {
    throw invalid(
      `expected an iterable of operations { type, key, value }, found ${describeValue(operations)}; ` +
        'a batch is given as a whole, there is no chained one',
    )
  }
  for (const operation of operations) {
    if (typeof operation !== 'object' || operation === null) {
      throw invalid(`expected an operation { type, key, value }, found ${describeValue(operation)}`)
    }
    checkNames(operation)
    const { type, key, value } = operation as { type?: unknown; key?: unknown; value?: unknown }
    if (type === 'put') into.appendRecord(PUT, schema.encodeRecord(key, value))
    else if (type === 'putIfAbsent') into.appendRecord(PUT_IF_ABSENT, schema.encodeRecord(key, value))
    else if (type === 'delRecord' && schema.combine !== undefined)
      throw invalidOption("batch: the table combines the records of a key; read them, and use type 'del'")
    else if (type === 'delRecord') into.appendRecord(DELETE_RECORD, schema.encodeRecord(key, value))
    else if (type !== 'del')
      throw invalid(`expected type 'put', 'putIfAbsent', 'del' or 'delRecord', found ${describeValue(type)}`)
    else if (value === undefined) into.appendRecord(DELETE_KEY, schema.encodeDeleteKey(key))
    else {
      throw invalid(
        "type 'del' deletes all records of a key and takes no value; to delete one record use type 'delRecord'",
      )
    }
  }
}

function isIterable(value: unknown): value is Iterable<unknown> {
  if (typeof value !== 'object' || value === null) return false
  return typeof (value as { [Symbol.iterator]?: unknown })[Symbol.iterator] === 'function'
}

/** Hot: an object with the three properties costs a few comparisons. */
function checkNames(operation: object): void {
  for (const name in operation) {
    if (name === 'type' || name === 'key' || name === 'value') continue
    if (!hasProperty(operation, name)) continue
    throw invalid(
      `an operation has type, key and value, found another property ${describeValue(name)}; ` +
        'encodings belong to the table, options to the batch',
    )
  }
}

function invalid(message: string): TypeError {
  return invalidType('FLASHTABLE_INVALID_VALUE', `batch: ${message}`)
}

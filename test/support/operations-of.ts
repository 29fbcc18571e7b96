import type { Schema } from '../../src/encoding/schema.js'
import type { OperationBuffer } from '../../src/records/operations.js'

/** The columns as operations. Throws what the schema throws. */
export function operationsOf(schema: Schema, columns: unknown): OperationBuffer {
  return schema.toOperations(schema.checkColumns(columns))
}

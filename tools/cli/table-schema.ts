/** The types of the keys and values of a table, as its manifest stores them. */
import { join } from 'node:path'
import { parseStoredSchema, type StoredField, type StoredSchema } from '../../src/encoding/stored-schema.js'
import { MANIFEST_NAME } from '../../src/io/file-names.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { requireManifest } from '../../src/manifest/table-directory.js'

/** Throws `FLASHTABLE_NOT_FOUND` if there is no table. */
export async function readSchema(directory: string): Promise<StoredSchema> {
  const { schema } = await requireManifest(nodeFileSystem, directory)
  return parseStoredSchema(schema, join(directory, MANIFEST_NAME))
}

/** Key and values as fields: `key`, and those of the value; a value that is not a struct is the field `value`. */
export function storedFields({ key, value }: StoredSchema): readonly StoredField[] {
  const values = value === null ? [] : value.type === 'struct' ? value.fields : [{ name: 'value', ...value }]
  return [{ name: 'key', ...key }, ...values]
}

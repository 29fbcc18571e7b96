/** The types of the keys and values of a table, as its manifest stores them. */
import { join } from 'node:path'
import { parseStoredSchema, type StoredSchema } from '../../src/encoding/stored-schema.js'
import { MANIFEST_NAME } from '../../src/io/file-names.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { requireManifest } from '../../src/manifest/table-directory.js'

/** Throws `FLASHTABLE_NOT_FOUND` if there is no table. */
export async function readSchema(directory: string): Promise<StoredSchema> {
  const { schema } = await requireManifest(nodeFileSystem, directory)
  return parseStoredSchema(schema, join(directory, MANIFEST_NAME))
}

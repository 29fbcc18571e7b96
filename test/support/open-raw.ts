/** Opens files of packed records, and of memory-mapped tables, as `import` does. */
import { openSource } from '../../tools/cli/formats/open-source.js'
import type { RawSource } from '../../tools/cli/formats/raw-source.js'
import type { RecordSchema } from '../../tools/cli/schema.js'
import type { Shape } from '../../tools/cli/shape.js'

/** A file of records, or with a shape of a memory-mapped table. */
export async function openRaw(
  path: string,
  schema: RecordSchema,
  shape?: Shape,
  force?: boolean,
): Promise<RawSource> {
  const format = shape === undefined ? 'records' : 'memmap'
  return (await openSource(path, { format, schema, shape, force })).source as RawSource
}

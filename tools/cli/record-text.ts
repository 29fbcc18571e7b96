/** A record on the command line: its fields as `time=17 id=-2`, each once. */
import type { StoredSchema } from '../../src/encoding/stored-schema.js'
import { parseField } from './key.js'
import { storedFields } from '../../src/encoding/stored-schema.js'
import { UsageError } from './usage.js'

/** The value of a record as the library takes it. Throws a {@link UsageError} that says what would do. */
export function parseValue(schema: StoredSchema, texts: readonly string[]): unknown {
  const [, ...fields] = storedFields(schema)
  const names = fields.map(({ name }) => name).join(', ')
  const values = new Map<string, unknown>()
  for (const text of texts) {
    const [, name, valueText] = /^([^=]+)=(.*)$/s.exec(text) ?? []
    if (name === undefined || valueText === undefined)
      throw new UsageError(`"${text}" is no field: write it as name=value`)
    const field = fields.find(field => field.name === name)
    if (field === undefined)
      throw new UsageError(
        names === ''
          ? 'this table is a set of keys, it has no fields'
          : `there is no field "${name}": the table has ${names}`,
      )
    if (values.has(name)) throw new UsageError(`field "${name}" is given twice`)
    values.set(name, parseField(valueText, field, `field "${name}"`))
  }
  const missing = fields.filter(({ name }) => !values.has(name))
  if (missing.length > 0)
    throw new UsageError(
      `a record needs all fields: ${names}; give ${missing.map(({ name }) => `${name}=...`).join(' ')} too`,
    )
  return schema.value?.type === 'struct' ? Object.fromEntries(values) : values.get('value')
}

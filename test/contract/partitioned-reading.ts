/** What a table with partitions answers, beside one table with the same records: every kind of read. */
import { expect } from 'vitest'
import type { FlashTable, PartitionedSnapshot, PartitionedTable, Snapshot } from '../../src/index.js'
import type { Random } from '../support/random.js'
import { columnOf, type SchemaCase } from '../support/schemas.js'

/** The calls that both have, with arguments of any type. */
type Reads = Record<string, (...args: unknown[]) => unknown>

/** Draws reads, and compares their answers. Without snapshots it reads the newest states. */
export async function compareReads(
  schema: SchemaCase,
  random: Random,
  one: FlashTable,
  many: PartitionedTable,
  snapshots?: { readonly one: Snapshot; readonly many: PartitionedSnapshot },
): Promise<void> {
  const compare = async (call: string, ...args: unknown[]): Promise<void> => {
    const with_ = (snapshot: unknown): unknown[] => {
      if (snapshot === undefined) return args
      const isOptions = typeof args.at(-1) === 'object' && args.length > (isKeyed(call) ? 1 : 0)
      const options = isOptions ? (args.at(-1) as object) : {}
      return [...(isOptions ? args.slice(0, -1) : args), { ...options, snapshot }]
    }
    const expected = await answerOf(one as unknown as Reads, call, with_(snapshots?.one))
    const found = await answerOf(many as unknown as Reads, call, with_(snapshots?.many))
    expect(found, `${call} ${exact(args)}`).toBe(expected)
  }
  for (let i = 0; i < 12; i++) {
    const key = schema.randomKey(random)
    await compare('get', key)
    await compare('has', key)
    await compare('getAll', key)
    await compare('getAll', key, { limit: 2, offset: random.below(3), reverse: random.chance(0.5) })
    await compare('count', key, {})
  }
  const keys = Array.from({ length: random.below(40) }, () => schema.randomKey(random))
  const given = random.chance(0.5) ? keys : columnOf(schema.keyKind, keys)
  await compare('getMany', given)
  await compare('getColumns', given)
  for (const within of [0, 1, 3, 2n ** 20n, 2n ** 60n])
    await compare('getColumns', random.chance(0.5) ? given : keys.slice(0, 3), { within })
  await compare('count')
  await compare('first')
  await compare('last')
  for (let i = 0; i < 8; i++) {
    const bounds = randomBounds(schema, random)
    await compare('first', bounds)
    await compare('last', bounds)
    const where = randomWhere(schema, random)
    await compare('count', { ...bounds, ...where })
    const limit = random.chance(0.5) ? random.below(20) : undefined
    const range = { ...bounds, ...where, reverse: random.chance(0.5), limit }
    for (const call of ['entries', 'keys', 'values', 'scanColumns']) await compare(call, range)
  }
  await compare('scanColumns')
  await compare('entries', { reverse: true })
}

/** Whether the first argument is a key, or keys. */
function isKeyed(call: string): boolean {
  return call.startsWith('get') || call === 'has'
}

async function answerOf(table: Reads, call: string, args: unknown[]): Promise<string> {
  // `count` of a key takes options behind it.
  const answer = table[call]!(...args)
  if (call === 'scanColumns') return exact(await joined(answer as AsyncIterable<Record<string, Uint8Array>>))
  if (!isIterable(answer)) return exact(await answer)
  const items: unknown[] = []
  for await (const item of answer) items.push(item)
  return exact(items)
}

/** Batches may be cut anywhere. */
async function joined(batches: AsyncIterable<Record<string, Uint8Array>>): Promise<Record<string, string>> {
  const texts: Record<string, string> = {}
  for await (const batch of batches)
    for (const [name, column] of Object.entries(batch)) texts[name] = (texts[name] ?? '') + hex(column)
  return texts
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** A text that differs where anything does: the bits of floats in columns, 0 and -0. */
export function exact(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${hex(value)})`
  if (Array.isArray(value)) return `[${value.map(exact).join()}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value).map(([name, item]) => `${name}: ${exact(item)}`)}}`
  return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`
}

function hex({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex')
}

function randomBounds(schema: SchemaCase, random: Random): Record<string, unknown> {
  const bounds: Record<string, unknown> = {}
  if (random.chance(0.6)) bounds[random.pick(['gt', 'gte'])] = schema.randomKey(random)
  if (random.chance(0.6)) bounds[random.pick(['lt', 'lte'])] = schema.randomKey(random)
  const isBytes = schema.keyKind.Column === Uint8Array && schema.keyEncoding !== 'u8'
  if (!isBytes || random.chance(0.7)) return bounds
  const key = columnOf(schema.keyKind, [schema.randomKey(random)]) as Uint8Array
  return { prefix: key.slice(0, random.below(key.length + 1)) }
}

/** Of a table that combines, a filter says nothing about single puts: it looks at what is stored. */
function randomWhere(schema: SchemaCase, random: Random): Record<string, unknown> {
  if (schema.fields.size === 0 || random.chance(0.6)) return {}
  const [name, { values }] = random.pick([...schema.fields])
  return { where: { [name]: random.pick(values) } }
}

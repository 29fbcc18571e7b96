/** A table with partitions: it answers as one table does, and each partition has one writer. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { inlineExecutor } from '../../src/executor/inline-executor.js'
import { directoryStore, FlashTable, PartitionedTable } from '../../src/index.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'
import { Random } from '../support/random.js'
import { columnsOf, randomRecord, SCHEMA_CASES, type SchemaCase } from '../support/schemas.js'
import { compareReads } from './partitioned-reading.js'
import { describePartitions } from './partitioned-writers.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000_000)
const SMALL = { bufferBytes: 16_384, walBytes: 16_384, fanout: 3, syncIntervalMs: Infinity } as const
/** Everything in memory, and no threads: sixty-four tables open in a moment. */
const ENVIRONMENT: Environment = {
  ...nodeEnvironment,
  newExecutor: () => inlineExecutor(nodeEnvironment.fileSystem),
}

const roots: string[] = []
const opened: { close(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.allSettled(opened.splice(0).map(table => table.close()))
  for (const root of roots.splice(0)) await rm(root, { recursive: true })
})

async function newRoot(): Promise<string> {
  const root = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'flashtable-partitions-'))
  roots.push(root)
  return root
}

async function open(url: string, options: object): Promise<PartitionedTable> {
  const table = await PartitionedTable.openIn(directoryStore(url), options, ENVIRONMENT)
  opened.push(table)
  return table
}

const READER = { refreshInterval: Infinity }

/** The calls that write, with arguments of any type. */
type Writes = Record<string, (...args: unknown[]) => Promise<unknown>>

/** Draws writes, makes them in both, and compares what they resolve to. */
async function write(schema: SchemaCase, random: Random, tables: readonly unknown[], steps: number) {
  const both = async (call: string, ...args: unknown[]): Promise<void> => {
    const [one, many] = await Promise.all(tables.map(table => (table as Writes)[call]!(...args)))
    expect(many, call).toEqual(one)
  }
  const value = (record: { readonly value: unknown }): unknown[] =>
    schema.fields.size === 0 ? [] : [record.value]
  for (let step = 0; step < steps; step++) {
    const record = randomRecord(schema, random)
    const records = Array.from({ length: random.below(60) }, () => randomRecord(schema, random))
    const kind = random.below(schema.combine === undefined ? 12 : 9)
    if (kind < 2) await both('put', record.key, ...value(record))
    else if (kind < 4) await both('putIfAbsent', record.key, ...value(record))
    else if (kind < 5) await both('del', record.key)
    else if (kind < 7)
      await both('putColumns', columnsOf(schema, records), {
        ifAbsent: random.chance(0.3),
        sync: random.chance(0.1),
      })
    else if (kind < 9)
      await both(
        'batch',
        records.map(({ key, value }, i) =>
          i % 7 === 3
            ? { type: 'del', key }
            : {
                type: i % 5 === 1 ? 'putIfAbsent' : i % 5 === 2 && !schema.combine ? 'delRecord' : 'put',
                key,
                value: schema.fields.size === 0 ? undefined : value,
              },
        ),
      )
    else if (kind < 11 || schema.fields.size === 0) await both('delRecord', record.key, ...value(record))
    else {
      const [name, { values }] = random.pick([...schema.fields])
      await both('delWhere', { [name]: random.pick(values) })
    }
  }
}

/** How the table is divided: by more partitions than there are keys, too. */
function division(schema: SchemaCase, random: Random, at: number): object {
  if (at === 4) return { partitions: 64 }
  if (at % 3 !== 2) return { partitions: [1, 2, 4, 8][(at + Math.floor(at / 3)) % 4]! }
  const keys = Array.from({ length: 1 + random.below(6) }, () => randomRecord(schema, random))
  const ordered = new Map(keys.map(({ key, model }) => [model.key, key]))
  const ascending = [...ordered].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key)
  return { boundaries: ascending }
}

describe(`a table with partitions answers as one table does (seed ${SEED})`, () => {
  test.each(SCHEMA_CASES)('$name', async schema => {
    const random = new Random(SEED + SCHEMA_CASES.indexOf(schema))
    const root = await newRoot()
    const { keyEncoding, valueEncoding, duplicates, combine, pageBytes } = schema
    const options = { keyEncoding, valueEncoding, duplicates, combine, pageBytes }
    const one = await FlashTable.openIn(join(root, 'one'), { ...options, ...SMALL }, ENVIRONMENT)
    opened.push(one)
    const divided = division(schema, random, SCHEMA_CASES.indexOf(schema))
    const writer = { ...options, ...SMALL, ...divided, directory: join(root, 'many'), write: 'all' }
    let many = await open(join(root, 'store'), writer)
    await compareReads(schema, random, one, many)
    await write(schema, random, [one, many], 25)
    await compareReads(schema, random, one, many)
    const snapshots = { one: one.snapshot(), many: await many.snapshot() }
    await write(schema, random, [one, many], 12)
    await compareReads(schema, random, one, many, snapshots)
    await compareReads(schema, random, one, many)
    // Another process that only reads, then moves on.
    const first = await many.publish()
    const reader = await open(join(root, 'store'), { ...READER, ...(random.chance(0.5) ? options : {}) })
    await compareReads(schema, random, one, reader)
    await snapshots.one.close()
    const held = { one: one.snapshot(), many: await reader.snapshot() }
    await write(schema, random, [one, many], 12)
    const second = await many.publish()
    expect(second.versions.every((version, i) => version >= first.versions[i]!)).toBe(true)
    await reader.refresh({ atLeast: second.versions })
    await compareReads(schema, random, one, reader, held)
    await compareReads(schema, random, one, reader)
    await many.close()
    many = await open(join(root, 'store'), writer)
    await compareReads(schema, random, one, many)
  })
})

describePartitions('in a directory', async () => {
  const root = await newRoot()
  return () => directoryStore(join(root, 'store'))
})

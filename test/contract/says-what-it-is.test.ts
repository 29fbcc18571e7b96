/** What a table says of itself, in its properties, in JSON and where it is printed. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable, Snapshot, struct } from '../../src/index.js'
import { verifyTable } from '../../src/offline/verify.js'
import { fingerprint, SMALL, testTables } from '../support/tables.js'

const tables = testTables()

const REVERSED = {
  name: 'reversed',
  format: 'view',
  encode: (text: string) => Buffer.from([...text].toReversed().join('')),
  decode: (stored: Uint8Array) => [...Buffer.from(stored).toString()].toReversed().join(''),
} as const

describe('a table', () => {
  test('tells the encodings and stored options that it was opened with', async () => {
    const valueEncoding = struct({ time: 'u16', digest: bytes(20) })
    const options = { keyEncoding: 'u64', valueEncoding, duplicates: 'replace', pageBytes: 16_384 } as const
    const table = await tables.open(tables.path(), options)
    const { keyEncoding, duplicates, pageBytes, readOnly, status } = table
    expect({ keyEncoding, duplicates, pageBytes, readOnly, status }).toEqual({
      keyEncoding: 'u64',
      duplicates: 'replace',
      pageBytes: 16_384,
      readOnly: false,
      status: 'open',
    })
    expect(table.valueEncoding).toBe(valueEncoding)
  })

  test.each([
    ['integers', 'u32', 'f64'],
    ['a set', 'u8', undefined],
    ['bytes', bytes(20), bytes(3)],
    ['encodings of a width', fixed('hex', 4), fixed('json', 7)],
    ['a struct', 'u64', struct({ a: 'u8', b: bytes(5), c: fixed('utf8', 3), d: 'i64' })],
    ['its own encodings', fixed(REVERSED, 3), struct({ a: fixed(REVERSED, 2) })],
  ] as const)(
    'that was opened without encodings tells those that it was created with: %s',
    async (_, key, value) => {
      const table = await tables.open(tables.path(), { keyEncoding: key, valueEncoding: value })
      await table.close()
      const plain = await tables.open(table.location)
      expect(plain.keyEncoding).toBe(plain.keyEncoding)
      const printed = inspect({ ...declared(plain) })
      await plain.close()
      // They are good for another open, and for another table.
      const again = await tables.open(table.location, declared(plain))
      await again.close()
      const other = await tables.open(tables.path(), declared(plain))
      await other.close()
      const twin = await tables.open(other.location, { keyEncoding: key, valueEncoding: value })
      expect(inspect({ ...declared(twin) })).toBe(printed)
      // The types of before: what is a plain name is one again.
      expect(typeof plain.keyEncoding).toBe(typeof key)
      expect(typeof plain.valueEncoding).toBe(typeof value)
    },
  )

  test('of which a reader was opened tells that it is read-only', async () => {
    const table = await tables.fingerprints()
    const reader = await tables.open(table.location, { readOnly: true })
    expect([reader.readOnly, reader.keyEncoding, reader.duplicates]).toEqual([true, 'u64', 'keep'])
    expect(Object.keys((reader.valueEncoding as { fields: object }).fields)).toEqual(['time', 'flags', 'id'])
  })

  test('tells whether it is open, and all the rest when it is closed', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    const closing = table.close()
    expect(table.status).toBe('closing')
    await closing
    expect([table.status, table.keyEncoding, table.pageBytes]).toEqual(['closed', 'u64', 4096])
    expect(inspect(table)).toContain("status: 'closed'")
    expect(JSON.parse(JSON.stringify(table))).toMatchObject({ status: 'closed', records: 1 })
  })

  test('is printed with its location, schema and records, and nothing of the inside', async () => {
    const table = await tables.fingerprints({ ...SMALL, duplicates: 'replace' })
    await table.put(1n, fingerprint(1))
    await table.put(2n, fingerprint(2))
    const text = inspect(table)
    expect(text).toMatch(/^FlashTable \{/)
    for (const part of [
      `location: '${table.location}'`,
      "keyEncoding: 'u64'",
      `valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' })`,
      "duplicates: 'replace'",
      'pageBytes: 4096',
      'records: 2',
      'recordsAreExact: false',
    ]) {
      expect(text).toContain(part)
    }
    expect(text.length).toBeLessThan(500)
    expect(inspect({ deep: { deeper: { deepest: table } } })).toContain('[FlashTable]')
    expect(inspect(table, { showHidden: true, depth: null })).not.toContain('Uint32Array')
  })

  test('becomes JSON with its location, schema and records', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    expect(JSON.parse(JSON.stringify({ table }))).toEqual({
      table: {
        location: table.location,
        status: 'open',
        readOnly: false,
        schema: {
          key: { type: 'u64' },
          value: {
            type: 'struct',
            fields: [
              { name: 'time', type: 'u16' },
              { name: 'flags', type: 'u16' },
              { name: 'id', type: 'i32' },
            ],
          },
        },
        duplicates: 'keep',
        pageBytes: 4096,
        records: 1,
        recordsAreExact: true,
      },
    })
  })

  test('has a class and a prototype that can be printed too', async () => {
    const table = await tables.fingerprints()
    expect(inspect(FlashTable)).toContain('class FlashTable')
    for (const prototype of [FlashTable.prototype, Object.create(table), Snapshot.prototype]) {
      expect(inspect(prototype)).toContain('{}')
      expect(JSON.stringify(prototype)).toBe('{}')
    }
  })
})

describe('a snapshot', () => {
  test('is printed with its table, its sequence number and whether it is open', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    const snapshot = table.snapshot()
    expect(inspect(snapshot, { breakLength: Infinity })).toBe(
      `Snapshot { location: '${table.location}', status: 'open', sequence: 1 }`,
    )
    await snapshot.close()
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual({
      location: table.location,
      status: 'closed',
      sequence: 1,
    })
  })
})

function declared(table: FlashTable<never, never> | FlashTable): {
  keyEncoding: FlashTable['keyEncoding']
  valueEncoding: FlashTable['valueEncoding']
} {
  return { keyEncoding: table.keyEncoding, valueEncoding: table.valueEncoding }
}

describe('the progress of verify', () => {
  test('counts the log too, and ends at all of it', async () => {
    const table = await tables.fingerprints()
    for (let i = 0; i < 300; i++) await table.put(BigInt(i), fingerprint(i))
    const told: { done: number; total: number }[] = []
    const onProgress = (progress: { done: number; total: number }): void => void told.push({ ...progress })
    await table.compact()
    for (let i = 0; i < 100; i++) await table.put(BigInt(i), fingerprint(i))
    await table.close()
    await verifyTable(table.location, { onProgress })
    const { total, done } = told.at(-1)!
    expect(done).toBe(total)
    expect(told.at(-2)!.done).toBeLessThan(total)
    for (const [i, progress] of told.entries()) {
      expect(progress.total).toBe(total)
      expect(progress.done).toBeGreaterThanOrEqual(told[i - 1]?.done ?? 0)
    }
  })
})

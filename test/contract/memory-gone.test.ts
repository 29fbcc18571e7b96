/** Typed arrays whose memory has been transferred or cut off are refused, not taken for empty ones. */
import { describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable } from '../../src/index.js'
import { collect, FINGERPRINT, fingerprintColumns, SMALL, spreadKey, testTables } from '../support/tables.js'
import { expectRefused, filledTable } from './method-arguments.js'

const tables = testTables()

describe('memory that is gone', () => {
  /** Typed arrays of `column`, whose memory is not there any more. */
  function gone<C extends { buffer: ArrayBufferLike; constructor: unknown; length: number }>(column: C): C[] {
    const Column = column.constructor as new (memory: number | ArrayBuffer, at?: number, length?: number) => C
    const transferred = new Column(column.length)
    structuredClone(transferred.buffer, { transfer: [transferred.buffer as ArrayBuffer] })
    const resizable = (): ArrayBuffer & { resize(length: number): void } =>
      new (ArrayBuffer as unknown as new (length: number, options: object) => never)(64, {
        maxByteLength: 64,
      })
    const shrunk = resizable()
    const beyond = new Column(shrunk, 8, 2)
    const tracking = new Column(shrunk, 16)
    shrunk.resize(8)
    return [transferred, beyond, tracking]
  }

  test('is refused in columns, one or all of them, and is not taken for no rows', async () => {
    const table = await filledTable(tables)
    const columns = fingerprintColumns(0, 3, spreadKey)
    const names = ['key', 'time', 'flags', 'id'] as const
    for (const [i] of gone(columns.key).entries()) {
      const none = Object.fromEntries(names.map(name => [name, gone(columns[name])[i]!]))
      await expectRefused(table.putColumns(none as never), 'all columns')
      for (const name of names) {
        await expectRefused(table.putColumns({ ...columns, [name]: none[name] } as never), name)
      }
      await expectRefused(
        FlashTable.bulkLoad(tables.path(), FINGERPRINT, [none] as never),
        'all columns of a bulk load',
      )
    }
    expect(await collect(table.entries())).toHaveLength(5)
  })

  test('is refused in keys, values and what an encoding gives', async () => {
    const table = await filledTable(tables)
    for (const keys of gone(BigUint64Array.of(1n, 2n))) {
      await expectRefused(table.getMany(keys), 'getMany')
      await expectRefused(table.getColumns(keys), 'getColumns')
      await expectRefused(table.getColumns(keys, { within: 1 }), 'within')
    }
    const [none] = gone(new Uint8Array(4))
    const encoding = {
      name: 'gone',
      format: 'view',
      encode: () => gone(new Uint8Array(4))[0]!,
      decode: String,
    }
    const view = { ...encoding, encode: () => new DataView(gone(new Uint8Array(4))[0]!.buffer) }
    const byteKeys = await tables.open(tables.path(), {
      keyEncoding: bytes(4),
      valueEncoding: bytes(4),
      ...SMALL,
    })
    await expectRefused(byteKeys.put(none!, new Uint8Array(4)), 'a key')
    await expectRefused(byteKeys.put(new Uint8Array(4), none!), 'a value')
    await expectRefused(byteKeys.getMany([none!]), 'a key of many')
    await expectRefused(byteKeys.getMany(none!), 'a column of keys')
    await expectRefused(byteKeys.putColumns({ key: none!, value: none! }), 'columns of bytes')
    for (const given of [encoding, view]) {
      const custom = await tables.open(tables.path(), {
        keyEncoding: 'u8',
        valueEncoding: fixed(given as never, 4),
        ...SMALL,
      })
      await expectRefused(custom.put(1, 5 as never), 'what an encoding gives')
      expect(await custom.has(1)).toBe(false)
    }
  })

  test('is refused where a getter takes it away while the columns are read', async () => {
    const table = await filledTable(tables)
    const columns = fingerprintColumns(0, 3, spreadKey)
    const taking = {
      ...columns,
      get id() {
        structuredClone(columns.key.buffer, { transfer: [columns.key.buffer] })
        return new Int32Array(3)
      },
    }
    await expectRefused(table.putColumns(taking), 'columns')
    expect(await collect(table.entries())).toHaveLength(5)
  })

  test('is copied before the call returns, shared memory too', async () => {
    const table = await filledTable(tables)
    const key = new BigUint64Array(new SharedArrayBuffer(16))
    key.set([100n, 101n])
    const put = table.putColumns({
      key,
      time: new Uint16Array(2),
      flags: new Uint16Array(2),
      id: new Int32Array(2),
    })
    key.fill(7n)
    await put
    expect(await table.getMany([100n, 101n, 7n])).toEqual([
      { time: 0, flags: 0, id: 0 },
      { time: 0, flags: 0, id: 0 },
      undefined,
    ])
  })
})

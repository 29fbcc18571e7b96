/** What a method does not take is an error of types too. */
import { describe, expectTypeOf, test } from 'vitest'
import {
  bytes,
  fixed,
  struct,
  type FlashTable,
  type JsonObject,
  type StructEncoding,
} from '../../../src/index.js'

type Table = FlashTable<'u64', StructEncoding<{ id: 'i32' }>>
type Set = FlashTable<'u64', undefined>

describe('the types of arguments', () => {
  test('refuse options and arguments that a method does not have', () => {
    expectTypeOf((table: Table, set: Set) => {
      void table.put(1n, { id: 1 }, { sync: true })
      void table.del(1n, { sync: true })
      void set.put(1n, undefined, { sync: true })
      expectTypeOf(table.putIfAbsent(1n, { id: 1 }, { sync: true })).toEqualTypeOf<Promise<boolean>>()
      expectTypeOf(set.putIfAbsent(1n)).toEqualTypeOf<Promise<boolean>>()
      void table.batch([{ type: 'putIfAbsent', key: 1n, value: { id: 1 } }])
      const columns = { key: new BigUint64Array(1), id: new Int32Array(1) }
      expectTypeOf(table.putColumns(columns)).toEqualTypeOf<Promise<void>>()
      expectTypeOf(table.putColumns(columns, { ifAbsent: true })).toEqualTypeOf<
        Promise<Uint8Array<ArrayBuffer>>
      >()
      // @ts-expect-error the option is called ifAbsent
      void table.putColumns(columns, { putIfAbsent: true })
      // @ts-expect-error a put alone has its own method
      void table.put(1n, { id: 1 }, { ifAbsent: true })
      void table.entries({ where: { id: { gte: 1, lt: 5 } }, prefix: undefined })
      expectTypeOf(table.count({ where: { id: 42 } })).toEqualTypeOf<Promise<number>>()
      expectTypeOf(table.count(1n)).toEqualTypeOf<Promise<number>>()
      // @ts-expect-error there is no such field
      void table.entries({ where: { name: 42 } })
      // @ts-expect-error fields are compared with lt, lte, gt, gte
      void table.scanColumns({ where: { id: { ne: 42 } } })
      // @ts-expect-error a count has no direction
      void table.count({ reverse: true })
      // @ts-expect-error a set has no fields
      void set.keys({ where: { value: 1 } })
      // @ts-expect-error delWhere deletes by values
      void table.clear({ where: { id: 42 } })
      void table.setMeta({ upTo: 1, names: { a: ['b', null, true] } })
      void table.setMeta(table.meta)
      expectTypeOf(table.meta).toEqualTypeOf<JsonObject>()
      // @ts-expect-error a date is no JSON
      void table.setMeta({ at: new Date() })
      // @ts-expect-error neither is undefined
      void table.setMeta({ at: undefined })
      // @ts-expect-error it is frozen
      table.meta['a'] = 1
      void table.clear()
      void table.clear({ gte: 8n, lt: 9n, sync: true })
      void table.clear({ gt: undefined })
      // @ts-expect-error keys are numbers
      void table.clear({ gte: '8' })
      // @ts-expect-error it clears a range, however many keys it has
      void table.clear({ gte: 8n, limit: 1 })
      // @ts-expect-error in whatever order
      void table.clear({ reverse: true })
      // @ts-expect-error delRecord deletes one record
      void table.del(1n, { id: 1 })
      // @ts-expect-error the option is called sync
      void table.put(1n, { id: 1 }, { fsync: true })
      // @ts-expect-error options are an object
      void table.put(1n, { id: 1 }, true)
      // @ts-expect-error a set has no values
      void set.put(1n, { sync: true })
      // @ts-expect-error there are no callbacks
      void table.get(1n, undefined, () => {})
      // @ts-expect-error a snapshot is an option
      void table.get(1n, table.snapshot())
      // @ts-expect-error it takes nothing
      table.snapshot(1)
      // @ts-expect-error it takes nothing
      void table.close(() => {})
      // @ts-expect-error a width too many
      void [bytes(4, 8), fixed('hex', 4, 8), struct({ a: 'u8' }, {})]
    }).toBeFunction()
  })
})

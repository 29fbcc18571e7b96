/** A program under `strict`, without `skipLibCheck`: types are what the encodings say, and nothing is `any`. */
import {
  FlashTable,
  FlashTableError,
  bytes,
  fixed,
  struct,
  type ColumnsIn,
  type ColumnsOut,
  type TableStats,
} from 'flashtable'

type IsAny<T> = 0 extends 1 & T ? true : false
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles for a value of exactly this type alone. */
function expectType<Expected>() {
  return <Actual>(
    value: Actual,
    ...same: IsAny<Actual> extends true ? [never] : Same<Actual, Expected> extends true ? [] : [never]
  ) => void [value, same]
}

/** Compiles for a value of this type alone, or a narrower one, but not for `any`. */
function expectLike<Expected>() {
  return <Actual extends Expected>(value: Actual, ...same: IsAny<Actual> extends true ? [never] : []) =>
    void [value, same]
}

export async function program(): Promise<void> {
  const valueEncoding = struct({ time: 'u16', id: 'i32', digest: bytes(4), name: fixed('utf8', 8) })
  const table = await FlashTable.open('./typed', { keyEncoding: 'u64', valueEncoding })
  const value = await table.get(1n)
  if (value !== undefined) {
    expectType<number>()(value.time)
    expectType<string>()(value.name)
    expectLike<Uint8Array>()(value.digest)
  }
  const columns = await table.getColumns([1n])
  expectLike<Uint16Array>()(columns.time)
  expectLike<Int32Array>()(columns.id)
  expectLike<Uint32Array>()(columns.query)
  for await (const rows of table.scanColumns({ gte: 1n })) expectLike<BigUint64Array>()(rows.key)
  for await (const key of table.keys()) expectType<bigint>()(key)
  const near = await table.getColumns([1n], { within: 5 })
  expectLike<BigUint64Array>()(near.key)
  expectType<TableStats>()(await table.stats())
  const columnsIn: ColumnsIn<'u64', typeof valueEncoding> = {
    key: BigUint64Array.of(1n),
    time: Uint16Array.of(1),
    id: Int32Array.of(1),
    digest: new Uint8Array(4),
    name: new Uint8Array(8),
  }
  await table.putColumns(columnsIn)
  // @ts-expect-error a column of another type
  await table.putColumns({ ...columnsIn, time: new Uint8Array(1) })
  // @ts-expect-error a field that is not there
  await table.put(1n, { time: 1, id: 1, digest: new Uint8Array(4), name: '', other: 1 })
  // @ts-expect-error a key of another type
  await table.get('1')
  // @ts-expect-error an option that is not there
  await FlashTable.open('./typed', { keyEncoding: 'u64', memtable: 1 })
  const error: unknown = await table.close().catch((reason: unknown) => reason)
  if (error instanceof FlashTableError) expectLike<string>()(error.code)
  const set = await FlashTable.open('./set', { keyEncoding: bytes(4) })
  expectType<boolean>()(await set.has(new Uint8Array(4)))
  await set[Symbol.asyncDispose]()
  const out: ColumnsOut<'u32', 'f64'> = { key: new Uint32Array(1), value: new Float64Array(1) }
  expectLike<Float64Array>()(out.value)
}

/**
 * The types of keys, values and columns that TypeScript infers from the encodings of a table.
 *
 * Only types: nothing of this file exists at run time. docs/api.md, Types.
 */
import type { CombineOperator } from '../options/options.js'
import type { ScalarKeyName, ScalarName } from './stored-schema.js'

/** An encoding of level-transcoder with the format `'view'` and one width for all values. */
export interface ViewEncoding<In, Out> {
  readonly name: string
  readonly format: 'view'
  /** Bytes of every encoded value. */
  readonly byteLength: number
  /** Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_VALUE`. */
  readonly encode: (value: In) => Uint8Array
  /** The value shares no memory with the bytes. */
  readonly decode: (bytes: Uint8Array) => Out
}

/** The encoding of one field: what `bytes(n)` and `fixed(encoding, n)` make, and any like it. */
export interface SizedEncoding<In, Out> extends ViewEncoding<In, Out> {
  readonly fields?: undefined
}

/** An integer or float. */
export interface ScalarEncoding<N extends ScalarName> extends SizedEncoding<ScalarValue<N>, ScalarValue<N>> {
  readonly name: N
}

/** What `struct(fields)` makes. */
export interface StructEncoding<F extends StructFields> extends ViewEncoding<StructIn<F>, StructOut<F>> {
  readonly fields: F
}

/** Any of them. */
type AnyStructEncoding = ViewEncoding<never, unknown> & { readonly fields: StructFields }

/** The encoding of a field of a struct, or of a value that is not a struct. */
export type FieldEncoding = ScalarName | SizedEncoding<never, unknown>

/** The fields of a struct, in the order in which they are stored. */
export interface StructFields {
  readonly [name: string]: FieldEncoding
}

/** Encodings of keys: keys are ordered as unsigned big-endian numbers, or byte by byte. */
export type KeyEncoding = ScalarKeyName | SizedEncoding<never, unknown>

/** Encodings of values; `undefined`: a set. */
export type ValueEncoding = FieldEncoding | AnyStructEncoding | undefined

/** The options that say what a table holds. Both are left out to open a table as it was created. */
export interface EncodingOptions<K extends KeyEncoding, V extends ValueEncoding = undefined> {
  /** Needed to create a table. */
  readonly keyEncoding: K
  /** Left out: the table is a set of keys. */
  readonly valueEncoding?: V
}

type ScalarValue<N extends ScalarName> = N extends 'u64' | 'i64' ? bigint : number

type FieldIn<E> = E extends ScalarName
  ? ScalarValue<E>
  : E extends SizedEncoding<infer In, unknown>
    ? In
    : never
type FieldOut<E> = E extends ScalarName
  ? ScalarValue<E>
  : E extends SizedEncoding<never, infer Out>
    ? Out
    : never

export type StructIn<F extends StructFields> = { readonly [N in keyof F]: FieldIn<F[N]> }
export type StructOut<F extends StructFields> = { -readonly [N in keyof F]: FieldOut<F[N]> }

interface ScalarColumns<B extends ArrayBufferLike> {
  u8: Uint8Array<B>
  u16: Uint16Array<B>
  u32: Uint32Array<B>
  u64: BigUint64Array<B>
  i8: Int8Array<B>
  i16: Int16Array<B>
  i32: Int32Array<B>
  i64: BigInt64Array<B>
  f32: Float32Array<B>
  f64: Float64Array<B>
}

type FieldColumn<E, B extends ArrayBufferLike> = E extends ScalarName
  ? ScalarColumns<B>[E]
  : E extends ScalarEncoding<infer N>
    ? ScalarColumns<B>[N]
    : Uint8Array<B>

/** Whether nothing is known about the encoding: the table was opened without it. */
type IsUnknown<E, All> = [All] extends [E] ? true : false

/** A key as the methods take it. */
export type KeyIn<K extends KeyEncoding> =
  IsUnknown<K, KeyEncoding> extends true
    ? unknown
    : K extends 'u64' | ScalarEncoding<'u64'>
      ? bigint | number
      : FieldIn<K>

/** A key as it is read. */
export type KeyOut<K extends KeyEncoding> = IsUnknown<K, KeyEncoding> extends true ? unknown : FieldOut<K>

/** A value as the methods take it. */
export type ValueIn<V extends ValueEncoding> =
  IsUnknown<V, ValueEncoding> extends true
    ? unknown
    : V extends undefined
      ? undefined
      : V extends { readonly fields: infer F extends StructFields }
        ? StructIn<F>
        : FieldIn<V>

/** A value as it is read. */
export type ValueOut<V extends ValueEncoding> =
  IsUnknown<V, ValueEncoding> extends true
    ? unknown
    : V extends undefined
      ? undefined
      : V extends { readonly fields: infer F extends StructFields }
        ? StructOut<F>
        : FieldOut<V>

type AnyColumn<B extends ArrayBufferLike> = ScalarColumns<B>[ScalarName]

/** The column of the keys. */
export type KeyColumn<K extends KeyEncoding, B extends ArrayBufferLike = ArrayBufferLike> =
  IsUnknown<K, KeyEncoding> extends true ? AnyColumn<B> : FieldColumn<K, B>

/** Keys for a query: their column, or an array of keys. */
export type KeysIn<K extends KeyEncoding> = KeyColumn<K> | readonly KeyIn<K>[]

/** The columns of the values, one for each field. */
export type ValueColumns<V extends ValueEncoding, B extends ArrayBufferLike = ArrayBufferLike> =
  IsUnknown<V, ValueEncoding> extends true
    ? { [name: string]: AnyColumn<B> }
    : V extends undefined
      ? // eslint-disable-next-line typescript/no-empty-object-type -- a set has no columns of values
        {}
      : V extends { readonly fields: infer F extends StructFields }
        ? { -readonly [N in keyof F]: FieldColumn<F[N], B> }
        : { value: FieldColumn<V, B> }

/** Key and value columns as `putColumns` takes them. */
export type ColumnsIn<K extends KeyEncoding, V extends ValueEncoding> = Readonly<
  { key: KeyColumn<K> } & ValueColumns<V>
>

/** Value columns of a result; they belong to the caller. */
export type ValueColumnsOut<V extends ValueEncoding> = ValueColumns<V, ArrayBuffer>

/** Key and value columns of a result; they belong to the caller. */
export type ColumnsOut<K extends KeyEncoding, V extends ValueEncoding> = {
  key: KeyColumn<K, ArrayBuffer>
} & ValueColumnsOut<V>

type ScalarOperator<N extends ScalarName> = N extends 'f32' | 'f64'
  ? Exclude<CombineOperator, 'or' | 'and'>
  : CombineOperator

/** What a field may be combined by: bits are those of integers, and bytes are no numbers. */
type FieldOperator<E> = E extends ScalarName
  ? ScalarOperator<E>
  : E extends ScalarEncoding<infer N>
    ? ScalarOperator<N>
    : 'first' | 'last'

/** An operator for each field of the value: how the records of a key become one. A set has nothing to combine. */
export type Combine<V extends ValueEncoding> =
  IsUnknown<V, ValueEncoding> extends true
    ? Readonly<Record<string, CombineOperator>>
    : V extends undefined
      ? never
      : V extends { readonly fields: infer F extends StructFields }
        ? { readonly [N in keyof F]: FieldOperator<F[N]> }
        : { readonly value: FieldOperator<V> }

interface LessThan<T> {
  readonly lt: T
  readonly lte?: never
}
interface AtMost<T> {
  readonly lte: T
  readonly lt?: never
}
interface GreaterThan<T> {
  readonly gt: T
  readonly gte?: never
}
interface AtLeast<T> {
  readonly gte: T
  readonly gt?: never
}
interface NoLess {
  readonly lt?: never
  readonly lte?: never
}
interface NoGreater {
  readonly gt?: never
  readonly gte?: never
}

/** A bound, or one at each side, that `delWhere` compares a field with. */
export type Comparison<T> =
  | ((LessThan<T> | AtMost<T>) & (GreaterThan<T> | AtLeast<T> | NoGreater))
  | ((GreaterThan<T> | AtLeast<T>) & NoLess)

/** Values that are objects are never compared: a comparison would look like one of them. */
type WhereField<T> = [T] extends [string | number | bigint | Uint8Array] ? T | Comparison<T> : T
type WhereFields<T> = { readonly [N in keyof T]?: WhereField<T[N]> }

/** Fields for `delWhere`, at least one: their values, or what they are compared with. */
export type WhereIn<V extends ValueEncoding> =
  IsUnknown<V, ValueEncoding> extends true
    ? Readonly<Record<string, unknown>>
    : V extends undefined
      ? never
      : V extends { readonly fields: infer F extends StructFields }
        ? WhereFields<StructIn<F>>
        : { readonly value: WhereField<FieldIn<V>> }

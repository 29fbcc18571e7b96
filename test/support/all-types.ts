/** A table with a field of every type, and values that get lost easily: extremes, NaN with bits of its own, -0. */
import { bytes, FlashTable, struct } from '../../src/index.js'

export const ALL_TYPES_SCHEMA = 'key:u64,a:u8,b:u16,c:u32,d:u64,e:i8,f:i16,g:i32,h:i64,i:f32,j:f64,k:bytes(3)'

export const ALL_TYPES = {
  keyEncoding: 'u64',
  valueEncoding: struct({
    a: 'u8',
    b: 'u16',
    c: 'u32',
    d: 'u64',
    e: 'i8',
    f: 'i16',
    g: 'i32',
    h: 'i64',
    i: 'f32',
    j: 'f64',
    k: bytes(3),
  }),
} as const

const KEYS = [0n, 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 7n, 7n]

/** Their columns; `usualNaN`: a NaN with the bits that every program makes, for text formats. */
export function allTypesColumns(usualNaN: boolean) {
  const column = <C extends { [row: number]: unknown }>(of: C, ...values: C[number][]): C => {
    values.forEach((value, row) => ((of as Record<number, unknown>)[row] = value))
    return of
  }
  const rows = KEYS.length
  const i = column(new Float32Array(rows), -0, 0, 1.1, 3.4e38, -Infinity, Infinity, 1e-45, NaN)
  const j = column(new Float64Array(rows), -0, 0.1, 5e-324, -1.7e308, -Infinity, Infinity, 2 ** 53, NaN)
  if (!usualNaN) {
    // Quiet ones: programs that calculate with the others make them quiet.
    new Uint32Array(i.buffer)[7] = 0xffe0_0201
    new BigUint64Array(j.buffer)[7] = 0xfff8_0000_0000_1234n
  }
  return {
    key: BigUint64Array.from(KEYS),
    a: column(new Uint8Array(rows), 0, 255, 1, 2, 3, 4, 5, 6),
    b: column(new Uint16Array(rows), 0, 65_535, 1, 2, 3, 4, 5, 6),
    c: column(new Uint32Array(rows), 0, 4_294_967_295, 2 ** 31, 2, 3, 4, 5, 6),
    d: column(new BigUint64Array(rows), 0n, 2n ** 64n - 1n, 2n ** 63n, 2n ** 53n + 1n, 4n, 5n, 6n, 7n),
    e: column(new Int8Array(rows), 0, -128, 127, -1, 3, 4, 5, 6),
    f: column(new Int16Array(rows), 0, -32_768, 32_767, -1, 3, 4, 5, 6),
    g: column(new Int32Array(rows), 0, -2_147_483_648, 2_147_483_647, -1, 3, 4, 5, 6),
    h: column(new BigInt64Array(rows), 0n, -(2n ** 63n), 2n ** 63n - 1n, -1n, 4n, 5n, 6n, 7n),
    i,
    j,
    k: Uint8Array.from({ length: rows * 3 }, (_, at) => (at % 5 === 0 ? 0 : 251 + at)),
  }
}

export async function makeAllTypes(location: string, usualNaN = false): Promise<void> {
  const table = await FlashTable.open(location, ALL_TYPES)
  await table.putColumns(allTypesColumns(usualNaN))
  await table.close()
}

/** Everything in the table, column by column, as hexadecimal digits: equal only where each bit is. */
export async function bitsOf(location: string): Promise<Record<string, string>> {
  const table = await FlashTable.open(location, { readOnly: true })
  const bits: Record<string, string> = {}
  for await (const columns of table.scanColumns()) {
    for (const [name, column] of Object.entries(columns as unknown as Record<string, Uint8Array>)) {
      const { buffer, byteOffset, byteLength } = column
      bits[name] = (bits[name] ?? '') + Buffer.from(buffer, byteOffset, byteLength).toString('hex')
    }
  }
  await table.close()
  return bits
}

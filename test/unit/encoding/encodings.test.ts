import fc from 'fast-check'
import { Transcoder } from 'level-transcoder'
import { describe, expect, test } from 'vitest'
import { bytes, encodings, fixed, struct } from '../../../src/encoding/encodings.js'
import type { FieldEncoding, ViewEncoding } from '../../../src/encoding/types.js'
import { FIELD_CASES } from '../../support/field-types.js'
import { thrownBy } from '../../support/thrown-by.js'

const hex = (view: Uint8Array): string => Buffer.from(view).toString('hex')

/** An encoding whose values TypeScript does not check. */
const untyped = (encoding: ViewEncoding<never, unknown>): ViewEncoding<unknown, unknown> =>
  encoding as ViewEncoding<unknown, unknown>

const structOf = (fields: Record<string, unknown>): ViewEncoding<unknown, unknown> =>
  untyped(struct(fields as Record<string, FieldEncoding>))

describe('encodings', () => {
  test('of a struct are packed little-endian in the order of its fields', () => {
    const encoding = struct({ time: 'u16', flags: 'u8', id: 'i32', hash: 'u64', digest: bytes(3) })
    expect(encoding.byteLength).toBe(18)
    const encoded = encoding.encode({
      time: 0x0102,
      flags: 3,
      id: -2,
      hash: 0x1112131415161718n,
      digest: Uint8Array.of(7, 8, 9),
    })
    expect(hex(encoded)).toBe(['0201', '03', 'feffffff', '1817161514131211', '070809'].join(''))
  })

  test.each([
    ['u8', 200, 'c8'],
    ['i8', -128, '80'],
    ['u16', 0x1234, '3412'],
    ['i16', -1, 'ffff'],
    ['u32', 0xfffefdfc, 'fcfdfeff'],
    ['i32', -(2 ** 31), '00000080'],
    ['u64', 2n ** 64n - 2n, 'feffffffffffffff'],
    ['i64', -(2n ** 63n), '0000000000000080'],
    ['f32', 1, '0000803f'],
    ['f64', -2, '00000000000000c0'],
  ] as const)('of %s are little-endian: %s', (name, value, text) => {
    expect(hex(untyped(encodings[name]).encode(value))).toBe(text)
  })

  test.each(FIELD_CASES)(
    'of $name give back what they were given',
    ({ encoding, byteLength, values, extremes }) => {
      const value = structOf({ before: 'u8', x: encoding, behind: 'u16' })
      const roundTrip = (x: unknown): void => {
        const encoded = value.encode({ before: 1, x, behind: 2 })
        expect(encoded.byteLength).toBe(byteLength + 3)
        expect(value.decode(encoded)).toEqual({ before: 1, x, behind: 2 })
      }
      for (const x of extremes) roundTrip(x)
      fc.assert(fc.property(values, roundTrip))
    },
  )

  test('are taken by level-transcoder as encodings of its own, and give back what they were given', () => {
    const transcoder = new Transcoder<Uint8Array>(['view'])
    for (const [encoding, value] of [
      [struct({ a: 'u16', b: bytes(2) }), { a: 513, b: Uint8Array.of(3, 4) }],
      [encodings.u64, 5n],
      [bytes(3), Uint8Array.of(1, 2, 3)],
      [fixed('base64', 3), 'AQID'],
    ] as const) {
      const resolved = transcoder.encoding(untyped(encoding))
      expect(resolved).toMatchObject({ name: encoding.name, format: 'view' })
      expect(resolved.encode(value)).toBeInstanceOf(Uint8Array)
      expect(resolved.decode(resolved.encode(value))).toEqual(value)
    }
  })

  test('are named as a program writes them', () => {
    expect(encodings.i16.name).toBe('i16')
    expect(bytes(3).name).toBe('bytes(3)')
    expect(fixed('utf-8', 3).name).toBe("fixed('utf8', 3)")
    expect(struct({ a: 'u8', b: fixed('hex', 2) }).name).toBe("struct({ a: 'u8', b: fixed('hex', 2) })")
  })

  test('decode from any offset of a buffer to copies, which what is written to the buffer later leaves alone', () => {
    const encoding = struct({ a: 'u8', b: 'u64', c: bytes(2) })
    const memory = Buffer.from(['ff', '01', '0200000000000000', '0304'].join(''), 'hex')
    const decoded = encoding.decode(memory.subarray(1))
    memory.fill(0)
    expect(decoded).toEqual({ a: 1, b: 2n, c: Uint8Array.of(3, 4) })
  })

  test('encode to copies, which what is written to the value later leaves alone', () => {
    const value = Uint8Array.of(1, 2)
    const encoded = bytes(2).encode(value)
    value.fill(9)
    expect(hex(encoded)).toBe('0102')
  })

  test('refuse to decode another length, or what is no Uint8Array', () => {
    const encoding = untyped(struct({ a: 'u16' }))
    expect(thrownBy(() => encoding.decode(new Uint8Array(3)))).toMatchObject({
      name: 'RangeError',
      code: 'FLASHTABLE_INVALID_VALUE',
      message: "decode: expected 2 bytes (struct({ a: 'u16' })), found 3",
    })
    expect(thrownBy(() => encoding.decode('ab' as unknown as Uint8Array))).toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_VALUE',
    })
  })
})

describe('struct', () => {
  test.each(['key', 'query', 'value', '__proto__', '', '1', 'a b', 'a-b', 'x'.repeat(65)])(
    'refuses the field name %j',
    name => {
      const error = thrownBy(() => structOf({ [name]: 'u8' }))
      expect(error).toBeInstanceOf(TypeError)
      expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
      expect(error.message).toContain('an identifier of 1 to 64 characters')
    },
  )

  test.each(['a', '_', '$x1', 'größe', 'constructor', 'toString', 'then', 'x'.repeat(64)])(
    'takes the field name %j',
    name => {
      const encoding = structOf({ [name]: 'u8' })
      expect(encoding.decode(encoding.encode({ [name]: 7 }))).toEqual({ [name]: 7 })
    },
  )

  test('refuses to have no fields, or more than 64', () => {
    const fields = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, 'u8']))
    expect(structOf(fields(64)).byteLength).toBe(64)
    for (const count of [0, 65]) {
      expect(thrownBy(() => structOf(fields(count)))).toMatchObject({
        name: 'RangeError',
        code: 'FLASHTABLE_INVALID_OPTION',
        message: `struct: expected 1 to 64 fields, found ${count}`,
      })
    }
  })

  test('refuses to be longer than 1,024 bytes', () => {
    expect(struct({ a: bytes(1000), b: bytes(24) }).byteLength).toBe(1024)
    expect(thrownBy(() => struct({ a: bytes(1000), b: bytes(25) })).message).toBe(
      'struct: expected at most 1024 bytes per record, found 1025',
    )
  })

  test.each([
    ['u24', "field 'a': expected u8, u16"],
    [8, 'found 8'],
    [undefined, 'found undefined'],
    [null, 'found null'],
    ['hex', "field 'a': 'hex' declares no width; use fixed('hex', n)"],
    [{ encode: () => 1, decode: () => 1, format: 'view' }, 'declares no width; use fixed(encoding, n)'],
    [struct({ b: 'u8' }), "field 'a': a struct stands for a whole value"],
  ])('refuses a field of the type %o', (type, message) => {
    const error = thrownBy(() => structOf({ a: type }))
    expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_OPTION' })
    expect(error.message).toContain(message)
  })

  test.each([[undefined], [null], ['u8'], [['u8']]])('refuses %o in place of fields', fields => {
    expect(thrownBy(() => struct(fields as unknown as { a: 'u8' }))).toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  })

  test('reads each of its fields once, though a getter may give something else the next time', () => {
    let reads = 0
    const encoding = structOf({
      get a() {
        return reads++ === 0 ? 'u8' : 'u64'
      },
    })
    expect(encoding.byteLength).toBe(1)
    expect(encoding).toMatchObject({ fields: { a: 'u8' } })
  })
})

describe('a byte length', () => {
  test.each([0, -1, 1.5, NaN, Infinity, 1025])('of %d is refused with a RangeError', length => {
    for (const make of [() => bytes(length), () => fixed('hex', length)]) {
      expect(thrownBy(make)).toMatchObject({ name: 'RangeError', code: 'FLASHTABLE_INVALID_OPTION' })
    }
  })

  test.each(['4', undefined, 4n])('of another type than a number is refused with a TypeError: %o', length => {
    for (const make of [() => bytes(length as never), () => fixed('hex', length as never)]) {
      expect(thrownBy(make)).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_OPTION' })
    }
  })
})

describe('fixed', () => {
  const FUNCTIONS = { encode: (): number => 1, decode: (): number => 1 }

  test.each([
    ['hex', 'AB01', 'ab01'],
    ['base64', 'AQI=', 'AQI='],
    ['base64', 'AQI', 'AQI='],
    ['base64', '-_8=', '+/8='],
    ['utf8', 'é', 'é'],
    ['utf-8', 'ab', 'ab'],
    ['json', 17, 17],
    ['json', '', ''],
    ['view', Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
    ['buffer', Buffer.of(1, 2), Buffer.of(1, 2)],
    ['binary', 'ab', Buffer.from('ab')],
    ['hex', Buffer.of(1, 2), '0102'],
  ] as const)('encodes by %s to two bytes %o', (name, value, decoded) => {
    const encoding = untyped(fixed(name, 2))
    expect(encoding.decode(encoding.encode(value))).toEqual(decoded)
  })

  test.each([
    ['hex', 'abc', 'which hex would cut to one byte'],
    ['hex', 'zz', 'which hex would take for nothing'],
    ['hex', '01zz', 'the half of which is no hex'],
    ['base64', 'A!Q', 'of which base64 would skip a character'],
    ['base64', 'AR', 'the last bits of which base64 would drop'],
    ['utf8', '\ud800', 'half of a character'],
    ['utf8', '\uFEFF', 'which would be lost in decoding'],
    ['view', '\ud800', 'half of a character'],
  ] as const)('refuses for %s the text %j, %s', (name, value, _reason) => {
    const error = thrownBy(() => untyped(fixed(name, 1)).encode(value))
    expect(error).toMatchObject({ name: 'RangeError', code: 'FLASHTABLE_INVALID_VALUE' })
    expect(error.message).toContain('the value: expected ')
  })

  test.each([
    ['hex', Uint8Array.of(1), 'which hex would take for text'],
    ['utf8', 12, 'a number'],
    ['utf8', undefined, 'nothing'],
    ['view', 5, 'a number'],
    ['view', new Uint16Array(1), 'two bytes to the element'],
    ['buffer', {}, 'an object'],
    ['json', undefined, 'nothing'],
    ['json', 5n, 'which JSON does not know'],
  ] as const)('refuses for %s the value %o, %s', (name, value, _reason) => {
    const error = thrownBy(() => untyped(fixed(name, 1)).encode(value))
    expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_VALUE' })
    expect(error.message).toContain('the value: expected ')
  })

  test.each([
    ['hex', 'ab', "the value: expected 2 bytes of hex, found 1 bytes in 'ab'"],
    ['hex', 'ababab', 'found 3 bytes'],
    ['utf8', '', 'found 0 bytes'],
    ['utf8', 'aé', 'found 3 bytes'],
    ['json', 1, 'found 1 bytes'],
    ['view', new Uint8Array(3), 'found 3 bytes in Uint8Array(3)'],
  ] as const)('pads and cuts nothing: %s of two bytes refuses %o', (name, value, message) => {
    const error = thrownBy(() => untyped(fixed(name, 2)).encode(value))
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_VALUE' })
    expect(error.message).toContain(message)
  })

  test('takes custom encodings of every format', () => {
    const upper = fixed(
      {
        name: 'upper',
        format: 'utf8',
        encode: (text: string) => text.toUpperCase(),
        decode: (text: string) => text,
      },
      2,
    )
    expect(upper.decode(upper.encode('ab'))).toBe('AB')
    const point = fixed(
      {
        name: 'point',
        format: 'view',
        encode: ([x, y]: [number, number]) => Uint8Array.of(x, y),
        decode: (view: Uint8Array): [number, number] => [view[0]!, view[1]!],
      },
      2,
    )
    expect(point.decode(point.encode([3, 4]))).toEqual([3, 4])
    expect(point.name).toBe('fixed(<point>, 2)')
  })

  test('does not let a custom encoding take the place of a built-in one', () => {
    const impostor = fixed(
      {
        name: 'hex',
        format: 'view',
        encode: (): Uint8Array => Uint8Array.of(9),
        decode: (): string => 'impostor',
      },
      1,
    )
    expect(impostor.decode(Uint8Array.of(1))).toBe('impostor')
    expect(fixed('hex', 1).decode(Uint8Array.of(1))).toBe('01')
  })

  test.each([
    [{ format: 'view', ...FUNCTIONS }, 'a custom encoding needs a name'],
    [{ name: 'x'.repeat(65), format: 'view', ...FUNCTIONS }, 'needs a name of 1 to 64 characters'],
    [{ name: 'x', format: 'view' }, "level-transcoder refused the encoding 'x'"],
    [{ name: 'x', format: 'odd', ...FUNCTIONS }, "level-transcoder refused the encoding 'x'"],
    ['u64', "fixed: expected utf8, buffer, view, json, hex, base64 or an encoding object, found 'u64'"],
    ['toString', "found 'toString'"],
    ['__proto__', "found '__proto__'"],
    ['', "found ''"],
    [undefined, 'found undefined'],
    [null, 'found null'],
  ])('refuses to be made of %o, which is no encoding', (encoding, message) => {
    const error = thrownBy(() => fixed(encoding as 'hex', 4))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    expect(error.message).toContain(message)
  })

  test('passes on what a custom encoding throws as the cause', () => {
    const cause = new Error('mine')
    const encoding = fixed(
      {
        name: 'x',
        format: 'view',
        encode: (): Uint8Array => {
          throw cause
        },
        decode: () => 1,
      },
      1,
    )
    expect(thrownBy(() => untyped(encoding).encode(1))).toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_VALUE',
      cause,
    })
  })

  test.each([['ab'], [undefined], [Promise.resolve(Uint8Array.of(1))], [[1]]])(
    'refuses a custom encoding that encodes to %o',
    encoded => {
      const encoding = fixed({ name: 'x', format: 'view', encode: () => encoded, decode: () => 1 }, 1)
      expect(thrownBy(() => untyped(encoding).encode(1))).toMatchObject({
        name: 'TypeError',
        code: 'FLASHTABLE_INVALID_VALUE',
      })
    },
  )
})

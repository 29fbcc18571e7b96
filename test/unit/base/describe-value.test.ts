import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import {
  describeValue,
  lengthOfTypedArray,
  typedArrayName,
  visible,
  withoutSecrets,
} from '../../../src/base/describe-value.js'

describe('visible', () => {
  test('shows what acts on a terminal, and leaves all other text alone', () => {
    expect(visible('\u0000\u001b[31m\n\t\u007f\u0080\u009b')).toBe(
      '\\u0000\\u001b[31m\\u000a\\u0009\\u007f\\u0080\\u009b',
    )
    expect(visible('a\u202Eb\u2066c\u200F\u061C\u2028\u2029')).toBe(
      'a\\u202eb\\u2066c\\u200f\\u061c\\u2028\\u2029',
    )
    expect(visible('🎵'.slice(0, 1))).toBe('\\ud83c')
    expect(visible('a\n\tb\r', '\n\t')).toBe('a\n\tb\\u000d')
    const plain = 'Grüße 🎵👩‍🚀 עברית \\ "quoted" ~'
    expect(visible(plain)).toBe(plain)
  })
})

describe('found', () => {
  test('does not cut a character in two, nor hand on what acts on a terminal', () => {
    expect(describeValue(`${'x'.repeat(59)}🎵`)).toBe(`'${'x'.repeat(59)}…'`)
    expect(describeValue('\u001b[2J')).toBe("'\\u001b[2J'")
  })

  test.each([
    ['abc', "'abc'"],
    ['x'.repeat(1000), `'${'x'.repeat(60)}…'`],
    [17n, '17n'],
    [10n ** 100n, `1${'0'.repeat(59)}…n`],
    [1.5, '1.5'],
    [-0, '-0'],
    [NaN, 'NaN'],
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [() => 1, 'a function'],
    [Symbol('x'), 'a symbol'],
    [{}, 'an object'],
    [[1, 2], 'an array'],
    [new Uint16Array(3), 'Uint16Array(3)'],
    [Buffer.alloc(2), 'Uint8Array(2)'],
  ])('names %o in a few words', (value, text) => {
    expect(describeValue(value)).toBe(text)
  })

  test('shows no password and no query of an address', () => {
    expect(describeValue('s3://user:pass@word@bucket/x')).toBe("'s3://…@bucket/x'")
    expect(describeValue(`https://${'u'.repeat(70)}:pass@bucket/x`)).toBe("'https://…@bucket/x'")
    expect(describeValue('s3://bucket/a?X-Amz-Signature=abc')).toBe("'s3://bucket/a?…'")
    const text = "found 'https://u:p@x/y?k=v', s3://v:w@z and u@example.org"
    expect(withoutSecrets(text)).toBe("found 'https://…@x/y?…', s3://…@z and u@example.org")
    const plain = 'file:///a@b/c s3://bucket/a@b why? a://b'
    expect(withoutSecrets(plain)).toBe(plain)
  })

  test('runs no code of the value', () => {
    const trap = (): never => {
      throw new Error('ran')
    }
    const value = {
      toString: trap,
      toJSON: trap,
      get [Symbol.toStringTag](): string {
        return trap()
      },
    }
    expect(describeValue(value)).toBe('an object')
    expect(describeValue(new Proxy({}, { get: trap, ownKeys: trap, getPrototypeOf: trap }))).toBe('an object')
  })
})

describe('the name of a typed array', () => {
  test('is that of the class of the language, for subclasses and other realms too', () => {
    expect(typedArrayName(Buffer.alloc(1))).toBe('Uint8Array')
    expect(typedArrayName(runInNewContext('new BigUint64Array(2)'))).toBe('BigUint64Array')
  })

  test.each([
    [new DataView(new ArrayBuffer(1))],
    [{ [Symbol.toStringTag]: 'Uint8Array' }],
    [null],
    ['a'],
    [[]],
  ])('is undefined for %o', value => {
    expect(typedArrayName(value)).toBeUndefined()
  })

  test('comes with a length that no property hides', () => {
    const array = Object.defineProperty(new Uint8Array(3), 'length', { value: 5 })
    expect(lengthOfTypedArray(array)).toBe(3)
  })
})

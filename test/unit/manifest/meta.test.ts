/** What may be metadata, and what JSON would drop or change. */
import { isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { copyMeta, META_BYTES_MAX, META_DEPTH_MAX } from '../../../src/manifest/meta.js'
import { thrownBy } from '../../support/thrown-by.js'

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('what it takes is what JSON gives back: any value, deep-equal or refused', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    withNullPrototype: false,
    withObjectString: true,
    withBoxedValues: true,
  })
  fc.assert(
    fc.property(anything, value => {
      const given = { value }
      let copy: unknown
      try {
        copy = copyMeta(given)
      } catch (error) {
        expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_VALUE' })
        expect(isDeepStrictEqual(isJson(given) ? throughJson(given) : undefined, given)).toBe(false)
        return
      }
      expect(isDeepStrictEqual(copy, given)).toBe(true)
      expect(isDeepStrictEqual(throughJson(copy), given)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

/** Whether `JSON.stringify` takes it. */
function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value)
    return true
  } catch {
    return false
  }
}

test('JSON comes back equal and frozen at every depth', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ noNegativeZero: true } as never)),
      given => {
        if (
          isJson(given) &&
          (Object.hasOwn(given, '__proto__') || JSON.stringify(given).includes('__proto__'))
        )
          return
        const plain = throughJson(given) as object
        const copy = copyMeta(plain)
        expect(copy).toEqual(plain)
        const open: unknown[] = [copy]
        for (let value = open.pop(); value !== undefined; value = open.pop()) {
          if (typeof value !== 'object' || value === null) continue
          expect(Object.isFrozen(value)).toBe(true)
          open.push(...(Object.values(value) as unknown[]))
        }
      },
    ),
  )
})

test.each<[string, () => unknown]>([
  ['a half of a character', () => ({ '\ud800': 'x\udc00' })],
  [
    'an object that stands in two places',
    () => Object.fromEntries(['a', 'b'].map((name, _, all) => [name, all])),
  ],
  ['objects and arrays of another realm', () => runInNewContext('({ a: [1, { b: [] }] })')],
  [
    'the same names as those of every object',
    () => JSON.parse('{ "constructor": 1, "toString": 2, "toJSON": 3 }'),
  ],
  ['no prototype', () => Object.assign(Object.create(null) as object, { a: 1 })],
  ['what a getter gives', () => Object.defineProperty({}, 'a', { get: () => 1, enumerable: true })],
])('takes %s', (_, make) => {
  const given = make()
  expect(copyMeta(given)).toEqual(JSON.parse(JSON.stringify(given)))
})

class Point {
  x = 1
}

test.each<[string, () => unknown, RegExp]>([
  ['a function', () => ({ a: () => {} }), /^meta\['a'\]: expected a string, .*, found a function$/],
  ['toJSON', () => ({ a: { toJSON: () => 1 } }), /^meta\['a'\]\['toJSON'\]: /],
  ['undefined', () => ({ a: [1, undefined] }), /^meta\['a'\]\[1\]: .* found undefined$/],
  ['a symbol', () => ({ a: Symbol('x') }), /^meta\['a'\]: .* found a symbol$/],
  ['a name that is a symbol', () => ({ [Symbol('x')]: 1 }), /^meta: expected names that are strings/],
  ['a bigint', () => ({ a: 1n }), /found 1n$/],
  ['NaN', () => ({ a: NaN }), /expected a finite number, .* found NaN$/],
  ['Infinity', () => ({ a: -Infinity }), /found -Infinity$/],
  ['-0', () => ({ a: -0 }), /found -0$/],
  ['a Date', () => ({ a: new Date(0) }), /found an object of a class$/],
  ['a Map', () => ({ a: new Map() }), /^meta\['a'\]: /],
  ['a class', () => ({ a: new Point() }), /^meta\['a'\]: /],
  ['a typed array', () => ({ a: new Uint8Array(2) }), /found Uint8Array\(2\)/],
  ['a boxed number', () => ({ a: Object(1) as unknown }), /^meta\['a'\]: /],
  ['a hole', () => ({ a: [1, , 2] }), /^meta\['a'\]: expected an array without holes/], // oxlint-disable-line no-sparse-arrays
  ['a huge empty array', () => ({ a: Object.assign([], { length: 2 ** 31 }) }), /without holes/],
  ['an array with a name', () => ({ a: Object.assign([1], { b: 2 }) }), /and without other properties/],
  ['an array of a class', () => ({ a: new (class extends Array {})() }), /^meta\['a'\]: /],
  [
    '__proto__',
    () => JSON.parse('{ "a": { "__proto__": 1 } }'),
    /^meta\['a'\]: expected another name, found '__proto__'$/,
  ],
  ['an array', () => [], /^meta: expected a plain object, found an array$/],
  ['null', () => null, /^meta: expected a plain object, found null$/],
  ['a text', () => '{}', /^meta: expected a plain object, found '\{\}'$/],
  ['a Map alone', () => new Map([['a', 1]]), /^meta: expected a plain object, found an object of a class$/],
])('refuses %s by a TypeError that says where', (_, make, message) => {
  const error = thrownBy(() => copyMeta(make()))
  expect(error).toBeInstanceOf(TypeError)
  expect(error).toMatchObject({
    code: 'FLASHTABLE_INVALID_VALUE',
    message: expect.stringMatching(message) as string,
  })
})

function nested(levels: number): object {
  let value: unknown = []
  for (let i = 2; i < levels; i++) value = [value]
  return { value }
}

test('takes as many levels and bytes as it says, and refuses one more, cycles and what refers to itself a thousand times', () => {
  expect(copyMeta(nested(META_DEPTH_MAX))).toEqual(nested(META_DEPTH_MAX))
  const bytes = (count: number): object => ({ a: 'é'.repeat((count - 8) / 2) })
  expect(Buffer.byteLength(JSON.stringify(copyMeta(bytes(META_BYTES_MAX))))).toBe(META_BYTES_MAX)
  const cycle: { self?: unknown } = {}
  cycle.self = [cycle]
  let twice: unknown = 1
  for (let i = 1; i < META_DEPTH_MAX - 1; i++) twice = [twice, twice]
  const refused: [object, RegExp][] = [
    [nested(META_DEPTH_MAX + 1), /at most 32 levels/],
    [cycle, /at most 32 levels, found more, or an object within itself/],
    [bytes(META_BYTES_MAX + 2), /at most 65536 bytes/],
    [{ twice }, /at most 65536 bytes/],
  ]
  for (const [given, message] of refused) {
    const error = thrownBy(() => copyMeta(given))
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({
      code: 'FLASHTABLE_INVALID_VALUE',
      message: expect.stringMatching(message) as string,
    })
  }
})

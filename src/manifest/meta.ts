/**
 * The metadata of a table: a small JSON object of the program's own, kept in the manifest. docs/api.md, meta.
 *
 * What is given must come back deep-equal, so whatever JSON would drop or change is refused. The copy is frozen: it is
 * handed out as it is.
 */
import { Buffer } from 'node:buffer'
import { describeValue } from '../base/describe-value.js'
import { invalidType, outOfRange } from '../base/errors.js'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject

/** An object that JSON holds as it is. */
export interface JsonObject {
  readonly [name: string]: JsonValue
}

/** The most bytes of the metadata, as JSON in UTF-8 without white space. */
export const META_BYTES_MAX = 64 * 1024
/** Objects and arrays within each other, the outermost included. */
export const META_DEPTH_MAX = 32

/**
 * A frozen copy of the metadata. Throws a `TypeError` or, if they are too large or nest too deeply, a `RangeError` with
 * `FLASHTABLE_INVALID_VALUE`.
 */
export function copyMeta(value: unknown): JsonObject {
  if (!isPlainObject(value)) throw unfit('meta', 'a plain object', value)
  const copy = new MetaCopy().object(value, 'meta', 1)
  if (Buffer.byteLength(JSON.stringify(copy)) > META_BYTES_MAX) throw tooLarge()
  return copy
}

class MetaCopy {
  /** No more bytes of JSON may come than these: an object that has one other many times ends here. */
  #bytesLeft = META_BYTES_MAX

  object(value: object, path: string, depth: number): JsonObject {
    this.#enter(depth)
    if (Object.getOwnPropertySymbols(value).length > 0) throw unfit(path, 'names that are strings', Symbol())
    const copy: Record<string, JsonValue> = {}
    for (const name of Object.keys(value)) {
      // Assigned, it would be the prototype.
      if (name === '__proto__') throw unfit(path, 'another name', name)
      this.#take(name.length)
      copy[name] = this.#value(
        (value as Record<string, unknown>)[name],
        `${path}[${describeValue(name)}]`,
        depth,
      )
    }
    return Object.freeze(copy)
  }

  #array(value: readonly unknown[], path: string, depth: number): readonly JsonValue[] {
    this.#enter(depth)
    const { length } = value
    const names = Object.keys(value)
    if (names.length !== length || (length > 0 && names.at(-1) !== String(length - 1))) {
      throw unfit(path, 'an array without holes and without other properties', value)
    }
    const copy: JsonValue[] = []
    for (let i = 0; i < length; i++) copy.push(this.#value(value[i], `${path}[${i}]`, depth))
    return Object.freeze(copy)
  }

  #value(value: unknown, path: string, depth: number): JsonValue {
    this.#take(1)
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'string') {
      this.#take(value.length)
      return value
    }
    if (typeof value === 'number') {
      if (Number.isFinite(value) && !Object.is(value, -0)) return value
      throw unfit(path, 'a finite number, and 0 in place of -0', value)
    }
    if (isPlainArray(value)) return this.#array(value, path, depth + 1)
    if (isPlainObject(value)) return this.object(value, path, depth + 1)
    throw unfit(path, 'a string, number, boolean, null, array or plain object', value)
  }

  #enter(depth: number): void {
    if (depth <= META_DEPTH_MAX) return
    throw outOfRange(
      'FLASHTABLE_INVALID_VALUE',
      `meta: expected at most ${META_DEPTH_MAX} levels, found more, or an object within itself`,
    )
  }

  #take(bytes: number): void {
    this.#bytesLeft -= bytes
    if (this.#bytesLeft < 0) throw tooLarge()
  }
}

/** An object literal, of any realm, or one without a prototype. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** An array of any realm, and of no class that extends it. */
function isPlainArray(value: unknown): value is readonly unknown[] {
  if (!Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(prototype) && isPlainObject(Object.getPrototypeOf(prototype) as unknown)
}

function unfit(path: string, expected: string, found: unknown): TypeError {
  const isOther = typeof found === 'object' && found !== null && !Array.isArray(found)
  const what = isOther ? `${describeValue(found)} of a class` : describeValue(found)
  return invalidType('FLASHTABLE_INVALID_VALUE', `${path}: expected ${expected}, found ${what}`)
}

function tooLarge(): RangeError {
  return outOfRange(
    'FLASHTABLE_INVALID_VALUE',
    `meta: expected at most ${META_BYTES_MAX} bytes of JSON, found more; put what is large into a table or a file`,
  )
}

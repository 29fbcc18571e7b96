/**
 * Says in an error message what was found in place of what was expected.
 *
 * It runs on anything that a caller may pass, so it calls none of their code (no `toString`, no getters), and keeps
 * the message short. docs/api.md, Errors.
 */

const LONGEST_TEXT = 60

/**
 * What must not reach a terminal as it is: control characters (of C0, DEL and C1), characters that change the direction
 * or the line of a text, and halves of characters.
 */
const UNSAFE = /[\p{Cc}\p{Cs}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu

/** The text with `\u001b` in place of what would act on a terminal; `kept` stays. */
export function visible(text: string, kept = ''): string {
  return text.replace(UNSAFE, character =>
    kept.includes(character) ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object
const typedArrayTag = Object.getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag)!.get!
const typedArrayLength = Object.getOwnPropertyDescriptor(typedArrayPrototype, 'length')!.get!
const typedArrayValues = (typedArrayPrototype as Uint8Array)['values'] as (this: unknown) => unknown

/** `'Uint8Array'` and so on, also for subclasses and other realms; `undefined` if it is not a typed array. */
export function typedArrayName(value: unknown): string | undefined {
  return typedArrayTag.call(value) as string | undefined
}

/** The true length of a typed array, whatever properties it was given. */
export function lengthOfTypedArray(array: ArrayBufferView): number {
  return typedArrayLength.call(array) as number
}

/**
 * Whether a typed array has length 0 because its memory is gone: it was transferred, or its buffer has shrunk.
 *
 * The methods of typed arrays refuse it only then; Node.js 20 has no other sign.
 */
export function isDetached(array: ArrayBufferView): boolean {
  if (lengthOfTypedArray(array) > 0) return false
  try {
    typedArrayValues.call(array)
    return false
  } catch {
    return true
  }
}

/** A short text for any value: `'abc'`, `17n`, `Uint8Array(3)`, `an object`. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `'${shorten(value)}'`
    case 'bigint':
      return `${shorten(String(value))}n`
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'undefined':
    case 'boolean':
      return String(value)
    case 'function':
      return 'a function'
    case 'symbol':
      return 'a symbol'
    case 'object':
      return value === null ? 'null' : foundObject(value)
  }
}

function foundObject(value: object): string {
  const name = typedArrayName(value)
  if (name !== undefined) {
    const array = value as ArrayBufferView
    return isDetached(array)
      ? `a detached ${name}, whose memory was transferred or has shrunk`
      : `${name}(${lengthOfTypedArray(array)})`
  }
  return Array.isArray(value) ? 'an array' : 'an object'
}

/** Of an address: user and password, and a query, which may be a signature. */
const SECRETS =
  /(?<=\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#'"]*(?=@)|(?<=\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s?'"]*\?)[^\s'"]+/gi

/** The text without what is secret in addresses: somebody may have given one with a password, and messages are kept in logs. */
export function withoutSecrets(text: string): string {
  return text.replace(SECRETS, '…')
}

/** Short enough for a message, without secrets, and without what would act on the terminal that shows it. */
function shorten(given: string): string {
  const text = withoutSecrets(given)
  if (text.length <= LONGEST_TEXT) return visible(text)
  // Not in the middle of a character.
  const end = /[\uD800-\uDBFF]/.test(text[LONGEST_TEXT - 1]!) ? LONGEST_TEXT - 1 : LONGEST_TEXT
  return `${visible(text.slice(0, end))}…`
}

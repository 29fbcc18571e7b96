/**
 * Checks the arguments besides keys and values: options by name and type, and the number of arguments.
 *
 * No argument is ignored. An unknown name, an option in the place of another, or an extra argument means something to the
 * caller, above all if it comes from the habits of another store. Everything is read once, so that a getter cannot answer
 * differently after the check. docs/api.md, Errors.
 */
import { isAbortSignal } from '../async/abort.js'
import { describeValue } from '../base/describe-value.js'
import { invalidType, outOfRange } from '../base/errors.js'

/** The check of an option: gives its value, or throws and names it. `value` is `undefined` if it is left out. */
export type Check<T> = (value: unknown, name: string) => T

/** The options of a call, by name. */
export type Checks = Readonly<Record<string, Check<unknown>>>

/** Options that were checked. */
export type Checked<C extends Checks> = { readonly [N in keyof C]: ReturnType<C[N]> }

/**
 * Reads and checks the options of `call`: all the options in `checks`.
 *
 * They may be inherited. `advice` is what to do instead if something else is found. Throws a `TypeError` or
 * `RangeError` with `FLASHTABLE_INVALID_OPTION`.
 */
export function readOptions<C extends Checks>(
  call: string,
  options: unknown,
  checks: C,
  advice = '',
): Checked<C> {
  if (options !== undefined && (typeof options !== 'object' || options === null || Array.isArray(options))) {
    throw invalidOption(
      `${call}: the options: expected an object, found ${describeValue(options)}${then(advice)}`,
    )
  }
  const given = (options ?? {}) as Readonly<Record<string, unknown>>
  const other = firstOther(given, checks)
  if (other !== undefined) {
    const names = Object.keys(checks).join(', ')
    throw invalidOption(
      `${call}: there is no option ${describeValue(other)}; the options are ${names}${then(advice)}`,
    )
  }
  const checked: Record<string, unknown> = {}
  let isAnyGiven = false
  for (const name of Object.keys(checks)) {
    const value = given[name]
    isAnyGiven ||= value !== undefined
    checked[name] = checks[name]!(value, name)
  }
  // A Map, a snapshot or a promise has none of them either: it was meant as something else.
  if (!isAnyGiven && !isPlain(given)) {
    const names = Object.keys(checks).join(', ')
    throw invalidOption(
      `${call}: expected an object of the options ${names}, found another one${then(advice)}`,
    )
  }
  return checked as Checked<C>
}

/**
 * The option `name` of an object that has no other property: the short path of calls that are made a million times a
 * second. `undefined` if {@link readOptions} has to look.
 */
export function soleOption(options: unknown, name: string): unknown {
  if (typeof options !== 'object' || options === null) return undefined
  for (const other in options) if (other !== name) return undefined
  return (options as Readonly<Record<string, unknown>>)[name]
}

/** Refuses anything after the last argument; `undefined` counts as left out. */
export function refuseExtra(call: string, extra: readonly unknown[], advice = ''): void {
  for (const argument of extra) {
    if (argument === undefined) continue
    throw invalidOption(`${call}: found another argument, ${describeValue(argument)}${then(advice)}`)
  }
}

/** The name of the first property that an object has, itself or inherited, and that `names` does not have. */
export function firstOther(object: object, names: object): string | undefined {
  for (const name in object) {
    if (!Object.hasOwn(names, name) && (Object.hasOwn(object, name) || !(name in Object.prototype)))
      return name
  }
  for (const symbol of Object.getOwnPropertySymbols(object)) {
    if (Object.prototype.propertyIsEnumerable.call(object, symbol)) return String(symbol)
  }
  return undefined
}

/** Whether an object has this property, itself or from its class. */
export function hasProperty(object: object, name: string): boolean {
  return name in object && (Object.hasOwn(object, name) || !(name in Object.prototype))
}

export function optionalBoolean(value: unknown, name: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw unexpected(name, 'true or false', value)
}

/** An option that is an `AbortSignal` or left out. */
export function optionalSignal(value: unknown, name: string): AbortSignal | undefined {
  if (value === undefined || isAbortSignal(value)) return value
  throw unexpected(name, 'an AbortSignal', value)
}

/** An option that is a function, or left out. */
export function optionalCallback<F extends (...told: never) => unknown>(): Check<F | undefined> {
  return (value, name) => {
    if (value === undefined || typeof value === 'function') return value as F | undefined
    throw unexpected(name, 'a function', value)
  }
}

export function invalidOption(message: string): TypeError {
  return invalidType('FLASHTABLE_INVALID_OPTION', message)
}

/** The option has a wrong type. */
export function unexpected(name: string, expected: string, value: unknown): TypeError {
  return invalidOption(`option '${name}': expected ${expected}, found ${describeValue(value)}`)
}

/** The option has the right type, but does not fit. */
export function outside(name: string, expected: string, value: unknown): RangeError {
  return outOfRange(
    'FLASHTABLE_INVALID_OPTION',
    `option '${name}': expected ${expected}, found ${describeValue(value)}`,
  )
}

/** An object literal, of any realm, or one without a prototype. */
function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function then(advice: string): string {
  return advice === '' ? '' : `; ${advice}`
}

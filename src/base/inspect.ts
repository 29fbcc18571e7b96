/**
 * How our objects look when somebody prints them with `console.log` or `util.inspect`: no internals, nothing read from
 * disk, and the same after a close. docs/api.md, What a table says about itself.
 */

/** The method of this name says how `util.inspect` shows an object. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** `util.inspect`, as it passes itself to a method that it calls. */
export type Inspect = (value: unknown, options?: object) => string

/** `Name { field: value }`, or `[Name]` if that would be too deep. */
export function inspectAs(
  name: string,
  fields: object,
  depth: number,
  options: object,
  inspect: Inspect,
): string {
  return depth < 0 ? `[${name}]` : `${name} ${inspect(fields, { ...options, depth })}`
}

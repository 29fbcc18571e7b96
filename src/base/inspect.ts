/**
 * How our objects look where somebody prints them with `console.log` or `util.inspect`: nothing of the inside, nothing
 * read from disk, and the same for what is closed. docs/api.md, What a table says about itself.
 */

/** The method of this name says how `util.inspect` shows an object. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** `util.inspect`, as it hands itself to a method that is called by it. */
export type Inspect = (value: unknown, options?: object) => string

/** `Name { field: value }`, or `[Name]` where that would be too deep. */
export function inspectAs(
  name: string,
  fields: object,
  depth: number,
  options: object,
  inspect: Inspect,
): string {
  return depth < 0 ? `[${name}]` : `${name} ${inspect(fields, { ...options, depth })}`
}

/**
 * Makes the object of a struct out of its lanes, and lanes out of an object. Hot: a literal gives all objects of a table one
 * shape at once; adding the fields one by one takes five to ten times as long (docs/decisions/page-2.md). So there is a
 * literal for each number of fields up to six.
 */
import type { FieldType, Place } from './field-type.js'

interface MadeField {
  readonly name: string
  readonly type: FieldType
  readonly at: number
  readonly place: Place
}

type Maker = (lanes: readonly Uint32Array[], at: number, row: number) => object

type Writer = (source: Readonly<Record<string, unknown>>, lanes: Uint32Array, at: number) => void

/**
 * Puts the fields of an object into lanes, in their order. The first six have a line each: V8 reads a property by a name
 * that is always the same at its line faster than one of several.
 */
export function structWriter(fields: readonly MadeField[]): Writer {
  const [a, b, c, d, e, f] = fields.map(({ name }) => name) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  const count = fields.length
  const write = (field: number, value: unknown, lanes: Uint32Array, at: number): void => {
    const { type, at: offset, place } = fields[field]!
    type.toLanes(value, lanes, at + offset, place)
  }
  return (source, lanes, at) => {
    if (count > 0) write(0, source[a], lanes, at)
    if (count > 1) write(1, source[b], lanes, at)
    if (count > 2) write(2, source[c], lanes, at)
    if (count > 3) write(3, source[d], lanes, at)
    if (count > 4) write(4, source[e], lanes, at)
    if (count > 5) write(5, source[f], lanes, at)
    for (let field = 6; field < count; field++) write(field, source[fields[field]!.name], lanes, at)
  }
}

/** The maker for these fields. */
export function structMaker(fields: readonly MadeField[]): Maker {
  const names = fields.map(({ name }) => name) as [string, string, string, string, string, string]
  const value = (field: number, lanes: readonly Uint32Array[], at: number, row: number): unknown => {
    const { type, at: offset } = fields[field]!
    // Most fields are integers of one lane: without a call that may go to any of the types.
    if (type.bias !== undefined) return lanes[at + offset]![row]! - type.bias
    return type.fromLanes(lanes, at + offset, row)
  }
  const [a, b, c, d, e, f] = names
  switch (fields.length) {
    case 1:
      return (lanes, at, row) => ({ [a]: value(0, lanes, at, row) })
    case 2:
      return (lanes, at, row) => ({ [a]: value(0, lanes, at, row), [b]: value(1, lanes, at, row) })
    case 3:
      return (lanes, at, row) => ({
        [a]: value(0, lanes, at, row),
        [b]: value(1, lanes, at, row),
        [c]: value(2, lanes, at, row),
      })
    case 4:
      return (lanes, at, row) => ({
        [a]: value(0, lanes, at, row),
        [b]: value(1, lanes, at, row),
        [c]: value(2, lanes, at, row),
        [d]: value(3, lanes, at, row),
      })
    case 5:
      return (lanes, at, row) => ({
        [a]: value(0, lanes, at, row),
        [b]: value(1, lanes, at, row),
        [c]: value(2, lanes, at, row),
        [d]: value(3, lanes, at, row),
        [e]: value(4, lanes, at, row),
      })
    case 6:
      return (lanes, at, row) => ({
        [a]: value(0, lanes, at, row),
        [b]: value(1, lanes, at, row),
        [c]: value(2, lanes, at, row),
        [d]: value(3, lanes, at, row),
        [e]: value(4, lanes, at, row),
        [f]: value(5, lanes, at, row),
      })
    default:
      return (lanes, at, row) => {
        const made: Record<string, unknown> = {}
        for (let field = 0; field < fields.length; field++) made[names[field]!] = value(field, lanes, at, row)
        return made
      }
  }
}

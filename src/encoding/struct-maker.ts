/**
 * Makes the object of a struct out of its lanes. Hot: a literal gives all objects of a table one shape at once; adding the
 * fields one by one takes five to ten times as long (docs/decisions/page-2.md). So there is a literal for each number of
 * fields up to six.
 */
import type { FieldType } from './field-type.js'

interface MadeField {
  readonly name: string
  readonly type: FieldType
  readonly at: number
}

type Maker = (lanes: readonly Uint32Array[], at: number, row: number) => object

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

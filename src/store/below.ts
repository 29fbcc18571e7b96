/** Stores below others: one bucket or directory holds many tables, each with pointers of its own. */
import { describeValue } from '../base/describe-value.js'
import { invalidOption } from '../options/arguments.js'

/** Names that every store can have, without a dot: a directory has `NAME.1` for a pointer, and `..` leads out. */
const PATH = /^[\w-]+(\/[\w-]+)*$/
/** The folders of a table's own files: what a collection of garbage looks through. */
const OWN_FOLDER = /^e\d+(\/|$)/

/** The path of a store below another one, as given. Throws a `TypeError` with `FLASHTABLE_INVALID_OPTION`. */
export function checkBelow(path: unknown): string {
  if (typeof path === 'string' && PATH.test(path) && !OWN_FOLDER.test(path)) return path
  throw invalidOption(
    'below: expected names of letters, digits, - and _ with / between them, ' +
      `of which the first is not e and digits, found ${describeValue(path)}`,
  )
}

/** The address of a store below one with this address. */
export function urlBelow(url: string, path: string): string {
  return `${url.replace(/\/$/, '')}/${path}`
}

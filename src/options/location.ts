/**
 * The place of a table as a caller gives it: a path or a `file:` URL becomes an absolute path, once, when the call is
 * made.
 *
 * What the file system would read as another name is refused here: Node.js writes half of a surrogate pair as U+FFFD,
 * so two different texts would be one directory. docs/api.md, location.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeValue } from '../base/describe-value.js'
import { FlashTableError, invalidType } from '../base/errors.js'

/** A surrogate without its other half. */
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * The absolute path of the directory. Throws a `TypeError` with `FLASHTABLE_INVALID_OPTION`; `what` names the argument.
 */
export function absolutePath(location: unknown, what: string): string {
  const path = pathOf(location, what)
  const lone = LONE_SURROGATE.exec(path)
  if (lone !== null) {
    throw refused(
      what,
      `half of a character at position ${lone.index}, which slice() of a text may leave; cut between characters`,
    )
  }
  if (path.includes('\0')) throw refused(what, `a NUL character at position ${path.indexOf('\0')}`)
  try {
    return resolve(path)
  } catch (cause) {
    throw new FlashTableError(
      'FLASHTABLE_IO_ERROR',
      `${what}: ${describeValue(path)} is relative to the current directory, which is no longer there; give an absolute path`,
      { cause },
    )
  }
}

function pathOf(location: unknown, what: string): string {
  if (typeof location === 'string' && location !== '') {
    // A file system would read it as a directory with the name "file:".
    if (/^file:\/\//i.test(location)) throw refused(what, 'the text of a file: URL; pass it as new URL(...)')
    return location
  }
  if (!isUrl(location)) throw refused(what, describeValue(location))
  try {
    return fileURLToPath(location.href)
  } catch (cause) {
    const error = refused(what, `the URL ${describeValue(location.href)}; only a file: URL names a directory`)
    error.cause = cause
    throw error
  }
}

/** By its shape: a URL may come from another realm. */
function isUrl(value: unknown): value is { readonly href: string } {
  if (typeof value !== 'object' || value === null || !('href' in value) || !('protocol' in value))
    return false
  return typeof value.href === 'string' && typeof value.protocol === 'string'
}

function refused(what: string, reason: string): TypeError {
  return invalidType(
    'FLASHTABLE_INVALID_OPTION',
    `${what}: expected the path of a directory or a file: URL, found ${reason}`,
  )
}

/** The location as it was given, for events. */
export function locationText(location: string | URL): string {
  return typeof location === 'string' ? location : location.href
}

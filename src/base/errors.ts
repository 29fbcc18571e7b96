/**
 * Every error that flashtable raises: a stable `code`, a message that says what to do, the reason in `cause`.
 *
 * Failures of the table or the disk are a {@link FlashTableError}; misuse is a `TypeError` or `RangeError` that carries
 * a `code` too. docs/api.md, Errors.
 */

/** The stable codes of {@link FlashTableError}. */
export type FlashTableErrorCode =
  | 'FLASHTABLE_NOT_OPEN'
  | 'FLASHTABLE_LOCKED'
  | 'FLASHTABLE_NOT_FOUND'
  | 'FLASHTABLE_EXISTS'
  | 'FLASHTABLE_SCHEMA_MISMATCH'
  | 'FLASHTABLE_UNSUPPORTED_FORMAT'
  | 'FLASHTABLE_CORRUPTION'
  | 'FLASHTABLE_IO_ERROR'
  | 'FLASHTABLE_DISK_FULL'
  | 'FLASHTABLE_READ_ONLY'
  | 'FLASHTABLE_POISONED'
  | 'FLASHTABLE_MOVED'
  | 'FLASHTABLE_SNAPSHOT_CLOSED'
  | 'FLASHTABLE_SNAPSHOT_EXPIRED'
  | 'FLASHTABLE_UNAVAILABLE'
  | 'FLASHTABLE_UNSUPPORTED_STORE'
  | 'FLASHTABLE_FENCED'
  | 'FLASHTABLE_UNSUPPORTED_RUNTIME'
  | 'FLASHTABLE_INTERNAL_ERROR'

/** The stable codes on a `TypeError` or `RangeError` for misuse. */
export type MisuseErrorCode =
  'FLASHTABLE_INVALID_KEY' | 'FLASHTABLE_INVALID_VALUE' | 'FLASHTABLE_INVALID_OPTION'

/** The mark of a {@link FlashTableError}: of every copy of this package, in every realm. */
const BRAND = Symbol.for('flashtable.FlashTableError')

/** A failure of the table, its files or the disk below it. */
export class FlashTableError extends Error {
  override readonly name = 'FlashTableError'
  readonly code: FlashTableErrorCode
  /** If it is about one file or directory: its path. */
  readonly path: string | undefined
  /** The byte offset in that file. */
  readonly offset: number | undefined

  constructor(
    code: FlashTableErrorCode,
    message: string,
    options: { cause?: unknown; path?: string; offset?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.path = options.path
    this.offset = options.offset
    Object.defineProperty(this, BRAND, { value: true })
  }

  /** `instanceof` holds for errors of another copy of this package too: a test runner may load one for each file. */
  static override [Symbol.hasInstance](value: unknown): value is FlashTableError {
    if (this !== FlashTableError) return super[Symbol.hasInstance](value)
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

/**
 * Whether it is an error of any realm, by its shape: `instanceof Error` is false for those of `node:fs` in Jest and in `vm`
 * contexts, `isNativeError` for a `DOMException` and for what comes out of a thread.
 */
export function isError(value: unknown): value is Error & { readonly code?: unknown } {
  if (typeof value !== 'object' || value === null) return false
  const { name, message } = value as Partial<Error>
  return typeof name === 'string' && typeof message === 'string'
}

/** The `code` of an error, whichever realm made it; `undefined` if it has none. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** This runtime or machine cannot be trusted with a table: thrown when the package is loaded. */
export function unsupportedRuntime(reason: string): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_UNSUPPORTED_RUNTIME',
    `flashtable does not work here: ${reason}; use Node.js 20.19 or later on a little-endian machine`,
  )
}

/** Whether it is an error with this code. */
export function hasCode(error: unknown, code: string): boolean {
  return codeOf(error) === code
}

/** The message of an error; anything else that was thrown as text. */
export function messageOf(error: unknown): string {
  return isError(error) ? error.message : String(error)
}

/** A `TypeError` with a code: the argument has a wrong type or shape. */
export function invalidType(code: MisuseErrorCode, message: string): TypeError & { code: MisuseErrorCode } {
  return Object.assign(new TypeError(message), { code })
}

/** A `RangeError` with a code: the argument has the right type, but not a value that fits. */
export function outOfRange(code: MisuseErrorCode, message: string): RangeError & { code: MisuseErrorCode } {
  return Object.assign(new RangeError(message), { code })
}

/** Damage: names the file, the offset, what was expected there and what was found. */
export function corruption(
  path: string,
  offset: number,
  expected: string,
  found: string,
  cause?: unknown,
): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_CORRUPTION',
    `${path} is damaged at offset ${offset}: expected ${expected}, found ${found}`,
    { path, offset, cause },
  )
}

/** What to do about a failure of the system, by its code; others speak for themselves. */
const ADVICE: Readonly<Record<string, string>> = {
  EMFILE: 'close files of this process, or allow it more (ulimit -n)',
  ENFILE: 'all processes together have too many files open: close some',
  ENOMEM: 'the system is short of memory: give it more, or smaller cacheBytes and bufferBytes',
  EACCES: 'give this user the permission, or open another directory',
  EPERM: 'give this user the permission, or open another directory',
  EROFS: 'nothing can be written there: open with readOnly, or open another directory',
  ENOENT: 'it is not there: check the path, and that nobody removes files of a table',
  ENOTDIR: 'there is a file where a directory is needed: check the path',
  EISDIR: 'there is a directory where a file is needed: check what was put there',
  ELOOP: 'symbolic links are not followed inside a table: put the files themselves there',
  ENAMETOOLONG: 'choose a shorter path',
  EIO: 'the device failed: look at the system log, then run flashtable verify',
  ERR_ACCESS_DENIED:
    "Node's permission model forbids it: allow the directory with --allow-fs-read and --allow-fs-write",
  ESTALE: 'the network file system has lost the file: mount it again, and open the table again',
}

/** What a failed call of the file system becomes: `FLASHTABLE_DISK_FULL` or `FLASHTABLE_IO_ERROR`; ours stay as they are. */
export function diskError(error: unknown, what: string): FlashTableError {
  if (error instanceof FlashTableError) return error
  const code = codeOf(error)
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return readError(error, what)
  const reason = code === 'EDQUOT' ? 'the quota of this user is used up' : 'no space left'
  return new FlashTableError(
    'FLASHTABLE_DISK_FULL',
    `${what}: ${reason}; make room and try again`,
    causedBy(error),
  )
}

/** The same for a read. It takes no room: whatever the system says, the disk is not full. */
export function readError(error: unknown, what: string): FlashTableError {
  if (error instanceof FlashTableError) return error
  const advice = adviceOn(error, codeOf(error))
  return new FlashTableError('FLASHTABLE_IO_ERROR', `${what}: ${messageOf(error)}${advice}`, causedBy(error))
}

function causedBy(error: unknown): { readonly cause: unknown; readonly path?: string } {
  const path = (error as { path?: unknown } | null | undefined)?.path
  return { cause: error, ...(typeof path === 'string' ? { path } : {}) }
}

function adviceOn(error: unknown, code: string | undefined): string {
  const known = isOutOfMemory(error) ? 'ENOMEM' : code
  return known !== undefined && Object.hasOwn(ADVICE, known) ? `; ${ADVICE[known]}` : ''
}

/** What the process or the machine, not the disk, lacks for a moment: it is there again later. */
const PASSING_CODES: ReadonlySet<unknown> = new Set([
  // Descriptors, memory, threads.
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'EAGAIN',
  'EINTR',
  'ERR_MEMORY_ALLOCATION_FAILED',
  'ERR_WORKER_INIT_FAILED',
  'ERR_WORKER_OUT_OF_MEMORY',
])
/** What a `RangeError` of V8 and of JavaScriptCore says if there is no memory; it has no code. */
const NO_MEMORY_MESSAGES: ReadonlySet<unknown> = new Set(['Array buffer allocation failed', 'Out of memory'])

function isOutOfMemory(error: unknown): boolean {
  return isError(error) && NO_MEMORY_MESSAGES.has(error.message)
}

/**
 * Whether the failure is one that passes. The call may be tried again if it had not written anything yet, or if what it
 * wrote is removed: docs/durability.md, Failures. A sync that had begun is never tried again.
 */
export function isPassing(error: unknown): boolean {
  for (let at = error; typeof at === 'object' && at !== null; at = (at as { cause?: unknown }).cause) {
    const { code } = at as { code?: unknown }
    // A latch stays, whatever its cause was.
    if (code === 'FLASHTABLE_POISONED') return false
    if (PASSING_CODES.has(code) || isOutOfMemory(at)) return true
  }
  return false
}

/** What a call of the user rejects with: a lack of memory becomes `FLASHTABLE_IO_ERROR`, everything else stays. */
export function callError(error: unknown, what: string): unknown {
  return isPassing(error) ? diskError(error, what) : error
}

/** A blocking call would need something that has to be fetched. */
export function unavailableOffline(path: string): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_UNAVAILABLE',
    `a page of ${path} is not cached here, and a blocking call cannot fetch it: use the call that returns a promise`,
    { path },
  )
}

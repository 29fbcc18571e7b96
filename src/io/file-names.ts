/** All file names of a table, built and parsed in this one place. docs/file-format.md, Files. */

export const MANIFEST_NAME = 'MANIFEST'
/** The new manifest until it is renamed; a file with this name is an orphan. */
export const MANIFEST_TEMPORARY_NAME = 'MANIFEST.tmp'
/** The manifest of a table that a repair is writing; under this name it makes no table. */
export const UNFINISHED_MANIFEST_NAME = 'MANIFEST.unfinished-repair'
/** What the directory knows of stores where the table is published, and the next state of it until it is renamed. */
export const REMOTE_NAME = 'REMOTE'
export const REMOTE_TEMPORARY_NAME = 'REMOTE.tmp'
/** A directory with the lock of the process that publishes the table. */
export const REMOTE_LOCK_NAME = 'REMOTE.lock'
/** What has happened in the table, for people; and the older part of it. Nothing depends on them. */
export const EVENT_LOG_NAME = 'LOG.jsonl'
export const OLD_EVENT_LOG_NAME = 'LOG.old.jsonl'
/** The pid file of the writer. Names that begin with it and a dot are helper files of pid-file.ts. */
export const LOCK_NAME = 'LOCK'

/** What a name in the table's directory stands for. */
export type TableFile =
  | {
      readonly kind:
        'manifest' | 'manifest-temporary' | 'manifest-unfinished' | 'lock' | 'remote' | 'event-log'
    }
  | { readonly kind: NumberedKind; readonly number: number }

type NumberedKind = 'wal' | 'bucket' | 'spill'

export function walName(number: number): string {
  return numberedName(number, 'wal')
}

export function bucketName(number: number): string {
  return numberedName(number, 'bucket')
}

/** Records that a bulk load has set aside; an orphan to everybody else. */
export function spillName(number: number): string {
  return numberedName(number, 'spill')
}

function numberedName(number: number, kind: NumberedKind): string {
  return `${String(number).padStart(6, '0')}.${kind}`
}

/** The record inside LOCK or a claim, if that is a directory. */
export const LOCK_RECORD_NAME = 'record'

/** The record of a contender for the lock. `token`: 32 hex digits. */
export function lockTemporaryName(token: string): string {
  return `${LOCK_NAME}.${token}`
}

/** A claim: the record of the only contender that may take the lock from a dead holder. `digest`: 32 hex digits. */
export function lockClaimName(digest: string): string {
  return `${LOCK_NAME}.${digest}.next`
}

/** The record of a contender, in a directory, where there are no hard links. `token`: 32 hex digits. */
export function lockDirectoryName(token: string): string {
  return `${LOCK_NAME}.${token}.dir`
}

/** A directory that was LOCK or a claim, and is about to be removed. `digest`: 32 hex digits. */
export function lockAsideName(digest: string): string {
  return `${LOCK_NAME}.${digest}.old`
}

/** The helper files of the lock. */
export type LockHelper = 'temporary' | 'claim' | 'directory' | 'aside'

const LOCK_HELPERS: Readonly<Record<string, LockHelper>> = {
  '': 'temporary',
  '.next': 'claim',
  '.dir': 'directory',
  '.old': 'aside',
}

export function parseLockHelper(name: string): LockHelper | undefined {
  const [, end = ''] = /^LOCK\.[0-9a-f]{32}(\.[a-z]+)?$/.exec(name) ?? [undefined, '.']
  return LOCK_HELPERS[end]
}

/** `undefined` for a name that flashtable never gives. */
export function parseFileName(name: string): TableFile | undefined {
  if (name === MANIFEST_NAME) return { kind: 'manifest' }
  if (name === MANIFEST_TEMPORARY_NAME) return { kind: 'manifest-temporary' }
  if (name === UNFINISHED_MANIFEST_NAME) return { kind: 'manifest-unfinished' }
  if (name === REMOTE_NAME || name === REMOTE_TEMPORARY_NAME) return { kind: 'remote' }
  if (name === LOCK_NAME || parseLockHelper(name) !== undefined) return { kind: 'lock' }
  if (name === EVENT_LOG_NAME || name === OLD_EVENT_LOG_NAME) return { kind: 'event-log' }
  const match = /^(\d{6,15})\.(wal|bucket|spill)$/.exec(name)
  if (match === null) return undefined
  const number = Number(match[1])
  const kind = match[2] as NumberedKind
  // One number has one name: 0000012.wal is not ours.
  return name === numberedName(number, kind) ? { kind, number } : undefined
}

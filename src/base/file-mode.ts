/**
 * Permissions of the files that a table makes: the same for all of them, whatever the umask of the process is.
 * docs/api.md, Permissions.
 */

/** For the owner alone. */
export const DEFAULT_FILE_MODE = 0o600
/** Of the files of the lock: they name the process that others may have to wait for, and hold no data. */
export const LOCK_FILE_MODE = 0o644

/** What the owner may always do. */
const OWNER = 0o600
/** What the group, or others, may do: nothing, read, read and write. */
const OTHERS: ReadonlySet<number> = new Set([0, 4, 6])

/** Whether files of a table may have these permissions: the owner always reads and writes, and nobody writes blindly. */
export function isFileMode(mode: number): boolean {
  if (mode !== (mode & 0o777)) return false
  const [owner, group, others] = [mode & ~0o077, (mode >> 3) & 7, mode & 7]
  return owner === OWNER && OTHERS.has(group) && OTHERS.has(others)
}

/** The permissions of directories: those who may read files may enter. */
export function directoryModeOf(fileMode: number): number {
  return fileMode | ((fileMode & 0o444) >> 2)
}

/** As it is written in programs: `0o640`. */
export function fileModeText(mode: number): string {
  return `0o${mode.toString(8)}`
}

/** Errors that look like those of `node:fs`: `code`, `errno`, `syscall`, `path` and `dest`. */
import { constants } from 'node:os'

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EINVAL: 'invalid argument',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  EMFILE: 'too many open files',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EROFS: 'read-only file system',
}

export interface SystemError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly path: string
  readonly dest?: string
}

export function systemError(code: string, syscall: string, path: string, dest?: string): SystemError {
  const numbers: Readonly<Record<string, number | undefined>> = constants.errno
  const target = dest === undefined ? '' : ` -> '${dest}'`
  return Object.assign(new Error(`${code}: ${REASONS[code] ?? 'failed'}, ${syscall} '${path}'${target}`), {
    code,
    errno: -(numbers[code] ?? 1),
    syscall,
    path,
    ...(dest === undefined ? {} : { dest }),
  })
}

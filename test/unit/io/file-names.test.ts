import { describe, expect, test } from 'vitest'
import {
  bucketName,
  EVENT_LOG_NAME,
  LOCK_NAME,
  OLD_EVENT_LOG_NAME,
  lockClaimName,
  lockTemporaryName,
  MANIFEST_NAME,
  MANIFEST_TEMPORARY_NAME,
  parseFileName,
  spillName,
  lockAsideName,
  lockDirectoryName,
  parseLockHelper,
  walName,
} from '../../../src/io/file-names.js'

const KEY = '0123456789abcdef0123456789abcdef'

describe('file names', () => {
  test('every name that is built is parsed to what it stands for', () => {
    for (const number of [0, 1, 999_999, 1_000_000, 999_999_999_999_999]) {
      expect(parseFileName(walName(number))).toEqual({ kind: 'wal', number })
      expect(parseFileName(bucketName(number))).toEqual({ kind: 'bucket', number })
      expect(parseFileName(spillName(number))).toEqual({ kind: 'spill', number })
    }
    expect(parseFileName(MANIFEST_NAME)).toEqual({ kind: 'manifest' })
    expect(parseFileName(MANIFEST_TEMPORARY_NAME)).toEqual({ kind: 'manifest-temporary' })
    for (const name of [EVENT_LOG_NAME, OLD_EVENT_LOG_NAME])
      expect(parseFileName(name)).toEqual({ kind: 'event-log' })
    for (const name of [LOCK_NAME, lockTemporaryName(KEY), lockClaimName(KEY)]) {
      expect(parseFileName(name)).toEqual({ kind: 'lock' })
    }
  })

  test('names of files sort like their numbers while these have six digits', () => {
    const names = [7, 12, 100, 99_999, 123_456].map(walName)
    expect(names.toSorted()).toEqual(names)
  })

  test('a name that is never built is not ours', () => {
    const names = [
      '',
      '1.wal',
      '00001.wal',
      '0000001.wal',
      '000001.WAL',
      '000001.wal.tmp',
      ' 000001.wal',
      '000001.wal\n',
      '-00001.wal',
      '00001a.wal',
      '1000000000000000.wal',
      '000001.buckets',
      'x/000001.wal',
      'manifest',
      'MANIFEST.bak',
      'lock',
      'LOCK.',
      'LOCK.next',
      'LOG',
      'LOG.json',
      'LOG.older.jsonl',
      `LOCK.${KEY.toUpperCase()}`,
      `LOCK.${KEY}0`,
      `LOCK.${KEY}.nex`,
      `LOCK.${KEY}.next.next`,
    ]
    for (const name of names) expect(parseFileName(name)).toBeUndefined()
  })

  test('the helper files of the lock are told apart', () => {
    expect(parseLockHelper(lockTemporaryName(KEY))).toBe('temporary')
    expect(parseLockHelper(lockClaimName(KEY))).toBe('claim')
    expect(parseLockHelper(lockDirectoryName(KEY))).toBe('directory')
    expect(parseLockHelper(lockAsideName(KEY))).toBe('aside')
    expect(parseLockHelper(LOCK_NAME)).toBeUndefined()
  })
})

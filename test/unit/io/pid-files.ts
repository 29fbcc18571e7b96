/** Disks with pid files on them, and the names and records of those. */
import { LOCK_NAME, lockClaimName } from '../../../src/io/file-names.js'
import { digestOf, type LockRecord, parseRecord } from '../../../src/io/pid-file.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

export const LOCK = `/t/${LOCK_NAME}`

export const tokenOf = (number: number): string => number.toString(16).padStart(32, '0')

export function recordOf(pid: number, token = tokenOf(pid)): LockRecord {
  return { bootId: 'boot', pidNamespace: 'pid:[1]', pid, startTime: '1', token, flock: false }
}

export const bytesOf = (value: LockRecord | string): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : `${JSON.stringify(value)}\n`)

/** The name of the claim on this holder or claimant. */
const claimOn = (name: string, content: LockRecord | string): string =>
  lockClaimName(digestOf(name, bytesOf(content)))

/** A dead holder and claimants, each with a claim on the one before. */
export function chainOf(...contents: (LockRecord | string)[]): Record<string, LockRecord | string> {
  const files: Record<string, LockRecord | string> = {}
  let name = LOCK_NAME
  for (const content of contents) {
    files[name] = content
    name = claimOn(name, content)
  }
  return files
}

export const nobodyLives = (): Promise<boolean> => Promise.resolve(false)

/** Where a disk has no hard links, a record may be a directory too. */
export type RecordKind = 'file' | 'directory'
export const RECORDS: readonly RecordKind[] = ['file', 'directory']

/** A disk with these files, with hard links or without. */
export function newLockDisk(
  links: boolean,
  files: Record<string, LockRecord | string> = {},
  records: RecordKind = 'file',
): SimulatedFileSystem {
  const fs = new SimulatedFileSystem({ links })
  fs.writeFile('/t/other', bytesOf('not ours'))
  for (const [name, content] of Object.entries(files)) {
    const isPublished = name === LOCK_NAME || name.endsWith('.next')
    const inside = records === 'directory' && isPublished ? '/record' : ''
    fs.writeFile(`/t/${name}${inside}`, bytesOf(content))
  }
  return fs
}

export function holderOn(fs: SimulatedFileSystem): LockRecord | undefined {
  const path = fs.files().find(each => each === LOCK || each === `${LOCK}/record`)
  return path === undefined ? undefined : parseRecord(fs.readFile(path))
}

/** A record is a file or a directory. */
export const namesOn = (fs: SimulatedFileSystem): string[] =>
  fs
    .files()
    .map(path => path.replace(/\/record$/, ''))
    .sort()

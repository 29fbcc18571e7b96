/** Commands of the system, and why they may not work on this one. */
import { execFileSync } from 'node:child_process'

/** Something that a file system needs is not there: it is skipped. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
}

/** A file system that its own recovery does not bring back: that says nothing of the table on it. */
export class FileSystemLost extends Error {
  override readonly name = 'FileSystemLost'
}

/** Debian packages of the commands. */
const PACKAGES: Readonly<Record<string, string>> = {
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.xfs': 'xfsprogs',
  xfs_io: 'xfsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  mount: 'mount',
  umount: 'mount',
}

/** Runs a command; its error tells what the command has said. */
export function run(command: string, ...args: string[]): void {
  try {
    execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string }
    if (code === 'ENOENT') throw new Unavailable(missing(command))
    // What follows, of mkfs for instance, is how it is used.
    const said = stderr?.trim().split('\n')[0]
    throw new Error(said ? `${command}: ${said}` : message, { cause: error })
  }
}

function missing(command: string): string {
  const name = PACKAGES[command]
  return `${command} is missing${name === undefined ? '' : ` (Debian: apt-get install ${name})`}`
}

/** Why no file system at all can be mounted here, if so. */
export function whyNotHere(platform: NodeJS.Platform, uid: number | undefined): string | undefined {
  if (platform !== 'linux') return 'it needs Linux: file systems on loop devices'
  return uid === 0 ? undefined : 'it needs root: it mounts file systems on loop devices'
}

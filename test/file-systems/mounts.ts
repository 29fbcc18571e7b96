/** The file systems of `npm run test:file-systems`: how each is made in a directory, and what it needs. */
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  readFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const IMAGE_BYTES = 64 * 2 ** 20
const COMMAND: ExecFileSyncOptions = { stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 }

/** Cannot be done here: what is missing. */
export class Unavailable extends Error {}

export interface Mounted {
  /** An empty directory in the file system. */
  readonly directory: string
  unmount(): void
}

interface Place {
  /** To be mounted on. */
  readonly target: string
  /** A directory of the machine's own file system, for images and layers. */
  readonly beside: string
}

/** Mounts on the target. What it throws is why that cannot be done here. */
type Mount = (place: Place) => unknown

function run(command: string, ...args: string[]): string {
  try {
    return String(execFileSync(command, args, COMMAND)).trim()
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer }
    const reason = code === 'ENOENT' ? 'is not installed' : `failed: ${String(stderr).trim()}`
    throw new Unavailable(`${command} ${reason}`)
  }
}

/** A loop device with a file system that `make` makes. Once it is unmounted, `losetup` releases it. */
function device({ beside }: Place, make: string): string {
  const path = join(beside, 'image')
  writeFileSync(path, '')
  truncateSync(path, IMAGE_BYTES)
  run(make, path)
  return run('losetup', '--find', '--show', path)
}

/** The first of them that works. */
function oneOf(...ways: (() => unknown)[]): void {
  const reasons: string[] = []
  for (const way of ways) {
    try {
      way()
      return
    } catch (error) {
      reasons.push((error as Error).message)
    }
  }
  throw new Unavailable(reasons.join('; '))
}

export const FILE_SYSTEMS: Readonly<Record<string, Mount>> = {
  tmpfs: ({ target }) => run('mount', '-t', 'tmpfs', 'none', target),
  overlayfs({ target, beside }) {
    // Its upper layer may not be on another overlay, as it is in containers.
    run('mount', '-t', 'tmpfs', 'none', beside)
    for (const layer of ['lower', 'upper', 'work']) mkdirSync(join(beside, layer))
    const layers = `lowerdir=${beside}/lower,upperdir=${beside}/upper,workdir=${beside}/work`
    run('mount', '-t', 'overlay', 'none', '-o', layers, target)
  },
  exfat(place) {
    const path = device(place, 'mkfs.exfat')
    oneOf(
      () => run('mount', '-t', 'exfat', path, place.target),
      () => run('mount.exfat-fuse', path, place.target),
    )
  },
  fat(place) {
    // The kernel's driver alone: fusefat loses sight of what is in a directory that was renamed.
    run('mount', '-t', 'vfat', device(place, 'mkfs.fat'), place.target)
  },
  'fuse (bindfs)'({ target, beside }) {
    mkdirSync(join(beside, 'files'))
    run('bindfs', join(beside, 'files'), target)
  },
}

function isMounted(path: string): boolean {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .some(line => line.split(' ')[1] === path)
}

export function mountFileSystem(name: string): Mounted {
  const root = mkdtempSync(join(tmpdir(), 'flashtable-file-system-'))
  const place = { target: join(root, 'target'), beside: join(root, 'beside') }
  mkdirSync(place.target)
  mkdirSync(place.beside)
  const own = statfsSync(root)
  const unmount = (): void => {
    const attempt = (command: string, ...args: string[]): void => {
      try {
        execFileSync(command, args, COMMAND)
      } catch {
        // Nothing is mounted there, or no device is in use.
      }
    }
    // A process that was just killed may hold it for a moment.
    for (let round = 0; round < 50 && isMounted(place.target); round++) {
      attempt('umount', place.target)
      if (isMounted(place.target)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    }
    for (const line of String(execFileSync('losetup', ['-j', join(place.beside, 'image')])).split('\n')) {
      if (line !== '') attempt('losetup', '-d', line.split(':')[0]!)
    }
    attempt('umount', place.beside)
    rmSync(root, { recursive: true })
  }
  try {
    FILE_SYSTEMS[name]!(place)
    const mounted = statfsSync(place.target)
    if (mounted.type === own.type && mounted.blocks === own.blocks && !name.startsWith('fuse'))
      throw new Unavailable('nothing was mounted')
    const directory = join(place.target, 'tables')
    mkdirSync(directory)
    return { directory, unmount }
  } catch (error) {
    unmount()
    throw error
  }
}

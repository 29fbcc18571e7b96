/**
 * Bytes that reach a device: a separate ext4 file system in a file, on a loop device whose counters nobody else moves.
 *
 * Needs root and loop devices; without them bytes given to write calls are counted where a store can tell them, and the
 * result says so. docs/benchmarks.md.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** The kernel counts sectors of this size, whatever the device has. */
export const SECTOR_BYTES = 512
/** Field of /sys/block/X/stat: sectors written. */
const SECTORS_WRITTEN = 6
const UNMOUNT_TRIES = 20

/** A mounted file system. */
export interface Device {
  /** Such as `loop0`. */
  readonly name: string
  readonly directory: string
  unmount(): void
}

/** Makes and mounts a file system in `directory`, or says why that does not work here. */
export function mountDevice(directory: string, bytes: number): Device | string {
  if (process.getuid?.() !== 0) return 'not root'
  const image = join(directory, 'device.img')
  const mountPoint = join(directory, 'device')
  let loop: string | undefined
  try {
    writeFileSync(image, '')
    truncateSync(image, bytes)
    mkdirSync(mountPoint, { recursive: true })
    loop = run('losetup', '--find', '--show', '--direct-io=on', image).trim()
    // All inode tables at once: their lazy initialisation would be counted later.
    run('mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard', loop)
    run('mount', loop, mountPoint)
  } catch (error) {
    if (loop !== undefined) run('losetup', '--detach', loop)
    rmSync(image, { force: true })
    return `no loop device: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`
  }
  const device = loop
  return {
    name: basename(device),
    directory: mountPoint,
    unmount() {
      unmountSoon(mountPoint)
      run('losetup', '--detach', device)
      rmSync(image)
    },
  }
}

/** A process that was killed may hold its files for a moment longer. */
function unmountSoon(mountPoint: string): void {
  for (let tries = 1; ; tries++) {
    try {
      run('umount', mountPoint)
      return
    } catch (error) {
      if (tries === UNMOUNT_TRIES) throw error
      run('sleep', '0.5')
    }
  }
}

/** Bytes written to the device so far; syncs its file system first, so that nothing is still to come. */
export function deviceBytes(name: string, directory: string): number {
  run('sync', '--file-system', directory)
  const fields = readFileSync(`/sys/block/${name}/stat`, 'utf8').trim().split(/\s+/)
  return Number(fields[SECTORS_WRITTEN]) * SECTOR_BYTES
}

/** Makes the kernel drop the file contents that it caches; returns whether that worked (it needs root). */
export function dropCaches(): boolean {
  try {
    run('sync')
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return true
  } catch {
    return false
  }
}

/** Runs a command and returns what it prints; throws if it fails. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

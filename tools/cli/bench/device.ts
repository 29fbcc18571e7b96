/**
 * The block device below a directory: what it has read and written, as the kernel counts it, and how to have a file read
 * from it again. Linux only; where something cannot be had, the reason is told.
 *
 * `write_bytes` of /proc/self/io is not used: kernels with large folios count far too much there.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The kernel counts sectors of this size, whatever the device has. */
const SECTOR_BYTES = 512
/** Fields of /sys/dev/block/X/stat. */
const SECTORS_READ = 2
const SECTORS_WRITTEN = 6

/** Bytes since the system was started, by all programs. */
export interface DeviceBytes {
  readonly read: number
  readonly written: number
}

/** A block device whose counters can be read. */
export interface Device {
  /** Such as `nvme0n1p2`. */
  readonly name: string
  /** Its counters, after everything that the file system still had to write is written. */
  bytes(): Promise<DeviceBytes>
}

/** The device that a directory is on, or the reason why its counters cannot be had. */
export async function deviceOf(directory: string): Promise<Device | string> {
  if (process.platform !== 'linux') return 'the system does not tell what a device reads and writes'
  const source = await sourceOf(directory)
  const numbers = [(await stat(directory)).dev]
  if (source.startsWith('/dev/')) numbers.push((await stat(source).catch(() => undefined))?.rdev ?? 0)
  for (const number of numbers) {
    const path = `/sys/dev/block/${majorOf(number)}:${minorOf(number)}`
    const name = /^DEVNAME=(.+)$/m.exec(await textOf(`${path}/uevent`))?.[1]
    if (name === undefined || (await textOf(`${path}/stat`)) === '') continue
    return { name, bytes: () => bytesOf(path, directory) }
  }
  return `its file system (${source}) is on no block device that has counters`
}

/**
 * Has the system drop what it caches of the files in a directory, which must be synced; returns the reason if that does
 * not work. It needs no rights, and leaves the caches of others alone.
 */
export async function dropCached(directory: string): Promise<string | undefined> {
  try {
    for (const name of await readdir(directory))
      await run('dd', [`if=${join(directory, name)}`, 'iflag=nocache', 'count=0', 'status=none'])
    return undefined
  } catch {
    return 'no program dd that knows iflag=nocache (GNU coreutils) drops files from the cache of the system'
  }
}

const run = promisify(execFile)

async function bytesOf(path: string, directory: string): Promise<DeviceBytes> {
  await run('sync', ['--file-system', directory]).catch(() => run('sync'))
  const fields = (await readFile(`${path}/stat`, 'utf8')).trim().split(/\s+/)
  return {
    read: Number(fields[SECTORS_READ]) * SECTOR_BYTES,
    written: Number(fields[SECTORS_WRITTEN]) * SECTOR_BYTES,
  }
}

/** What is mounted there: `/dev/sda1`, `overlay`, `tmpfs`. */
async function sourceOf(directory: string): Promise<string> {
  const found = await run('df', ['--output=source', directory]).catch(() => undefined)
  return found?.stdout.trim().split('\n').at(-1)?.trim() ?? 'unknown'
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

/** As the kernel packs them for programs: 12 bits of the major number, and the minor one around them. */
function majorOf(device: number): number {
  return Math.floor(device / 2 ** 8) & 0xfff
}

function minorOf(device: number): number {
  return (device & 0xff) | (Math.floor(device / 2 ** 12) & 0xfff00)
}

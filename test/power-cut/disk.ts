/**
 * A file system of its own in a file, on a loop device, whose power can be cut.
 *
 * ext4 and xfs are told to shut down (`xfs_io -x -c shutdown`): from then on nothing reaches the device. btrfs cannot be
 * told so (before Linux 6.19): its image lies on an xfs, which copies it in one moment by sharing its blocks
 * (`cp --reflink`), and the copy is what is mounted next. Both ways lose all that is in the page cache alone.
 */
import { mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../support/random.js'
import { FileSystemLost, run, Unavailable } from './system.js'

export type FileSystemName = 'ext4' | 'xfs' | 'btrfs'

interface FileSystem {
  readonly mkfs: readonly string[]
  /** One is drawn at each mount. */
  readonly mountOptions: readonly string[]
  readonly cut: 'shutdown' | 'copy'
}

export const FILE_SYSTEMS: Readonly<Record<FileSystemName, FileSystem>> = {
  ext4: {
    mkfs: ['mkfs.ext4', '-q', '-F'],
    // Data before their metadata, in any order with them, and through the journal.
    mountOptions: ['data=ordered', 'data=writeback,nodelalloc', 'data=journal'],
    cut: 'shutdown',
  },
  xfs: { mkfs: ['mkfs.xfs', '-q', '-f'], mountOptions: ['defaults'], cut: 'shutdown' },
  btrfs: { mkfs: ['mkfs.btrfs', '-q', '-f'], mountOptions: ['defaults', 'flushoncommit'], cut: 'copy' },
}

export class Disk {
  /** Where it is mounted. */
  readonly directory: string
  readonly #name: FileSystemName
  readonly #base: string
  readonly #image: string
  readonly #host: Disk | undefined
  #isMounted = false

  private constructor(name: FileSystemName, base: string, host: Disk | undefined) {
    this.#name = name
    this.#base = base
    this.#host = host
    this.#image = join(host?.directory ?? base, 'image')
    this.directory = join(base, 'mounted')
  }

  /** Makes the file system in `base`; throws {@link Unavailable} where this machine cannot make, mount or cut it. */
  static make(name: FileSystemName, base: string, bytes: number, random: Random): Disk {
    mkdirSync(join(base, 'mounted'), { recursive: true })
    const host =
      FILE_SYSTEMS[name].cut === 'copy'
        ? // The image, its copy, and blocks that no longer are in either.
          Disk.make('xfs', join(base, 'host'), 3 * bytes, random)
        : undefined
    const disk = new Disk(name, base, host)
    try {
      disk.#format(bytes)
      disk.#mount(random)
      // Also to see whether it can.
      disk.cut(random)
      disk.remount(random)
      run('xfs_io', '-V')
    } catch (error) {
      disk.remove()
      if (error instanceof Unavailable) throw error
      throw new Unavailable(error instanceof Error ? error.message : String(error))
    }
    return disk
  }

  /** A process sees the cut: its writes fail from then on. Otherwise it goes on with what is thrown away. */
  get stopsAtCut(): boolean {
    return FILE_SYSTEMS[this.#name].cut === 'shutdown'
  }

  /** Cuts the power: nothing that is not on the device by now is there when it is mounted again. */
  cut(random: Random): void {
    if (FILE_SYSTEMS[this.#name].cut === 'copy') {
      run('cp', '--reflink=always', this.#image, `${this.#image}.cut`)
      return
    }
    // With -f the journal is written first, but no data: names and sizes of files that are not synced.
    const shutdown = random.chance(0.5) ? 'shutdown' : 'shutdown -f'
    run('xfs_io', '-x', '-c', shutdown, this.directory)
  }

  /**
   * The power is back: what the cut has left is mounted. Throws {@link FileSystemLost} where it cannot be. Requires: no
   * process uses the directory.
   */
  remount(random: Random): void {
    run('umount', this.directory)
    this.#isMounted = false
    if (FILE_SYSTEMS[this.#name].cut === 'copy') renameSync(`${this.#image}.cut`, this.#image)
    try {
      this.#mount(random)
    } catch (error) {
      throw new FileSystemLost(error instanceof Error ? error.message : String(error), { cause: error })
    }
  }

  /** Unmounts and removes everything, in whatever state it is. */
  remove(): void {
    if (this.#isMounted) {
      // Lazily: a process that still looks at it must not keep it here.
      run('umount', '--lazy', this.directory)
      this.#isMounted = false
    }
    this.#host?.remove()
    rmSync(this.#base, { recursive: true, force: true })
  }

  #mount(random: Random): void {
    // The loop device goes away with the mount.
    const option = random.pick(FILE_SYSTEMS[this.#name].mountOptions)
    run('mount', '-o', `loop,${option}`, this.#image, this.directory)
    this.#isMounted = true
  }

  #format(bytes: number): void {
    writeFileSync(this.#image, '')
    truncateSync(this.#image, bytes)
    const [mkfs, ...args] = FILE_SYSTEMS[this.#name].mkfs
    run(mkfs!, ...args, this.#image)
  }
}

/**
 * The kernel may write a page at any time, without a sync. Within the second that a process lives here it would hardly do
 * so (dirty pages wait for 5 to 30 s), so it is made to: a cut then finds some pages on the device, and others around
 * them not.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../support/random.js'
import { run, Unavailable } from './system.js'

const PAGE_BYTES = 4096
/** The newest files, to which something may be written right now. */
const FILES = 4
const PAGES_MAX = 12

/** Makes the kernel write some pages of the newest files in a directory. */
export function writeSomePages(directory: string, random: Random): void {
  if (!existsSync(directory)) return
  // Their names begin with numbers that only grow.
  const newest = readdirSync(directory)
    .filter(name => /^\d/.test(name))
    .sort()
    .slice(-FILES)
  for (const name of newest) {
    if (random.chance(0.5)) writePages(join(directory, name), random)
  }
}

function writePages(path: string, random: Random): void {
  const pages = Math.ceil((statSync(path, { throwIfNoEntry: false })?.size ?? 0) / PAGE_BYTES)
  if (pages === 0) return
  const commands = Array.from({ length: random.between(1, PAGES_MAX) }, () => [
    '-c',
    `sync_range -w -a ${random.below(pages) * PAGE_BYTES} ${PAGE_BYTES}`,
  ])
  try {
    run('xfs_io', '-r', ...commands.flat(), path)
  } catch (error) {
    // The file may be gone by now.
    if (error instanceof Unavailable) throw error
  }
}

/** Disks and files for the tests of the simulated file system, and what power cuts may leave of them. */
import { expect } from 'vitest'
import type { FileHandle } from '../../../src/io/file-system.js'
import { writeFully } from '../../../src/io/transfer.js'
import { SimulatedFileSystem, type SimulationOptions } from '../../support/simulated-file-system.js'

export const SEEDS = Array.from({ length: 300 }, (_, seed) => seed)

/** `toEqual` takes milliseconds for a page. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length)
  expect(Buffer.compare(actual, expected)).toBe(0)
}

export const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)

export async function disk(options: SimulationOptions = {}): Promise<SimulatedFileSystem> {
  const fs = new SimulatedFileSystem(options)
  await fs.makeDirectory('/t')
  return fs
}

/** A new file with this content; nothing is synced. */
export async function create(fs: SimulatedFileSystem, path: string, bytes: Uint8Array): Promise<FileHandle> {
  const handle = await fs.open(path, 'create')
  await writeFully(handle, bytes, 0)
  return handle
}

/** A file that survives, closed. */
export async function createSynced(fs: SimulatedFileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const handle = await create(fs, path, bytes)
  await handle.sync()
  await fs.syncDirectory('/t')
  await handle.close()
}

/** The distinct outcomes over all seeds, sorted. */
export function outcomes(fs: SimulatedFileSystem, look: (after: SimulatedFileSystem) => string): string[] {
  return [...new Set(SEEDS.map(seed => look(fs.crashState(seed))))].sort()
}

export const names = (fs: SimulatedFileSystem): string => fs.files().join(' ')

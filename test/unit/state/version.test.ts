/** Who holds what: files and memtables stay until their last reference is released. */
import { describe, expect, test } from 'vitest'
import type { BucketFile } from '../../../src/bucket-file/reader.js'
import { MemtablePool } from '../../../src/state/memtable-pool.js'
import { Version } from '../../../src/state/version.js'
import { layoutOf } from '../../support/memtables.js'

/** A file that says when it was closed. */
function newFile() {
  const file = { closed: 0, close: () => Promise.resolve(void file.closed++) }
  return file as typeof file & BucketFile
}

function newVersion() {
  const freed: ArrayBufferLike[] = []
  const memoryFreed = ({ buffer }: Uint8Array): void => void freed.push(buffer)
  const pool = new MemtablePool({ layout: layoutOf(1), memtableRecords: 8, memoryFreed }, 1)
  const [sealed, active, file] = [pool.make(0), pool.make(0), newFile()]
  return {
    pool,
    freed,
    sealed,
    active,
    file,
    version: new Version({ stored: [file], runs: [], sealed: [sealed], active }, pool.refCounts),
  }
}

describe('a version', () => {
  test('closes its files and frees its memtables with the last release', async () => {
    const { freed, sealed, active, file, version } = newVersion()
    version.retain()
    await version.release()
    expect([file.closed, freed.length]).toEqual([0, 0])
    await version.release()
    expect(file.closed).toBe(1)
    expect(freed).toEqual([sealed.memtable.memory, active.memtable.memory])
  })

  test('leaves open what the next version has, too', async () => {
    const { pool, freed, sealed, active, file, version } = newVersion()
    const next = new Version({ stored: [file], runs: [], sealed: [], active }, pool.refCounts)
    await version.release()
    expect([file.closed, freed]).toEqual([0, [sealed.memtable.memory]])
    await next.release()
    expect(file.closed).toBe(1)
  })

  test('is not released more often than it was retained', async () => {
    const { version } = newVersion()
    await version.release()
    await expect(version.release()).rejects.toThrow('a version is released once for each retain')
    expect(() => version.retain()).toThrow('a version is retained only while it is in use')
  })
})

describe('inputs', () => {
  test('outlive their version, and the rest of it does not', async () => {
    const { freed, sealed, active, file, version } = newVersion()
    const release = version.retainInputs([], [sealed])
    await version.release()
    expect([file.closed, freed]).toEqual([1, [active.memtable.memory]])
    await release()
    expect(freed).toEqual([active.memtable.memory, sealed.memtable.memory])
    await expect(release()).rejects.toThrow('inputs are released once')
  })

  test('of another version are refused', () => {
    const [{ version }, other] = [newVersion(), newVersion()]
    expect(() => version.retainInputs([other.file], [])).toThrow('inputs are part of the version')
  })
})

/** The lock in one process, each kind of it, and errors of the disk on the way to it. */
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, symlink, unlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { LOCK_NAME } from '../../../src/io/file-names.js'
import { lockOf, type LockParts } from '../../../src/io/lock.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { deadProcess, kinds, lockPlace, now, real } from './lock-place.js'

const place = lockPlace()
const { lockPath, writeRecord } = place

const WORKER = new URL('../../support/lock-worker.mjs', import.meta.url)

describe.each(kinds)('in one process, $name', ({ acquire, hasFlock }) => {
  test('a second handle is refused, until the first is closed', async () => {
    const first = await acquire(place.directory, now)
    await expect(acquire(place.directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
      message: expect.stringContaining(`process ${process.pid}, which is this one`) as string,
    })
    await first.release()
    await (await acquire(place.directory, now)).release()
  })

  test('a second handle is refused by any other path to the directory', async () => {
    const link = `${place.directory}-link`
    await symlink(place.directory, link)
    try {
      const first = await acquire(place.directory, now)
      for (const path of [
        link,
        relative(process.cwd(), place.directory),
        `${place.directory}/`,
        `${place.directory}/../${link.split('/').pop()}`,
      ]) {
        await expect(acquire(path, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      }
      await first.release()
    } finally {
      await unlink(link)
    }
  })

  test('of many handles that want the lock at once one gets it', async () => {
    for (let round = 0; round < 20; round++) {
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquire(place.directory, now)))
      const locks = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
      expect(locks.length).toBe(1)
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      }
      await locks[0]!.release()
      expect(readdirSync(place.directory)).toEqual([])
    }
  })

  test('a thread is refused while another handle of the process has the lock', async () => {
    const lock = await acquire(place.directory, now)
    const worker = new Worker(WORKER, { workerData: place.directory })
    expect(await once(worker, 'message')).toEqual(['FLASHTABLE_LOCKED'])
    await worker.terminate()
    await lock.release()
  })

  test.runIf(hasFlock)('a thread that was terminated with the lock has it no more', async () => {
    const worker = new Worker(WORKER, { workerData: place.directory })
    expect(await once(worker, 'message')).toEqual(['taken'])
    await expect(acquire(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await worker.terminate()
    await (await acquire(place.directory, now)).release()
    expect(readdirSync(place.directory)).toEqual([])
  })

  test('a handle that is refused leaves LOCK as it is', async () => {
    const lock = await acquire(place.directory, now)
    const before = readFileSync(lockPath())
    await expect(acquire(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    expect(readFileSync(lockPath())).toEqual(before)
    expect(readdirSync(place.directory)).toEqual([LOCK_NAME])
    await lock.release()
  })

  test('a release leaves nothing, and a second one does nothing', async () => {
    const first = await acquire(place.directory, now)
    await first.release()
    expect(readdirSync(place.directory)).toEqual([])
    const second = await acquire(place.directory, now)
    await first.release()
    await expect(acquire(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await second.release()
  })

  test('a release leaves alone what is not ours any more', async () => {
    const lock = await acquire(place.directory, now)
    const other = writeRecord(LOCK_NAME, await deadProcess())
    await lock.release()
    expect(readFileSync(lockPath(), 'utf8')).toBe(other)
  })

  test('a dead holder is replaced: gone, another with its pid, or of another boot', async () => {
    const self = await real.processes.self()
    for (const identity of [
      await deadProcess(),
      { ...self, startTime: '1' },
      { ...self, bootId: 'the one before' },
      { ...self, bootId: 'the one before', pidNamespace: 'pid:[1]' },
    ]) {
      writeRecord(LOCK_NAME, identity)
      await (await acquire(place.directory, now)).release()
    }
  })

  test('a torn LOCK blocks nobody', async () => {
    for (const content of ['', '\0'.repeat(180), '{"bootId":"', '[]']) {
      writeFileSync(lockPath(), content)
      await (await acquire(place.directory, now)).release()
      expect(readdirSync(place.directory)).toEqual([])
    }
  })

  test('a LOCK that is a link, or a directory, is an error that says so', async () => {
    await symlink('/etc/hostname', lockPath())
    await expect(acquire(place.directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      message: expect.stringContaining(LOCK_NAME) as string,
      cause: { code: 'ELOOP' },
    })
    await unlink(lockPath())
    await mkdir(join(lockPath(), 'of somebody else'), { recursive: true })
    await expect(acquire(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR' })
  })

  test('a LOCK that is an empty directory is torn, and blocks nobody', async () => {
    await mkdir(lockPath())
    await (await acquire(place.directory, now)).release()
    expect(readdirSync(place.directory)).toEqual([])
  })

  test('a directory that is not there is an error', async () => {
    await expect(acquire(join(place.directory, 'no'), now)).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      cause: { code: 'ENOENT' },
    })
  })
})

describe('errors of the disk', () => {
  const onDisk = (fs: SimulatedFileSystem): LockParts => ({ ...real, fileSystem: fs, flock: undefined })

  test('a full disk is FLASHTABLE_DISK_FULL, and nothing is left behind', async () => {
    const fs = new SimulatedFileSystem({ capacityBytes: 0 })
    await fs.makeDirectory('/t')
    await expect(lockOf(onDisk(fs))('/t', now)).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
    expect([fs.files(), fs.openHandles]).toEqual([[], 0])
  })

  test('a LOCK that cannot be removed is an error of the release', async () => {
    const fs = new SimulatedFileSystem()
    await fs.makeDirectory('/t')
    const lock = await lockOf(onDisk(fs))('/t', now)
    fs.failAt(call => call.op === 'unlink', 'EIO', { effect: 'none' })
    await expect(lock.release()).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      cause: { code: 'EIO' },
    })
    await lock.release()
  })
})

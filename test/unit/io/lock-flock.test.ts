/** What flock, by fs-ext or by flock(1), adds to the pid file, and where it is done without. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { type Flock, loadFlock, takeWith } from '../../../src/io/flock.js'
import { acquireLock, lockOf } from '../../../src/io/lock.js'
import { fsExtIsThere, lockPlace, now, real, withoutFlock, withTool } from './lock-place.js'

const place = lockPlace()
const { lockPath } = place

describe('flock', () => {
  test.runIf(fsExtIsThere)('alone keeps others out when LOCK was deleted by hand', async () => {
    const lock = await acquireLock(place.directory, now)
    await unlink(lockPath())
    await expect(acquireLock(place.directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
      message: expect.stringContaining('in another process, which is just opening or closing it') as string,
    })
    await lock.release()
    await (await acquireLock(place.directory, now)).release()
  })

  test.runIf(fsExtIsThere)('is given up when the pid file cannot be had', async () => {
    const other = await withoutFlock(place.directory, now)
    await expect(acquireLock(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    const held = await loadFlock()?.take(place.directory)
    expect(held).toBeTypeOf('object')
    if (typeof held === 'object') held.release()
    await other.release()
  })

  test('is not there where fs-ext is missing, broken, or something else', () => {
    const broken = (): never => {
      throw new Error("Cannot find module './build/Release/fs_ext.node'")
    }
    expect(loadFlock(broken)).toBeUndefined()
    expect(loadFlock(() => ({}))).toBeUndefined()
    expect(loadFlock(() => null)).toBeUndefined()
  })

  test('by the program is not believed where that hands on nothing, complains, or cannot be run', async () => {
    for (const program of ['true', 'false', '/no/such/program', 'cat', process.execPath]) {
      const answer = await takeWith(program, place.directory)
      expect([program, answer]).toEqual([program, program === 'false' ? 'taken' : undefined])
    }
  })

  test('belongs to one directory of one file system: a copied LOCK, and one seen by another mount, prove nothing', async () => {
    const self = await real.processes.self()
    for (const [where, bootId] of [
      ['0:0', self.bootId],
      [(await real.fileSystem.stamp(place.directory))!.identity, ''],
    ] as const) {
      const record = { ...self, bootId, place: where, token: '0'.repeat(32), flock: true }
      writeFileSync(lockPath(), `${JSON.stringify(record)}\n`)
      await expect(withTool(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    }
  })

  test('is done without where the file system has none', async () => {
    const failing = (code: string): Flock | undefined =>
      loadFlock(() => ({
        flockSync() {
          throw Object.assign(new Error(code), { code })
        },
      }))
    const acquire = lockOf({ ...real, flock: failing('ENOTSUP') })
    const lock = await acquire(place.directory, now)
    expect(JSON.parse(readFileSync(lockPath(), 'utf8'))).toMatchObject({ flock: false, pid: process.pid })
    await expect(acquire(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await lock.release()
    expect(failing('EAGAIN')?.take(place.directory)).toBe('taken')
  })

  test('leaves no descriptor behind, neither of a lock that was given up nor of one that was refused', async () => {
    const count = (): number => readdirSync('/dev/fd').length
    const before = count()
    for (let i = 0; i < 20; i++) {
      const lock = await acquireLock(place.directory, now)
      await acquireLock(place.directory, now).catch(() => {})
      await lock.release()
    }
    expect(count()).toBeLessThan(before + 10)
  })
})

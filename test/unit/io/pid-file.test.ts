/** The pid file: who gets it, who is taken to be gone, and what is left behind. */
import { describe, expect, test } from 'vitest'
import { lockClaimName, lockTemporaryName } from '../../../src/io/file-names.js'
import { type LockRecord, PidFile } from '../../../src/io/pid-file.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import {
  bytesOf,
  chainOf,
  holderOn,
  LOCK,
  namesOn,
  newLockDisk,
  nobodyLives,
  type RecordKind,
  recordOf,
  RECORDS,
  tokenOf,
} from './pid-files.js'

const allLive = (): Promise<boolean> => Promise.resolve(true)

describe.each([{ hasLinks: true }, { hasLinks: false }])(
  'the pid file, hard links: $hasLinks,',
  ({ hasLinks }) => {
    const newDisk = (
      files?: Record<string, LockRecord | string>,
      records?: RecordKind,
    ): SimulatedFileSystem => newLockDisk(hasLinks, files, records)

    test('is taken where there is none, and leaves nothing beside it', async () => {
      const fs = newDisk()
      expect(await new PidFile(fs, '/t', recordOf(1)).take(nobodyLives)).toBeUndefined()
      expect(holderOn(fs)).toEqual(recordOf(1))
      expect(namesOn(fs)).toEqual([LOCK, '/t/other'])
      expect(fs.openHandles).toBe(0)
    })

    test('of a living holder is left alone', async () => {
      const fs = newDisk({ LOCK: recordOf(7) })
      expect(await new PidFile(fs, '/t', recordOf(1)).take(allLive)).toEqual(recordOf(7))
      expect(holderOn(fs)).toEqual(recordOf(7))
      expect(namesOn(fs)).toEqual([LOCK, '/t/other'])
    })

    test('of a dead holder is taken over', async () => {
      for (const records of RECORDS) {
        const fs = newDisk({ LOCK: recordOf(7) }, records)
        expect(await new PidFile(fs, '/t', recordOf(1)).take(nobodyLives)).toBeUndefined()
        expect(holderOn(fs)).toEqual(recordOf(1))
        expect(namesOn(fs)).toEqual([LOCK, '/t/other'])
        expect(await fs.list('/t')).toEqual(['LOCK', 'other'])
      }
    })

    test('that a power cut has left as a directory without its record is taken over', async () => {
      const fs = newDisk()
      await fs.makeDirectory(LOCK)
      expect(await new PidFile(fs, '/t', recordOf(1)).take(allLive)).toBeUndefined()
      expect(holderOn(fs)).toEqual(recordOf(1))
      expect(await fs.list('/t')).toEqual(['LOCK', 'other'])
    })

    test('that is a directory with something else in it is an error', async () => {
      const fs = newDisk()
      fs.writeFile(`${LOCK}/something`, bytesOf('not ours'))
      await expect(new PidFile(fs, '/t', recordOf(1)).take(nobodyLives)).rejects.toMatchObject({
        code: 'EISDIR',
      })
    })

    test('is not taken over by one who comes late, who leaves nothing behind', async () => {
      const fs = newDisk({ LOCK: recordOf(7) })
      const notSeven = (record: LockRecord): Promise<boolean> => Promise.resolve(record.pid !== 7)
      const faster = new PidFile(fs, '/t', recordOf(2))
      let raced = false
      fs.onCall = async call => {
        if (call.op !== (hasLinks ? 'link' : 'makeDirectory') || raced) return
        raced = true
        await faster.take(notSeven)
      }
      expect(await new PidFile(fs, '/t', recordOf(1)).take(notSeven)).toEqual(recordOf(2))
      expect(holderOn(fs)).toEqual(recordOf(2))
      expect(namesOn(fs)).toEqual([LOCK, '/t/other'])
    })

    test.runIf(hasLinks)(
      'is not taken over on the claim of one who took it back and died, when another has it since',
      async () => {
        const fs = newDisk({ LOCK: recordOf(7) })
        const [first, second, third] = [2, 3, 4].map(pid => new PidFile(fs, '/t', recordOf(pid)))
        let linked = false
        let refuse = (_error: Error): void => {}
        // The first one has made its claim, and waits in front of its second look at LOCK.
        const waiting = new Promise<void>(resolve => {
          fs.onCall = call => {
            if (call.op === 'link') linked = true
            if (call.op !== 'open' || call.path !== LOCK || !linked) return undefined
            resolve()
            return new Promise((_resolve, reject) => (refuse = reject))
          }
        })
        const firstTakes = first!.take(record => Promise.resolve(record.pid !== 7))
        await waiting
        fs.onCall = undefined
        let proceed = (): void => {}
        let thirdTakes: Promise<LockRecord | undefined> | undefined
        // The second one has read that claim. Before it asks whether the first is alive, that one gives up and dies, and
        // the third makes the claim anew and is about to rename.
        const secondTakes = second!.take(async record => {
          if (record.pid !== 2) return record.pid !== 7
          refuse(new Error('no'))
          await expect(firstTakes).rejects.toThrow('no')
          await new Promise<void>(resolve => {
            fs.onCall = call => {
              if (call.op !== 'rename') return undefined
              resolve()
              return new Promise(go => (proceed = go))
            }
            thirdTakes = third!.take(other => Promise.resolve(other.pid !== 7))
          })
          fs.onCall = undefined
          return false
        })
        expect(await secondTakes).toEqual(recordOf(4))
        proceed()
        expect(await thirdTakes).toBeUndefined()
        expect(holderOn(fs)).toEqual(recordOf(4))
      },
    )

    test('of a dead holder with a living claimant is left alone', async () => {
      const fs = newDisk(chainOf(recordOf(7), recordOf(8)))
      const onlyEight = (record: LockRecord): Promise<boolean> => Promise.resolve(record.pid === 8)
      expect(await new PidFile(fs, '/t', recordOf(1)).take(onlyEight)).toEqual(recordOf(8))
      expect(holderOn(fs)).toEqual(recordOf(7))
    })

    test('is taken over at the end of a chain of dead claimants, torn ones among them', async () => {
      for (const torn of ['', '{"pid":', '\0\0\0\0']) {
        const fs = newDisk({
          ...chainOf(recordOf(7), recordOf(8), torn, recordOf(7), recordOf(7), torn, torn),
          [lockTemporaryName(tokenOf(9))]: recordOf(9),
          [lockTemporaryName(tokenOf(10))]: torn,
          [lockClaimName(tokenOf(11))]: torn,
        })
        expect(await new PidFile(fs, '/t', recordOf(1)).take(nobodyLives)).toBeUndefined()
        expect(holderOn(fs)).toEqual(recordOf(1))
        expect(namesOn(fs)).toEqual([LOCK, '/t/other'])
      }
    })

    test('that is torn is taken over, whatever it holds', async () => {
      const { token: _token, ...withoutToken } = recordOf(7)
      const contents = [
        '',
        ' ',
        '\0'.repeat(200),
        '{"bootId":"boot","pid',
        'null',
        '[]',
        '"text"',
        JSON.stringify(withoutToken),
        JSON.stringify({ ...recordOf(7), token: '../../../../etc/passwd' }),
        JSON.stringify({ ...recordOf(7), pid: 0 }),
        JSON.stringify({ ...recordOf(7), pid: -7 }),
        JSON.stringify({ ...recordOf(7), pid: 1.5 }),
        JSON.stringify({ ...recordOf(7), pid: '7' }),
        JSON.stringify({ ...recordOf(7), startTime: 1 }),
        JSON.stringify({ ...recordOf(7), flock: 1 }),
        `${JSON.stringify(recordOf(7))}${' '.repeat(5000)}x`,
      ]
      for (const content of contents) {
        const fs = newDisk({ LOCK: content })
        expect(await new PidFile(fs, '/t', recordOf(1)).take(allLive)).toBeUndefined()
        expect(holderOn(fs)).toEqual(recordOf(1))
      }
    })

    test('that holds random bytes is taken over', async () => {
      const fs = newDisk()
      fs.writeFile(LOCK, new Random(1).bytes(300))
      expect(await new PidFile(fs, '/t', recordOf(1)).take(allLive)).toBeUndefined()
    })

    test('of a later version, with more in it, is respected', async () => {
      const fs = newDisk({ LOCK: JSON.stringify({ ...recordOf(7), host: 'x' }) })
      expect(await new PidFile(fs, '/t', recordOf(1)).take(allLive)).toEqual(recordOf(7))
    })

    test('is given up by its holder', async () => {
      const fs = newDisk()
      const lock = new PidFile(fs, '/t', recordOf(1))
      await lock.take(nobodyLives)
      await lock.release()
      expect(namesOn(fs)).toEqual(['/t/other'])
    })

    test('is left alone by the release of one whose it is no more', async () => {
      const fs = newDisk()
      const lock = new PidFile(fs, '/t', recordOf(1))
      await lock.take(nobodyLives)
      await fs.unlink(`${LOCK}/record`).catch(() => {})
      await fs.removeDirectory(LOCK).catch(() => {})
      fs.writeFile(LOCK, bytesOf(recordOf(2)))
      await lock.release()
      expect(holderOn(fs)).toEqual(recordOf(2))
      fs.removeFile(LOCK)
      await lock.release()
    })

    test('leaves temporary files of the living where they are', async () => {
      const temporary = lockTemporaryName(tokenOf(9))
      const fs = newDisk({ [temporary]: recordOf(9) })
      await new PidFile(fs, '/t', recordOf(1)).take(allLive)
      expect(namesOn(fs)).toEqual([LOCK, `/t/${temporary}`, '/t/other'])
    })

    test('is not taken where the files beside it are endless', async () => {
      const fs = newDisk(chainOf(...Array.from({ length: 1001 }, () => '')))
      await expect(new PidFile(fs, '/t', recordOf(1)).take(nobodyLives)).rejects.toThrow(/delete all of LOCK/)
    })

    test('is not taken, and others can take it, when any call on the way fails', async () => {
      const starts = [{}, chainOf(recordOf(7)), chainOf(recordOf(7), '')]
      for (const [files, records] of starts.flatMap(start => RECORDS.map(kind => [start, kind] as const))) {
        const whole = newDisk(files, records)
        await new PidFile(whole, '/t', recordOf(1)).take(nobodyLives)
        for (let step = 1; step <= whole.calls; step++) {
          for (const effect of ['none', 'all'] as const) {
            const fs = newDisk(files, records)
            fs.failAt(step, 'EIO', { effect })
            const isOne = (record: LockRecord): Promise<boolean> => Promise.resolve(record.pid === 1)
            const taken = await new PidFile(fs, '/t', recordOf(1))
              .take(isOne)
              .catch((error: unknown) => error)
            // A failure while the rest is swept away is none.
            if (taken === undefined) {
              expect(holderOn(fs)).toEqual(recordOf(1))
              continue
            }
            expect(taken).toMatchObject({ code: 'EIO' })
            expect(fs.openHandles).toBe(0)
            // The failed one is alive; whatever it has left must not stand in the way of another.
            expect(await new PidFile(fs, '/t', recordOf(2)).take(isOne)).toBeUndefined()
            expect(holderOn(fs)).toEqual(recordOf(2))
          }
        }
      }
    })

    test('is free again after a power cut at any call', async () => {
      const whole = newDisk({ LOCK: recordOf(7) })
      await new PidFile(whole, '/t', recordOf(1)).take(nobodyLives)
      for (let step = 1; step <= whole.calls; step++) {
        const fs = newDisk({ LOCK: recordOf(7) })
        fs.crashAt = step
        await new PidFile(fs, '/t', recordOf(1)).take(nobodyLives).catch(() => {})
        for (let seed = 0; seed < 20; seed++) {
          const after = fs.crashState(seed)
          expect(await new PidFile(after, '/t', recordOf(2)).take(nobodyLives)).toBeUndefined()
          expect(holderOn(after)).toEqual(recordOf(2))
          expect(namesOn(after)).toEqual([LOCK, '/t/other'])
        }
      }
    })
  },
)

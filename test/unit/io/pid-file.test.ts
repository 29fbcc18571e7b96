import { beforeEach, describe, expect, test } from 'vitest'
import { LOCK_NAME, lockClaimName, lockTemporaryName } from '../../../src/io/file-names.js'
import type { FileHandle, FileSystem } from '../../../src/io/file-system.js'
import { digestOf, parseRecord, PidFile, type LockRecord } from '../../../src/io/pid-file.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const SCHEDULES = Number(process.env['FLASHTABLE_SCHEDULES'] ?? 500)

const LOCK = `/t/${LOCK_NAME}`

const tokenOf = (number: number): string => number.toString(16).padStart(32, '0')

function recordOf(pid: number, token = tokenOf(pid)): LockRecord {
  return { bootId: 'boot', pidNamespace: 'pid:[1]', pid, startTime: '1', token, flock: false }
}

const bytesOf = (value: LockRecord | string): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : `${JSON.stringify(value)}\n`)

/** The name of the claim on this holder or claimant. */
const claimOn = (name: string, content: LockRecord | string): string =>
  lockClaimName(digestOf(name, bytesOf(content)))

/** A dead holder and claimants, each with a claim on the one before. */
function chainOf(...contents: (LockRecord | string)[]): Record<string, LockRecord | string> {
  const files: Record<string, LockRecord | string> = {}
  let name = LOCK_NAME
  for (const content of contents) {
    files[name] = content
    name = claimOn(name, content)
  }
  return files
}

const nobodyLives = (): Promise<boolean> => Promise.resolve(false)
const allLive = (): Promise<boolean> => Promise.resolve(true)

/** Whether the disk of the test has hard links. Where it has none, a record may be a directory too. */
let links = true
const RECORDS: readonly ('file' | 'directory')[] = ['file', 'directory']

function newDisk(
  files: Record<string, LockRecord | string> = {},
  records: 'file' | 'directory' = 'file',
): SimulatedFileSystem {
  const fs = new SimulatedFileSystem({ links })
  fs.writeFile('/t/other', bytesOf('not ours'))
  for (const [name, content] of Object.entries(files)) {
    const isPublished = name === LOCK_NAME || name.endsWith('.next')
    const inside = records === 'directory' && isPublished ? '/record' : ''
    fs.writeFile(`/t/${name}${inside}`, bytesOf(content))
  }
  return fs
}

function holderOn(fs: SimulatedFileSystem): LockRecord | undefined {
  const path = fs.files().find(each => each === LOCK || each === `${LOCK}/record`)
  return path === undefined ? undefined : parseRecord(fs.readFile(path))
}

/** A record is a file or a directory. */
const namesOn = (fs: SimulatedFileSystem): string[] =>
  fs
    .files()
    .map(path => path.replace(/\/record$/, ''))
    .sort()

describe.each([{ hasLinks: true }, { hasLinks: false }])(
  'the pid file, hard links: $hasLinks,',
  ({ hasLinks }) => {
    beforeEach(() => {
      links = hasLinks
    })

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
        if (call.op !== (links ? 'link' : 'makeDirectory') || raced) return
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

    test('that is no text at all is taken over too', async () => {
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

    test('is not given up by one whose it is no more', async () => {
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

/** A process that wants the lock: takes one step when it is let, and may be killed between two. */
class Contender {
  readonly pid: number
  alive = true
  holds = false
  done = false
  wins = 0
  #proceed: (() => void) | undefined

  constructor(pid: number) {
    this.pid = pid
  }

  get waits(): boolean {
    return this.alive && !this.done && this.#proceed !== undefined
  }

  /** Resolves when the schedule lets this one go on; never, once it is dead. */
  readonly turn = (): Promise<void> => new Promise(resolve => (this.#proceed = resolve))

  /** Lets it make one step, up to where it waits for its turn again. */
  async step(): Promise<void> {
    const proceed = this.#proceed!
    this.#proceed = undefined
    proceed()
    while (this.#proceed === undefined && !this.done) await Promise.resolve()
  }

  async run(
    fs: FileSystem,
    rounds: number,
    isAlive: (record: LockRecord) => boolean,
    tokens: () => string,
  ): Promise<void> {
    const own = stepwise(fs, this.turn)
    for (let round = 0; round < rounds; round++) {
      const lock = new PidFile(own, '/t', recordOf(this.pid, tokens()))
      try {
        const holder = await lock.take(async record => {
          await this.turn()
          const alive = isAlive(record)
          await this.turn()
          return alive
        })
        if (holder !== undefined) continue
        this.holds = true
        this.wins++
        await this.turn()
        await this.turn()
        this.holds = false
        await lock.release()
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error)) throw error
      }
    }
    this.done = true
  }
}

/** Every call waits for its turn first. */
function stepwise(fs: FileSystem, turn: () => Promise<void>): FileSystem {
  const inTurn =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      await turn()
      return call(...args)
    }
  const handle = (file: FileHandle): FileHandle => ({
    path: file.path,
    read: inTurn((buffer: Uint8Array, position: number) => file.read(buffer, position)),
    readSync: (buffer, position) => file.readSync(buffer, position),
    write: inTurn((buffer: Uint8Array, position: number) => file.write(buffer, position)),
    writeSync: (buffer, position) => file.writeSync(buffer, position),
    sync: inTurn(() => file.sync()),
    size: inTurn(() => file.size()),
    stamp: inTurn(() => file.stamp()),
    close: inTurn(() => file.close()),
  })
  return {
    open: inTurn(async (path, mode) => handle(await fs.open(path, mode))),
    rename: inTurn((from: string, to: string) => fs.rename(from, to)),
    unlink: inTurn((path: string) => fs.unlink(path)),
    link: inTurn((from: string, to: string) => fs.link(from, to)),
    list: inTurn((path: string) => fs.list(path)),
    makeDirectory: inTurn((path: string) => fs.makeDirectory(path)),
    removeDirectory: inTurn((path: string) => fs.removeDirectory(path)),
    syncDirectory: inTurn((path: string) => fs.syncDirectory(path)),
    openDirectory: inTurn((path: string) => fs.openDirectory(path)),
    info: inTurn((path: string) => fs.info(path)),
    stamp: inTurn((path: string) => fs.stamp(path)),
    digest: inTurn((path: string) => fs.digest(path)),
    freeBytes: inTurn((path: string) => fs.freeBytes(path)),
  }
}

/** One run of several contenders in an order that the seed decides. */
async function contend(seed: number): Promise<number> {
  const random = new Random(seed)
  const starts: Record<string, LockRecord | string>[] = [
    {},
    { LOCK: recordOf(900) },
    { LOCK: '' },
    chainOf(recordOf(900), recordOf(901)),
    { ...chainOf(recordOf(900), '', recordOf(900)), [lockClaimName(tokenOf(902))]: recordOf(900) },
  ]
  links = random.chance(0.5)
  const fs = newDisk(random.pick(starts), random.pick(RECORDS))
  let tokens = 0
  const nextToken = (): string => tokenOf(0x1000 + tokens++)
  const contenders = Array.from({ length: random.between(2, 4) }, (_, i) => new Contender(i + 1))
  const isAlive = (record: LockRecord): boolean =>
    contenders.some(({ pid, alive }) => alive && pid === record.pid)
  for (const contender of contenders) void contender.run(fs, random.between(1, 6), isAlive, nextToken)
  // A schedule that sticks to one contender for a while reaches deeper than one that changes at every step.
  const stick = random.pick([0, 0.5, 0.9])
  const killing = random.pick([0, 0.002, 0.01])
  const failing = random.pick([0, 0.01, 0.05])
  fs.failAt(() => random.chance(failing), 'EIO', { repeat: 'sticky' })
  let chosen: Contender | undefined
  for (;;) {
    const ready = contenders.filter(contender => contender.waits)
    if (ready.length === 0) break
    if (chosen === undefined || !chosen.waits || !random.chance(stick)) chosen = random.pick(ready)
    if (random.chance(killing)) chosen.alive = false
    else await chosen.step()
    const holders = contenders.filter(contender => contender.alive && contender.holds)
    if (holders.length > 1) throw new Error(`seed ${seed}: ${holders.length} hold the lock`)
    if (holders.length === 1 && holderOn(fs)?.pid !== holders[0]!.pid) {
      throw new Error(`seed ${seed}: LOCK does not name its holder`)
    }
  }
  // All are dead or done: the lock can be had, and what they left is swept away.
  fs.clearFaults()
  const last = new PidFile(fs, '/t', recordOf(999))
  expect(await last.take(nobodyLives), `seed ${seed}`).toBeUndefined()
  expect(namesOn(fs), `seed ${seed}`).toEqual([LOCK, '/t/other'])
  return contenders.reduce((sum, { wins }) => sum + wins, 0)
}

describe('contenders in every order, with errors, some killed on the way', () => {
  test('never hold the lock two at a time, and never block it for good', async () => {
    let wins = 0
    for (let seed = 0; seed < SCHEDULES; seed++) wins += await contend(seed)
    expect(wins).toBeGreaterThan(SCHEDULES / 2)
  })
})

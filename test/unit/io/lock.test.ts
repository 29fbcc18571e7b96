import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LOCK_NAME, lockClaimName } from '../../../src/io/file-names.js'
import { flockTool, loadFlock, takeWith, type Flock } from '../../../src/io/flock.js'
import { acquireLock, lockOf, realLockParts, type LockParts } from '../../../src/io/lock.js'
import { digestOf } from '../../../src/io/pid-file.js'
import type { ProcessIdentity } from '../../../src/io/process-identity.js'
import type { FromAgent, ToAgent } from '../../support/lock-agent.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const AGENT = fileURLToPath(new URL('../../support/lock-agent.ts', import.meta.url))
const WORKER = new URL('../../support/lock-worker.mjs', import.meta.url)

const real = realLockParts()
const withoutFlock = lockOf({ ...real, flock: undefined })
const withTool = lockOf({ ...real, flock: flockTool })
const kinds = [
  { name: 'with fs-ext', acquire: acquireLock, hasFlock: true },
  { name: 'with flock(1)', acquire: withTool, hasFlock: true },
  { name: 'without flock', acquire: withoutFlock, hasFlock: false },
]
const now = { timeoutMs: 0 }
/** False where its build step did not run: then `acquireLock` does without, and must keep the same promises. */
const fsExtIsThere = loadFlock() !== undefined

let directory: string
const agents: ChildProcess[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-lock-'))
})

afterEach(async () => {
  await Promise.all(agents.splice(0).map(kill))
  await rm(directory, { recursive: true, force: true })
})

/** Another process, ready to take locks. */
async function startAgent(flock: boolean): Promise<ChildProcess> {
  const agent = fork(AGENT, flock ? [] : ['without-fs-ext'], { execArgv: ['--import', 'tsx'] })
  agents.push(agent)
  await once(agent, 'message')
  return agent
}

/** The same in a pid namespace of its own, as in a container. */
function startElsewhere(flock: boolean): ChildProcess {
  const args = ['--pid', '--fork', '--kill-child', '--mount-proc', process.execPath, '--import', 'tsx', AGENT]
  const agent = spawn('unshare', flock ? args : [...args, 'without-fs-ext'], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  agents.push(agent)
  return agent
}

async function ask(agent: ChildProcess, message: ToAgent): Promise<FromAgent> {
  const [answer] = (await Promise.all([once(agent, 'message'), agent.send(message)]))[0] as [FromAgent]
  return answer
}

const take = (agent: ChildProcess, timeoutMs = 0): Promise<FromAgent> =>
  ask(agent, { take: directory, timeoutMs })
const release = (agent: ChildProcess): Promise<FromAgent> => ask(agent, { release: true })

async function kill(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return
  agent.kill('SIGKILL')
  await once(agent, 'exit')
}

const lockPath = (): string => join(directory, LOCK_NAME)

function writeRecord(name: string, identity: ProcessIdentity, token = '0'.repeat(32), flock = false): string {
  const content = `${JSON.stringify({ ...identity, token, flock })}\n`
  writeFileSync(join(directory, name), content)
  return content
}

/** Who is no more: a pid in use by none, as pids are at most 2 ** 22. */
async function deadProcess(): Promise<ProcessIdentity> {
  return { ...(await real.processes.self()), pid: 2 ** 22 + 1 }
}

describe.each(kinds)('in one process, $name', ({ acquire, hasFlock }) => {
  test('a second handle is refused, until the first is closed', async () => {
    const first = await acquire(directory, now)
    await expect(acquire(directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
      message: expect.stringContaining(`process ${process.pid}, which is this one`) as string,
    })
    await first.release()
    await (await acquire(directory, now)).release()
  })

  test('a second handle is refused by any other path to the directory', async () => {
    const link = `${directory}-link`
    await symlink(directory, link)
    try {
      const first = await acquire(directory, now)
      for (const path of [
        link,
        relative(process.cwd(), directory),
        `${directory}/`,
        `${directory}/../${link.split('/').pop()}`,
      ]) {
        await expect(acquire(path, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      }
      await first.release()
    } finally {
      await unlink(link)
    }
  })

  test('of many that want it at once one gets it', async () => {
    for (let round = 0; round < 20; round++) {
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquire(directory, now)))
      const locks = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
      expect(locks.length).toBe(1)
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      }
      await locks[0]!.release()
      expect(readdirSync(directory)).toEqual([])
    }
  })

  test('a thread is refused too', async () => {
    const lock = await acquire(directory, now)
    const worker = new Worker(WORKER, { workerData: directory })
    expect(await once(worker, 'message')).toEqual(['FLASHTABLE_LOCKED'])
    await worker.terminate()
    await lock.release()
  })

  test.runIf(hasFlock)('a thread that was terminated with the lock has it no more', async () => {
    const worker = new Worker(WORKER, { workerData: directory })
    expect(await once(worker, 'message')).toEqual(['taken'])
    await expect(acquire(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await worker.terminate()
    await (await acquire(directory, now)).release()
    expect(readdirSync(directory)).toEqual([])
  })

  test('a refused one leaves the lock as it is', async () => {
    const lock = await acquire(directory, now)
    const before = readFileSync(lockPath())
    await expect(acquire(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    expect(readFileSync(lockPath())).toEqual(before)
    expect(readdirSync(directory)).toEqual([LOCK_NAME])
    await lock.release()
  })

  test('a release leaves nothing, and a second one does nothing', async () => {
    const first = await acquire(directory, now)
    await first.release()
    expect(readdirSync(directory)).toEqual([])
    const second = await acquire(directory, now)
    await first.release()
    await expect(acquire(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await second.release()
  })

  test('a release leaves alone what is not ours any more', async () => {
    const lock = await acquire(directory, now)
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
      await (await acquire(directory, now)).release()
    }
  })

  test('a torn LOCK blocks nobody', async () => {
    for (const content of ['', '\0'.repeat(180), '{"bootId":"', '[]']) {
      writeFileSync(lockPath(), content)
      await (await acquire(directory, now)).release()
      expect(readdirSync(directory)).toEqual([])
    }
  })

  test('a LOCK that is a link, or a directory, is an error that says so', async () => {
    await symlink('/etc/hostname', lockPath())
    await expect(acquire(directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      message: expect.stringContaining(LOCK_NAME) as string,
      cause: { code: 'ELOOP' },
    })
    await unlink(lockPath())
    await mkdir(join(lockPath(), 'of somebody else'), { recursive: true })
    await expect(acquire(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR' })
  })

  test('a LOCK that is an empty directory is torn, and blocks nobody', async () => {
    await mkdir(lockPath())
    await (await acquire(directory, now)).release()
    expect(readdirSync(directory)).toEqual([])
  })

  test('a directory that is not there is an error', async () => {
    await expect(acquire(join(directory, 'no'), now)).rejects.toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      cause: { code: 'ENOENT' },
    })
  })
})

describe.each([
  { holder: true, other: true },
  { holder: true, other: false },
  { holder: false, other: true },
  { holder: false, other: false },
])('in two processes, fs-ext in the holder: $holder, in the other: $other', ({ holder, other }) => {
  const acquire = other ? acquireLock : withoutFlock

  test('the second is refused and told who has it; after kill -9 it gets it at once', async () => {
    const agent = await startAgent(holder)
    expect(await take(agent)).toEqual({ taken: true })
    await expect(acquire(directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
      message: expect.stringMatching(new RegExp(`in process ${agent.pid};`)) as string,
    })
    await kill(agent)
    const lock = await acquire(directory, now)
    await lock.release()
  })

  test('a holder that is stopped has the lock still', async () => {
    const agent = await startAgent(holder)
    expect(await take(agent)).toEqual({ taken: true })
    agent.kill('SIGSTOP')
    await expect(acquire(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    agent.kill('SIGCONT')
    expect(await release(agent)).toEqual({ released: true })
    await (await acquire(directory, now)).release()
  })

  test('the second gets it when the first gives it up while it waits', async () => {
    const agent = await startAgent(holder)
    expect(await take(agent)).toEqual({ taken: true })
    let looks = 0
    const waiting = lockOf({
      ...real,
      flock: other ? real.flock : undefined,
      sleep: async () => {
        if (++looks === 3) await release(agent)
      },
    })
    const lock = await waiting(directory, { timeoutMs: Infinity })
    expect(looks).toBe(3)
    expect(await take(agent)).toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await lock.release()
    expect(await take(agent)).toEqual({ taken: true })
  })
})

describe('many processes, some with fs-ext and some without', () => {
  test('that all want the lock of a dead one: each time exactly one gets it', async () => {
    const contenders = await Promise.all([true, false, false, true].map(flock => startAgent(flock)))
    const random = new Random(1)
    const dead = await deadProcess()
    for (let round = 0; round < 60; round++) {
      const content = random.chance(0.2) ? '' : writeRecord(LOCK_NAME, dead)
      if (content === '') writeFileSync(lockPath(), '')
      // In some rounds one has died on the way to taking it over.
      const claim = lockClaimName(digestOf(LOCK_NAME, Buffer.from(content)))
      if (random.chance(0.3)) writeRecord(claim, dead, '1'.repeat(32))
      const answers = await Promise.all(contenders.map(agent => take(agent)))
      const winners = contenders.filter((_, i) => 'taken' in answers[i]!)
      expect(winners.length, `round ${round}: ${JSON.stringify(answers)}`).toBe(1)
      for (const answer of answers)
        expect('taken' in answer || answer).toSatisfy(ok => ok === true || isLocked(ok))
      await release(winners[0]!)
      expect(readdirSync(directory)).toEqual([])
    }
  })

  test('that all wait for it: each gets it in the end', async () => {
    const contenders = await Promise.all([true, false, true].map(flock => startAgent(flock)))
    let held = 0
    await Promise.all(
      contenders.map(async agent => {
        for (let round = 0; round < 5; round++) {
          expect(await take(agent, 100_000)).toEqual({ taken: true })
          expect(++held).toBe(1)
          held--
          await release(agent)
        }
      }),
    )
  })
})

const isLocked = (answer: unknown): boolean =>
  typeof answer === 'object' && answer !== null && 'code' in answer && answer.code === 'FLASHTABLE_LOCKED'

describe('a holder in another pid namespace', () => {
  const elsewhere = async (): Promise<ProcessIdentity> => ({
    ...(await real.processes.self()),
    pidNamespace: 'pid:[1]',
    pid: 17,
  })

  test('is taken to be alive, and the error tells what to do', async () => {
    for (const { acquire } of kinds) {
      writeRecord(LOCK_NAME, await elsewhere())
      await expect(acquire(directory, now)).rejects.toMatchObject({
        code: 'FLASHTABLE_LOCKED',
        message: expect.stringMatching(/process 17 of another pid namespace.*delete .*LOCK$/) as string,
      })
    }
  })

  test('of a real one, as of a container, is respected while it lives, and gone with kill -9', async context => {
    for (const [holder, other] of [
      [true, withTool],
      [false, acquireLock],
      [false, withTool],
    ] as const) {
      const agent = startElsewhere(holder)
      const ready = await Promise.race([once(agent, 'message'), once(agent, 'exit')])
      if (typeof ready[0] !== 'object') return context.skip('no pid namespaces can be made here')
      expect(await take(agent)).toEqual({ taken: true })
      await expect(other(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      const { pid } = JSON.parse(readFileSync(lockPath(), 'utf8')) as { pid: number }
      expect(pid).toBe(1)
      agent.kill('SIGKILL')
      await once(agent, 'exit')
      // unshare is gone; what it has started is killed with it, and perhaps not at once.
      const lock = await other(directory, { timeoutMs: 30_000 })
      await lock.release()
    }
    return undefined
  })

  test.runIf(fsExtIsThere)('that had the flock is dead when the flock can be had', async () => {
    writeRecord(LOCK_NAME, await elsewhere(), '0'.repeat(32), true)
    await expect(withoutFlock(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await (await acquireLock(directory, now)).release()
  })
})

describe('flock', () => {
  test.runIf(fsExtIsThere)('alone keeps others out when LOCK was deleted by hand', async () => {
    const lock = await acquireLock(directory, now)
    await unlink(lockPath())
    await expect(acquireLock(directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
      message: expect.stringContaining('in another process, which is just opening or closing it') as string,
    })
    await lock.release()
    await (await acquireLock(directory, now)).release()
  })

  test.runIf(fsExtIsThere)('is given up when the pid file cannot be had', async () => {
    const other = await withoutFlock(directory, now)
    await expect(acquireLock(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    const held = await loadFlock()?.take(directory)
    expect(held).toBeTypeOf('object')
    if (typeof held === 'object') held.release()
    await other.release()
  })

  test('does without fs-ext where that is missing, broken, or something else', () => {
    const broken = (): never => {
      throw new Error("Cannot find module './build/Release/fs_ext.node'")
    }
    expect(loadFlock(broken)).toBeUndefined()
    expect(loadFlock(() => ({}))).toBeUndefined()
    expect(loadFlock(() => null)).toBeUndefined()
  })

  test('of the program is not believed where that hands on nothing, complains, or cannot be run', async () => {
    for (const program of ['true', 'false', '/no/such/program', 'cat', process.execPath]) {
      const answer = await takeWith(program, directory)
      expect([program, answer]).toEqual([program, program === 'false' ? 'taken' : undefined])
    }
  })

  test('belongs to one directory of one file system: a copied LOCK, and one seen by another mount, prove nothing', async () => {
    const self = await real.processes.self()
    for (const [place, bootId] of [
      ['0:0', self.bootId],
      [(await real.fileSystem.stamp(directory))!.identity, ''],
    ] as const) {
      const record = { ...self, bootId, place, token: '0'.repeat(32), flock: true }
      writeFileSync(lockPath(), `${JSON.stringify(record)}\n`)
      await expect(withTool(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    }
  })

  test('does without where the file system has none', async () => {
    const failing = (code: string): Flock | undefined =>
      loadFlock(() => ({
        flockSync() {
          throw Object.assign(new Error(code), { code })
        },
      }))
    const acquire = lockOf({ ...real, flock: failing('ENOTSUP') })
    const lock = await acquire(directory, now)
    expect(JSON.parse(readFileSync(lockPath(), 'utf8'))).toMatchObject({ flock: false, pid: process.pid })
    await expect(acquire(directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await lock.release()
    expect(failing('EAGAIN')?.take(directory)).toBe('taken')
  })

  test('leaves no descriptor behind', async () => {
    const count = (): number => readdirSync('/dev/fd').length
    const before = count()
    for (let i = 0; i < 20; i++) {
      const lock = await acquireLock(directory, now)
      await acquireLock(directory, now).catch(() => {})
      await lock.release()
    }
    expect(count()).toBeLessThan(before + 10)
  })
})

describe('waiting', () => {
  /** A clock that only sleep moves. */
  function clock(): Pick<LockParts, 'now' | 'sleep'> & { readonly slept: number[] } {
    const slept: number[] = []
    let time = 1000
    return {
      slept,
      now: () => time,
      sleep: ms => {
        slept.push(ms)
        time += ms
        return Promise.resolve()
      },
    }
  }

  test('ends when the time is up, with a last look then', async () => {
    const holder = await acquireLock(directory, now)
    const time = clock()
    await expect(lockOf({ ...real, ...time })(directory, { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
    })
    expect(time.slept.reduce((sum, ms) => sum + ms, 0)).toBe(1000)
    expect(Math.max(...time.slept)).toBe(100)
    await holder.release()
  })

  test('takes the lock when it is free at the last look', async () => {
    const holder = await acquireLock(directory, now)
    const time = clock()
    const sleep = async (ms: number): Promise<void> => {
      await time.sleep(ms, undefined)
      if (time.now() === 2000) await holder.release()
    }
    const lock = await lockOf({ ...real, ...time, sleep })(directory, { timeoutMs: 1000 })
    await lock.release()
  })

  test('is not done at all with a timeout of 0', async () => {
    const holder = await acquireLock(directory, now)
    const time = clock()
    await expect(lockOf({ ...real, ...time })(directory, now)).rejects.toThrow()
    expect(time.slept).toEqual([])
    await holder.release()
  })

  test('ends with the reason of an abort, before and in the middle', async () => {
    const holder = await acquireLock(directory, now)
    const reason = { why: 'enough' }
    await expect(
      acquireLock(directory, { timeoutMs: Infinity, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason)
    const controller = new AbortController()
    let sleeps = 0
    const acquire = lockOf({
      ...real,
      sleep: (ms, signal) => {
        if (++sleeps === 2) controller.abort(reason)
        return real.sleep(ms, signal)
      },
    })
    await expect(acquire(directory, { timeoutMs: Infinity, signal: controller.signal })).rejects.toBe(reason)
    await holder.release()
    expect(readdirSync(directory)).toEqual([])
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

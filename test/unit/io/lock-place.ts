/** What the tests of the lock share: kinds of locks, a directory, and other processes that want its lock. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { LOCK_NAME } from '../../../src/io/file-names.js'
import { flockTool, loadFlock } from '../../../src/io/flock.js'
import { acquireLock, lockOf, realLockParts } from '../../../src/io/lock.js'
import type { ProcessIdentity } from '../../../src/io/process-identity.js'
import { programFile } from '../../support/programs.js'
import type { FromAgent, ToAgent } from '../../support/lock-agent.js'

const AGENT = 'lock-agent.ts'

export const real = realLockParts()

export const withoutFlock = lockOf({ ...real, flock: undefined })

export const withTool = lockOf({ ...real, flock: flockTool })

export const kinds = [
  { name: 'with fs-ext', acquire: acquireLock, hasFlock: true },
  { name: 'with flock(1)', acquire: withTool, hasFlock: true },
  { name: 'without flock', acquire: withoutFlock, hasFlock: false },
]

export const now = { timeoutMs: 0 }

/** False where its build step did not run: then `acquireLock` does without, and must keep the same promises. */
export const fsExtIsThere = loadFlock() !== undefined

/** A directory of one test, and the processes that want its lock. */
export interface LockPlace {
  readonly directory: string
  readonly lockPath: () => string
  /** Puts the record of a holder or claimant there. */
  readonly writeRecord: (name: string, identity: ProcessIdentity, token?: string, flock?: boolean) => string
  /** Another process, ready to take locks. */
  readonly startAgent: (flock: boolean) => Promise<ChildProcess>
  /** The same in a pid namespace of its own, as in a container. It is ready with its first message. */
  readonly startElsewhere: (flock: boolean) => Promise<ChildProcess>
  readonly take: (agent: ChildProcess, timeoutMs?: number) => Promise<FromAgent>
}

/** To be called once in a file: sets up the hooks. */
export function lockPlace(): LockPlace {
  let directory = ''
  const agents: ChildProcess[] = []
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'flashtable-lock-'))
  })
  afterEach(async () => {
    await Promise.all(agents.splice(0).map(kill))
    await rm(directory, { recursive: true, force: true })
  })
  return {
    get directory() {
      return directory
    },
    lockPath: () => join(directory, LOCK_NAME),
    writeRecord(name, identity, token = '0'.repeat(32), flock = false) {
      const content = `${JSON.stringify({ ...identity, token, flock })}\n`
      writeFileSync(join(directory, name), content)
      return content
    },
    async startAgent(flock) {
      const agent = fork(await programFile(AGENT), flock ? [] : ['without-fs-ext'], { execArgv: [] })
      agents.push(agent)
      await once(agent, 'message')
      return agent
    },
    async startElsewhere(flock) {
      const unshare = ['--pid', '--fork', '--kill-child', '--mount-proc']
      const args = [...unshare, process.execPath, await programFile(AGENT)]
      const agent = spawn('unshare', flock ? args : [...args, 'without-fs-ext'], {
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      })
      agents.push(agent)
      return agent
    },
    take: (agent, timeoutMs = 0) => ask(agent, { take: directory, timeoutMs }),
  }
}

async function ask(agent: ChildProcess, message: ToAgent): Promise<FromAgent> {
  const [answer] = (await Promise.all([once(agent, 'message'), agent.send(message)]))[0] as [FromAgent]
  return answer
}

/** Lets the agent give its lock up. */
export const release = (agent: ChildProcess): Promise<FromAgent> => ask(agent, { release: true })

export async function kill(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return
  agent.kill('SIGKILL')
  await once(agent, 'exit')
}

/** Who is no more: a pid in use by none, as pids are at most 2 ** 22. */
export async function deadProcess(): Promise<ProcessIdentity> {
  return { ...(await real.processes.self()), pid: 2 ** 22 + 1 }
}

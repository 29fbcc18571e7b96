/**
 * Identifies a process, so that another process can tell later whether it still runs.
 *
 * A pid alone may soon belong to another process; with the boot and the start time it is unique. Where there is no
 * /proc (macOS), `sysctl` and `ps` tell the same. docs/durability.md, Locking.
 */
import { execFile } from 'node:child_process'
import { readFile, readlink } from 'node:fs/promises'
import process from 'node:process'
import { hasCode } from '../base/errors.js'

export interface ProcessIdentity {
  /** Identifies the boot of the system; '' if unknown. */
  readonly bootId: string
  /** Pids are valid within one namespace only (containers have their own); '' if there are none. */
  readonly pidNamespace: string
  readonly pid: number
  /** When the process began, in the system's own form; '' if unknown. */
  readonly startTime: string
}

/** `unknown`: a process of another pid namespace, which cannot be seen from here. */
export type Liveness = 'alive' | 'dead' | 'unknown'

export interface Processes {
  self(): Promise<ProcessIdentity>
  judge(identity: ProcessIdentity): Promise<Liveness>
}

interface RunningProcess {
  readonly startTime: string
  /** Ended, but not yet waited for by its parent: its files are closed. */
  readonly ended: boolean
}

/** How this system describes its processes. */
interface Source {
  bootId(): Promise<string>
  pidNamespace(): Promise<string>
  /** `undefined`: no such process, or we may not see it. */
  find(pid: number): Promise<RunningProcess | undefined>
}

const TOOL_TIMEOUT_MS = 5000

/** The processes of this machine; `proc` is where its /proc is, if it has one. */
export function processesOf(proc: string): Processes {
  // Chosen once: two sources describe the same process in different texts.
  let source: Promise<Source> | undefined
  let own: Promise<ProcessIdentity> | undefined
  const theSource = (): Promise<Source> => (source ??= sourceFor(proc))
  const self = (): Promise<ProcessIdentity> => (own ??= theSource().then(identify))
  return { self, judge: async identity => judge(identity, await self(), await theSource()) }
}

async function identify(source: Source): Promise<ProcessIdentity> {
  const [bootId, pidNamespace, own] = await Promise.all([
    source.bootId(),
    source.pidNamespace(),
    source.find(process.pid),
  ])
  return { bootId, pidNamespace, pid: process.pid, startTime: own?.startTime ?? '' }
}

async function judge(identity: ProcessIdentity, self: ProcessIdentity, source: Source): Promise<Liveness> {
  if (identity.bootId !== self.bootId && identity.bootId !== '' && self.bootId !== '') return 'dead'
  if (identity.pidNamespace !== self.pidNamespace) return 'unknown'
  if (!exists(identity.pid)) return 'dead'
  const running = await source.find(identity.pid)
  // It exists but is hidden from this user: nothing says that it is another process.
  if (running === undefined) return 'alive'
  if (running.ended) return 'dead'
  return mayBeSame(running.startTime, identity.startTime) ? 'alive' : 'dead'
}

/** Times of two sources cannot be compared: those of /proc are numbers. */
function mayBeSame(one: string, other: string): boolean {
  const isNumber = (text: string): boolean => /^\d+$/.test(text)
  return one === other || one === '' || other === '' || isNumber(one) !== isNumber(other)
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !hasCode(error, 'ESRCH')
  }
}

async function sourceFor(proc: string): Promise<Source> {
  return (await textOf(readFile(`${proc}/self/stat`, 'latin1'))) === '' ? toolSource : procSource(proc)
}

function procSource(proc: string): Source {
  return {
    bootId: () => textOf(readFile(`${proc}/sys/kernel/random/boot_id`, 'latin1')),
    pidNamespace: () => textOf(readlink(`${proc}/self/ns/pid`)),
    async find(pid) {
      const text = await textOf(readFile(`${proc}/${pid}/stat`, 'latin1'))
      return text === '' ? undefined : parseStat(text)
    },
  }
}

/**
 * proc(5), stat: field 3 is the state, 20 the number of threads, 22 the start time. Field 2 is the name in parentheses,
 * which may hold anything. While a killed process still has threads, one of them may be in the middle of a write.
 */
export function parseStat(text: string): RunningProcess {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, threads, startTime] = [fields[0], Number(fields[17]), fields[19]]
  return { startTime: startTime ?? '', ended: (state === 'Z' || state === 'X') && threads <= 1 }
}

const toolSource: Source = {
  bootId: () => run('/usr/sbin/sysctl', '-n', 'kern.bootsessionuuid'),
  pidNamespace: () => Promise.resolve(''),
  async find(pid) {
    const text = await run('ps', '-o', 'state=', '-o', 'lstart=', '-p', String(pid))
    const [, state, startTime] = /^(\S+)\s+(.*)$/.exec(text) ?? []
    return startTime === undefined ? undefined : { startTime, ended: state!.startsWith('Z') }
  },
}

/** What a tool prints; '' if it fails or does not exist. */
function run(file: string, ...args: string[]): Promise<string> {
  const options = { timeout: TOOL_TIMEOUT_MS, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } }
  return new Promise(resolve => {
    execFile(file, args, options, (error, output) => resolve(error === null ? output.trim() : ''))
  })
}

async function textOf(reading: Promise<string>): Promise<string> {
  try {
    return (await reading).trim()
  } catch {
    return ''
  }
}

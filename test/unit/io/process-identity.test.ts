import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { parseStat, processesOf, type ProcessIdentity } from '../../../src/io/process-identity.js'

const children: ChildProcess[] = []

function start(command: string): ChildProcess {
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'ignore'] })
  children.push(child)
  return child
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

const linux = process.platform === 'linux'
const sources = [...(linux ? ['/proc'] : []), '/there/is/no/proc']

describe.each(sources)('processes, by %s', proc => {
  const processes = processesOf(proc)

  test('this one is alive, and always the same', async () => {
    const self = await processes.self()
    expect(self.pid).toBe(process.pid)
    expect(self.startTime).not.toBe('')
    expect(await processes.judge(self)).toBe('alive')
    expect(await processesOf(proc).self()).toEqual(self)
  })

  test('one that has its pid and began at another time is dead', async () => {
    const self = await processes.self()
    expect(await processes.judge({ ...self, startTime: `${self.startTime}0` })).toBe('dead')
  })

  test('one whose start was told by another source is alive as long as its pid is in use', async () => {
    const self = await processes.self()
    const other = /^\d+$/.test(self.startTime) ? 'Sun Nov 22 15:00:00 2026' : '4711'
    expect(await processes.judge({ ...self, startTime: other })).toBe('alive')
  })

  test('one whose start is not known is alive as long as its pid is in use', async () => {
    const self = await processes.self()
    expect(await processes.judge({ ...self, startTime: '' })).toBe('alive')
  })

  test('one of another boot is dead, where boots can be told apart', async () => {
    const self = await processes.self()
    const other: ProcessIdentity = { ...self, bootId: 'another' }
    expect(await processes.judge(other)).toBe(self.bootId === '' ? 'alive' : 'dead')
    expect(await processes.judge({ ...self, bootId: '' })).toBe('alive')
  })

  test('one of another pid namespace cannot be judged', async () => {
    const self = await processes.self()
    expect(await processes.judge({ ...self, pidNamespace: 'pid:[1]', pid: 2 ** 22 + 1 })).toBe('unknown')
    if (self.bootId !== '') {
      expect(await processes.judge({ ...self, pidNamespace: 'pid:[1]', bootId: 'another' })).toBe('dead')
    }
  })

  test('one of another user is alive', async () => {
    const self = await processes.self()
    expect(await processes.judge({ ...self, pid: 1, startTime: '' })).toBe('alive')
  })

  test('one that was killed is dead', async () => {
    const child = start('exec sleep 1000')
    await once(child, 'spawn')
    const identity = { ...(await processes.self()), pid: child.pid!, startTime: '' }
    expect(await processes.judge(identity)).toBe('alive')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await processes.judge(identity)).toBe('dead')
  })

  test('one that has ended is dead, though nobody has waited for it', async () => {
    // The shell that has started it becomes another one, which does not know of it and never waits for it.
    const child = start('sleep 1000 & exec sh -c "echo $!; exec sleep 1000"')
    const [line] = (await once(child.stdout!, 'data')) as [Buffer]
    const identity = { ...(await processes.self()), pid: Number(line.toString()), startTime: '' }
    expect(await processes.judge(identity)).toBe('alive')
    // Until the second shell has become `sleep` it would still take notice of the end.
    while (readFileSync(`/proc/${child.pid}/comm`, 'utf8').trim() !== 'sleep') await setTimeout(5)
    process.kill(identity.pid, 'SIGKILL')
    while ((await processes.judge(identity)) !== 'dead') await Promise.resolve()
    expect(() => process.kill(identity.pid, 0)).not.toThrow()
  })
})

describe('parseStat', () => {
  const stat = (name: string, state: string, threads: number): string =>
    `17 (${name}) ${state} 1 17 17 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 ${threads} 0 4711 3133440 394 18446744073709551615`

  test('finds the start time behind any name', () => {
    for (const name of ['node', 'a b', 'x) Z 1 (', ') R 1 1 1 1']) {
      expect(parseStat(stat(name, 'S', 11))).toEqual({ startTime: '4711', ended: false })
    }
  })

  test('a killed process has not ended as long as one of its threads may be in a write', () => {
    expect(parseStat(stat('node', 'Z', 1)).ended).toBe(true)
    expect(parseStat(stat('node', 'Z', 0)).ended).toBe(true)
    expect(parseStat(stat('node', 'X', 1)).ended).toBe(true)
    expect(parseStat(stat('node', 'Z', 2)).ended).toBe(false)
    expect(parseStat(stat('node', 'D', 1)).ended).toBe(false)
  })
})

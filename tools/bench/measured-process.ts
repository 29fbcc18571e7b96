/** Runs a program as a user does, from its start to its end, and tells what it took. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import type { Readable } from 'node:stream'

/** What a process took. */
export interface Taken {
  readonly seconds: number
  /** Of all its threads. */
  readonly cpuSeconds: number
  /** The most memory it had. */
  readonly peakMiB: number
}

/** Runs a script of Node.js. Rejects with what it says if it fails. */
export async function measuredNode(script: string, args: readonly string[], cwd: string): Promise<Taken> {
  const usage = fileURLToPath(new URL('./usage-at-exit.js', import.meta.url))
  const start = performance.now()
  const child = spawn(process.execPath, ['--import', usage, script, ...args], {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  const [says, told, code] = await Promise.all([text(child.stderr!), text(child.stdio[3] as Readable), ended])
  const seconds = (performance.now() - start) / 1000
  if (code !== 0) throw new Error(`${script} ${args.join(' ')}: ${says}`)
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(told) as NodeJS.ResourceUsage
  return { seconds, cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMiB: maxRSS / 1024 }
}

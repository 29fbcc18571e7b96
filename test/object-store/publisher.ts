/** The other side of publisher-process.ts: starts such a process, reads what it tells, stops and kills it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { S3StoreOptions } from '../../src/store/s3-connection.js'
import { until } from './ceph.js'

const SCRIPT = fileURLToPath(new URL('publisher-process.ts', import.meta.url))
const SILENCE_MS = 240_000

export interface PublisherTask {
  readonly directory: string
  readonly url: string
  readonly options: S3StoreOptions
  readonly retention: number | string
  readonly takeOver?: boolean
  /** Ends after that many. */
  readonly publishes?: number
  /** Collects garbage after each publish. */
  readonly collects?: boolean
  readonly clockMs?: number
  /** The call of the store at which it stops itself: before it is made, after it, or some milliseconds after it has begun. */
  readonly stopAt?: number
  readonly when?: 'before' | 'after' | number
}

export type PublisherLine =
  | { readonly version: number; readonly sequence: number }
  | { readonly code: string; readonly message: string }

export class PublisherProcess {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #exit: Promise<unknown>

  constructor(task: PublisherTask) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, JSON.stringify(task)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#exit = once(this.#child, 'exit')
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]()
  }

  /** `undefined`: it has ended. */
  async next(): Promise<PublisherLine | undefined> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), SILENCE_MS)
    const { value, done } = await this.#lines.next()
    clearTimeout(timer)
    return done === true ? undefined : (JSON.parse(value) as PublisherLine)
  }

  /** The next publish that was done; errors that pass are passed over. */
  async nextPublished(): Promise<{ readonly version: number; readonly sequence: number }> {
    for (;;) {
      const line = await this.next()
      if (line === undefined) throw new Error('the publisher has ended, or was silent for minutes')
      if ('sequence' in line) return line
      if (line.code !== 'FLASHTABLE_UNAVAILABLE')
        throw new Error(`the publisher: ${line.code}: ${line.message}`)
    }
  }

  untilStopped(): Promise<void> {
    return until('the publisher has stopped itself', () => {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
    })
  }

  goOn(): void {
    this.#child.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}

/** The process that puts until the power is cut, as the one sees it that cuts. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseReport, type Life } from './life.js'

const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url))

export class LoadProcess {
  /** Calls below this one may have been made. */
  made: number
  /** Calls below this one are acknowledged as surviving a power cut. */
  durable = 0
  isOpen = false
  isClosed = false
  /** The code with which a call was rejected. */
  rejected: string | undefined
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor(life: Life) {
    this.made = life.first
    const child = spawn(process.execPath, ['--import', 'tsx', LOAD, JSON.stringify(life)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    // Its output has ended, too.
    this.#ended = once(child, 'close')
    createInterface(child.stdout).on('line', line => this.#take(line))
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** How it ended. */
  get exit(): string {
    return `exit code ${this.#child.exitCode}, signal ${this.#child.signalCode}`
  }

  /** Waits, but no longer than until something happens that the wait is not for. */
  async pause(ms: number, signal: AbortSignal, isOver: () => boolean = () => false): Promise<void> {
    const endMs = performance.now() + ms
    while (!this.hasEnded && !isOver() && performance.now() < endMs)
      await sleep(Math.min(ms, 5), undefined, { signal })
  }

  /** Kills it if it has not ended. */
  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #take(line: string): void {
    const report = parseReport(line)
    switch (report.type) {
      case 'open':
        this.isOpen = true
        break
      case 'made':
        this.made = report.end
        break
      case 'durable':
        this.durable = Math.max(this.durable, report.end)
        break
      case 'closed':
        this.isClosed = true
        break
      case 'rejected':
        this.rejected = report.code
    }
  }
}

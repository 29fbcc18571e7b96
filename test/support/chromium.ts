/** A real browser without a window: opens pages at a width and in a colour scheme, and takes pictures of them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

/** As Debian and Ubuntu install it. */
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser']

export const CHROMIUM = PATHS.find(path => existsSync(path))

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-pipe',
]

export type ColourScheme = 'light' | 'dark'

/** A page as it was drawn. */
export interface Shot {
  readonly png: Buffer
  /** Pixels that the page is wide, beyond the window too. */
  readonly contentWidth: number
  readonly height: number
  readonly background: string
  /** What the script that was given has returned. */
  readonly result: unknown
  /** What the browser has told of the page: blocked loads, errors of scripts. */
  readonly messages: readonly string[]
}

interface Reply {
  readonly id?: number
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

/** Speaks the DevTools protocol over two pipes: messages of JSON, each with a zero byte behind it. */
export class Chromium {
  readonly #child: ChildProcess
  readonly #profile: string
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  readonly #messages: string[] = []
  #session: string | undefined
  #ids = 0

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child
    this.#profile = profile
    let rest = ''
    const input = child.stdio[4] as Readable
    input.setEncoding('utf8')
    input.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\0')
      rest = parts.pop()!
      for (const part of parts) this.#take(JSON.parse(part) as Reply)
    })
  }

  /** Requires: {@link CHROMIUM} is there. */
  static async start(): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'flashtable-chromium-'))
    const child = spawn(CHROMIUM!, [...FLAGS, `--user-data-dir=${profile}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    })
    const browser = new Chromium(child, profile)
    const { targetId } = await browser.#call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await browser.#call('Target.attachToTarget', { targetId, flatten: true })
    browser.#session = sessionId as string
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.#call(`${domain}.enable`)
    return browser
  }

  /** Opens a page and runs `script` in it, a function body. */
  async shoot(url: string, width: number, scheme: ColourScheme, script = ''): Promise<Shot> {
    this.#messages.length = 0
    const size = { width, height: 900, deviceScaleFactor: 1, mobile: false }
    await this.#call('Emulation.setDeviceMetricsOverride', size)
    await this.#call('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: scheme }],
    })
    await this.#call('Page.navigate', { url })
    const facts = (await this.#evaluate(`(async () => {
      while (document.readyState !== 'complete') await new Promise(done => setTimeout(done, 5))
      const root = document.documentElement
      return {
        contentWidth: root.scrollWidth,
        height: root.scrollHeight,
        background: getComputedStyle(root).backgroundColor,
        result: (() => { ${script} })(),
      }
    })()`)) as Omit<Shot, 'png' | 'messages'>
    const clip = { x: 0, y: 0, width, height: facts.height, scale: 1 }
    const { data } = await this.#call('Page.captureScreenshot', { captureBeyondViewport: true, clip })
    return { ...facts, png: Buffer.from(data as string, 'base64'), messages: [...this.#messages] }
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'close')
    if (this.#child.exitCode === null) {
      void this.#call('Browser.close').catch(() => {})
      await ended
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }

  async #evaluate(expression: string): Promise<unknown> {
    const parameters = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.#call('Runtime.evaluate', parameters)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { value: unknown }).value
  }

  #call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#ids
    const message = JSON.stringify({ id, method, params, sessionId: this.#session })
    const output = this.#child.stdio[3] as Writable
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the browser has ended'))
      this.#child.once('close', ended)
      this.#waiting.set(id, ({ result, error }) => {
        this.#child.off('close', ended)
        if (error === undefined) resolve(result!)
        else reject(new Error(`${method}: ${error.message}`))
      })
      output.write(`${message}\0`)
    })
  }

  #take(reply: Reply): void {
    if (reply.id !== undefined) {
      this.#waiting.get(reply.id)?.(reply)
      this.#waiting.delete(reply.id)
    } else if (reply.method === 'Log.entryAdded' || reply.method?.startsWith('Runtime.exception') === true)
      this.#messages.push(JSON.stringify(reply.params))
  }
}

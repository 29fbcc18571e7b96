/** What the tests of the command line share: the compiled program, and tables and files for it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, vi } from 'vitest'
import { FlashTable, struct } from '../../src/index.js'
import { commandLine } from '../../tools/cli/program.js'
import { Cli, type CliResult } from '../support/run-cli.js'
import { until } from '../support/until.js'

export const FINGERPRINT = 'key:u64,time:u16,flags:u16,id:i32'

export const ENCODINGS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

const PRELOADED = new URL('../support/interrupts-itself.mjs', import.meta.url).href

/** The command line, and a directory for its tables. */
export interface TestCli {
  readonly cli: Pick<Cli, 'command' | 'run' | 'runWith' | 'json' | 'start' | 'startWith' | 'startInto'>
  readonly directory: string
  /** Runs a command that gets the signal as soon as it has made a file whose path begins with `path`. */
  interrupted(signal: NodeJS.Signals, path: string, ...args: string[]): Promise<CliResult>
  /** A path that nothing has. */
  freshPath(): string
  fileOf(content: Uint8Array): Promise<string>
  /** A table with three records of the keys 7, 8 and 7. */
  smallTable(): Promise<string>
}

/** To be called once in a file: sets up the hooks. */
export function testCli(): TestCli {
  let cli: Cli
  let directory: string
  let names = 0
  beforeAll(async () => {
    cli = await Cli.build()
    directory = await mkdtemp(join(tmpdir(), 'flashtable-cli-'))
  })
  afterAll(async () => {
    await rm(directory, { recursive: true })
  })
  const freshPath = (): string => join(directory, `${names++}`)
  return {
    cli: {
      command: (...args) => cli.command(...args),
      run: (...args) => cli.run(...args),
      runWith: (...args) => cli.runWith(...args),
      json: (...args) => cli.json(...args),
      start: (...args) => cli.start(...args),
      startWith: (...args) => cli.startWith(...args),
      startInto: (...args) => cli.startInto(...args),
    },
    get directory() {
      return directory
    },
    async interrupted(signal, path, ...args) {
      const environment = {
        INTERRUPT_AT: path,
        INTERRUPT_WITH: signal,
        NODE_OPTIONS: `--import=${PRELOADED}`,
      }
      const child = spawn('sh', ['-c', `exec ${cli.command(...args)}`], {
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const ended = once(child, 'close') as Promise<[number | null]>
      const [[code], stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
      return { code, stdout, stderr }
    },
    freshPath,
    async fileOf(content) {
      const path = freshPath()
      await writeFile(path, content)
      return path
    },
    async smallTable() {
      const path = freshPath()
      const table = await FlashTable.open(path, ENCODINGS)
      await table.put(7n, { time: 0, flags: 1, id: 0 })
      await table.put(8n, { time: 1, flags: 1, id: -1 })
      await table.put(7n, { time: 2, flags: 1, id: -2 })
      await table.close()
      return path
    },
  }
}

/** Names, contents and times of all files: equal only if nothing was changed. */
export async function imageOf(path: string): Promise<unknown[]> {
  const files = (await readdir(path)).sort()
  return Promise.all(
    files.map(async name => {
      const { mtimeMs } = await stat(join(path, name))
      return [name, mtimeMs, (await readFile(join(path, name))).toString('base64')]
    }),
  )
}

/** Resolves when the condition holds; throws where the child ends before. */
export async function untilOrEnd(child: ChildProcess, condition: () => Promise<boolean>): Promise<void> {
  await until('the condition holds', async () => (await condition()) || child.exitCode !== null)
  if (child.exitCode !== null)
    throw new Error(`it ended with ${child.exitCode} before it could be interrupted`)
}

/** Runs a command in this process, to its end. Rejects with what it fails with. */
export async function runHere(
  ...args: string[]
): Promise<{ readonly code: number; readonly stdout: string }> {
  const chunks: Uint8Array[] = []
  const write = (chunk: Uint8Array | string, done: unknown): boolean => {
    chunks.push(Buffer.from(chunk as Uint8Array))
    if (typeof done === 'function') done()
    return true
  }
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation(write as typeof process.stdout.write)
  const before = process.exitCode
  process.exitCode = 0
  try {
    await commandLine().parseAsync(args, { from: 'user' })
    return { code: process.exitCode, stdout: Buffer.concat(chunks).toString() }
  } finally {
    process.exitCode = before
    stdout.mockRestore()
  }
}

/** The same with `--json`: what it prints. */
export async function jsonHere(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await runHere(...args, '--json')).stdout) as Record<string, unknown>
}

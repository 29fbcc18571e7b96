/**
 * Runs the command line as a child process, as a user does: compiled, in a package of its own.
 *
 * Compiled once in a run, a command starts in a third of the time that it takes from its sources.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { inject } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** How often it looks whether another test file has compiled it. */
const LOOK_MS = 50

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The compiled command line. */
export class Cli {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Compiles it, if no other test file of this run has or does. */
  static async build(): Promise<Cli> {
    const directory = inject('builtCli')
    const [package_, finished] = [join(directory, 'package'), join(directory, 'finished')]
    const isFirst = await mkdir(package_).then(
      () => true,
      () => false,
    )
    if (isFirst) await writeFile(finished, await compile(package_).catch(String))
    for (;;) {
      const failure = await readFile(finished, 'utf8').catch(() => undefined)
      if (failure === '') return new Cli(package_)
      if (failure !== undefined) throw new Error(failure)
      await sleep(LOOK_MS)
    }
  }

  /** A command as a shell takes it. */
  command(...args: string[]): string {
    return [process.execPath, this.script, ...args].map(word => `'${word}'`).join(' ')
  }

  /** Starts a command; `result` resolves when it has ended. */
  start(...args: string[]): { child: ChildProcess; result: Promise<CliResult> } {
    return startNode(this.script, ...args)
  }

  /** Starts a command that can be given a standard input. */
  startWith(...args: string[]): { child: ChildProcess; result: Promise<CliResult> } {
    return startNodeWith('pipe', this.script, ...args)
  }

  /** Runs a command with this standard input to its end. */
  async runWith(input: string | Uint8Array, ...args: string[]): Promise<CliResult> {
    const { child, result } = this.startWith(...args)
    // The command may end before it has read all.
    child.stdin!.on('error', () => {})
    child.stdin!.end(input)
    return result
  }

  /** Starts a command whose standard output is an open file. */
  startInto(stdout: number | 'pipe', ...args: string[]): ChildProcess {
    return spawn(process.execPath, [this.script, ...args], { cwd: ROOT, stdio: ['ignore', stdout, 'pipe'] })
  }

  /** The library as the command line has it: its threads start from text and open no files. */
  get library(): string {
    return join(this.#directory, 'dist/src/index.js')
  }

  /** What `node` runs. */
  get script(): string {
    return join(this.#directory, 'dist/tools/cli/main.js')
  }

  /** Runs a command to its end. */
  async run(...args: string[]): Promise<CliResult> {
    return this.start(...args).result
  }

  /** Runs a command with `--json` and returns what it prints. */
  async json(...args: string[]): Promise<Record<string, unknown>> {
    const { stdout, stderr } = await this.run(...args, '--json')
    try {
      return JSON.parse(stdout) as Record<string, unknown>
    } catch (error) {
      throw new Error(`no JSON: ${stdout}${stderr}`, { cause: error })
    }
  }
}

/** Resolves to ''. */
async function compile(directory: string): Promise<string> {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const options = ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(directory, 'dist')]
  await promisify(execFile)(process.execPath, [compiler, ...options])
  await copyFile(join(ROOT, 'package.json'), join(directory, 'package.json'))
  for (const name of ['node_modules', 'src', 'tools']) await symlink(join(ROOT, name), join(directory, name))
  // As `npm run build` does, in a place of its own.
  await promisify(execFile)(process.execPath, [join(ROOT, 'tools/build/build.mjs')], { cwd: directory })
  return ''
}

/** Starts Node.js in the root of the project. */
export function startNode(...args: string[]): { child: ChildProcess; result: Promise<CliResult> } {
  return startNodeWith('ignore', ...args)
}

function startNodeWith(
  stdin: 'ignore' | 'pipe',
  ...args: string[]
): { child: ChildProcess; result: Promise<CliResult> } {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: [stdin, 'pipe', 'pipe'] })
  const result = Promise.all([once(child, 'close'), text(child.stdout!), text(child.stderr!)]).then(
    ([[code], stdout, stderr]) => ({ code: code as number | null, stdout, stderr }),
  )
  return { child, result }
}

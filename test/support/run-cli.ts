/** Runs the command line as a child process, as a user does. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../tools/cli.ts', import.meta.url))

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Starts the command line; `result` resolves when it has ended. */
export function startCli(...args: string[]): { child: ChildProcess; result: Promise<CliResult> } {
  const child = spawn(process.execPath, ['--import', 'tsx', CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const result = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[code], stdout, stderr]) => ({ code: code as number | null, stdout, stderr }),
  )
  return { child, result }
}

/** Runs the command line to its end. */
export async function runCli(...args: string[]): Promise<CliResult> {
  return startCli(...args).result
}

/** Runs the command line with `--json`; expects a result, and returns it. */
export async function runCliJson(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await runCli(...args, '--json')
  try {
    return JSON.parse(stdout) as Record<string, unknown>
  } catch (error) {
    throw new Error(`no JSON: ${stdout}${stderr}`, { cause: error })
  }
}

/** Where the tools of this folder are, and how they are run. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'

const MODULES = join(import.meta.dirname, 'node_modules')
const TIMEOUT_MS = 120_000

/** Why a surrounding cannot be tried here. */
export class Skipped extends Error {}

/** The path of a file of an installed package; skips where the package has nothing for this machine. */
export function tool(...candidates) {
  const path = candidates.map(candidate => join(MODULES, candidate)).find(path => existsSync(path))
  if (path === undefined) throw new Skipped(`${candidates.join(', ')}: not to be had here`)
  return path
}

/** The command of an installed package, as it names it in its package.json. */
export function bin(name, command = name) {
  const manifest = tool(join(name, 'package.json'))
  const { bin } = createRequire(import.meta.url)(manifest)
  return join(dirname(manifest), typeof bin === 'string' ? bin : bin[command])
}

export const node = major => tool(`node-${major}-${process.arch}/bin/node`)
export const bun = () => tool(`@oven/bun-${process.platform}-${process.arch}/bin/bun`)
export const deno = () => tool(`@deno/${process.platform}-${process.arch}-glibc/deno`)

/** Runs a command to its end and resolves to what it printed; rejects where it fails or does not end. */
export function run(command, args, { cwd, env = {}, fails = false }) {
  return new Promise((fulfil, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    let output = ''
    child.stdout.on('data', chunk => (output += chunk))
    child.stderr.on('data', chunk => (output += chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if ((code === 0) !== fails && signal === null) fulfil(output)
      else reject(Object.assign(new Error(`ended with ${signal ?? `exit code ${code}`}`), { output }))
    })
  })
}

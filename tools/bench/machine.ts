/** On what machine, and with what software, the figures were made. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { ROOT } from './paths.js'
import { memmapVersion } from './stores/memmap.js'

export function describeMachine() {
  return {
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      system: `${platform()} ${release()}`,
      load: loadavg().map(load => Math.round(load * 100) / 100),
    },
    node: process.version,
    versions: versions(),
    commit: commit(),
  }
}

function versions(): Record<string, string> {
  const read = (path: string) =>
    JSON.parse(readFileSync(new URL(path, ROOT), 'utf8')) as Record<string, unknown>
  const { optionalDependencies } = read('tools/bench/package.json')
  return {
    flashtable: String(read('package.json')['version']),
    ...(optionalDependencies as Record<string, string>),
    numpy: numpyVersion(),
  }
}

function numpyVersion(): string {
  try {
    return memmapVersion()
  } catch {
    return 'not there'
  }
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: fileURLToPath(ROOT),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    return (
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', 'src') === '' ? '' : ' with changes')
    )
  } catch {
    return 'unknown'
  }
}

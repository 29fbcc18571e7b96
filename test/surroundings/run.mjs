/**
 * The package in the hands of bundlers, test runners, runtimes and compilers: `npm run test:surroundings`.
 *
 * Packs the package, installs it in an empty project, and tries each surrounding on it (surroundings.mjs). What cannot be
 * had on a machine is told as skipped. Names, or parts of them, as arguments choose some. The last line has the counts.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { Skipped } from './tools.mjs'
import { SURROUNDINGS } from './surroundings.mjs'

const HERE = import.meta.dirname
const REPOSITORY = resolve(HERE, '../..')
const AT_ONCE = 2

function npm(cwd, ...args) {
  return execFileSync('npm', [...args, '--no-audit', '--no-fund', '--prefer-offline'], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** A project that has flashtable as its only dependency, and the programs. */
function makeProject() {
  if (!existsSync(join(HERE, 'node_modules'))) npm(HERE, 'ci', '--ignore-scripts')
  const project = mkdtempSync(join(tmpdir(), 'flashtable-surroundings-'))
  mkdirSync(join(project, 'packed'))
  npm(REPOSITORY, 'pack', '--pack-destination', join(project, 'packed'))
  writeFileSync(join(project, 'package.json'), '{ "name": "user", "private": true, "type": "module" }')
  const [tarball] = readdirSync(join(project, 'packed'))
  npm(project, 'install', '--ignore-scripts', join(project, 'packed', tarball))
  cpSync(join(HERE, 'programs'), project, { recursive: true })
  return project
}

async function outcomeOf(surrounding, project) {
  const tables = mkdtempSync(join(tmpdir(), 'flashtable-tables-'))
  const startMs = performance.now()
  const line = (verdict, detail = '') => {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
    return `${verdict.padEnd(7)} ${surrounding.name}${detail === '' ? '' : `: ${detail}`} (${seconds} s)`
  }
  try {
    return {
      verdict: 'passed',
      line: line('ok', await surrounding.run({ project, tables, repository: REPOSITORY })),
    }
  } catch (error) {
    if (error instanceof Skipped) return { verdict: 'skipped', line: line('skipped', error.message) }
    return { verdict: 'failed', line: line('FAILED', `${error.message}\n${error.output || error.stack}`) }
  } finally {
    rmSync(tables, { recursive: true, force: true })
  }
}

const wanted = process.argv.slice(2)
const chosen = SURROUNDINGS.filter(
  ({ name }) => wanted.length === 0 || wanted.some(part => name.includes(part)),
)
const counts = { passed: 0, failed: 0, skipped: 0 }
const project = makeProject()
try {
  const waiting = [...chosen]
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { verdict, line } = await outcomeOf(next, project)
      counts[verdict]++
      console.log(line)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
} finally {
  rmSync(project, { recursive: true, force: true })
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0

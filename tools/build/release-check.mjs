// The gates of a release, `npm run release:check`: RELEASE.md. Each prints one line; the first failure ends it and says
// what to do.
//
// The checkers run by npx, at pinned versions: a release needs the network anyway, and nobody needs them to build or
// test. docs/decisions/release-gates.md.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

const PUBLINT = 'publint@0.3.25'
const ATTW = '@arethetypeswrong/cli@0.18.5'
const KNIP = 'knip@6.44.2'
/** What the package must contain, and what it must not. */
const NEEDED = [
  'package/dist/src/index.js',
  'package/dist/src/index.d.ts',
  'package/dist/types-5.0/index.d.ts',
]
const NEEDED_TOO = [
  'package/dist/tools/cli/main.js',
  'package/docs/api.md',
  'package/README.md',
  'package/LICENSE',
]
const FORBIDDEN = /^package\/(test|tools|src|\.github|\.ci)\//

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
const work = mkdtempSync(join(tmpdir(), 'flashtable-release-'))

/** Runs a program; what it printed is shown only if it fails. */
function run(program, ...args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const printed = `${error.stdout ?? ''}${error.stderr ?? ''}`
    throw new Error(`${program} ${args.join(' ')}\n${printed}`, { cause: error })
  }
}

function ensure(condition, message) {
  if (!condition) throw new Error(message)
}

const GATES = {
  'the working tree is committed'() {
    ensure(run('git', 'status', '--porcelain') === '', 'commit or remove what git status shows')
  },
  'CHANGELOG.md has a section for this version'() {
    const headings = readFileSync('CHANGELOG.md', 'utf8').match(/^## .*/gm) ?? []
    const has = headings.some(heading => heading.includes(version))
    ensure(has, `add a section for ${version}; there are: ${headings.join(', ')}`)
  },
  'each format version has golden tables'() {
    const constants = readFileSync('src/manifest/manifest.ts', 'utf8')
    const format = Number(/MANIFEST_VERSION = (\d+)/.exec(constants)?.[1])
    ensure(format > 0, 'MANIFEST_VERSION was not found in src/manifest/manifest.ts')
    const golden = 'test/fixtures/golden'
    const tables = readdirSync(golden).flatMap(release =>
      readdirSync(join(golden, release)).map(table => join(golden, release, table, 'MANIFEST')),
    )
    const versions = tables
      .filter(path => existsSync(path))
      .map(path => Number(/^flashtable manifest (\d+) /.exec(readFileSync(path, 'latin1'))?.[1]))
    for (let i = 1; i <= format; i++) {
      ensure(versions.includes(i), `no golden table in ${golden} has format version ${i}`)
    }
  },
  'knip finds nothing dead'() {
    run('npx', '--yes', KNIP, '--no-progress')
  },
  'the package can be built and packed'() {
    run('npm', 'run', 'build')
    run('npm', 'pack', '--ignore-scripts', '--pack-destination', work)
  },
  'the package has what users need, and nothing else'() {
    const names = run('tar', '-tzf', join(work, `flashtable-${version}.tgz`)).split('\n')
    for (const name of [...NEEDED, ...NEEDED_TOO]) ensure(names.includes(name), `${name} is missing`)
    const wrong = names.filter(name => FORBIDDEN.test(name))
    ensure(wrong.length === 0, `these do not belong there: ${wrong.join(', ')}`)
  },
  'publint finds nothing'() {
    run('npx', '--yes', PUBLINT, join(work, `flashtable-${version}.tgz`), '--strict')
  },
  'the types are right'() {
    run('npx', '--yes', ATTW, join(work, `flashtable-${version}.tgz`), '--profile', 'esm-only', '--no-emoji')
  },
}

try {
  for (const [name, gate] of Object.entries(GATES)) {
    gate()
    console.log(`ok: ${name}`)
  }
  console.log(`flashtable ${version} can be released`)
} catch (error) {
  console.error(`release:check: ${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(work, { recursive: true })
}

// Builds the package when it is installed from its sources: from a git address, where npm has installed all that a
// build needs, and from a folder, where it has not.
import { execSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'

const run = command => execSync(command, { stdio: ['ignore', 'ignore', 'inherit'] })

const hasTools = existsSync('node_modules/typescript') && existsSync('node_modules/esbuild')
if (!hasTools && process.env.INIT_CWD === process.cwd()) {
  console.log('flashtable: not built, because the development dependencies are left out')
} else {
  if (!hasTools) run('npm ci --include=dev --ignore-scripts --no-audit --no-fund --prefer-offline')
  run('npm run build')
}

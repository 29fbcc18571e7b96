#!/usr/bin/env node
/**
 * The command line of flashtable: one file for each command in commands/; they share the files beside this one.
 *
 * Exit codes: 0 done, 1 failed or problem found, 2 wrong usage, 130 interrupted. README.md, Command line.
 */
import { createRequire } from 'node:module'
import { Command } from 'commander'
import { visible } from '../../src/base/describe-value.js'
import { diskError } from '../../src/base/errors.js'
import { defineCheckpoint } from './commands/checkpoint.js'
import { defineClear } from './commands/clear.js'
import { defineCompact } from './commands/compact.js'
import { defineCount } from './commands/count.js'
import { defineDelete } from './commands/delete.js'
import { defineDump } from './commands/dump.js'
import { defineExport } from './commands/export.js'
import { defineGet } from './commands/get.js'
import { defineImport } from './commands/import.js'
import { defineInspect } from './commands/inspect.js'
import { defineLoad } from './commands/load.js'
import { definePut } from './commands/put.js'
import { defineRepair } from './commands/repair.js'
import { defineScan } from './commands/scan.js'
import { defineStats } from './commands/stats.js'
import { defineVerify } from './commands/verify.js'
import { reportFailure } from './failure.js'
import { EXIT } from './output.js'
import { hasGivenUpOutput, outputFailure, printError, printText } from './streams.js'

const EXIT_CODES = `
Exit codes:
  0    done
  1    failed, or a problem was found
  2    wrong usage, nothing was tried
  130  interrupted (Ctrl-C); what was done so far is safe`

async function main(args: readonly string[]): Promise<number> {
  const code = await run(args)
  const failure = await outputFailure()
  if (failure === undefined) return code
  // JSON could not be written either.
  return reportFailure(false, diskError(failure, 'standard output cannot be written'))
}

async function run(args: readonly string[]): Promise<number> {
  try {
    await commandLine().parseAsync(args, { from: 'user' })
    return process.exitCode === undefined ? EXIT.done : Number(process.exitCode)
  } catch (error) {
    return reportFailure(args.includes('--json'), error)
  }
}

function commandLine(): Command {
  const program = new Command('flashtable')
    .description('Offline tools for flashtable directories')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: printText,
      writeErr: text => printError(visible(text, '\n')),
      // reportFailure prints it in the form of all errors.
      outputError: () => {},
    })
    .addHelpText('afterAll', EXIT_CODES)
  for (const define of [
    defineImport,
    defineExport,
    defineCompact,
    defineVerify,
    defineRepair,
    defineStats,
    defineInspect,
    defineGet,
    defineScan,
    defineCount,
    definePut,
    defineDelete,
    defineClear,
    defineCheckpoint,
    defineDump,
    defineLoad,
  ])
    define(program)
  return program
}

/** Found by the name of the package, which works from `tools/` and from `dist/tools/`. */
function packageVersion(): string {
  const require = createRequire(import.meta.url)
  return (require('flashtable/package.json') as { version: string }).version
}

process.exitCode = await main(process.argv.slice(2))
// What its reader does not take would keep it alive.
if (hasGivenUpOutput()) process.exit()

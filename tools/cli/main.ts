#!/usr/bin/env node
/**
 * The command line of flashtable: program.ts has its commands.
 *
 * Exit codes: 0 done, 1 failed or problem found, 2 wrong usage, 130 interrupted. README.md, Command line.
 */
import { diskError } from '../../src/base/errors.js'
import { reportFailure } from './failure.js'
import { EXIT } from './output.js'
import { commandLine } from './program.js'
import { hasGivenUpOutput, outputFailure } from './streams.js'

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

process.exitCode = await main(process.argv.slice(2))
// What its reader does not take would keep it alive.
if (hasGivenUpOutput()) process.exit()

/** All commands of the command line: one file for each in commands/; they share the files beside this one. */
import { Command } from 'commander'
import { visible } from '../../src/base/describe-value.js'
import { defineBench } from './commands/bench.js'
import { defineCheckpoint } from './commands/checkpoint.js'
import { defineClear } from './commands/clear.js'
import { defineCompact } from './commands/compact.js'
import { defineCompletion } from './commands/completion.js'
import { defineCount } from './commands/count.js'
import { defineDelete } from './commands/delete.js'
import { defineDump } from './commands/dump.js'
import { defineExport } from './commands/export.js'
import { defineGarbage } from './commands/gc.js'
import { defineGet } from './commands/get.js'
import { defineHistory } from './commands/history.js'
import { defineImport } from './commands/import.js'
import { defineInspect } from './commands/inspect.js'
import { defineLog } from './commands/log.js'
import { defineLoad } from './commands/load.js'
import { defineProbe } from './commands/probe.js'
import { definePublish } from './commands/publish.js'
import { definePut } from './commands/put.js'
import { defineRepair } from './commands/repair.js'
import { defineReplicate } from './commands/replicate.js'
import { defineReport } from './commands/report.js'
import { defineRestore } from './commands/restore.js'
import { defineScan } from './commands/scan.js'
import { defineStats } from './commands/stats.js'
import { defineStatus } from './commands/status.js'
import { defineTop } from './commands/top.js'
import { defineVerify } from './commands/verify.js'
import { printError, printText } from './streams.js'
import { packageVersion } from './version.js'

/** What the help of every command ends with. */
export const EXIT_CODES = `
Exit codes:
  0    done
  1    failed, or a problem was found
  2    wrong usage, nothing was tried
  130  interrupted (Ctrl-C); what was done so far is safe`

/** The program, which `parseAsync` runs. It is described by its help, by completion.ts, and by the manual page. */
export function commandLine(): Command {
  const program = new Command('flashtable')
    .description('Tools for the tables of flashtable: in directories, and where they are published')
    .version(packageVersion())
    // `restore --version 3` is an option of the command.
    .enablePositionalOptions()
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
    defineLog,
    defineTop,
    defineInspect,
    defineReport,
    defineGet,
    defineScan,
    defineCount,
    definePut,
    defineDelete,
    defineClear,
    defineCheckpoint,
    defineDump,
    defineLoad,
    definePublish,
    defineReplicate,
    defineRestore,
    defineHistory,
    defineStatus,
    defineGarbage,
    defineProbe,
    defineBench,
    defineCompletion,
  ])
    define(program)
  return program
}

/** `flashtable dump DIR [FILE]`: a table as text, which survives formats, diffs, and goes through pipes. */
import { Option, type Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, parseDirectory, parseFile } from '../arguments.js'
import { closing } from '../closing.js'
import { writeDump } from '../dump/write-dump.js'
import { readableEncodings } from '../encodings.js'
import { interruptible } from '../interrupt.js'
import { withOutput } from '../output-file.js'
import { formatBytes, formatCount, report } from '../output.js'
import { withProgress } from '../progress.js'
import { readSchema } from '../table-schema.js'
import { UsageError } from '../usage.js'

const DETAILS = `
The first line is JSON: schema, options and metadata of the table; then there is a line for each record, by key, those
of a key oldest first; the last line has their number and a checksum. FILE is written under another name and renamed
when all of it is on the device. flashtable load makes a table of it.

Examples:
  flashtable dump fingerprints.table fingerprints.dump
  flashtable dump fingerprints.table | gzip | ssh host 'gzip -d | flashtable load - copy.table'`

export function defineDump(program: Command): void {
  program
    .command('dump')
    .summary('write a table as text')
    .description('Writes the table in DIR as text to FILE, or to standard output. Changes nothing in DIR.')
    .argument('<dir>', 'directory of the table', parseDirectory)
    .argument('[file]', 'file to write, - for standard output', parseFile, '-')
    .addOption(new Option('--force', 'replace FILE if it is there'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runDump)
}

interface Options {
  readonly force?: true
  readonly json?: true
}

async function runDump(directory: string, file: string, { force, json }: Options): Promise<void> {
  const isPiped = file === '-'
  if (isPiped && json === true)
    throw new UsageError('--json needs a FILE: without it standard output has the records')
  if (isPiped && force === true) throw new UsageError('--force is for a FILE')
  const schema = await readSchema(directory)
  let bytes = 0
  const records = await interruptible(signal =>
    withProgress('dumping', async onProgress => {
      const opening = FlashTable.open(directory, { ...readableEncodings(schema), readOnly: true, signal })
      return closing(await opening, table =>
        withOutput(
          { path: file, force, signal, onProgress: bytesWritten => (bytes = bytesWritten) },
          output => writeDump(table, schema, output, { signal, onProgress }),
        ),
      )
    }),
  )
  if (isPiped || records === undefined) return
  report(
    json,
    { directory, file, records, bytes },
    () => `${formatCount(records)} records (${formatBytes(bytes)}) in ${file}`,
  )
}

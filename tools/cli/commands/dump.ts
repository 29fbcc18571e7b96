/** `flashtable dump DIR [FILE]`: a table as text, which survives formats, diffs, and goes through pipes. */
import { Option, type Command } from 'commander'
import { jsonOption, parseFile } from '../arguments.js'
import { writeDump } from '../dump/write-dump.js'
import { addReadingOptions, reading, READING_DETAILS, type ReadingTexts } from '../open-for-reading.js'
import { withOutput } from '../output-file.js'
import { formatBytes, formatCount, report } from '../output.js'
import { withProgress } from '../progress.js'
import { parseReadable } from '../store.js'
import { UsageError } from '../usage.js'

const DETAILS = `
The first line is JSON: schema, options and metadata of the table; then there is a line for each record, by key, those
of a key oldest first; the last line has their number and a checksum. FILE is written under another name and renamed
when all of it is on the device. flashtable load makes a table of it.
${READING_DETAILS}

Examples:
  flashtable dump fingerprints.table fingerprints.dump
  flashtable dump fingerprints.table | gzip | ssh host 'gzip -d | flashtable load - copy.table'
  flashtable dump s3://backups/fingerprints --version 3 | gzip > fingerprints.dump.gz`

export function defineDump(program: Command): void {
  const command = program
    .command('dump')
    .summary('write a table as text')
    .description('Writes the table in DIR as text to FILE, or to standard output. Changes nothing in DIR.')
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
    .argument('[file]', 'file to write, - for standard output', parseFile, '-')
  addReadingOptions(command)
    .addOption(new Option('--force', 'replace FILE if it is there'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runDump)
}

interface Options extends ReadingTexts {
  readonly force?: true
  readonly json?: true
}

async function runDump(directory: string, file: string, options: Options): Promise<void> {
  const { force, json } = options
  const isPiped = file === '-'
  if (isPiped && json === true)
    throw new UsageError('--json needs a FILE: without it standard output has the records')
  if (isPiped && force === true) throw new UsageError('--force is for a FILE')
  const result = await reading(directory, options, async ({ place, schema, signal, open }) => {
    let bytes = 0
    const output = { path: file, force, signal, onProgress: (written: number) => (bytes = written) }
    const records = await withProgress('dumping', onProgress =>
      open(table => withOutput(output, output => writeDump(table, schema, output, { signal, onProgress }))),
    )
    return { ...place, file, records, bytes }
  })
  const { records, bytes } = result
  if (isPiped || records === undefined) return
  report(json, result, () => `${formatCount(records)} records (${formatBytes(bytes)}) in ${file}`)
}

// Makes the manual page of the command line, flashtable(1), from the definitions that parse it. docs/decisions/
// command-line-completion.md.

/** Of a program of commander: the text of a page for man. `exitCodes`: what the help of each command ends with. */
export function manPage(program, { version, exitCodes }) {
  const help = program.createHelp()
  const commands = help.visibleCommands(program).filter(command => command.name() !== 'help')
  return `${[
    `.TH FLASHTABLE 1 "" ${quoted(`flashtable ${version}`)} "User Commands"`,
    '.SH NAME',
    `flashtable \\- ${escaped(firstLower(program.description()))}`,
    '.SH SYNOPSIS',
    '.B flashtable',
    '.I command',
    '.RI [ options ]',
    '.I arguments',
    '.br',
    '.B flashtable',
    '.RB [ \\-\\-help | \\-\\-version ]',
    '.SH DESCRIPTION',
    escaped('flashtable is an embedded, file-backed multimap of fixed-width records.'),
    escaped('These commands work on the directories of its tables.'),
    '.SH OPTIONS',
    ...help.visibleOptions(program).flatMap(optionLines),
    '.SH COMMANDS',
    ...commands.flatMap(command => commandLines(command, exitCodes)),
    '.SH EXIT STATUS',
    ...exitCodes
      .split('\n')
      .map(line => /^ +(\d+) +(.*)$/.exec(line))
      .filter(match => match !== null)
      .flatMap(([, code, text]) => ['.TP', `.B ${code}`, escaped(text)]),
    '.SH ENVIRONMENT',
    '.TP',
    '.B NO_COLOR',
    'Has nothing to do: nothing is coloured.',
    '.TP',
    '.B TERM',
    'With dumb, no progress is shown.',
    '.SH FILES',
    'A table is a directory:',
    ...[
      ['MANIFEST', 'says which of the other files count'],
      ['*.bucket', 'bucket files: immutable, sorted records'],
      ['*.wal', 'segments of the log'],
      ['LOCK', 'of the program that writes the table'],
    ].flatMap(([name, text]) => ['.TP', `.I ${escaped(name)}`, text]),
    '.SH SEE ALSO',
    'README.md and docs/ in the directory of the package.',
  ].join('\n')}\n`
}

function commandLines(command, exitCodes) {
  const help = command.createHelp()
  const usage = `flashtable ${command.name()} ${command.usage()}`
  const values = help.visibleArguments(command)
  return [
    `.SS ${quoted(escaped(usage))}`,
    escaped(command.description()),
    ...values.flatMap(({ description }, i) => [
      '.TP',
      `.I ${escaped(command.registeredArguments[i].name())}`,
      escaped(description),
    ]),
    ...help.visibleOptions(command).flatMap(optionLines),
    ...detailLines(detailsOf(command, exitCodes)),
  ]
}

function optionLines({ flags, description, argChoices }) {
  const choices = argChoices === undefined ? '' : ` (${argChoices.join(', ')})`
  return ['.TP', `.B ${escaped(flags)}`, escaped(`${description}${choices}`)]
}

/** What stands in the help of a command after its options: only printing it tells. */
function detailsOf(command, exitCodes) {
  let printed = ''
  const { writeOut } = command.configureOutput()
  command.configureOutput({ writeOut: text => (printed += text) })
  command.outputHelp()
  command.configureOutput({ writeOut })
  const information = command.helpInformation()
  return printed.slice(printed.indexOf(information) + information.length).replace(exitCodes, '')
}

/** Paragraphs are filled; what is indented stays as it is. */
function detailLines(details) {
  return details
    .split(/\n{2,}/)
    .filter(part => part.trim() !== '')
    .flatMap(part => {
      const lines = part.replace(/^\n|\n$/g, '').split('\n')
      const indented = lines.findIndex(line => line.startsWith('  '))
      const prose = indented < 0 ? lines : lines.slice(0, indented)
      const literal = indented < 0 ? [] : lines.slice(indented).map(line => line.slice(2))
      return [
        '.PP',
        ...prose.map(escaped),
        ...(literal.length === 0 ? [] : ['.RS', '.nf', ...literal.map(escaped), '.fi', '.RE']),
      ]
    })
}

function firstLower(text) {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

function quoted(text) {
  return `"${text.replaceAll('"', '\\(dq')}"`
}

/** Backslashes and hyphens mean something to troff, and so does a line that begins with a point or an apostrophe. */
function escaped(text) {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/, '\\&$&')
}

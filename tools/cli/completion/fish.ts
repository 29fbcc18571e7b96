/** The script for fish: a line for each thing that may be typed. */
import type { DescribedCommand, DescribedOption, Expected } from './described.js'

export function fishScript(commands: readonly DescribedCommand[]): string {
  const [program, ...others] = commands
  return `# Completion of flashtable for fish, printed by "flashtable completion fish".
complete -c flashtable -f
${[
  ...program!.options.map(option => line('__fish_use_subcommand', optionText(option))),
  ...others.map(({ name, description }) =>
    line('__fish_use_subcommand', `-a ${name} -d ${quoted(description)}`),
  ),
  ...others.flatMap(ofCommand),
].join('\n')}
`
}

function ofCommand({ name, options, values }: DescribedCommand): string[] {
  const isSeen = `__fish_seen_subcommand_from ${name}`
  // fish does not count arguments: what any of them may be is offered.
  const texts = new Set(values.map(valueText).filter(text => text !== ''))
  return [
    ...options.map(option => line(isSeen, optionText(option))),
    ...[...texts].map(text => line(isSeen, text)),
  ]
}

function line(condition: string, text: string): string {
  return `complete -c flashtable -n '${condition}' ${text}`
}

function optionText({ flags, description, value }: DescribedOption): string {
  const names = flags.map(flag => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
  const values = value === undefined ? [] : [value === 'file' ? '-r -F' : `-x ${valueText(value)}`.trim()]
  return [...names, ...values, `-d ${quoted(description)}`].join(' ')
}

function valueText(value: Expected): string {
  if (value === 'directory') return `-a '(__fish_complete_directories)'`
  if (value === 'file') return '-F'
  return value === 'nothing' ? '' : `-a ${quoted(value.join(' '))}`
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`
}

/** The script for zsh: what `_arguments` is told of each command. */
import { valueAt, type DescribedCommand, type DescribedOption, type Expected } from './described.js'

export function zshScript(commands: readonly DescribedCommand[]): string {
  const [program, ...others] = commands
  const names = others.map(({ name, description }) => quoted(`${name}:${description}`))
  const cases = others.map(command => `        ${command.name}) _arguments -s -S ${specs(command)} ;;`)
  return `#compdef flashtable
# Completion of flashtable for zsh, printed by "flashtable completion zsh".
_flashtable() {
  local context state line
  local -a commands=(${names.join(' ')})
  typeset -A opt_args
  _arguments -C ${program!.options.flatMap(optionSpecs).join(' ')} ':command:->command' '*::argument:->argument'
  case "$state" in
    command) _describe command commands ;;
    argument)
      case "$line[1]" in
${cases.join('\n')}
      esac ;;
  esac
}
# Loaded from a directory of fpath it is the function; read by source it is given to compdef.
if [[ "$funcstack[1]" == '_flashtable' ]]; then _flashtable "$@"; else compdef _flashtable flashtable; fi
`
}

function specs(command: DescribedCommand): string {
  const { values, isVariadic, options } = command
  const places = values.map((_, i) => {
    const isRest = isVariadic && i === values.length - 1
    return quoted(`${isRest ? '*' : i + 1}:argument:${action(valueAt(command, i))}`)
  })
  return [...options.flatMap(optionSpecs), ...places].join(' ')
}

function optionSpecs({ flags, description, value }: DescribedOption): string[] {
  // In a specification, brackets and colons mean something.
  const text = description.replaceAll(/[[\]\\]/g, '\\$&')
  return flags.map(flag => {
    const isLong = flag.startsWith('--')
    if (value === undefined) return quoted(`${flag}[${text}]`)
    return quoted(`*${flag}${isLong ? '=' : '+'}[${text}]:value:${action(value)}`)
  })
}

function action(value: Expected): string {
  if (value === 'directory') return '_files -/'
  if (value === 'file') return '_files'
  return value === 'nothing' ? ' ' : `(${value.join(' ')})`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

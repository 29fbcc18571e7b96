/** The script for bash: one function, which finds what stands before the cursor and offers what may follow. */
import type { DescribedCommand, Expected } from './described.js'

export function bashScript(commands: readonly DescribedCommand[]): string {
  const cases = commands.flatMap(({ name, options, values, isVariadic }) => [
    `    '${name} options') echo 'words ${options.flatMap(({ flags }) => flags).join(' ')}' ;;`,
    ...options.flatMap(({ flags, value }) =>
      value === undefined ? [] : flags.map(flag => `    '${name} ${flag}') echo '${spec(value)}' ;;`),
    ),
    ...values.map((value, i) => {
      const places = isVariadic && i === values.length - 1 ? `'${name} '[0-9]*` : `'${name} ${i}'`
      return `    ${places}) echo '${spec(value)}' ;;`
    }),
  ])
  return `# Completion of flashtable for bash, printed by "flashtable completion bash".
_flashtable_expected() {
  case "$1 $2" in
${cases.join('\n')}
  esac
}
_flashtable() {
  local word command='' option='' found='' current="\${COMP_WORDS[COMP_CWORD]}"
  local -a action
  local -i i place=0 isRest=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    # bash takes the = of --option=value for a word.
    if [[ "$word" == '=' ]]; then continue; fi
    if [[ -n "$option" ]]; then option=''
    elif [[ "$word" == '--' ]]; then isRest=1
    elif [[ $isRest == 0 && "$word" == -?* ]]; then
      if [[ -n "$(_flashtable_expected "$command" "$word")" ]]; then option="$word"; fi
    elif [[ -z "$command" ]]; then command="$word"
    else place+=1
    fi
  done
  if [[ "$current" == '=' ]]; then current=''; fi
  if [[ -n "$option" ]]; then found="$(_flashtable_expected "$command" "$option")"
  elif [[ $isRest == 0 && "$current" == -?* ]]; then found="$(_flashtable_expected "$command" options)"
  else found="$(_flashtable_expected "$command" "$place")"
  fi
  COMPREPLY=()
  case "$found" in
    directory) compopt -o filenames 2>/dev/null; action=(-d) ;;
    file) compopt -o filenames 2>/dev/null; action=(-f) ;;
    words\\ *) action=(-W "\${found#words }") ;;
    *) return ;;
  esac
  # Line by line: paths may have spaces, and bash 3 has no mapfile.
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "\${action[@]}" -- "$current")
}
complete -F _flashtable flashtable
`
}

function spec(value: Expected): string {
  return typeof value === 'string' ? value : `words ${value.join(' ')}`
}

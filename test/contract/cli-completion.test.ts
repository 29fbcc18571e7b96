/**
 * `flashtable completion`, in the shells themselves, and the manual page: both come from the definitions of the commands.
 *
 * Shells that this machine does not have are skipped.
 */
import { execFile, execFileSync } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { describeCommands } from '../../tools/cli/completion/described.js'
import { parseDirectory, parseFile } from '../../tools/cli/arguments.js'
import { commandLine, EXIT_CODES } from '../../tools/cli/program.js'
import { manPage } from '../../tools/build/man-page.mjs'
import { testCli } from './cli-tables.js'

const { cli, freshPath } = testCli()
const run = promisify(execFile)
const PROGRAM = commandLine()
const COMMANDS = describeCommands(PROGRAM)

/** A directory with a table, another directory, and a file. */
let place = ''

beforeAll(async () => {
  place = freshPath()
  for (const name of ['a table', 'other']) await mkdir(join(place, name), { recursive: true })
  await writeFile(join(place, 'records.csv'), '')
})

function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The script of a shell, as a file. */
async function scriptOf(shell: string): Promise<string> {
  const { code, stdout, stderr } = await cli.run('completion', shell)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const path = join(place, `.${shell}-script`)
  await writeFile(path, stdout)
  return path
}

/** Lines up to the cursor, and what may follow: the same in all shells. */
const EXPECTED: readonly (readonly [string, readonly string[]])[] = [
  ['flashtable sc', ['scan']],
  ['flashtable co', ['compact', 'completion', 'count']],
  ['flashtable scan --lim', ['--limit']],
  ['flashtable scan x --format ', ['csv', 'jsonl', 'table']],
  ['flashtable scan --gte --lt --format j', ['jsonl']],
  ['flashtable completion ', ['bash', 'fish', 'zsh']],
]

describe('the commands as completion knows them', () => {
  test('are all commands with all options, and every path is known for one', () => {
    expect(COMMANDS.map(({ name }) => name)).toContain('inspect')
    expect(COMMANDS.length).toBe(PROGRAM.commands.length + 2)
    for (const command of PROGRAM.commands) {
      const { options, values } = COMMANDS.find(({ name }) => name === command.name())!
      expect(options.flatMap(({ flags }) => flags)).toEqual(
        expect.arrayContaining(command.options.map(({ long }) => long)),
      )
      for (const [i, argument] of command.registeredArguments.entries()) {
        if (argument.parseArg === (parseDirectory as unknown)) expect(values[i]).toBe('directory')
        if (argument.parseArg === (parseFile as unknown)) expect(values[i]).toBe('file')
      }
    }
  })

  test('a shell that is not known is refused with 2', async () => {
    const { code, stderr } = await cli.run('completion', 'tcsh')
    expect(code).toBe(2)
    expect(stderr).toContain('bash, zsh, fish')
  })
})

describe.runIf(has('bash'))('bash', () => {
  /** Words as bash splits them, an empty one at the end where the line ends in a space. */
  async function complete(script: string, words: readonly string[]): Promise<string[]> {
    const program = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flashtable
      for reply in "\${COMPREPLY[@]}"; do printf '%s\\n' "$reply"; done; complete -p flashtable >&2`
    const { stdout, stderr } = await run('bash', ['-c', program, script, ...words], { cwd: place })
    expect(stderr).toBe('complete -F _flashtable flashtable\n')
    return stdout.split('\n').slice(0, -1).toSorted()
  }

  test('completes commands, options, choices, directories and files', async () => {
    const script = await scriptOf('bash')
    for (const [line, replies] of EXPECTED)
      expect([line, await complete(script, line.split(' '))]).toEqual([line, replies])
    expect(await complete(script, ['flashtable', 'scan', 'x', '--format', '=', 'j'])).toEqual(['jsonl'])
    expect(await complete(script, ['flashtable', 'scan', 'x', '--format', '='])).toEqual([
      'csv',
      'jsonl',
      'table',
    ])
    expect(await complete(script, ['flashtable', 'verify', ''])).toEqual(['a table', 'other'])
    expect(await complete(script, ['flashtable', 'verify', '--json', 'a t'])).toEqual(['a table'])
    expect(await complete(script, ['flashtable', 'repair', 'x', '--into', 'o'])).toEqual(['other'])
    expect(await complete(script, ['flashtable', 'import', 'rec'])).toEqual(['records.csv'])
    expect(await complete(script, ['flashtable', 'import', 'records.csv', ''])).toEqual(['a table', 'other'])
    expect(await complete(script, ['flashtable', 'get', 'x', ''])).toEqual([])
    expect(await complete(script, ['flashtable', 'get', 'x', '--unknown', ''])).toEqual([])
    expect(await complete(script, ['flashtable', 'verify', 'x', ''])).toEqual([])
    expect(await complete(script, ['flashtable', 'nonsense', ''])).toEqual([])
    expect(await complete(script, ['flashtable', 'scan', '--', '--lim'])).toEqual([])
  })
})

describe.runIf(has('fish'))('fish (skipped where there is none)', () => {
  test('completes commands, options, choices, directories and files', async () => {
    const script = await scriptOf('fish')
    const complete = async (line: string): Promise<string[]> => {
      const { stdout } = await run(
        'fish',
        ['--no-config', '-c', `source $argv[1]; complete -C $argv[2]`, script, line],
        {
          cwd: place,
        },
      )
      return stdout
        .split('\n')
        .slice(0, -1)
        .map(reply => reply.split('\t')[0]!)
    }
    for (const [line, replies] of EXPECTED)
      expect([line, await complete(line)]).toEqual([line, expect.arrayContaining([...replies])])
    expect(await complete('flashtable verify ')).toEqual(['a table/', 'other/'])
    expect(await complete('flashtable import rec')).toContain('records.csv')
    expect(await complete('flashtable repair x --into o')).toEqual(['other/'])
  })
})

describe.runIf(has('zsh'))('zsh (skipped where there is none)', () => {
  test('completes commands, options, choices, directories and files', async () => {
    const script = await scriptOf('zsh')
    // A shell on a terminal of its own, in which the command prints the line as it was completed.
    const startup = `
      PS1=; unset zle_bracketed_paste; autoload -Uz compinit; compinit -D -u; source "${script}"
      flashtable() { print -r -- "RAN:$*:" }
      # One key that does what Tab and Return do: Return does not come before the line is completed.
      complete-and-run() { zle expand-or-complete; zle accept-line }
      zle -N complete-and-run; bindkey '^T' complete-and-run
      print READY`
    await writeFile(join(place, '.zshrc'), startup)
    const driver = `
      zmodload zsh/zpty
      zpty shell "TERM=dumb ZDOTDIR=$1 zsh -i"
      zpty -r -m shell out '*READY*'
      zpty -w -n shell "$2"$'\\C-T'
      zpty -r -m shell out '*RAN:*:*'
      print -r -- \${\${out##*RAN:}%%:*}`
    const complete = async (line: string): Promise<string> => {
      const options = { cwd: place, timeout: 60_000 }
      const { stdout } = await run('zsh', ['-f', '-c', driver, 'zsh', place, line], options)
      return stdout.trim()
    }
    const lines = [
      ['flashtable sc', 'scan'],
      ['flashtable scan x --limi', 'scan x --limit'],
      ['flashtable scan x --format j', 'scan x --format jsonl'],
      ['flashtable completion f', 'completion fish'],
      ['flashtable verify o', 'verify other'],
      ['flashtable repair x --into a', 'repair x --into a table'],
      ['flashtable import rec', 'import records.csv'],
    ] as const
    for (const [line, completed] of lines) expect([line, await complete(line)]).toEqual([line, completed])
  })
})

describe('the manual page', () => {
  const page = manPage(commandLine(), { version: '1.2.3', exitCodes: EXIT_CODES })
  const plain = page.replaceAll('\\-', '-').replaceAll('\\(dq', '"')

  test('has all sections, commands, options, choices, examples and exit codes', () => {
    for (const section of ['NAME', 'SYNOPSIS', 'EXIT STATUS', 'ENVIRONMENT', 'FILES', 'SEE ALSO'])
      expect(plain).toContain(`.SH ${section}\n`)
    expect(plain).toContain('"flashtable 1.2.3"')
    for (const command of PROGRAM.commands) {
      const from = plain.indexOf(`.SS "flashtable ${command.name()} `)
      expect([command.name(), from]).not.toEqual([command.name(), -1])
      const next = plain.indexOf('\n.S', from)
      const part = plain.slice(from, next)
      for (const { flags, argChoices = [] } of command.options)
        for (const text of [`.B ${flags}\n`, ...argChoices]) expect(part).toContain(text)
      expect(part).toMatch(/\.PP\nExamples:\n\.RS\n\.nf\n(.*flashtable.*\n)+\.fi/)
      expect(part).not.toContain('Exit codes')
    }
    for (const code of ['0', '1', '2', '130']) expect(plain).toContain(`.TP\n.B ${code}\n`)
  })

  test.runIf(has('groff'))(
    'is what groff understands without a warning (skipped where there is none)',
    async () => {
      const path = join(place, 'flashtable.1')
      await writeFile(path, page)
      const { stdout, stderr } = await run('groff', ['-man', '-Tutf8', '-ww', path], { maxBuffer: 2 ** 24 })
      expect(stderr).toBe('')
      expect(stdout).toContain('flashtable')
      await chmod(path, 0o644)
    },
  )

  test('is made by the build, where package.json says', async () => {
    const { man } = (await import('../../package.json', { with: { type: 'json' } })).default as {
      man: string
    }
    expect(man).toBe('./dist/flashtable.1')
  })
})

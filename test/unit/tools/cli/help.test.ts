/** The help of every command, those that come later too. */
import { readdirSync, readFileSync } from 'node:fs'
import { Command } from 'commander'
import { expect, test } from 'vitest'

const FOLDER = 'tools/cli/commands'
const NAMES = readdirSync(FOLDER).map(name => name.replace('.ts', ''))

test.each(NAMES)(
  '%s: the help has two examples of the command or more, and each keeps to 120 columns',
  async name => {
    const program = new Command('flashtable')
    const module = (await import(`../../../../tools/cli/commands/${name}.ts`)) as Record<string, unknown>
    for (const [name, member] of Object.entries(module))
      if (name.startsWith('define')) (member as (program: Command) => void)(program)
    const [command] = program.commands
    let help = ''
    command!.configureOutput({ writeOut: text => (help += text) }).outputHelp()
    const examples =
      help
        .split('Examples:')[1]
        ?.split('\n')
        .filter(line => line !== '') ?? []
    const own = examples.filter(line => line.includes(`flashtable ${command!.name()} `))
    expect(own.length, help).toBeGreaterThanOrEqual(2)
    expect(examples.filter(line => line.length > 120)).toEqual([])
  },
)

test('README.md has a row for every command', () => {
  const readme = readFileSync('README.md', 'utf8')
  const without = NAMES.filter(name => !readme.includes(`| \`${name} `))
  expect(without).toEqual([])
})

/** The commands as completion needs them: read from the definitions that parse the command line, so that it cannot go stale. */
import type { Command } from 'commander'

/** What may be typed at a place: a directory, a path of any file, one of some words, or nothing that is known. */
export type Expected = 'directory' | 'file' | 'nothing' | readonly string[]

export interface DescribedOption {
  /** `--limit`, and `-h` where it has a short name. */
  readonly flags: readonly string[]
  readonly description: string
  /** Its value; `undefined` if it takes none. */
  readonly value: Expected | undefined
}

export interface DescribedCommand {
  readonly name: string
  readonly description: string
  readonly options: readonly DescribedOption[]
  /** Arguments in their order. */
  readonly values: readonly Expected[]
  /** Whether the last argument may be given several times. */
  readonly isVariadic: boolean
}

/** Placeholders of arguments and options that are paths: `<dir>`, `--into <new>`. */
const PATHS: Readonly<Record<string, 'directory' | 'file'>> = {
  dir: 'directory',
  new: 'directory',
  url: 'directory',
  file: 'file',
}

/** The program itself, under the name '', and each of its commands. */
export function describeCommands(program: Command): DescribedCommand[] {
  const commands = program.createHelp().visibleCommands(program)
  const names = commands.map(command => command.name())
  return [
    { ...described(program), name: '', values: [names] },
    ...commands.map(command => (command.name() === 'help' ? ofHelp(command, names) : described(command))),
  ]
}

function described(command: Command): DescribedCommand {
  const { registeredArguments } = command
  return {
    name: command.name(),
    description: command.summary() || command.description(),
    options: command
      .createHelp()
      .visibleOptions(command)
      .map(({ short, long, description, argChoices, flags }) => ({
        flags: [long, short].filter(flag => flag !== undefined),
        description,
        value: /[<[]/.test(flags) ? expected(/[<[]([\w-]+)/.exec(flags)![1]!, argChoices) : undefined,
      })),
    values: registeredArguments.map(argument => expected(argument.name(), argument.argChoices)),
    isVariadic: registeredArguments.at(-1)?.variadic === true,
  }
}

function ofHelp(command: Command, names: readonly string[]): DescribedCommand {
  return { ...described(command), values: [names] }
}

function expected(placeholder: string, choices: readonly string[] | undefined): Expected {
  return choices ?? PATHS[placeholder] ?? 'nothing'
}

/** What is expected as argument `at`, from 0 on. */
export function valueAt({ values, isVariadic }: DescribedCommand, at: number): Expected {
  return values[at] ?? (isVariadic ? values.at(-1)! : 'nothing')
}

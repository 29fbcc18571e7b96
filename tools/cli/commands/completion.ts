/** `flashtable completion SHELL`: prints the script that completes the command line in a shell. */
import { Argument, type Command } from 'commander'
import { bashScript } from '../completion/bash.js'
import { describeCommands } from '../completion/described.js'
import { fishScript } from '../completion/fish.js'
import { zshScript } from '../completion/zsh.js'
import { printText } from '../streams.js'

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

const DETAILS = `
To have it in every shell, put the first line into ~/.bashrc, or the same with zsh into ~/.zshrc after compinit.

Examples:
  source <(flashtable completion bash)
  flashtable completion fish > ~/.config/fish/completions/flashtable.fish`

export function defineCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print a script that completes commands and options in a shell')
    .description('Prints a script that completes commands, options and paths in bash, zsh or fish.')
    .addArgument(new Argument('<shell>', 'shell that reads the script').choices(Object.keys(SHELLS)))
    .addHelpText('after', DETAILS)
    .action((shell: keyof typeof SHELLS) => printText(SHELLS[shell](describeCommands(program))))
}

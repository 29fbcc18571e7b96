import { InvalidArgumentError } from 'commander'

/**
 * The command line is wrong, and nothing was tried: exit code 2.
 *
 * Thrown while commander parses an argument, it becomes a message that names the argument.
 */
export class UsageError extends InvalidArgumentError {}

import { InvalidArgumentError } from 'commander'

/**
 * The command was written wrongly, and nothing was tried: exit code 2.
 *
 * Thrown while commander parses an argument, it becomes a message that names the argument.
 */
export class UsageError extends InvalidArgumentError {}

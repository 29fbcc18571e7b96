/** Which version of a published table a command means: `--at`, `--version` or `--name`; none of them: the newest. */
import { Option, type Command } from 'commander'
import type { GivenVersion } from '../../src/options/remote-options.js'
import { parseCount, single } from './arguments.js'
import { UsageError } from './usage.js'

export interface VersionTexts {
  readonly at?: Date
  readonly version?: number
  readonly name?: string
}

export function addVersionOptions(command: Command): Command {
  return command
    .addOption(
      single(new Option('--at <time>', 'as it was then, such as 2026-11-28T18:00:00Z').argParser(parseTime)),
    )
    .addOption(single(new Option('--version <number>', 'this version').argParser(parseCount)))
    .addOption(single(new Option('--name <text>', 'the version of this name')))
}

/** The version that the options mean. Throws a {@link UsageError} if there are two of them. */
export function parseVersion({ at, version, name }: VersionTexts): GivenVersion {
  if ([at, version, name].filter(choice => choice !== undefined).length > 1)
    throw new UsageError('give one of --at, --version and --name')
  if (at !== undefined) return { at: at.getTime() }
  if (version !== undefined) return { version }
  return name === undefined ? {} : { name }
}

/** A time of a day, in UTC or here. */
export function parseTime(text: string): Date {
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : undefined
  if (time === undefined || Number.isNaN(time.getTime()))
    throw new UsageError('It must be a time such as 2026-11-28T18:00:00Z, or 2026-11-28T18:00 here.')
  return time
}

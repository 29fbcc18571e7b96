/** Options of the commands that publish: `publish` and `replicate`. */
import { Option, type Command } from 'commander'
import type { KeptPeriods } from '../../src/index.js'
import { single } from './arguments.js'
import { parseKeep, parseSpan } from './span.js'

/** As they are given to the library. */
export interface PublishTexts {
  readonly retention?: string
  readonly keep?: KeptPeriods
  readonly takeOver?: true
}

/** `--retention`, `--keep` and `--take-over`. */
export function addPublishOptions(command: Command): Command {
  return command
    .addOption(
      single(
        new Option('--retention <time>', 'how long older versions can be restored, at first 1h').argParser(
          parseSpan,
        ),
      ),
    )
    .addOption(
      single(
        new Option(
          '--keep <periods>',
          'of how many hours, days and weeks the last version stays, such as daily=7,weekly=4',
        ).argParser(parseKeep),
      ),
    )
    .addOption(
      new Option('--take-over', 'go on with what another writer has published, from a restored copy'),
    )
}

/**
 * `npm run test:object-store -- --rounds 10`: publishes to a real Ceph of its own while publishers, gateways and disks are
 * killed, fall asleep, race, and have wrong clocks. Needs Ceph and root; otherwise it says what is missing.
 * docs/durability.md, How it is tested.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { reportFailure } from '../../tools/cli/failure.js'
import { interruptible } from '../../tools/cli/interrupt.js'
import { EXIT } from '../../tools/cli/output.js'
import { withProgress } from '../../tools/cli/progress.js'
import { Random } from '../support/random.js'
import { whyNoS3 } from '../support/s3/s3.js'
import { Ceph } from './ceph.js'
import { clocks, kills, racers, zombies, type Trial, type World } from './trials.js'

const TRIALS: Readonly<Record<string, (world: World) => Trial>> = { kills, zombies, racers, clocks }
const SEEDS = 1_000_000

interface Options {
  readonly only: readonly string[]
  readonly rounds: number
  readonly seed: number
}

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args)
    const reason = whyNoS3()
    if (reason !== undefined) {
      console.log(`object store: skipped: ${reason}`)
      return EXIT.done
    }
    return await interruptible(signal => runAll(options, signal))
  } catch (error) {
    return reportFailure(false, error)
  }
}

function parseOptions(args: readonly string[]): Options {
  const names = Object.keys(TRIALS)
  return new Command('object-store')
    .description('Publishes to a real Ceph while publishers and daemons are killed, fall asleep and race.')
    .addOption(
      new Option('--only <names...>', 'which trials').choices(names).default(names, names.join(', ')),
    )
    .option('--rounds <n>', 'rounds of each trial', positive, 200)
    .option(
      '--seed <s>',
      'of all random choices; what they meet is up to the machine',
      positive,
      1 + (Date.now() % SEEDS),
    )
    .exitOverride()
    .parse(args, { from: 'user' })
    .opts<Options>()
}

function positive(text: string): number {
  const number = Number(text.replaceAll('_', ''))
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new InvalidArgumentError('it must be a positive whole number')
}

/** Runs the trials one after the other; what failed does not keep the others from being run. */
async function runAll({ only, rounds, seed }: Options, signal: AbortSignal): Promise<number> {
  const base = mkdtempSync(join(tmpdir(), 'flashtable-object-store-'))
  const ceph = await Ceph.start()
  // A second Ctrl-C ends the process where it is: not without this.
  const stopNow = (): void => ceph.stopNow()
  process.on('exit', stopNow)
  const failed: string[] = []
  let done = 0
  try {
    for (const name of only) {
      const trial = TRIALS[name]!({ ceph, directory: join(base, name), random: new Random(seed) })
      const startMs = performance.now()
      let round = 0
      try {
        await withProgress(name, async update => {
          for (; round < rounds; round++) {
            signal.throwIfAborted()
            update(round, rounds)
            await trial.round(round)
            done++
          }
        })
        const seconds = Math.round((performance.now() - startMs) / 1000)
        console.log(`${name}: ok, ${trial.summary()}; ${seconds} s`)
      } catch (error) {
        if (signal.aborted) console.log(`${name}: ended in round ${round + 1}, ${trial.summary()}`)
        signal.throwIfAborted()
        failed.push(name)
        console.log(`${name}: FAILED in round ${round + 1}, ${trial.summary()}`)
        console.error(error)
      } finally {
        await trial.end()
      }
    }
  } finally {
    await ceph.stop()
    process.off('exit', stopNow)
    rmSync(base, { recursive: true, force: true })
  }
  const verdict = failed.length === 0 ? 'ok' : `FAILED: ${failed.join(', ')}`
  console.log(`object store: ${verdict}, ${done} rounds with seed ${seed}`)
  return failed.length === 0 ? EXIT.done : EXIT.failed
}

// The publishers inherit it.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true'
process.exitCode = await main(process.argv.slice(2))

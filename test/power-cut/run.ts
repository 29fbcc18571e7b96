/**
 * `npm run test:power-cut -- --cuts 50`: cuts the power of real file systems while a process puts, and checks after each
 * cut that the table keeps its promises.
 *
 * Needs Linux and root; what cannot be done here is skipped, and it says why. docs/durability.md, How it is tested.
 */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { reportFailure } from '../../tools/cli/failure.js'
import { interruptible } from '../../tools/cli/interrupt.js'
import { EXIT } from '../../tools/cli/output.js'
import { withProgress } from '../../tools/cli/progress.js'
import { Random } from '../support/random.js'
import { Cuts } from './cuts.js'
import { Disk, FILE_SYSTEMS, type FileSystemName } from './disk.js'
import { CutFailure, lostText, totalsText } from './report.js'
import { FileSystemLost, Unavailable, whyNotHere } from './system.js'

interface Options {
  readonly fileSystem: readonly FileSystemName[]
  readonly cuts: number
  readonly seed: number
  readonly bytes: number
}

const MIB = 2 ** 20
/** mkfs.xfs makes none below 300 MiB. The image has holes: it takes what is written to it. */
const IMAGE_BYTES = 512 * MIB
const SEEDS = 1_000_000

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args)
    const reason = whyNotHere(process.platform, process.getuid?.())
    if (reason !== undefined) {
      console.log(`power cuts are skipped: ${reason}`)
      return EXIT.done
    }
    console.log(`power cuts with seed ${options.seed}`)
    for (const name of options.fileSystem) await interruptible(signal => cutFileSystem(name, options, signal))
    return EXIT.done
  } catch (error) {
    return reportFailure(false, error)
  }
}

function parseOptions(args: readonly string[]): Options {
  const names = Object.keys(FILE_SYSTEMS)
  return new Command('power-cut')
    .description(
      'Cuts the power of file systems on loop devices while a table is written, and checks the table.',
    )
    .addOption(
      new Option('--file-system <names...>', 'which ones').choices(names).default(names, names.join(', ')),
    )
    .option('--cuts <n>', 'power cuts of each file system', positive, 50)
    .option(
      '--seed <s>',
      'of all random choices; when the cuts come is up to the machine',
      positive,
      1 + (Date.now() % SEEDS),
    )
    .option('--bytes <n>', 'size of a file system', positive, IMAGE_BYTES)
    .exitOverride()
    .parse(args, { from: 'user' })
    .opts<Options>()
}

function positive(text: string): number {
  const number = Number(text.replaceAll('_', ''))
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new InvalidArgumentError('it must be a positive whole number')
}

async function cutFileSystem(name: FileSystemName, options: Options, signal: AbortSignal): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'flashtable-power-cut-'))
  const random = new Random(options.seed)
  let disk: Disk | undefined
  const remove = () => {
    disk?.remove()
    rmSync(base, { recursive: true, force: true })
  }
  // A second Ctrl-C ends the process where it is: not without this.
  process.on('exit', remove)
  try {
    disk = Disk.make(name, join(base, 'disk'), options.bytes, random)
    await cutDisk(name, disk, options, random, join(base, 'evidence'), signal)
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    console.log(`${name} is skipped: ${error.message}`)
  } finally {
    remove()
    process.off('exit', remove)
  }
}

async function cutDisk(
  name: FileSystemName,
  disk: Disk,
  options: Options,
  random: Random,
  evidence: string,
  signal: AbortSignal,
): Promise<void> {
  const cuts = new Cuts(disk, random, evidence)
  try {
    await withProgress(name, async update => {
      for (let cut = 0; cut < options.cuts; cut++) {
        update(cut, options.cuts)
        await cuts.next(signal)
      }
    })
  } catch (error) {
    // Ctrl-C ends commands of the system as well; their failure is not the news then.
    await turn()
    signal.throwIfAborted()
    if (!(error instanceof FileSystemLost)) {
      throw new CutFailure({ name, seed: options.seed, cut: cuts.totals.cuts, table: kept(evidence) }, error)
    }
    console.log(lostText(name, cuts.totals.cuts, error))
    // Of this one nothing could be checked.
    cuts.totals.cuts--
  }
  console.log(totalsText(name, cuts.totals))
}

/** Saves the table as the last cut has left it; returns where. */
function kept(evidence: string): string | undefined {
  if (!existsSync(evidence)) return undefined
  const directory = mkdtempSync(join(tmpdir(), 'flashtable-power-cut-table-'))
  cpSync(evidence, directory, { recursive: true })
  return directory
}

process.exitCode = await main(process.argv.slice(2))

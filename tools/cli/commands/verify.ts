/**
 * `flashtable verify DIR`: reads every page and every frame, checks all of them, and changes nothing. Of a published table
 * it reads the newest version where it is.
 *
 * README.md, Command line.
 */
import type { Command } from 'commander'
import { verifyPublished, type PublishedVerification } from '../../../src/index.js'
import { verifyTable, type Verification } from '../../../src/offline/verify.js'
import { jsonOption } from '../arguments.js'
import { interruptible } from '../interrupt.js'
import { EXIT, formatCount, report } from '../output.js'
import { atUrl, ofEach, reportPartitions, resultsOf, sumOf, type Outcome } from '../partitions.js'
import { withProgress } from '../progress.js'
import {
  addStoreOptions,
  isStore,
  parseReadable,
  PARTITIONS_DETAILS,
  URL_DETAILS,
  type StoreTexts,
} from '../store.js'
import { UsageError } from '../usage.js'
import { countText } from '../words.js'

const EXAMPLES = `
DIR may also be the URL of a published table: then the newest version is read where it is.
${URL_DETAILS}
${PARTITIONS_DETAILS}

Examples:
  flashtable verify fingerprints.table
  flashtable verify fingerprints.table --json | jq .problems
  flashtable verify s3://backups/fingerprints`

export function defineVerify(program: Command): void {
  const command = program
    .command('verify')
    .summary('read and check everything')
    .description(
      'Reads every page and frame of the table in DIR and compares them with everything that manifest and footers ' +
        'say. Prints each problem with its file and offset, and exits with 1 if there is one. Changes nothing.',
    )
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
  addStoreOptions(command).addOption(jsonOption()).addHelpText('after', EXAMPLES).action(runVerify)
}

interface Options extends StoreTexts {
  readonly json?: true
}

async function runVerify(directory: string, options: Options): Promise<void> {
  if (isStore(directory)) return verifyStore(directory, options)
  if (options.endpoint !== undefined || options.region !== undefined)
    throw new UsageError('--endpoint and --region are for s3://bucket/prefix')
  const result = await interruptible(signal =>
    withProgress('verifying', update =>
      verifyTable(directory, { signal, onProgress: ({ done, total }) => update(done, total) }),
    ),
  )
  const problems = result.problems.map(problem => ({ ...problem, offset: problem.offset ?? null }))
  report(options.json, { directory, ...result, problems, tornAt: result.tornAt ?? null }, () =>
    resultText(result),
  )
  if (result.problems.length > 0) process.exitCode = EXIT.failed
}

async function verifyStore(from: string, options: Options): Promise<void> {
  const found = await withProgress('verifying', update =>
    atUrl(from, options, {
      one: (store, signal) =>
        verifyPublished(store, { signal, onProgress: ({ done, total }) => update(done, total) }),
      many: (partitions, signal) =>
        ofEach(partitions, signal, 1, ({ store, partition }) =>
          verifyPublished(store, {
            signal,
            onProgress: ({ done, total }) => update(partition + done / total, partitions.length),
          }),
        ),
    }),
  )
  if ('many' in found) return reportAll(found.url, found.many, options)
  const { one } = found
  report(options.json, { url: found.url, ...publishedJson(one) }, () => publishedText(one))
  if (one.problems.length > 0) process.exitCode = EXIT.failed
}

function reportAll(url: string, all: readonly Outcome<PublishedVerification>[], { json }: Options): void {
  const problems = resultsOf(all).flatMap(({ problems }) => problems)
  const [files, pages] = [sumOf(all, ({ files }) => files), sumOf(all, ({ pages }) => pages)]
  const records = sumOf(all, ({ records }) => records)
  reportPartitions(json, url, all, {
    json: publishedJson,
    total: { files, pages, records, problems: problems.length },
    head: ['found', 'version', 'files', 'pages', 'records'],
    rows: ({ version, files, pages, records, problems }) => [
      [problemsText(problems), ...[version, files, pages, records].map(formatCount)],
    ],
    lines: problemLines(problems),
    sums: `${readText(files, pages, records)}: ${problemsText(problems)}`,
  })
  if (problems.length > 0) process.exitCode = EXIT.failed
}

function publishedJson(result: PublishedVerification): object {
  const problems = result.problems.map(problem => ({ ...problem, offset: problem.offset ?? null }))
  return { ...result, problems }
}

function publishedText({ version, problems, files, pages, records }: PublishedVerification): string {
  return [
    ...problemLines(problems),
    `version ${version}: ${readText(files, pages, records)}: ${problemsText(problems)}`,
  ].join('\n')
}

function readText(files: number, pages: number, records: number): string {
  return `${countText(files, 'file')}, ${countText(pages, 'page')}, ${countText(records, 'record')}`
}

function problemsText(problems: readonly unknown[]): string {
  return problems.length === 0 ? 'no problem' : `problems: ${formatCount(problems.length)}`
}

function problemLines(problems: Verification['problems']): string[] {
  return problems.map(
    ({ file, offset, message }) => `${file}:${offset === undefined ? '' : `${offset}:`} ${message}`,
  )
}

/** One line for each problem, as compilers print them, and a summary. */
function resultText({ problems, files, pages, frames, records, tornAt, orphans }: Verification): string {
  const lines = problemLines(problems)
  if (tornAt !== undefined) {
    lines.push(`${tornAt.path}:${tornAt.offset}: the log ends here, as it may after a crash: no problem`)
  }
  for (const path of orphans)
    lines.push(`${path}: not part of the table, the next writer removes it: no problem`)
  const read = [
    countText(files, 'file'),
    countText(pages, 'page'),
    countText(frames, 'frame'),
    countText(records, 'record'),
  ].join(', ')
  lines.push(`${read}: ${problemsText(problems)}`)
  return lines.join('\n')
}

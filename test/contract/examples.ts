/** docs/examples, run as their users do: each file is copied into an empty directory of a project with the package. */
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { metricsOf } from '../../src/metrics.js'
import { linkPackage } from '../support/link-package.js'
import { codeOf, readDocument } from '../support/markdown.js'

const EXAMPLES = resolve(import.meta.dirname, '../../docs/examples')
const LINES_MAX = 120

export const EXAMPLE_NAMES = [
  'audio',
  'backup',
  'dedup',
  'from-numpy',
  'kmer',
  'metrics',
  'seen-urls',
  'time-series',
  'to-duckdb',
]

/** Names of the metrics of a new table at `location`. */
export async function metricNames(location: string): Promise<string[]> {
  const table = await FlashTable.open(location, {
    keyEncoding: 'u8',
    latency: true,
    writeBudget: { bytesPerDay: 1e9 },
  })
  const metrics = await metricsOf(table)
  await table.close()
  return metrics.map(({ name }) => name)
}

/** `run` runs node with these arguments in a directory of the project, and gives what it prints. */
export function testExamples(
  project: () => string,
  run: (args: readonly string[], cwd: string) => Promise<string>,
): void {
  describe('docs/examples', () => {
    let hasDuckdb = false
    beforeAll(async () => {
      // No binary of DuckDB on this machine: then the example says that it is skipped.
      hasDuckdb = await import('@duckdb/node-api').then(
        () => true,
        () => false,
      )
      if (hasDuckdb)
        for (const name of ['@duckdb/node-api', 'hyparquet-writer']) await linkPackage(name, project())
    })

    test('all of them are run here', async () => {
      const entries = await readdir(EXAMPLES, { withFileTypes: true })
      expect(entries.filter(entry => entry.isDirectory()).map(({ name }) => name)).toEqual(EXAMPLE_NAMES)
    })

    test('every metric of the dashboard is there', async () => {
      const names = await metricNames(join(project(), 'dashboard'))
      const dashboard = JSON.parse(readDocument('docs/examples/metrics/grafana-dashboard.json')) as {
        panels: { targets: { expr: string }[] }[]
      }
      const used = dashboard.panels.flatMap(({ targets }) =>
        targets.flatMap(({ expr }) => expr.match(/flashtable_\w+/g) ?? []),
      )
      expect(used.length).toBeGreaterThan(10)
      expect(names).toEqual(expect.arrayContaining(used))
    })

    test.each(EXAMPLE_NAMES)('%s is short, and prints at last what its README says', async name => {
      const directory = join(project(), 'examples', name)
      await mkdir(directory, { recursive: true })
      const file = `${name}.mjs`
      await copyFile(join(EXAMPLES, name, file), join(directory, file))
      expect((await readFile(join(directory, file), 'utf8')).split('\n').length).toBeLessThan(LINES_MAX)

      const printed = await run([file], directory)
      const shown = codeOf(readDocument(`docs/examples/${name}/README.md`)).find(({ info }) =>
        info.startsWith('text'),
      )!
      // Numbers depend on the files of the package: only the words are compared.
      const comparable = (text: string) =>
        shown.info === 'text like' ? text.replaceAll(/\d[\d.]*/g, 'N').replaceAll(/[ACGT]{21}/g, 'DNA') : text
      if (printed.startsWith('skipped: ')) {
        expect({ name, hasDuckdb }).toEqual({ name: 'to-duckdb', hasDuckdb: false })
        return
      }
      expect(comparable(printed).trimEnd().split('\n').slice(-shown.text.split('\n').length)).toEqual(
        comparable(shown.text).split('\n'),
      )
    })
  })
}

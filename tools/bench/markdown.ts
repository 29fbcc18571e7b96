/** Prints saved figures as the tables of docs/benchmarks.md: `npm --prefix tools/bench run markdown -- FIGURES.json...`. */
import { readFileSync } from 'node:fs'
import {
  formatCell,
  formatRatio,
  formatTarget,
  bestPeer,
  medianOf,
  remarks,
  type Report,
  type WorkloadResult,
} from './report.js'
import type { FigureKind, StoreName } from './workload.js'

for (const file of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  process.stdout.write(`${preface(report)}\n`)
  for (const result of report.results) process.stdout.write(`${section(result, report)}\n`)
}

/** Machine, versions, commit and settings. */
function preface({ machine, node, versions, commit, settings, options }: Report): string {
  // Where the files were does not matter.
  const { dir: _dir, json: _json, ...told } = options as Record<string, unknown>
  return [
    '| | |',
    '| --- | --- |',
    ...rowsOf({ ...machine, 'Node.js': node, commit, ...prefixed('version', versions) }),
    ...rowsOf(prefixed('settings', settings)),
    ...rowsOf({ options: JSON.stringify(told) }),
    '',
  ].join('\n')
}

function rowsOf(facts: object): string[] {
  return Object.entries(facts).map(([name, fact]) => line([name, String(fact)]))
}

function prefixed(prefix: string, facts: object): object {
  return Object.fromEntries(Object.entries(facts).map(([name, fact]) => [`${name} ${prefix}`, fact]))
}

function section(result: WorkloadResult, { commit, options }: Report): string {
  const stores = Object.keys(result.stores) as StoreName[]
  const withPeers = stores.length > 1
  const head = ['', ...stores, ...(withPeers ? ['to the best peer'] : []), 'target']
  const rows = Object.entries(result.figures)
    .filter(([name]) => stores.some(store => medianOf(result, store, name) !== undefined))
    .map(([name, kind]) => [kind.unit, ...cells(result, stores, name, kind, withPeers), formatTarget(kind)])
  const { runs } = options as { runs: number }
  return [
    `### ${result.workload}\n`,
    `${result.sentence}\n`,
    `${result.records.toLocaleString('en-US')} records; ${result.counted}; ${runs === 1 ? 'one run' : `median of ${runs} runs`}; commit ${commit}, ${result.at.slice(0, 16)}.\n`,
    line(head),
    line(head.map((_, column) => (column === 0 ? '---' : '---:'))),
    ...rows.map(line),
    ...remarks(result).map(remark => `\n${remark}`),
    '',
  ].join('\n')
}

function cells(
  result: WorkloadResult,
  stores: StoreName[],
  name: string,
  kind: FigureKind,
  withPeers: boolean,
) {
  const values = stores.map(store => formatCell(result, store, name))
  if (!withPeers) return values
  return [...values, formatRatio(medianOf(result, 'flashtable', name), bestPeer(result, name, kind))]
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

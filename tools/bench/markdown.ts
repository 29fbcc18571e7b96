/** Prints saved figures as the tables of docs/benchmarks.md: `npm --prefix tools/bench run markdown -- FIGURES.json...`. */
import { readFileSync } from 'node:fs'
import {
  formatFigure,
  formatRatio,
  formatTarget,
  bestPeer,
  medianOf,
  type Report,
  type WorkloadResult,
} from './report.js'
import type { FigureKind, StoreName } from './workload.js'

for (const file of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  for (const result of report.results) process.stdout.write(`${section(result, report)}\n`)
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
  const values = stores.map(store => formatFigure(medianOf(result, store, name)))
  if (!withPeers) return values
  return [...values, formatRatio(medianOf(result, 'flashtable', name), bestPeer(result, name, kind))]
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

/** Prints figures as tables. */
import Table from 'cli-table3'
import type { FigureKind, Figures, StoreName } from './workload.js'

export interface WorkloadResult {
  readonly workload: string
  readonly sentence: string
  readonly figures: Readonly<Record<string, FigureKind>>
  readonly records: number
  /** What counts as bytes written. */
  readonly counted: string
  readonly at: string
  readonly stores: Partial<Record<StoreName, StoreResult>>
}

/** Figures of the runs; peers may have been given fewer records than flashtable. */
export type StoreResult = { records: number; runs: Figures[]; median: Figures } | { problem: string }

export interface Report {
  readonly machine: object
  readonly node: string
  readonly versions: Record<string, string>
  readonly commit: string
  /** How each store was opened. */
  readonly settings: Readonly<Record<StoreName, string>>
  /** Options of the command line. */
  readonly options: object
  readonly results: readonly WorkloadResult[]
}

/** One row a figure, one column a store, and the ratio against the best peer. */
export function printResult(result: WorkloadResult): void {
  const stores = Object.keys(result.stores) as StoreName[]
  const peers = stores.filter(store => store !== 'flashtable')
  const table = new Table({
    head: ['', ...stores, ...(peers.length > 0 ? ['to the best peer'] : []), 'target'],
    style: { head: [], border: [], compact: true },
  })
  for (const [name, kind] of Object.entries(result.figures)) {
    const ours = medianOf(result, 'flashtable', name)
    const row = [kind.unit, ...stores.map(store => formatCell(result, store, name))]
    if (peers.length > 0) row.push(formatRatio(ours, bestPeer(result, name, kind)))
    table.push([...row, formatTarget(kind)])
  }
  const head = `\n${result.workload}: ${result.records.toLocaleString('en-US')} records, ${result.counted}\n${result.sentence}`
  process.stdout.write(`${[head, table.toString(), ...remarks(result)].join('\n')}\n`)
}

/** What was skipped or failed, and which stores had fewer records. */
export function remarks({ stores, records }: WorkloadResult): string[] {
  return Object.entries(stores).flatMap(([store, outcome]) => {
    if ('problem' in outcome) return [`${store}: ${outcome.problem.split('\n')[0]}`]
    if (outcome.records === records) return []
    return [`${store}: ${outcome.records.toLocaleString('en-US')} records`]
  })
}

/**
 * Median of the runs and, if there are several, their spread: half of the difference between most and least, as a share
 * of the median.
 */
export function formatCell(result: WorkloadResult, store: StoreName, figure: string): string {
  const median = medianOf(result, store, figure)
  const outcome = result.stores[store]
  const text = formatFigure(median, result.figures[figure]?.digits)
  if (text === '' || outcome === undefined || 'problem' in outcome || outcome.runs.length < 2) return text
  const values = outcome.runs.map(run => run[figure]!)
  const spread = (Math.max(...values) - Math.min(...values)) / 2 / median!
  return spread > 0 ? `${text} ±${Math.ceil(100 * spread)} %` : text
}

export function medianOf({ stores }: WorkloadResult, store: StoreName, figure: string): number | undefined {
  const outcome = stores[store]
  return outcome !== undefined && 'median' in outcome ? outcome.median[figure] : undefined
}

export function formatFigure(value: number | undefined, digits = 3): string {
  if (value === undefined || !Number.isFinite(value)) return ''
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(digits)))
}

export function formatTarget({ target, peerTarget, better, digits }: FigureKind): string {
  const sign = better === 'less' ? '<=' : '>='
  return [
    ...(target === undefined ? [] : [`${sign} ${formatFigure(target, digits)}`]),
    ...(peerTarget === undefined ? [] : [`${sign} ${formatFigure(peerTarget)} x the best peer`]),
  ].join(', ')
}

/** What the best of the other stores reached. */
export function bestPeer(result: WorkloadResult, figure: string, { better }: FigureKind): number | undefined {
  const peers = (Object.keys(result.stores) as StoreName[]).filter(store => store !== 'flashtable')
  const known = peers.map(peer => medianOf(result, peer, figure)).filter(value => value !== undefined)
  if (known.length === 0 || better === undefined) return undefined
  return better === 'less' ? Math.min(...known) : Math.max(...known)
}

export function formatRatio(ours: number | undefined, best: number | undefined): string {
  return ours === undefined || best === undefined ? '' : `${formatFigure(ours / best)} x`
}

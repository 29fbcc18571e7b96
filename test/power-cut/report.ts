/** What is printed of the cuts of a file system. */
import { formatCount } from '../../tools/cli/output.js'
import type { Totals } from './cuts.js'
import type { FileSystemName } from './disk.js'
import { BrokenPromise } from './history.js'
import type { FileSystemLost } from './system.js'

/** Where it was that something went wrong. */
export interface Place {
  readonly name: FileSystemName
  readonly seed: number
  /** Counted from 1. */
  readonly cut: number
  /** Where the table is, as the cut has left it. */
  readonly table: string | undefined
}

/** Its message tells how to see the failure again. */
export class CutFailure extends Error {
  override readonly name = 'CutFailure'
  readonly code = 'CUT_FAILED'

  constructor({ name, seed, cut, table }: Place, cause: unknown) {
    const lines = [
      `${name}, cut ${cut}: ${textOf(cause)}`,
      `again: npm run test:power-cut -- --file-system ${name} --seed ${seed} --cuts ${cut}`,
      '  (the same choices; the moment of the cut differs: more --cuts may be needed)',
    ]
    if (table !== undefined) lines.push(`the table as the cut has left it: ${table}`)
    super(lines.join('\n'), { cause })
  }
}

/** A broken promise says all; of anything else the place in the code matters. */
function textOf(error: unknown): string {
  if (error instanceof BrokenPromise) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** The file system has not survived a cut. */
export function lostText(name: FileSystemName, cut: number, { message }: FileSystemLost): string {
  return `${name}: cannot be mounted any more after cut ${cut}, which says nothing of the table (${message})`
}

export function totalsText(name: FileSystemName, totals: Totals): string {
  const { cuts, open, tables, calls, lost, losing, inPart, merged } = totals
  return [
    `${name}: no promise was broken; cuts: ${formatCount(cuts)} (of an open table: ${formatCount(open)})`,
    `tables: ${formatCount(tables)}`,
    `calls made: ${formatCount(calls)}, lost: ${formatCount(lost)}, none of them acknowledged as durable`,
    `cuts that took calls: ${formatCount(losing)} (and spared others that were not durable either: ${formatCount(inPart)})`,
    `merged files found: ${formatCount(merged)} times`,
  ].join('; ')
}

/** What a workload is, and what workloads share. */
import type { JobForm } from '../../support/simulated-environment.js'
import type { Driver } from '../driver.js'
import type { COMBINE, CrashRecord } from '../history.js'

export interface Workload {
  /** Of every open. */
  readonly options?: {
    readonly duplicates?: 'replace'
    readonly combine?: typeof COMBINE
    readonly syncIntervalMs?: number
    readonly walBytes?: number
    readonly jobs?: JobForm
    readonly eventLog?: boolean
    readonly runsPerFlush?: number
  }
  readonly run: (driver: Driver) => Promise<void>
}

export type Workloads = Readonly<Record<string, Workload>>

export const put = (record: CrashRecord) => ({ kind: 'put', record }) as const

export function countOf({ disk }: Driver, op: string, suffix: string): number {
  return disk.log.filter(call => call.op === op && call.path.endsWith(suffix)).length
}

/** A workload fails where it does not reach what it is there for. */
export function expectReached(what: string, found: string, reached: boolean): void {
  if (!reached) throw new Error(`the workload does not reach what it is there for: ${what}, found ${found}`)
}

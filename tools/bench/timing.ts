/** Time and memory. */
import { readFileSync } from 'node:fs'

/** The seconds that the action took. */
export async function seconds(action: () => void | Promise<void>): Promise<number> {
  const start = performance.now()
  await action()
  return (performance.now() - start) / 1000
}

/** The most memory that this process ever had, in MiB. */
export function peakRssMiB(): number {
  return process.resourceUsage().maxRSS / 1024
}

/** Memory of a process now, in MiB; needs Linux. */
export function rssMiB(pid: number = process.pid): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return (pages * 4096) / 2 ** 20
}

/** The value at or below which this share of all values lies. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

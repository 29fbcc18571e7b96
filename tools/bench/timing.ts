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
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))!
    return Number(kib) / 1024
  } catch {
    // Elsewhere than on Linux. There this would count what the parent had when it started this process.
    return process.resourceUsage().maxRSS / 1024
  }
}

/** Memory of a process now, in MiB; needs Linux. */
export function rssMiB(pid: number = process.pid): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return (pages * 4096) / 2 ** 20
}

/** MiB of this process that are in huge pages; needs Linux. */
export function hugePagesMiB(): number {
  const [, kib] = /^AnonHugePages:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8')) ?? []
  return Number(kib ?? 0) / 1024
}

/** Collects garbage now, so that what earlier work has left is not collected in a timed part. Needs `--expose-gc`. */
export function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('a benchmark needs node --expose-gc')
  globalThis.gc()
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** The value at or below which this share of all values lies. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

/**
 * The order of the test files in a run: the longest begin first, so that no worker is left alone with one at the end.
 *
 * A fresh clone knows no durations, and vitest would begin with the largest files: the crash explorer is a small one.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Seconds on two cores, of files that take more than ten. */
const SECONDS: Readonly<Record<string, number>> = {
  'crash/crash': 300,
  'contract/cli-export': 92,
  'contract/packed-package': 62,
  'contract/bulk-load': 51,
  'crash/faults': 49,
  'contract/cli-deletes': 28,
  'contract/cli-scan': 26,
  'contract/clear-range': 23,
  'crash/store-interleavings': 20,
}

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files)
    // Stable: the rest stays as it was.
    return others.toSorted((a, b) => secondsOf(b) - secondsOf(a))
  }
}

function secondsOf({ moduleId }: TestSpecification): number {
  const name = /\/test\/(.*)\.test\.ts$/.exec(moduleId)?.[1]
  return (name === undefined ? undefined : SECONDS[name]) ?? 0
}

/**
 * The order of the test files in a run: the longest begin first, so that no worker is left alone with one at the end.
 *
 * A fresh clone knows no durations, and vitest would begin with the largest files: the crash explorer is a small one.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Seconds on two cores, of files that take more than ten. */
const SECONDS: Readonly<Record<string, number>> = {
  'crash/crash': 300,
  'crash/faults': 64,
  'contract/packed-package': 60,
  'contract/s3-store': 50,
  'contract/cli-export': 40,
  'property/table': 40,
  'crash/cases-reads': 30,
  'contract/bulk-load': 25,
  'crash/passing-faults': 24,
  'crash/replicate': 20,
  'contract/cli-dump': 20,
  'contract/many-tables': 18,
  'contract/publish': 17,
  'contract/many-records': 16,
  'contract/cli-publish': 15,
  'contract/cli-scan': 15,
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

// Prints "PASSED FAILED" of the report of vitest's JSON reporter: for .ci/run.
// A file that could not be loaded has no tests to count: it counts as one that failed. So does a report that is missing.
import { readFileSync } from 'node:fs'

function count(path) {
  let report
  try {
    report = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return [0, 1]
  }
  const unloaded = report.testResults.filter(
    file => file.status === 'failed' && !file.assertionResults.some(test => test.status === 'failed'),
  )
  return [report.numPassedTests, report.numFailedTests + unloaded.length]
}

process.stdout.write(count(process.argv[2]).join(' ') + '\n')

/** One run of one workload on one store: the process that run.ts starts. The settings come as JSON, the figures go back as a message. */
import { Skipped, type RunSettings } from './workload.js'
import { WORKLOADS } from './workloads/index.js'

/** What the process reports. */
export type CaseResult =
  { readonly figures: Record<string, number> } | { readonly skipped: string } | { readonly failed: string }

const [name, settings] = process.argv.slice(2)
const workload = WORKLOADS.find(workload => workload.name === name)!
let result: CaseResult
try {
  result = { figures: await workload.run(JSON.parse(settings!) as RunSettings) }
} catch (error) {
  if (error instanceof Skipped) result = { skipped: error.message }
  else result = { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}
process.send!(result)
process.disconnect()

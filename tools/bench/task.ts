/** One task in its own process: what child.ts starts. The settings come as JSON, the figures go back as a message. */
import type { CaseResult } from './case.js'
import { TASKS } from './tasks/index.js'

// If the workload is killed, this ends, too: it holds files open.
process.once('disconnect', () => process.exit(1))
const [name, settings] = process.argv.slice(2)
const task = TASKS[name as keyof typeof TASKS] as (settings: never) => Promise<Record<string, number>>
let result: CaseResult
try {
  result = { figures: await task(JSON.parse(settings!) as never) }
} catch (error) {
  result = { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}
process.send!(result, () => process.exit(0))

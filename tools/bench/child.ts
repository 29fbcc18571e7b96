/** Runs a part of a workload in a fresh process, whose memory, threads and machine code are those of that part. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CaseResult } from './case.js'
import { median } from './timing.js'
import type { Figures } from './workload.js'
import type { TaskName, TaskSettings } from './tasks/index.js'

/** Runs the task with these variables in addition to those of this process. Rejects if it fails. */
export async function inChild<Name extends TaskName>(
  name: Name,
  settings: TaskSettings[Name],
  variables: Readonly<Record<string, string>> = {},
): Promise<Figures> {
  const script = fileURLToPath(new URL('./task.js', import.meta.url))
  const child = fork(script, [name, JSON.stringify(settings)], {
    stdio: ['ignore', 2, 2, 'ipc'],
    env: { ...process.env, ...variables },
  })
  return new Promise((resolve, reject) => {
    let result: CaseResult = { failed: 'the process ended without a result' }
    child.on('message', message => (result = message as CaseResult))
    child.on('close', () => {
      if ('figures' in result) resolve(result.figures)
      else reject(new Error(`${name}: ${JSON.stringify(result)}`))
    })
  })
}

/** The medians of the same task in several processes, one after another. */
export async function inChildren<Name extends TaskName>(
  processes: number,
  name: Name,
  settings: TaskSettings[Name],
): Promise<Figures> {
  const runs: Figures[] = []
  for (let run = 0; run < processes; run++) runs.push(await inChild(name, settings))
  return Object.fromEntries(
    Object.keys(runs[0]!).map(figure => [figure, median(runs.map(run => run[figure]!))]),
  )
}

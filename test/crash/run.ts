/**
 * `npm run test:crash -- --states 5000000`: the crash explorer for as long as one likes.
 *
 * With `--step` it checks one state again, as a failure message says. docs/durability.md, How it is tested.
 */
import { parseArgs } from 'node:util'
import { explore, replay, type Exploration } from './explorer.js'
import { WORKLOADS } from './workloads/index.js'

const USAGE = `npm run test:crash -- [--states N] [--seed S] [--workload W]...
npm run test:crash -- --workload W --step K --seed S`

/** Time between two lines of progress. */
const PROGRESS_INTERVAL_MS = 500

interface Arguments {
  readonly states: number
  readonly seed: number
  readonly workloads: readonly string[]
  readonly step: number | undefined
}

function parseArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      states: { type: 'string', default: '100000' },
      seed: { type: 'string' },
      step: { type: 'string' },
      workload: { type: 'string', multiple: true },
    },
  })
  const [states, seed, step] = [values.states, values.seed ?? `${Date.now() % 1_000_000}`, values.step].map(
    Number,
  )
  for (const value of [states, seed, values.step === undefined ? 1 : step]) {
    if (!Number.isSafeInteger(value)) throw new TypeError(`expected whole numbers\n${USAGE}`)
  }
  const workloads = values.workload ?? Object.keys(WORKLOADS)
  if (values.step === undefined) return { states: states!, seed: seed!, workloads, step: undefined }
  if (workloads.length !== 1) throw new TypeError(`--step needs one --workload\n${USAGE}`)
  return { states: states!, seed: seed!, workloads, step }
}

async function exploreAll({ states, seed, workloads }: Arguments): Promise<void> {
  const sum = { steps: 0, states: 0, disks: 0, recoveries: 0 }
  const startMs = performance.now()
  for (const workload of workloads) {
    const share = Math.ceil((states - sum.states) / (workloads.length - workloads.indexOf(workload)))
    const explored = await explore(workload, {
      states: share,
      seed,
      onState: progressOf(workload, share),
    })
    console.log(lineOf(workload, explored))
    for (const name of ['steps', 'states', 'disks', 'recoveries'] as const) sum[name] += explored[name]
  }
  const { user, system } = process.cpuUsage()
  console.log(lineOf('all', sum))
  console.log(
    `seeds from ${seed}; ${((performance.now() - startMs) / 1000).toFixed(0)} s, ` +
      `${((user + system) / 1000 / sum.states).toFixed(2)} ms CPU a state; no promise was broken`,
  )
}

function lineOf(workload: string, { steps, states, disks, recoveries }: Exploration): string {
  return (
    `${workload}: ${states} states over ${steps} stops, ` +
    `${disks} different disks, ${recoveries} different stops of recoveries`
  )
}

/** A line on the terminal that is written over; nothing where there is none. */
function progressOf(workload: string, share: number): (states: number) => void {
  if (!process.stderr.isTTY) return () => {}
  let shownMs = 0
  return states => {
    // The clock of the process stands still meanwhile.
    const nowMs = Date.now()
    if (nowMs - shownMs < PROGRESS_INTERVAL_MS) return
    shownMs = nowMs
    process.stderr.write(`\r\x1b[K${workload}: ${Math.min(100, Math.floor((100 * states) / share))} %\r`)
  }
}

const given = parseArguments()
if (given.step === undefined) await exploreAll(given)
else {
  const [workload] = given.workloads
  await replay({ workload: workload!, step: given.step, seed: given.seed })
  console.log('this state keeps all promises')
}

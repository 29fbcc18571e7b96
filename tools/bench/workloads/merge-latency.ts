/** Does a huge merge get in the way of puts and of the event loop? */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { randomRecords } from '../records.js'
import { openTable, putRandom, settled, type Table } from '../table.js'
import { percentile } from '../timing.js'
import { check, type Figures, type Workload } from '../workload.js'

const PUTS = 1_000_000
const SECONDS = 60
/** Record numbers from here on are in no table before. */
const FRESH_FROM = 1_000_000_000

export const mergeLatency: Workload = {
  name: 'merge-latency',
  sentence:
    'While a table of random records is compacted, 1,000,000 more are put one by one, each awaited (or as many as the merge, or 60 s, leaves time for); then as many without a merge.',
  stores: ['flashtable'],
  records: 50_000_000,
  figures: {
    mergeSeconds: { unit: 's the merge took' },
    putsInMerge: { unit: 'puts while it ran' },
    ...latencyFigures('InMerge', 'while the merge ran', { high: 4, max: 15 }),
    ...latencyFigures('Alone', 'without a merge', {}),
  },
  async run({ directory, records }) {
    const table = await openTable(directory)
    await putRandom(table, 0, records)
    await settled(table)
    const start = performance.now()
    let running = true
    let mergeSeconds = 0
    const merge = table.compact().finally(() => {
      running = false
      mergeSeconds = (performance.now() - start) / 1000
    })
    const during = await putAndWatch(table, FRESH_FROM, PUTS, () => running)
    await merge
    await settled(table)
    const alone = await putAndWatch(table, FRESH_FROM + PUTS, during.puts, () => true)
    const stats = await table.stats()
    check(stats.records === records + during.puts + alone.puts, () => `${stats.records} records`)
    await table.close()
    return {
      mergeSeconds,
      putsInMerge: during.puts,
      ...named(during.figures, 'InMerge'),
      ...named(alone.figures, 'Alone'),
    }
  },
}

function latencyFigures(suffix: string, when: string, target: { high?: number; max?: number }) {
  const kind = (what: string, target?: number) => ({
    unit: `ms ${what} ${when}`,
    better: 'less' as const,
    ...(target === undefined ? {} : { target }),
  })
  return {
    [`putP50${suffix}`]: kind('put p50'),
    [`putP99${suffix}`]: kind('put p99'),
    [`putP999${suffix}`]: kind('put p99.9', target.high),
    [`putMax${suffix}`]: kind('put max', target.max),
    [`loopP50${suffix}`]: kind('event loop p50'),
    [`loopP99${suffix}`]: kind('event loop p99'),
    [`loopP999${suffix}`]: kind('event loop p99.9', target.high),
    [`loopMax${suffix}`]: kind('event loop max', target.max),
  }
}

function named(figures: Figures, suffix: string): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name + suffix, value]))
}

async function putAndWatch(table: Table, from: number, count: number, goOn: () => boolean) {
  const { key, id } = randomRecords(from, from + count)
  const latencies = new Float64Array(count)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const end = performance.now() + SECONDS * 1000
  let puts = 0
  for (; puts < count && goOn(); puts++) {
    const start = performance.now()
    if (start > end) break
    await table.put(key[puts]!, { time: 0, flags: 0, id: id[puts]! })
    latencies[puts] = performance.now() - start
    // An application gives its event loop a turn now and then; without one it would look blocked by these puts.
    if (puts % 64 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  delay.disable()
  const sorted = latencies.subarray(0, puts).sort()
  const figures: Figures = {
    putP50: percentile(sorted, 0.5),
    putP99: percentile(sorted, 0.99),
    putP999: percentile(sorted, 0.999),
    putMax: sorted.at(-1) ?? NaN,
    loopP50: delay.percentile(50) / 1e6,
    loopP99: delay.percentile(99) / 1e6,
    loopP999: delay.percentile(99.9) / 1e6,
    loopMax: delay.max / 1e6,
  }
  return { puts, figures }
}

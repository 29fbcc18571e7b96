/** What a monitor is told, and in which form. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FlashTable } from '../../../src/index.js'
import { metricsOf, metricsOfStats, toPrometheus, type Metric } from '../../../src/metrics.js'

async function withTable<Result>(
  work: (table: FlashTable<'u64', undefined>) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-metrics-'))
  const table = await FlashTable.open(directory, { keyEncoding: 'u64' })
  try {
    return await work(table)
  } finally {
    await table.close()
    await rm(directory, { recursive: true })
  }
}

test('the numbers are those of stats()', () =>
  withTable(async table => {
    for (let key = 0n; key < 10n; key++) await table.put(key, undefined)
    const stats = await table.stats()
    const metrics = metricsOfStats(stats, { table: 'a' })
    const valueOf = (name: string, label?: string): number | undefined =>
      metrics.find(
        metric =>
          metric.name === name && (label === undefined || Object.values(metric.labels).includes(label)),
      )?.value
    expect(valueOf('flashtable_records')).toBe(10)
    expect(valueOf('flashtable_put_bytes_total')).toBe(80)
    expect(valueOf('flashtable_written_bytes_total', 'log')).toBe(stats.bytesWritten.wal)
    expect(valueOf('flashtable_poisoned')).toBe(0)
    expect(metrics.every(({ labels }) => labels['table'] === 'a')).toBe(true)
    expect((await metricsOf(table)).map(({ name }) => name)).toEqual(metrics.map(({ name }) => name))
  }))

test('the text is that of Prometheus: each name once, with all its samples', () =>
  withTable(async table => {
    const stats = await table.stats()
    const text = toPrometheus([
      ...metricsOfStats(stats, { table: 'a' }),
      ...metricsOfStats(stats, { table: 'b' }),
    ])
    const lines = text.split('\n')
    expect(lines.pop()).toBe('')
    const LINE = /^(# (HELP|TYPE) flashtable_[a-z_]+ .+|flashtable_[a-z_]+\{([a-z]+="[^"]*",?)+\} [\d.e+-]+)$/
    expect(lines.filter(line => !LINE.test(line))).toEqual([])
    const types = lines.filter(line => line.startsWith('# TYPE'))
    expect(new Set(types).size).toBe(types.length)
    // Counters, and only they, end so.
    expect(types.filter(line => line.endsWith('counter') !== line.includes('_total '))).toEqual([])
    expect(text).toContain('flashtable_written_bytes_total{table="b",purpose="log"} ')
  }))

test('a new table has every name, also those that come with a label for each level', () =>
  withTable(async table => {
    const namesOf = async () => [...new Set((await metricsOf(table)).map(({ name }) => name))]
    const before = await namesOf()
    expect(await metricsOf(table)).toContainEqual({
      name: 'flashtable_files',
      help: expect.any(String) as string,
      type: 'gauge',
      value: 0,
      labels: { level: '0' },
    })
    await table.put(1n, undefined)
    await table.compact()
    expect(await namesOf()).toEqual(before)
    const files = (await metricsOf(table)).filter(({ name }) => name === 'flashtable_files')
    expect(files.reduce((sum, { value }) => sum + value, 0)).toBe(1)
  }))

test('labels and values that the format writes otherwise', () => {
  const metric = (value: number): Metric => ({
    name: 'a',
    help: 'A.',
    type: 'gauge',
    value,
    labels: { b: 'c"\\\n' },
  })
  expect(toPrometheus([metric(NaN), metric(Infinity), metric(-Infinity)])).toBe(
    '# HELP a A.\n# TYPE a gauge\n' +
      ['NaN', '+Inf', '-Inf'].map(value => `a{b="c\\"\\\\\\n"} ${value}\n`).join(''),
  )
})

test('with latency there are summaries in seconds, each one family with its sum and its count', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-metrics-'))
  const table = await FlashTable.open(directory, { keyEncoding: 'u64', latency: true })
  await table.put(1n, undefined)
  const stats = await table.stats()
  await table.close()
  await rm(directory, { recursive: true })
  const puts = { count: 4, minUs: 1, meanUs: 250, maxUs: 9, p50Us: 2, p90Us: 300, p99Us: 4000, p999Us: 5e6 }
  const text = toPrometheus([
    ...metricsOfStats({ ...stats, latency: { ...stats.latency!, puts } }, { table: 'a' }),
    ...metricsOfStats({ ...stats, latency: { ...stats.latency!, puts: undefined } }, { table: 'b' }),
  ])
  expect(text).toContain(
    '# HELP flashtable_put_seconds Seconds of calls that put or delete, since the open.\n' +
      '# TYPE flashtable_put_seconds summary\n' +
      'flashtable_put_seconds{table="a",quantile="0.5"} 0.000002\n' +
      'flashtable_put_seconds{table="a",quantile="0.9"} 0.0003\n' +
      'flashtable_put_seconds{table="a",quantile="0.99"} 0.004\n' +
      'flashtable_put_seconds{table="a",quantile="0.999"} 5\n' +
      'flashtable_put_seconds_sum{table="a"} 0.001\n' +
      'flashtable_put_seconds_count{table="a"} 4\n' +
      '# HELP flashtable_commit_seconds',
  )
  expect(text).toContain('flashtable_lookup_seconds{table="a",quantile="0.5"} NaN\n')
  expect(text).toContain('flashtable_lookup_seconds_count{table="b"} 0\n')
  expect(text.match(/^# TYPE \w+ summary$/gm)).toEqual(
    ['put', 'commit', 'sync', 'lookup'].map(name => `# TYPE flashtable_${name}_seconds summary`),
  )
})

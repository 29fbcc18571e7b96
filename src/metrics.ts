/**
 * `flashtable/metrics`: what `stats()` tells, as metrics for a monitor: Prometheus, OpenTelemetry. It needs no other package.
 *
 * Names and units are those that Prometheus recommends: https://prometheus.io/docs/practices/naming/. docs/api.md, Metrics.
 */
import type { DurationStats } from './base/latency.js'
import type { TableStats } from './table/stats.js'

/** One number, and what it means. */
export interface Metric {
  /** Such as `flashtable_written_bytes_total`. A summary has others that end with `_sum` and `_count`. */
  readonly name: string
  readonly help: string
  /**
   * A counter only grows, over the whole life of the table or since it was opened; a gauge goes both ways; a summary is
   * a quantile, the sum or the count of durations.
   */
  readonly type: 'counter' | 'gauge' | 'summary'
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
}

/** What tells the numbers of one table from those of others, such as `{ table: 'prints' }`. */
export type MetricLabels = Readonly<Record<string, string>>

/** Metrics of one name. */
interface Family {
  readonly name: string
  readonly help: string
  readonly type: Metric['type']
  /** A value, or one for each value of a label. */
  readonly values: number | { readonly label: string; readonly of: Readonly<Record<string, number>> }
}

/** The metrics of a table. Rejects, and costs, as `table.stats()` does. */
export async function metricsOf(
  table: { stats(): Promise<TableStats> },
  labels: MetricLabels = {},
): Promise<Metric[]> {
  return metricsOfStats(await table.stats(), labels)
}

/** The metrics of what `stats()` has told. */
export function metricsOfStats(stats: TableStats, labels: MetricLabels = {}): Metric[] {
  return familiesOf(stats).flatMap(({ values, ...family }) => {
    if (typeof values === 'number') return [{ ...family, value: values, labels }]
    return Object.entries(values.of).map(([text, value]) => ({
      ...family,
      value,
      labels: { ...labels, [values.label]: text },
    }))
  })
}

/** Prometheus' text format 0.0.4. Metrics of one name come together, as it wants them; of several tables, too. */
export function toPrometheus(metrics: readonly Metric[]): string {
  const families = new Map<string, Metric[]>()
  for (const metric of metrics) {
    const name = familyNameOf(metric)
    families.set(name, [...(families.get(name) ?? []), metric])
  }
  return [...families].map(([name, family]) => familyText(name, family)).join('')
}

/** Quantiles, sum and count of a summary are one family. */
function familyNameOf({ name, type }: Metric): string {
  return type === 'summary' ? name.replace(/_(sum|count)$/, '') : name
}

function familyText(name: string, family: readonly Metric[]): string {
  const { help, type } = family[0]!
  const samples = family.map(
    ({ name, labels, value }) => `${name}${labelsText(labels)} ${valueText(value)}\n`,
  )
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.join('')}`
}

function labelsText(labels: MetricLabels): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return texts.length === 0 ? '' : `{${texts.join(',')}}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

/** Prometheus writes what is no finite number otherwise. */
function valueText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}

function familiesOf(stats: TableStats): readonly Family[] {
  return [...sizes(stats), ...counters(stats), ...waits(stats), ...latencies(stats)]
}

function gauge(name: string, help: string, values: Family['values'] | boolean): Family {
  return {
    name: `flashtable_${name}`,
    help,
    type: 'gauge',
    values: typeof values === 'boolean' ? Number(values) : values,
  }
}

function counter(name: string, help: string, values: Family['values']): Family {
  return { name: `flashtable_${name}_total`, help, type: 'counter', values }
}

/** What there is now. */
function sizes(stats: TableStats): readonly Family[] {
  const { memory, levels } = stats
  const { memtables, runs, spare, filters, fences } = memory
  const disk = { data: stats.dataBytesOnDisk, log: stats.logBytesOnDisk, spare: stats.spareBytesOnDisk }
  const other = Math.max(0, stats.bytesOnDisk - disk.data - disk.log - disk.spare)
  return [
    gauge('records', 'Puts that are stored and not known to be hidden by deletes.', stats.records),
    gauge('files', 'Bucket files by level.', {
      label: 'level',
      // A new table has the metric, too: a monitor that registers names once misses none.
      of: { 0: 0, ...Object.fromEntries(levels.map((count, level) => [level, count])) },
    }),
    gauge('disk_bytes', 'Disk space of the directory by use.', { label: 'use', of: { ...disk, other } }),
    gauge('pinned_bytes', 'Bucket files that were replaced and are still read.', stats.pinnedBytes),
    gauge('memory_bytes', 'Memory by use.', {
      label: 'use',
      of: { memtables, runs, spare, filters, fences },
    }),
    gauge('cache_used_bytes', 'Cached pages of all tables that share the cache.', memory.cacheUsed),
    gauge('cache_bytes', 'What the cache may hold.', memory.cache),
    gauge('memtable_operations', 'Operations in the active memtable.', stats.memtable.operations),
    gauge(
      'memtable_capacity_operations',
      'Operations that a memtable holds before it is sealed.',
      stats.memtable.capacity,
    ),
    gauge('sealed_memtables', 'Memtables that wait to become runs.', stats.memtable.sealed),
    gauge('runs', 'Sorted memtables that wait for their bucket file.', stats.runs.count),
    gauge(
      'unsynced_operations',
      'Operations that may not be on the device.',
      stats.sequence.next - stats.sequence.synced,
    ),
    gauge('pins', 'Snapshots and scans that pin files.', stats.pins),
  ]
}

/** What was done in the life of the table, or since it was opened. */
function counters(stats: TableStats): readonly Family[] {
  const { wal, buckets, manifest, events } = stats.bytesWritten
  return [
    counter('put_records', 'Records put in the life of the table.', stats.recordsPut),
    counter('put_bytes', 'Bytes of the records put in the life of the table.', stats.recordBytesPut),
    counter('written_bytes', 'Bytes handed to write calls in the life of the table, by purpose.', {
      label: 'purpose',
      of: { log: wal, buckets, manifest, events },
    }),
    ...wearOf(stats),
    gauge('write_amplification', 'Bytes written / bytes of the records put.', stats.writeAmplification),
    counter('page_reads', 'Pages of bucket files read from disk since the open.', stats.pageReads),
  ]
}

/** How fast the table writes, and what it may write. */
function wearOf({ wear, budget }: TableStats): readonly Family[] {
  const { lastHour, lastDay, bytesPerDay } = wear
  return [
    gauge('written_last_hour_bytes', 'Bytes written in the last hour, as far as is known.', lastHour.bytes),
    gauge('written_last_day_bytes', 'Bytes written in the last day, as far as is known.', lastDay.bytes),
    gauge(
      'written_bytes_per_day',
      'Bytes a day, at the rate of the last day; 0 until that is known.',
      bytesPerDay ?? 0,
    ),
    ...(budget === undefined
      ? []
      : [
          gauge('budget_bytes_per_day', 'What the option writeBudget allows.', budget.bytesPerDay),
          gauge('budget_used_bytes', 'What of the budget is used.', budget.usedBytes),
          gauge('waiting_for_budget', '1 if a merge waits for the budget.', budget.waiting),
        ]),
  ]
}

/** What puts wait for, and what is wrong. */
function waits(stats: TableStats): readonly Family[] {
  return [
    counter('waits', 'Puts that waited for a seal since the open.', stats.waits.count),
    counter('wait_seconds', 'Seconds that puts waited for seals since the open.', stats.waits.totalMs / 1000),
    counter(
      'delays',
      'Puts that were delayed because merges are behind, since the open.',
      stats.delays.count,
    ),
    counter('delay_seconds', 'Seconds of these delays.', stats.delays.totalMs / 1000),
    gauge('merge_debt', 'How far merges are behind, from 0 to 1.', stats.mergeDebt),
    gauge(
      'waiting_for_space',
      '1 if a flush or merge waits because the disk is full.',
      stats.waitingForSpace,
    ),
    gauge(
      'waiting_for_resources',
      '1 if a seal, flush or merge waits for descriptors, memory or a thread.',
      stats.waitingForResources,
    ),
    gauge('poisoned', '1 if a failure has stopped all writes.', stats.poisoned !== undefined),
  ]
}

/** How long things have taken, of a table that was opened with `latency`. */
function latencies({ latency }: TableStats): readonly Family[] {
  if (latency === undefined) return []
  return [
    ...summary('put', 'Seconds of calls that put or delete, since the open.', latency.puts),
    ...summary('commit', 'Seconds of commit groups, since the open.', latency.commits),
    ...summary('sync', 'Seconds of syncs of the log, since the open.', latency.syncs),
    ...summary('lookup', 'Seconds of lookups that read pages from disk, since the open.', latency.lookups),
  ]
}

function summary(name: string, help: string, durations: DurationStats | undefined): readonly Family[] {
  if (durations === undefined) return []
  const { count, meanUs, p50Us, p90Us, p99Us, p999Us } = durations
  // Prometheus wants no quantiles of nothing.
  const seconds = (us: number): number => (count === 0 ? NaN : us / 1e6)
  const family = { name: `flashtable_${name}_seconds`, help, type: 'summary' } as const
  const quantiles = {
    '0.5': seconds(p50Us),
    '0.9': seconds(p90Us),
    '0.99': seconds(p99Us),
    '0.999': seconds(p999Us),
  }
  return [
    { ...family, values: { label: 'quantile', of: quantiles } },
    { ...family, name: `${family.name}_sum`, values: (count * meanUs) / 1e6 },
    { ...family, name: `${family.name}_count`, values: count },
  ]
}

/** The pictures of a report. Each is drawn twice, for narrow and for wide pages: a scaled one could not be read. */
import type { DurationStats, LatencyStats } from '../../../src/index.js'
import type { InspectedWhole } from '../inspect/table.js'
import { KINDS_COLUMN } from '../inspect/page-columns.js'
import { storedFields, type StoredFieldType, type StoredSchema } from '../../../src/encoding/stored-schema.js'
import type { KeyCounts, KeyGroup } from './key-counts.js'
import type { KeySpace } from './key-space.js'
import type { Plot } from './plot.js'
import { countText, percentText, roundText, shortText, sizeText, timeText, unitOf } from '../words.js'
import type { WearPoint } from './wear.js'

export interface Picture {
  /** SVG for pages of up to {@link NARROW_MAX} pixels, and for others. */
  readonly narrow: string
  readonly wide: string
  readonly legend: readonly { readonly colour: number; readonly label: string }[]
}

const NARROW = 340
const WIDE = 740

/** The label of an axis, where it covers no number. */
const CENTRED = { labelAnchor: 'center', labelArrow: 'none' } as const

/** The colours of the style sheet: `--c1` and so on. */
const COLOURS = 5
function colour(index: number): string {
  return `var(--c${(index % COLOURS) + 1})`
}

function both(draw: (width: number) => string, legend: Picture['legend'] = []): Picture {
  return { narrow: draw(NARROW), wide: draw(WIDE), legend }
}

interface Written {
  readonly log: number
  readonly buckets: number
  readonly other: number
}

const CAUSES = ['bucket files', 'log', 'manifest and events'] as const

function byCause({ log, buckets, other }: Written): readonly number[] {
  return [buckets, log, other]
}

const CAUSE_LEGEND = CAUSES.map((label, i) => ({ colour: i + 1, label }))

/** Bytes put and bytes written, of which all that is known are the sums. */
export function drawTotals(plot: Plot, put: number, written: Written): Picture {
  const parts = byCause(written)
  const all = parts.reduce((sum, bytes) => sum + bytes, 0)
  const unit = unitOf(Math.max(put, all))
  const bars = [
    { row: 'put', bytes: put / unit.bytes, fill: 'var(--soft)' },
    ...parts.map((bytes, i) => ({ row: 'written', bytes: bytes / unit.bytes, fill: colour(i) })),
  ]
  const alt = `Bars: ${sizeText(put)} put, ${sizeText(all)} written, of which ${CAUSES.map((cause, i) => `${cause} ${sizeText(parts[i]!)}`).join(', ')}.`
  return both(
    width =>
      plot.draw(alt, {
        width,
        height: 140,
        marginLeft: 70,
        marginRight: 20,
        marginBottom: 44,
        x: { label: unit.name, ...CENTRED, grid: true, nice: true, ticks: width / 100 },
        y: { label: null, domain: ['put', 'written'] },
        color: { type: 'identity' },
        marks: [
          plot.marks.barX(bars, { x: 'bytes', y: 'row', fill: 'fill' }),
          plot.marks.ruleX([put / unit.bytes], {
            stroke: 'currentColor',
            strokeWidth: 1.5,
            strokeDasharray: '4,3',
          }),
        ],
      }),
    [...CAUSE_LEGEND, { colour: 0, label: 'dashed: a byte written for each byte put' }],
  )
}

/** Bytes written, by cause, and bytes put, over time. */
export function drawWear(plot: Plot, points: readonly WearPoint[]): Picture {
  const last = points.at(-1)!
  const parts = byCause(last)
  const all = parts.reduce((sum, bytes) => sum + bytes, 0)
  const unit = unitOf(Math.max(last.put, all))
  // One on top of the other.
  const areas = CAUSES.flatMap((cause, i) =>
    points.map(point => {
      const below =
        byCause(point)
          .slice(0, i)
          .reduce((sum, bytes) => sum + bytes, 0) / unit.bytes
      return { time: point.time, cause, below, above: below + byCause(point)[i]! / unit.bytes }
    }),
  )
  const line = points.map(({ time, put }) => ({ time, bytes: put / unit.bytes }))
  const alt =
    `Curves over time from ${timeText(points[0]!.time)} to ${timeText(last.time)}: ${sizeText(last.put)} put, ` +
    `${sizeText(all)} written, of which ${CAUSES.map((cause, i) => `${cause} ${sizeText(parts[i]!)}`).join(', ')}.`
  return both(
    width =>
      plot.draw(alt, {
        width,
        height: width === NARROW ? 240 : 300,
        marginLeft: 50,
        marginRight: 20,
        marginBottom: 48,
        x: { type: 'utc', label: 'time (UTC)', ...CENTRED, ticks: width / 110 },
        y: { label: `${unit.name} since the table was made`, grid: true, nice: true, ticks: 5 },
        color: { domain: CAUSES, range: CAUSES.map((_, i) => colour(i)) },
        marks: [
          plot.marks.areaY(areas, { x: 'time', y1: 'below', y2: 'above', fill: 'cause' }),
          // With a rim, to be seen on every colour.
          plot.marks.line(line, { x: 'time', y: 'bytes', stroke: 'var(--paper)', strokeWidth: 5 }),
          plot.marks.line(line, {
            x: 'time',
            y: 'bytes',
            stroke: 'currentColor',
            strokeWidth: 2,
            strokeDasharray: '5,3',
          }),
          plot.marks.ruleY([0]),
        ],
      }),
    [...CAUSE_LEGEND, { colour: 0, label: 'dashed: bytes put, where one byte is written for each' }],
  )
}

/** Files as bars over the range of keys, the oldest at the bottom, below where the records are dense. */
export function drawFiles(plot: Plot, space: KeySpace): Picture {
  const { files, bins, leastKey, greatestKey } = space
  const levels = [...new Set(files.map(({ level }) => level))].sort((a, b) => a - b)
  const legend = levels.map((level, i) => ({ colour: (i % COLOURS) + 1, label: `level ${level}` }))
  const each = Math.min(16, Math.max(6, 160 / files.length))
  const height = Math.min(700, Math.ceil(files.length * each))
  const gap = height / files.length > 3 ? 0.15 : 0
  const rows = files.map(({ from, to, level }, i) => ({
    // A file of one key is a bar that can be seen.
    from: Math.min(from, 0.996),
    to: Math.max(to, Math.min(from, 0.996) + 0.004),
    bottom: i + gap,
    top: i + 1 - gap,
    fill: colour(levels.indexOf(level)),
  }))
  const fullest = Math.max(1, ...bins.map(bin => bin.records))
  // The last bin ends where the axis does.
  const dense = [...bins, bins.at(-1)!].map(({ records }, i) => ({
    at: i / bins.length,
    records: records / fullest,
  }))
  const alt =
    `${countText(files.length, 'bucket file')} over the range of keys from ${shortText(leastKey, 40)} to ` +
    `${shortText(greatestKey, 40)}: a record's key is in the range of ${roundText(space.meanFiles)} of them on average, ` +
    `and of ${space.mostFiles} at the most. The fullest tenth of the range has ${percentText(space.fullestTenth)} of the records.`
  return both(width => {
    const common = { width, marginLeft: 50, marginRight: 20 }
    const letters = width === NARROW ? 16 : 34
    // The text of the picture below has what it shows.
    const above = plot.draw(undefined, {
      ...common,
      height: 70,
      marginBottom: 6,
      marginTop: 24,
      x: { domain: [0, 1], axis: null },
      y: { label: 'records', ticks: [], domain: [0, 1] },
      marks: [
        plot.marks.areaY(dense, { x: 'at', y: 'records', curve: 'step-after', fill: 'var(--soft)' }),
        plot.marks.ruleY([0]),
      ],
    })
    const below = plot.draw(alt, {
      ...common,
      height: height + 60,
      marginTop: 20,
      marginBottom: 40,
      x: {
        domain: [0, 1],
        ticks: [0, 1],
        label: 'key',
        ...CENTRED,
        tickFormat: () => '',
      },
      y: { domain: [0, files.length], ticks: [], label: 'files, newest on top' },
      color: { type: 'identity' },
      marks: [
        plot.marks.rect(rows, { x1: 'from', x2: 'to', y1: 'bottom', y2: 'top', fill: 'fill' }),
        plot.marks.text([{ at: 0, key: shortText(leastKey, letters) }], {
          x: 'at',
          text: 'key',
          frameAnchor: 'bottom',
          textAnchor: 'start',
          dy: 20,
        }),
        plot.marks.text([{ at: 1, key: shortText(greatestKey, letters) }], {
          x: 'at',
          text: 'key',
          frameAnchor: 'bottom',
          textAnchor: 'end',
          dy: 20,
        }),
      ],
    })
    return `${above}${below}`
  }, legend)
}

/** A column: the bits of a record that it takes in data pages, and in a raw record. */
export interface ColumnBits {
  readonly name: string
  readonly bits: number
  /** `undefined`: a raw record has no such column. */
  readonly raw: number | undefined
}

/** Key, fields, kinds, and what pages have besides. `undefined`: no page was read. */
export function columnBits({ bitsPerRecord, manifest }: InspectedWhole): ColumnBits[] | undefined {
  if (bitsPerRecord === null) return undefined
  const raw = rawBits(manifest.schema)
  const columns = Object.entries(bitsPerRecord).filter(
    ([name, bits]) => name !== 'all' && (name !== KINDS_COLUMN || bits > 0),
  )
  const used = columns.reduce((sum, [, bits]) => sum + bits, 0)
  return [
    ...columns.map(([name, bits]) => ({
      name: name === KINDS_COLUMN ? 'put or delete' : name,
      bits,
      raw: raw.get(name),
    })),
    { name: 'heads, free ends', bits: Math.max(0, bitsPerRecord['all']! - used), raw: undefined },
  ]
}

function rawBits(schema: StoredSchema): ReadonlyMap<string, number> {
  const bits = (type: StoredFieldType): number =>
    'bytes' in type ? 8 * type.bytes : Number(type.type.slice(1))
  return new Map(storedFields(schema).map(field => [field.name, bits(field)]))
}

export function drawBits(plot: Plot, columns: readonly ColumnBits[]): Picture {
  const alt = `Bars, bits a record: ${columns.map(({ name, bits, raw }) => `${shortText(name, 30)} ${roundText(bits)}${raw === undefined ? '' : ` of ${raw}`}`).join(', ')}.`
  const rows = columns.map(({ bits, raw }, i) => ({ row: i, bits, raw: raw ?? NaN }))
  return both(
    width =>
      plot.draw(alt, {
        width,
        height: 70 + 24 * columns.length,
        marginBottom: 44,
        marginLeft: width === NARROW ? 120 : 220,
        marginRight: 20,
        x: { label: 'bits a record', ...CENTRED, grid: true, nice: true, ticks: width / 90 },
        y: {
          label: null,
          domain: rows.map(({ row }) => row),
          tickFormat: (row: number) => shortText(columns[row]!.name, width === NARROW ? 16 : 32),
        },
        marks: [
          plot.marks.barX(rows, { x: 'bits', y: 'row', fill: colour(0) }),
          plot.marks.tickX(
            rows.filter(({ raw }) => raw >= 0),
            { x: 'raw', y: 'row', stroke: 'currentColor', strokeWidth: 2 },
          ),
          plot.marks.ruleX([0]),
        ],
      }),
    [
      { colour: 1, label: 'in data pages' },
      { colour: 0, label: 'line: in a raw record' },
    ],
  )
}

/** `1`, `2`, `3–4`, `5–8`. */
export function groupText({ least, most }: { readonly least: number; readonly most: number }): string {
  const text = (count: number): string =>
    count < 10_000
      ? String(count)
      : count.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 0 })
  return least === most ? text(least) : `${text(least)}–${text(most)}`
}

export function drawKeyCounts(plot: Plot, { groups, keys }: KeyCounts): Picture {
  const bars = withGaps(groups).map(group => ({ label: groupText(group), share: (100 * group.keys) / keys }))
  const alt = `Bars, share of the keys by how many records they have: ${groups.map(group => `${groupText(group)}: ${percentText(group.keys / keys)}`).join(', ')}.`
  return both(width =>
    plot.draw(alt, {
      width,
      height: 70 + 24 * bars.length,
      marginLeft: 90,
      marginRight: 20,
      marginBottom: 44,
      x: { label: '% of the keys', ...CENTRED, grid: true, domain: [0, 100], ticks: 5 },
      marginTop: 24,
      y: {
        label: 'records of a key',
        labelAnchor: 'top',
        labelArrow: 'none',
        domain: bars.map(({ label }) => label),
      },
      marks: [plot.marks.barX(bars, { x: 'share', y: 'label', fill: colour(0) }), plot.marks.ruleX([0])],
    }),
  )
}

/** With the groups between them that no key is in: an axis without them would lie. */
function withGaps(groups: readonly KeyGroup[]): KeyGroup[] {
  return groups.flatMap((group, i) => {
    const gaps: KeyGroup[] = []
    for (let most = i === 0 ? group.most : groups[i - 1]!.most * 2; most < group.most; most *= 2)
      gaps.push({ least: Math.floor(most / 2) + 1, most, keys: 0, records: 0 })
    return [...gaps, group]
  })
}

/** Durations of one kind that were measured. */
export interface MeasuredKind {
  readonly kind: string
  readonly stats: DurationStats
}

/** The kinds of which there were any. */
export function measuredKinds({ puts, commits, syncs, lookups }: LatencyStats): readonly MeasuredKind[] {
  return Object.entries({ puts, commits, syncs, lookups }).flatMap(([kind, stats]) =>
    stats === undefined || stats.count === 0 ? [] : [{ kind, stats }],
  )
}

/** Bars from the half to 99.9 % of the durations of each kind, and a line at the longest, on a logarithmic scale. */
export function drawLatency(plot: Plot, kinds: readonly MeasuredKind[]): Picture {
  const rows = kinds.map(({ kind, stats: { p50Us, p999Us, maxUs } }) => ({
    kind,
    // On a logarithmic scale there is no 0, and a bar without a length cannot be seen.
    from: Math.max(0.1, p50Us),
    to: Math.max(0.11, p999Us, p50Us * 1.05),
    longest: Math.max(0.1, maxUs),
  }))
  const alt = `Bars: ${kinds
    .map(
      ({ kind, stats }) =>
        `${kind} took ${roundText(stats.p50Us)} to ${roundText(stats.p999Us)} microseconds`,
    )
    .join(', ')}.`
  return both(
    width =>
      plot.draw(alt, {
        width,
        height: 60 + 32 * rows.length,
        marginLeft: 70,
        marginRight: 20,
        marginBottom: 44,
        x: {
          type: 'log',
          label: 'microseconds (log scale)',
          ...CENTRED,
          grid: true,
          nice: true,
          ticks: width / 120,
        },
        y: { label: null, domain: rows.map(({ kind }) => kind) },
        marks: [
          plot.marks.barX(rows, { x1: 'from', x2: 'to', y: 'kind', fill: colour(0) }),
          plot.marks.tickX(rows, { x: 'longest', y: 'kind', stroke: 'currentColor', strokeWidth: 2 }),
        ],
      }),
    [
      { colour: 1, label: 'from the half to 99.9 % of them' },
      { colour: 0, label: 'line: the longest' },
    ],
  )
}

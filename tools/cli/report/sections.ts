/** The sections of a report that have a picture. Each says the same in words or as a table. */
import { formatCount } from '../output.js'
import type { Facts, Failure } from './facts.js'
import { markup, htmlList, htmlTable, NOTHING, Html } from './html.js'
import {
  columnBits,
  drawBits,
  drawFiles,
  drawKeyCounts,
  drawLatency,
  drawTotals,
  drawWear,
  groupText,
  measuredKinds,
  type Picture,
} from './pictures.js'
import type { Plot } from './plot.js'
import { countText, durationText, percentText, roundText, shortText, sizeText, timeText } from '../words.js'

/** Files that are listed at once, and those that are listed on demand. */
const FILES_SHOWN = 10
const FILES_MAX = 500
/** Letters of a key in a table. */
const KEY_LETTERS = 42

function figure({ narrow, wide, legend }: Picture): Html {
  const keys = legend.map(({ colour, label }) =>
    colour === 0
      ? markup`<span class="key none">${label}</span> `
      : markup`<span class="key c${String(colour)}">${label}</span> `,
  )
  return markup`<figure>
    <div class="narrow">${new Html(narrow)}</div>
    <div class="wide">${new Html(wide)}</div>
    ${keys.length === 0 ? NOTHING : markup`<figcaption>${keys}</figcaption>`}
  </figure>`
}

/** A picture, and beside it on a wide screen what it says. */
function beside(picture: Picture, words: Html): Html {
  return markup`<div class="beside">
    ${figure(picture)}
    <div>${words}</div>
  </div>`
}

export function failureText(what: string, failure: Failure | undefined): Html {
  return failure === undefined ? NOTHING : markup`<p>${what} could not be read: ${failure.message}</p>`
}

export function wearSection(plot: Plot, { opened, wear, wearFailure }: Facts): Html {
  if (opened === undefined) return NOTHING
  const { recordBytesPut, recordsPut, bytesWritten } = opened.stats
  const written = {
    log: bytesWritten.wal,
    buckets: bytesWritten.buckets,
    other: bytesWritten.manifest + bytesWritten.events,
  }
  const all = written.log + written.buckets + written.other
  const share = (bytes: number): string => (all === 0 ? '-' : percentText(bytes / all))
  const causes = htmlTable(
    'Bytes written since the table was made, by cause',
    ['cause', 'written', 'share', 'for a byte put'],
    (
      [
        ['bucket files', written.buckets],
        ['log', written.log],
        ['manifest and events', written.other],
        ['all', all],
      ] as const
    ).map(([cause, bytes]) => [
      cause,
      sizeText(bytes),
      share(bytes),
      recordBytesPut === 0 ? '-' : roundText(bytes / recordBytesPut),
    ]),
    [1, 2, 3],
  )
  const points = wear?.points ?? []
  const isCurve = points.length > 1 && points[0]!.time.getTime() < points.at(-1)!.time.getTime()
  const picture = isCurve ? drawWear(plot, points) : drawTotals(plot, recordBytesPut, written)
  return markup`<section>
    <h2>What it has written to the disk</h2>
    ${
      recordBytesPut === 0
        ? markup`<p>Nothing was put yet. To make the table, ${sizeText(all)} were written.</p>`
        : markup`<p>
      ${formatCount(recordsPut)} records of ${sizeText(recordBytesPut)} were put, and ${sizeText(all)} were
      written for them: ${roundText(all / recordBytesPut)} bytes for a byte put. With 1.0, as much is written as
      was put; below it, packing has saved more than merges have cost.
    </p>`
    }
    ${wear === undefined ? markup`<p>There is no event log, so it is not known when: these are the sums of its whole life.</p>` : NOTHING}
    ${failureText('The event log', wearFailure)} ${beside(picture, wear === undefined ? causes : markup`${causes}${eventTable(wear)}`)}
  </section>`
}

/** How long things took, where the table measures it. */
export function latencySection(plot: Plot, { wear }: Facts): Html {
  const kinds = wear?.latency === undefined ? [] : measuredKinds(wear.latency.stats)
  if (kinds.length === 0) return NOTHING
  const table = htmlTable(
    'Microseconds',
    ['', 'count', 'mean', 'half', '90 %', '99 %', '99.9 %', 'longest'],
    kinds.map(({ kind, stats: { count, meanUs, p50Us, p90Us, p99Us, p999Us, maxUs } }) => [
      kind,
      formatCount(count),
      ...[meanUs, p50Us, p90Us, p99Us, p999Us, maxUs].map(roundText),
    ]),
    [1, 2, 3, 4, 5, 6, 7],
  )
  return markup`<section>
    <h2>How long it took</h2>
    <p>
      As the program that had the table open measured it, until ${timeText(wear!.latency!.time)}. Lookups are
      those that read pages from the disk. Half of the calls took no longer than the number under “half”.
    </p>
    ${beside(drawLatency(plot, kinds), table)}
  </section>`
}

function eventTable({ sums, events, points }: NonNullable<Facts['wear']>): Html {
  const since = points.length === 0 ? '' : `, since ${timeText(points[0]!.time)}`
  return htmlTable(
    `${countText(events, 'event')} of the event log${since}`,
    ['event', 'times', 'wrote', 'took'],
    sums.map(({ event, count, bytes, ms }) => [
      shortText(event, 40),
      formatCount(count),
      bytes === 0 ? '' : sizeText(bytes),
      ms === 0 ? '' : durationText(ms),
    ]),
    [1, 2, 3],
  )
}

export function filesSection(plot: Plot, { inspected, keySpace }: Facts): Html {
  if (inspected === undefined) return NOTHING
  const { files } = inspected
  if (files.length === 0)
    return markup`<section>
      <h2>Files over the range of keys</h2>
      <p>There is no bucket file yet${inspected.logRecords > 0 ? ': all records are in the log' : ''}.</p>
    </section>`
  const words =
    keySpace === undefined
      ? markup`<p>No file with keys can be read.</p>`
      : htmlList([
          ['files', formatCount(files.length)],
          ['least key', keySpace.leastKey],
          ['greatest key', keySpace.greatestKey],
          [
            'a key is in the range of',
            `${roundText(keySpace.meanFiles)} files on average, ${keySpace.mostFiles} at the most`,
          ],
          [
            'skew',
            `the fullest tenth of the range has ${percentText(keySpace.fullestTenth)} of the records; spread evenly it would be 10 %`,
          ],
        ])
  return markup`<section>
    <h2>Files over the range of keys</h2>
    <p>
      A bar is a bucket file, from its first key to its last. A lookup asks the filter of each file whose bar
      is above its key, and reads a page of those that may have it. Newer files are on top.
    </p>
    ${keySpace === undefined ? words : beside(drawFiles(plot, keySpace), words)} ${fileTable(inspected)}
  </section>`
}

function fileTable({ files }: NonNullable<Facts['inspected']>): Html {
  const head = ['file', 'level', 'records', 'size', 'hidden, about', 'bits a record', 'first key', 'last key']
  const newestFirst = files.toReversed()
  const rows = newestFirst
    .slice(0, FILES_MAX)
    .map(({ name, level, records, bytes, hidden, footer, bitsPerRecord }) => [
      name,
      String(level),
      formatCount(records),
      sizeText(bytes),
      hidden === null ? '?' : formatCount(hidden),
      bitsPerRecord === null ? '?' : roundText(bitsPerRecord['all']!),
      footer === null ? '?' : keyText(footer.firstKey),
      footer === null ? '?' : keyText(footer.lastKey),
    ])
  const table = (caption: string, from: number, to?: number): Html =>
    htmlTable(caption, head, rows.slice(from, to), [1, 2, 3, 4, 5])
  const rest = rows.length - FILES_SHOWN
  const left = files.length - rows.length
  return markup`${table(rest > 0 ? `The newest ${FILES_SHOWN} files` : 'Files, newest first', 0, FILES_SHOWN)}
  ${
    rest > 0
      ? markup`<details>
          <summary>${countText(rest, 'older file')}</summary>
          ${table('Older files', FILES_SHOWN)}
        </details>`
      : NOTHING
  }
  ${left > 0 ? markup`<p>And ${formatCount(left)} more: <code>flashtable inspect</code> lists all.</p>` : NOTHING}`
}

function keyText(cell: unknown): string {
  if (cell === null || cell === undefined) return '-'
  return shortText(typeof cell === 'string' ? cell : JSON.stringify(cell), KEY_LETTERS)
}

export function bitsSection(plot: Plot, { inspected }: Facts): Html {
  const columns = inspected && columnBits(inspected)
  if (inspected === undefined || columns === undefined) return NOTHING
  const all = inspected.bitsPerRecord!['all']!
  const raw = columns.reduce((sum, column) => sum + (column.raw ?? 0), 0)
  const used = all === 0 ? 0 : 1 - columns.at(-1)!.bits / all
  const read = inspected.files.reduce((sum, file) => sum + file.pagesRead, 0)
  const of = inspected.files.reduce((sum, file) => sum + (file.dataPages ?? 0), 0)
  const how = inspected.isExact
    ? 'All data pages were read.'
    : `A sample: ${formatCount(read)} of ${formatCount(of)} data pages were read, up to 64 of each file.`
  const words = htmlTable(
    'Bits a record',
    ['column', 'in data pages', 'in a raw record'],
    [
      ...columns.map(({ name, bits, raw }) => [
        shortText(name, 64),
        roundText(bits),
        raw === undefined ? '' : String(raw),
      ]),
      ['all', roundText(all), String(raw)],
    ],
    [1, 2],
  )
  return markup`<section>
    <h2>Bits a record</h2>
    <p>
      A record takes ${roundText(all)} bits in data pages, in a raw record ${String(raw)}. Its columns fill
      ${percentText(used)} of the pages. Values that are near each other, and keys that are dense, take fewer
      bits. ${how}
    </p>
    ${beside(drawBits(plot, columns), words)}
  </section>`
}

export function keysSection(plot: Plot, { opened }: Facts): Html {
  if (opened === undefined || opened.stats.records === 0) return NOTHING
  const { keyCounts, keyFailure, stats } = opened
  if (keyCounts === undefined)
    return markup`<section>
      <h2>Records a key</h2>
      ${failureText('The keys', keyFailure)}
    </section>`
  const { how, places, keys, records, groups, fullest } = keyCounts
  const counted =
    how === 'all'
      ? `All ${countText(keys, 'key')} and ${countText(records, 'record')} were counted.`
      : how === 'sample'
        ? `A sample: ${countText(keys, 'key')} with ${countText(records, 'record')} that follow each other at ${formatCount(places)} places, of about ${formatCount(stats.records)} records.`
        : `The first ${countText(records, 'record')} by key, of about ${formatCount(stats.records)}.`
  if (keys === 0 || fullest === undefined)
    return markup`<section>
      <h2>Records a key</h2>
      <p>${counted}</p>
    </section>`
  const rule =
    stats.duplicates === 'replace'
      ? ' This table keeps the last record of a key.'
      : stats.combine !== undefined
        ? ' This table combines the records of a key into one.'
        : ''
  const words = htmlTable(
    'Keys by how many records they have',
    ['records of a key', 'keys', 'share of keys', 'share of records'],
    groups.map(group => [
      groupText(group),
      formatCount(group.keys),
      percentText(group.keys / keys),
      percentText(group.records / records),
    ]),
    [0, 1, 2, 3],
  )
  return markup`<section>
    <h2>Records a key</h2>
    <p>
      A key has ${roundText(records / keys)} records on average. The key with the most that was seen,
      <code>${shortText(fullest.key, 80)}</code>, has
      ${fullest.isAtLeast ? 'at least ' : ''}${countText(fullest.records, 'record')}.${rule} ${counted}
    </p>
    ${beside(drawKeyCounts(plot, keyCounts), words)}
  </section>`
}

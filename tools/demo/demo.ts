/**
 * `npm run demo`: the whole table on real music fingerprints, with everything checked and counted.
 *
 * The old memory-mapped table is imported, the fingerprints are ingested as a fingerprinter would, noisy clips are
 * recognised, and what all that wrote is compared with writing in place. Exit code 1 if anything is wrong.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FlashTable, struct, type TableStats } from '../../src/index.js'
import { closing } from '../cli/closing.js'
import { importFile } from '../cli/commands/import.js'
import { formatBytes, formatCount, textTable } from '../cli/output.js'
import { parseSchema } from '../cli/schema.js'
import { filesOf, readStats } from '../cli/table-stats.js'
import {
  FRAMES_PER_SECOND,
  MEMMAP_SHAPE,
  readClips,
  readFingerprints,
  readMemmapRecords,
  readMemmapTable,
  readTrackNames,
  type Clip,
  type Fingerprints,
} from './fixtures.js'
import { countWrongKeys } from './found-again.js'
import { InPlaceTable } from './in-place-table.js'
import { bestMatch, MINIMUM_VOTES, recognise } from './recognise.js'

/** Records that the fingerprinter hands over at once. */
const BATCH_RECORDS = 1000

const ENCODINGS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

/** Everything that is wrong, in words. */
const problems: string[] = []

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-demo-'))
  try {
    const fingerprints = readFingerprints()
    await importOldTable(directory)
    const table = join(directory, 'ingested')
    await ingest(table, fingerprints)
    const ingested = await readStats(table)
    await compact(table)
    const compacted = await readStats(table)
    await recogniseClips(table)
    printWritten(ingested, compacted)
    printInPlace(ingested, fingerprints)
  } finally {
    await rm(directory, { recursive: true })
  }
  print('')
  for (const problem of problems) print(`WRONG: ${problem}`)
  print(problems.length === 0 ? 'Everything was found and recognised correctly.' : 'The demo failed.')
  if (problems.length > 0) process.exitCode = 1
}

/** Imports the table of the numpy program, and finds each of its records again. */
async function importOldTable(directory: string): Promise<void> {
  const file = join(directory, 'music-table.memmap')
  const table = join(directory, 'imported')
  const bytes = readMemmapTable()
  await writeFile(file, bytes)
  const [buckets, slots] = MEMMAP_SHAPE
  const schema = parseSchema('key:u64,time:u16,flags:u16,id:i32')
  const start = performance.now()
  const { records } = await importFile({
    file,
    directory: table,
    format: 'memmap',
    schema,
    shape: { buckets, slots },
  })
  heading('The old table, imported')
  print(
    `${formatCount(records)} records from a numpy.memmap hash table of ${formatBytes(bytes.byteLength)}, ` +
      `in ${secondsSince(start)}.`,
  )
  const expected = readMemmapRecords()
  check(records === expected.count, `${records} records were imported, not ${expected.count}`)
  await checkRecords(table, expected)
}

/** Puts the fingerprints as a fingerprinter does: track after track, in batches, and a sync after each track. */
async function ingest(directory: string, fingerprints: Fingerprints): Promise<void> {
  const start = performance.now()
  let tracks = 0
  await closing(await FlashTable.open(directory, ENCODINGS), async table => {
    for (const [from, to] of trackRanges(fingerprints)) {
      for (let row = from; row < to; row += BATCH_RECORDS) {
        const end = Math.min(row + BATCH_RECORDS, to)
        await table.putColumns({
          key: fingerprints.key.subarray(row, end),
          time: fingerprints.time.subarray(row, end),
          flags: fingerprints.flags.subarray(row, end),
          id: fingerprints.id.subarray(row, end),
        })
      }
      await table.sync()
      tracks++
    }
  })
  heading('The fingerprints, ingested')
  print(
    `${formatCount(fingerprints.count)} records of ${tracks} tracks in batches of ${formatCount(BATCH_RECORDS)}, ` +
      `a sync after each track, in ${secondsSince(start)}.`,
  )
  await checkRecords(directory, fingerprints)
}

async function compact(directory: string): Promise<void> {
  await closing(await FlashTable.open(directory), table => table.compact())
}

async function checkRecords(directory: string, expected: Fingerprints): Promise<void> {
  const wrong = await closing(await openFingerprints(directory), table => countWrongKeys(table, expected))
  check(wrong === 0, `${wrong} keys do not have their records`)
  if (wrong === 0) print('Each of them was found again with its time and track.')
}

async function recogniseClips(directory: string): Promise<void> {
  const names = readTrackNames()
  const rows = await closing(await openFingerprints(directory), async table => {
    const rows: string[][] = []
    for (const [number, clip] of readClips().entries()) {
      const start = performance.now()
      const hits = await table.getColumns(clip.key)
      const match = recognise(hits, clip.time)
      const ms = performance.now() - start
      check(
        (match?.id ?? null) === clip.track,
        `clip ${number + 1} is of track ${clip.track}, the answer was ${match?.id ?? null}`,
      )
      const answer =
        match === undefined ? 'none' : `${names[match.id]} at ${clock(match.offset / FRAMES_PER_SECOND)}`
      const votes = match?.votes ?? bestMatch(hits, clip.time)?.votes ?? 0
      rows.push([originOf(clip), answer, String(votes), ms.toFixed(1)])
    }
    return rows
  })
  heading(`${rows.length} clips of 12 s, with noise and compressed, recognised`)
  print(textTable(['clip', 'answer', 'votes', 'ms'], rows))
  print(`\nFewer than ${MINIMUM_VOTES} votes count as no answer.`)
}

/** What was given to write calls in the whole life of the ingested table. */
function printWritten(ingested: TableStats, compacted: TableStats): void {
  const columns = [ingested, compacted]
  const row = (label: string, value: (stats: TableStats) => number) => [
    label,
    ...columns.map(stats => formatCount(value(stats))),
  ]
  heading('What flashtable wrote, in bytes')
  print(
    textTable(
      ['', 'ingested', 'then compacted'],
      [
        row('records put', stats => stats.recordBytesPut),
        row('written to the log', stats => stats.bytesWritten.wal),
        row('written to bucket files', stats => stats.bytesWritten.buckets),
        row('written to the manifest', stats => stats.bytesWritten.manifest),
        row('written in all', stats => writtenBytes(stats)),
        ['written / put (write amplification)', ...columns.map(stats => stats.writeAmplification.toFixed(2))],
        row('on disk: bucket files', stats => filesOf(stats).bucketBytes),
        row('on disk: log and manifest', stats => filesOf(stats).otherBytes),
      ],
    ),
  )
  const bytesPerRecord = compacted.dataBytesOnDisk / compacted.records
  print(
    `\nCompacted, a record of 16 bytes takes ${bytesPerRecord.toFixed(2)} bytes in data pages; the rest of a bucket file is its ` +
      'filter and index.\nThe log of a compacted table is kept, to be overwritten by what comes next.',
  )
}

/** What the old table would have written: it is filled once more, and the pages that each sync writes are counted. */
function printInPlace(ingested: TableStats, fingerprints: Fingerprints): void {
  const byTrack = trackRanges(fingerprints).map(([, to]) => to)
  const everyBatch = Array.from(
    { length: Math.ceil(fingerprints.count / BATCH_RECORDS) },
    (_, batch) => (batch + 1) * BATCH_RECORDS,
  )
  const rows = (
    [
      [`in place, a sync every ${formatCount(BATCH_RECORDS)} records`, everyBatch],
      ['in place, a sync after each track', byTrack],
      ['in place, one sync at the end', []],
    ] as const
  ).map(([label, syncs]) => {
    const { pagesWritten, bytesWritten } = fillInPlace(fingerprints, syncs)
    const amplification = bytesWritten / ingested.recordBytesPut
    return [label, formatCount(pagesWritten), formatCount(bytesWritten), amplification.toFixed(2)]
  })
  const written = writtenBytes(ingested)
  rows.push([
    'flashtable, a sync after each track',
    '',
    formatCount(written),
    ingested.writeAmplification.toFixed(2),
  ])
  heading('The same records written in place, as the old table did')
  print(textTable(['', '4 KiB pages', 'bytes written', 'written / put'], rows))
  print('\nCounted, not estimated: a page that was changed between two syncs is written once by the second.')
}

/** `syncs`: the row numbers before which there is a sync. */
function fillInPlace(fingerprints: Fingerprints, syncs: readonly number[]): InPlaceTable {
  const table = new InPlaceTable(...MEMMAP_SHAPE)
  const { key, time, flags, id } = fingerprints
  const syncBefore = new Set(syncs)
  for (let row = 0; row < fingerprints.count; row++) {
    if (syncBefore.has(row)) table.sync()
    table.put(key[row]!, time[row]!, flags[row]!, id[row]!)
  }
  table.sync()
  return table
}

function openFingerprints(directory: string) {
  return FlashTable.open(directory, { ...ENCODINGS, readOnly: true })
}

/** Where each track begins and ends. */
function trackRanges({ count, id }: Fingerprints): [from: number, to: number][] {
  const ranges: [number, number][] = []
  for (let from = 0, row = 1; row <= count; row++) {
    if (row < count && id[row] === id[from]) continue
    ranges.push([from, row])
    from = row
  }
  return ranges
}

function writtenBytes({ bytesWritten }: TableStats): number {
  return bytesWritten.wal + bytesWritten.buckets + bytesWritten.manifest
}

function originOf(clip: Clip): string {
  return clip.name === null ? 'played backwards' : `${clip.name} from ${clock(clip.startSeconds)}`
}

function clock(seconds: number): string {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(2)} s`
}

function check(holds: boolean, problem: string): void {
  if (!holds) problems.push(problem)
}

function heading(text: string): void {
  print(`\n${text}\n`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

await main()

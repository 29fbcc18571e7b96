/** A whole table as `inspect` prints it. */
import { fileModeText } from '../../../src/base/file-mode.js'
import { combineText } from '../../../src/encoding/combine.js'
import { MANIFEST_NAME } from '../../../src/io/file-names.js'
import { combineOf } from '../../../src/manifest/manifest.js'
import { formatBytes, formatCount, textList, textTable } from '../output.js'
import { schemaText } from '../schema.js'
import { deleteText } from './bucket-file.js'
import { problemLines } from './open-table.js'
import { cellText } from './records.js'
import type { InspectedWhole } from './table.js'

/** *Delete where* entries that are shown. */
const SHOWN_DELETES = 20

export function tableText(table: InspectedWhole): string {
  const { files, log, problems, orphans, tornAt } = table
  const notes = [
    ...(tornAt === null
      ? []
      : [`${tornAt.file}:${tornAt.offset}: the log ends here, as it may after a crash`]),
    ...orphans.map(name => `${name}: not part of the table, the next writer removes it`),
  ]
  return [
    textList(manifestRows(table)),
    ...(files.length === 0 ? [] : ['', ...fileTables(table)]),
    ...(log.length === 0 ? [] : ['', segmentTable(log)]),
    '',
    ...hidingLines(table),
    ...(notes.length === 0 ? [] : ['', ...notes]),
    ...(problems.length === 0 ? [] : ['', ...problemLines(problems)]),
  ].join('\n')
}

function manifestRows({ manifest, directory }: InspectedWhole): (readonly [string, string])[] {
  const { duplicates, bytes, tableId, epoch, clean, mode, metaBytes } = manifest
  const combine = combineOf(manifest)
  const { firstLogSequence, nextSequence, counters } = manifest
  return [
    ['table', `${directory}, id ${tableId}`],
    [MANIFEST_NAME, `${formatBytes(bytes)}, ${formatBytes(metaBytes)} of metadata`],
    ['life', `epoch ${epoch}, ${clean ? 'closed' : 'open, or ended by a crash'}`],
    ['schema', schemaText(manifest.schema)],
    combine === undefined ? ['duplicates', String(duplicates)] : ['combine', combineText(combine)],
    ['page', `${formatBytes(manifest.pageBytes)}, mode ${fileModeText(mode)}`],
    ['sequence', `files up to ${firstLogSequence}, then the log; next ${nextSequence} or later`],
    ['put', `${formatCount(counters.records)} records, ${formatBytes(counters.recordBytes)}`],
  ]
}

function fileTables({ files, bitsPerRecord, isExact }: InspectedWhole): string[] {
  const sizes = files.map(file => [
    file.name,
    String(file.level),
    formatCount(file.records),
    formatCount(file.bytes),
    formatCount(file.pages),
    `${file.firstSequence}-${file.lastSequence}`,
    file.hidden === null ? '?' : formatCount(file.hidden),
  ])
  const keys = files.map(({ name, footer, bitsPerRecord }) => [
    name,
    footer === null ? '?' : footer.firstKey === null ? '-' : cellText(footer.firstKey),
    footer === null ? '?' : footer.lastKey === null ? '-' : cellText(footer.lastKey),
    bitsPerRecord === null ? '?' : String(bitsPerRecord['all']),
  ])
  const read = files.reduce((sum, file) => sum + file.pagesRead, 0)
  const of = files.reduce((sum, file) => sum + (file.dataPages ?? 0), 0)
  const how = isExact
    ? 'exact: all data pages were read'
    : `a sample: ${formatCount(read)} of ${formatCount(of)} data pages were read`
  const bits = Object.entries(bitsPerRecord ?? {}).map(([name, each]) => [
    name === 'all' ? 'whole pages' : name,
    each.toFixed(2),
  ])
  return [
    textTable(['file', 'level', 'records', 'bytes', 'pages', 'sequence', 'hidden'], sizes),
    '',
    textTable(['file', 'first key', 'last key', 'bits a record'], keys),
    ...(bits.length === 0 ? [] : ['', textTable(['column', 'bits a record'], bits), how]),
  ]
}

function segmentTable(log: InspectedWhole['log']): string {
  const rows = log.map(({ name, state, bytes, frames, firstSequence, lastSequence }) => [
    name,
    state,
    bytes === null ? 'missing' : formatCount(bytes),
    formatCount(frames),
    firstSequence === null ? '-' : `${firstSequence}-${lastSequence}`,
  ])
  return textTable(['segment', 'state', 'bytes', 'frames', 'sequence'], rows)
}

function hidingLines({ hiding, logRecords, files }: InspectedWhole): string[] {
  const { entries, deleteWheres, clears, deleteKeys, deleteRecords, hiddenRecords } = hiding
  const inFiles = files.reduce((sum, file) => sum + file.records, 0)
  const shown = entries.slice(0, SHOWN_DELETES)
  const more = deleteWheres - shown.length
  return [
    textList([
      ['records', `${formatCount(inFiles)} in bucket files, ${formatCount(logRecords)} in the log`],
      [
        'hide',
        `deletes of keys ${formatCount(deleteKeys)}, of records ${formatCount(deleteRecords)}, ` +
          `entries ${formatCount(deleteWheres)}, clears among them ${formatCount(clears)}`,
      ],
      [
        'hidden',
        hiddenRecords === null
          ? 'not known: a file cannot be read'
          : `about ${formatCount(hiddenRecords)} records of bucket files, by newer files`,
      ],
    ]),
    ...shown.map(entry => `${entry.file}: ${deleteText(entry)}`),
    ...(more === 0 ? [] : [`and ${formatCount(more)} older entries`]),
  ]
}

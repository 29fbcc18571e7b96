/** What the owner of a table should do now. Each rule is a pure function of figures, and tells those that it used. */
import { formatCount } from '../output.js'
import type { Figures } from './figures.js'
import { countText, percentText, roundText, sizeText, timeText } from '../words.js'

const MIB = 2 ** 20

/** `act`: something is broken or about to be. `consider`: it works, and would be better. `know`: nothing to do. */
export type Urgency = 'act' | 'consider' | 'know'

export interface Advice {
  readonly urgency: Urgency
  /** A sentence without its full stop. */
  readonly title: string
  /** Sentences: what it means, and what to do. */
  readonly text: string
  /** A command that does it. */
  readonly command?: string
  /** What the rule looked at. */
  readonly figures: Readonly<Record<string, string>>
}

type Rule = (figures: Figures) => Advice | undefined

/** A compaction that frees less is not worth what it writes. */
const FREED_SHARE = 0.2
/** Merges of a table in use leave no more. */
const FILES_MAX = 32
const WEAR_MAX = 3
/** With less put, single pages decide. */
const WEAR_LEAST_BYTES = 32 * 1024
const LOG_LEAST_BYTES = 64 * MIB
const SPARE_LEAST_BYTES = 64 * MIB
const DELETE_WHERES_MAX = 1000
const OVERLAP_LEAST = 8

export function cannotBeOpened({ openFailure, directory }: Figures): Advice | undefined {
  if (openFailure === undefined) return undefined
  const { code, message } = openFailure
  const figures = { code }
  if (code === 'FLASHTABLE_UNSUPPORTED_FORMAT')
    return {
      urgency: 'act',
      title: 'The table has the format of another version',
      text: `${sentence(message)} Dump it with the version that wrote it, and load the dump with this one.`,
      command: `flashtable dump ${shellText(directory)} table.dump && flashtable load table.dump NEW`,
      figures,
    }
  return {
    urgency: 'act',
    title: 'The table cannot be opened',
    text: sentence(message),
    ...(code === 'FLASHTABLE_CORRUPTION'
      ? { command: `flashtable repair ${shellText(directory)} --into NEW` }
      : {}),
    figures,
  }
}

export function damaged({ problems, isVerified, directory }: Figures): Advice | undefined {
  if (problems === 0) return undefined
  return {
    urgency: 'act',
    title: 'Run flashtable repair: there is damage',
    text:
      'Reads of what is damaged fail; they never return a wrong record. Repair saves every record whose page or ' +
      'frame is intact into a new table, tells what is lost, and changes nothing here. Then look for the cause: a ' +
      'device that fails, a copy that was cut, another program that wrote into the files.',
    command: `flashtable repair ${shellText(directory)} --into NEW`,
    figures: {
      'damaged places': formatCount(problems),
      'found by': isVerified ? 'verify' : 'inspect, which does not read all pages',
    },
  }
}

export function poisoned({ poisoned: reason }: Figures): Advice | undefined {
  if (reason === undefined) return undefined
  return {
    urgency: 'act',
    title: 'Open the table again: a failure has stopped all writes',
    text:
      'A program has the table open, or had it, and every write is refused since. Remove the cause, close the table ' +
      'and open it again: what was acknowledged is still there.',
    figures: { reason },
  }
}

export function waits({ waitingFor, waitingSince, freeBytes, bucketBytes }: Figures): Advice | undefined {
  if (waitingFor === undefined) return undefined
  const isSpace = waitingFor === 'space'
  return {
    urgency: 'act',
    title: isSpace ? 'Make room: a merge waits for space on the disk' : `A merge waits for ${waitingFor}`,
    text: isSpace
      ? 'Until there is room, files pile up and puts become slower, and then wait. Make room: a merge needs as much ' +
        'as the files that it merges.'
      : 'Until it has descriptors, memory or a thread, files pile up and puts become slower. Raise the limits of the ' +
        'process, or close what it does not need.',
    figures: {
      'waits for': waitingFor,
      ...(waitingSince === undefined ? {} : { since: timeText(waitingSince) }),
      ...freeFigure(freeBytes),
      'bucket files': sizeText(bucketBytes),
    },
  }
}

export function compactFrees(figures: Figures): Advice | undefined {
  const { hiddenRecords, recordsInFiles, bucketBytes, freeBytes, directory } = figures
  if (hiddenRecords === undefined || recordsInFiles === 0) return undefined
  const share = Math.min(1, hiddenRecords / recordsInFiles)
  if (share < FREED_SHARE) return undefined
  const left = bucketBytes * (1 - share)
  return {
    urgency: 'consider',
    title: `Compact: it would free about ${percentText(share)} of the bucket files`,
    text:
      `Deletes and newer records hide what is still in the files. Compact drops it, and writes about ${sizeText(left)} ` +
      'to one new file; the old ones go when that is done. In a program that has the table open, call compact().',
    command: `flashtable compact ${shellText(directory)}`,
    figures: {
      'hidden records, estimated': `${formatCount(hiddenRecords)} of ${formatCount(recordsInFiles)}`,
      'bucket files': sizeText(bucketBytes),
      ...freeFigure(freeBytes),
    },
  }
}

/** Less than what {@link compactFrees} asks for: merges drop it in time. */
export function someHidden({
  hiddenRecords,
  recordsInFiles,
  deletes,
  deleteWheres,
}: Figures): Advice | undefined {
  if (hiddenRecords === undefined || hiddenRecords === 0 || recordsInFiles === 0) return undefined
  if (hiddenRecords / recordsInFiles >= FREED_SHARE) return undefined
  return {
    urgency: 'know',
    title: `Of the records in files ${percentText(hiddenRecords / recordsInFiles)} are hidden, by an estimate`,
    text: 'Deletes and newer records hide them. Merges drop them in time; that few cost little.',
    figures: {
      'hidden records, estimated': `${formatCount(hiddenRecords)} of ${formatCount(recordsInFiles)}`,
      'deletes of keys and records': formatCount(deletes),
      'deletes by fields or range': formatCount(deleteWheres),
    },
  }
}

/** The estimate of what is hidden knows the entries of bucket files alone. */
export function deletesInLog({ logDeleteWheres, recordsInFiles, directory }: Figures): Advice | undefined {
  if (logDeleteWheres === 0 || recordsInFiles === 0) return undefined
  return {
    urgency: 'know',
    title: 'What the newest deletes hide is not known yet',
    text:
      'They are only in the log, and no estimate here counts what they hide. A flush and merges apply them in time; ' +
      'if they were to give much space back, compact does it now.',
    command: `flashtable compact ${shellText(directory)}`,
    figures: { 'deletes by fields or range in the log': formatCount(logDeleteWheres) },
  }
}

export function manyDeleteWheres({ deleteWheres, directory }: Figures): Advice | undefined {
  if (deleteWheres <= DELETE_WHERES_MAX) return undefined
  return {
    urgency: 'consider',
    title: `Compact: ${formatCount(deleteWheres)} deletes by field values or range are pending`,
    text:
      'Each read of an older record is compared with them until a merge has applied them. Compact applies all. To ' +
      'forget by time, call delWhere once with a later bound rather than often.',
    command: `flashtable compact ${shellText(directory)}`,
    figures: { 'delWhere and clear entries': formatCount(deleteWheres) },
  }
}

export function noFilter({ filesWithoutFilter, files, directory }: Figures): Advice | undefined {
  if (filesWithoutFilter === 0) return undefined
  return {
    urgency: 'consider',
    title: 'Compact: files have no filter, so a lookup of a key that is not there reads pages',
    text:
      'They were written with filterBitsPerRecord: 0. That is right if nearly all lookups hit. Otherwise compact, ' +
      'which writes filters of 10 bits a key, and leave the option out in your program.',
    command: `flashtable compact ${shellText(directory)}`,
    figures: { 'files without a filter': `${formatCount(filesWithoutFilter)} of ${formatCount(files)}` },
  }
}

export function manyFiles({ files, bucketBytes, meanFiles, directory }: Figures): Advice | undefined {
  if (files <= FILES_MAX) return undefined
  return {
    urgency: 'consider',
    title: `Compact: there are ${formatCount(files)} files`,
    text:
      'A lookup asks the filter of each file whose range the key is in. A program that has the table open merges ' +
      'them in the background; compact makes one of all.',
    command: `flashtable compact ${shellText(directory)}`,
    figures: {
      'bucket files': `${formatCount(files)}, ${sizeText(bucketBytes)}`,
      'a key is in the range of': `${roundText(meanFiles)} files on average`,
    },
  }
}

/** Some keys are in far more files than others: puts go to a part of the range. */
export function skewedOverlap({ files, mostFiles, meanFiles }: Figures): Advice | undefined {
  if (files > FILES_MAX || mostFiles < OVERLAP_LEAST || mostFiles < 2 * meanFiles) return undefined
  return {
    urgency: 'know',
    title: 'Some keys are in the range of many more files than others',
    text: 'Puts go to a part of the range of keys. Lookups there ask more filters. Merges even it out; compact does at once.',
    figures: {
      'files at the worst place': formatCount(mostFiles),
      'files of a record, on average': roundText(meanFiles),
    },
  }
}

export function largeLog({ logBytes, logRecords, bucketBytes, directory }: Figures): Advice | undefined {
  if (logBytes < LOG_LEAST_BYTES || logBytes < bucketBytes) return undefined
  return {
    urgency: 'consider',
    title: 'Compact: the log is larger than the bucket files',
    text:
      'Each open reads it, and holds its records in memory. They wait for more, up to bufferBytes, to be written as ' +
      'one file. If nothing will be put for a while, compact writes them now; or open with a smaller bufferBytes.',
    command: `flashtable compact ${shellText(directory)}`,
    figures: {
      log: `${sizeText(logBytes)}, ${countText(logRecords, 'record')}`,
      'bucket files': sizeText(bucketBytes),
    },
  }
}

export function spareSegments({ spareBytes, bytesOnDisk }: Figures): Advice | undefined {
  if (spareBytes < SPARE_LEAST_BYTES || spareBytes < bytesOnDisk / 4) return undefined
  return {
    urgency: 'know',
    title: `${sizeText(spareBytes)} are log segments kept for reuse`,
    text: 'The next puts overwrite them, which wears a device less than new files. It is no leak.',
    figures: { 'spare segments': sizeText(spareBytes), 'on disk': sizeText(bytesOnDisk) },
  }
}

export function highWear({ recordBytesPut, written }: Figures): Advice | undefined {
  const all = written.log + written.buckets + written.other
  if (recordBytesPut < WEAR_LEAST_BYTES || all < WEAR_MAX * recordBytesPut) return undefined
  const most = Math.max(written.log, written.buckets, written.other)
  const advice =
    most === written.log
      ? 'Most of it went to the log: many small puts, each synced. Put in batches or with putColumns, and sync less often.'
      : most === written.buckets
        ? 'Most of it went to bucket files: merges and compactions. A larger bufferBytes makes fewer and larger files; ' +
          'bulkLoad writes what it loads once; compact less often.'
        : 'Most of it went to manifests: keep the table open rather than opening it for each batch.'
  return {
    urgency: 'consider',
    title: `Write less: ${roundText(all / recordBytesPut)} bytes were written for each byte put`,
    text: advice,
    figures: {
      put: sizeText(recordBytesPut),
      written: `${sizeText(all)}: log ${sizeText(written.log)}, bucket files ${sizeText(written.buckets)}, other ${sizeText(written.other)}`,
    },
  }
}

/** A merge of all files writes them once more before it removes the old ones. */
export function littleSpace({ freeBytes, bucketBytes, waitingFor }: Figures): Advice | undefined {
  if (freeBytes === undefined || waitingFor !== undefined || bucketBytes < MIB || freeBytes >= bucketBytes)
    return undefined
  return {
    urgency: 'consider',
    title: 'Make room: the disk has less than a merge of all files may need',
    text: 'A merge writes its output before it removes its inputs. Make room before the table grows or is compacted.',
    figures: { ...freeFigure(freeBytes), 'bucket files': sizeText(bucketBytes) },
  }
}

export function leftovers({ orphans, tornAt }: Figures): Advice | undefined {
  if (orphans === 0 && tornAt === undefined) return undefined
  return {
    urgency: 'know',
    title: 'A program writes the table right now, or the last one did not close it',
    text:
      'What looks unfinished is either being written, or was left by a crash. The next open for writing removes ' +
      'files that do not belong to the table, and goes on behind the last whole frame of the log. No damage.',
    figures: {
      ...(orphans === 0 ? {} : { 'files outside of the manifest': formatCount(orphans) }),
      ...(tornAt === undefined ? {} : { 'the log breaks off at': tornAt }),
    },
  }
}

export function notVerified({ isVerified, verifyFailure, directory }: Figures): Advice | undefined {
  if (isVerified) return undefined
  const why = verifyFailure === undefined ? '' : `${sentence(verifyFailure)} `
  return {
    urgency: 'know',
    title: 'The files were not verified',
    text: `${why}So this report cannot say that they are intact. Verify reads all of them once.`,
    command: `flashtable verify ${shellText(directory)}`,
    figures: {},
  }
}

/** In the order in which they are told, within an urgency. */
export const RULES: readonly Rule[] = [
  cannotBeOpened,
  damaged,
  poisoned,
  waits,
  compactFrees,
  noFilter,
  manyFiles,
  manyDeleteWheres,
  highWear,
  largeLog,
  littleSpace,
  skewedOverlap,
  someHidden,
  deletesInLog,
  spareSegments,
  leftovers,
  notVerified,
]

const ORDER: readonly Urgency[] = ['act', 'consider', 'know']

/** The most urgent first. */
export function advise(figures: Figures): Advice[] {
  const all = RULES.flatMap(rule => rule(figures) ?? [])
  return all.sort((a, b) => ORDER.indexOf(a.urgency) - ORDER.indexOf(b.urgency))
}

/** The line that a reader in a hurry reads. */
export function headLine(advice: readonly Advice[], { records, openFailure, isVerified }: Figures): string {
  const act = advice.filter(({ urgency }) => urgency === 'act')
  const consider = advice.filter(({ urgency }) => urgency === 'consider')
  const first = act[0] ?? consider[0]
  const others = act.length + consider.length - 1
  const more = others > 0 ? ` And ${countText(others, 'other thing')} below.` : ''
  if (act.length > 0) return `Act now. ${first!.title}.${more}`
  const state = isVerified ? 'The table is healthy' : 'Nothing wrong was seen'
  if (first !== undefined) return `${state}, but something is worth doing. ${first.title}.${more}`
  return records === 0 && openFailure === undefined
    ? 'Nothing to do: the table is empty.'
    : `Nothing to do. ${state}.`
}

function freeFigure(freeBytes: number | undefined): Record<string, string> {
  return freeBytes === undefined ? {} : { 'free on the disk': sizeText(freeBytes) }
}

/** A message of the library as a sentence. */
function sentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`
}

/** A path that a shell takes for one word. */
function shellText(path: string): string {
  // Not an option.
  const word = path.startsWith('-') ? `./${path}` : path
  return /^[\w./@:+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

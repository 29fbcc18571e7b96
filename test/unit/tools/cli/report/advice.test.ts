import { describe, expect, test } from 'vitest'
import { advise, headLine, type Advice } from '../../../../../tools/cli/report/advice.js'
import type { Figures } from '../../../../../tools/cli/report/figures.js'

const MIB = 2 ** 20

/** A table that is as it should be. */
const HEALTHY: Figures = {
  directory: '/data/prints',
  openFailure: undefined,
  problems: 0,
  isVerified: true,
  verifyFailure: undefined,
  poisoned: undefined,
  waitingFor: undefined,
  waitingSince: undefined,
  freeBytes: 10_000 * MIB,
  files: 4,
  bucketBytes: 100 * MIB,
  recordsInFiles: 1_000_000,
  hiddenRecords: 0,
  deletes: 0,
  deleteWheres: 0,
  logDeleteWheres: 0,
  filesWithoutFilter: 0,
  meanFiles: 4,
  mostFiles: 4,
  records: 1_000_000,
  logRecords: 1000,
  logBytes: 4 * MIB,
  spareBytes: 4 * MIB,
  bytesOnDisk: 110 * MIB,
  recordBytesPut: 150 * MIB,
  written: { log: 50 * MIB, buckets: 150 * MIB, other: 1 },
  orphans: 0,
  tornAt: undefined,
}

function told(changes: Partial<Figures>): Advice[] {
  return advise({ ...HEALTHY, ...changes })
}

function head(changes: Partial<Figures>): string {
  const figures = { ...HEALTHY, ...changes }
  return headLine(advise(figures), figures)
}

/** What the figures need before a rule speaks, and what it says then. */
const RULES: readonly (readonly [
  title: string,
  urgency: Advice['urgency'],
  speaks: Partial<Figures>,
  silent: Partial<Figures>,
  figures: Record<string, string>,
])[] = [
  [
    'The table cannot be opened',
    'act',
    { openFailure: { code: 'FLASHTABLE_IO_ERROR', message: 'no right to read' } },
    {},
    { code: 'FLASHTABLE_IO_ERROR' },
  ],
  [
    'The table has the format of another version',
    'act',
    { openFailure: { code: 'FLASHTABLE_UNSUPPORTED_FORMAT', message: 'it has format version 1' } },
    {},
    { code: 'FLASHTABLE_UNSUPPORTED_FORMAT' },
  ],
  [
    'Run flashtable repair: there is damage',
    'act',
    { problems: 2 },
    { problems: 0 },
    { 'damaged places': '2', 'found by': 'verify' },
  ],
  [
    'Open the table again: a failure has stopped all writes',
    'act',
    { poisoned: 'EIO' },
    {},
    { reason: 'EIO' },
  ],
  [
    'Make room: a merge waits for space on the disk',
    'act',
    { waitingFor: 'space', waitingSince: new Date(0), freeBytes: MIB },
    {},
    {
      'waits for': 'space',
      since: '1970-01-01 00:00 UTC',
      'free on the disk': '1.00 MiB',
      'bucket files': '100 MiB',
    },
  ],
  [
    'A merge waits for resources',
    'act',
    { waitingFor: 'resources' },
    {},
    { 'waits for': 'resources', 'free on the disk': '9.77 GiB', 'bucket files': '100 MiB' },
  ],
  [
    'Compact: it would free about 40 % of the bucket files',
    'consider',
    { hiddenRecords: 400_000 },
    { hiddenRecords: undefined },
    {
      'hidden records, estimated': '400,000 of 1,000,000',
      'bucket files': '100 MiB',
      'free on the disk': '9.77 GiB',
    },
  ],
  [
    'Of the records in files 10 % are hidden, by an estimate',
    'know',
    { hiddenRecords: 100_000, deletes: 7, deleteWheres: 3 },
    { hiddenRecords: 0, deletes: 7 },
    {
      'hidden records, estimated': '100,000 of 1,000,000',
      'deletes of keys and records': '7',
      'deletes by fields or range': '3',
    },
  ],
  [
    'Compact: 1,001 deletes by field values or range are pending',
    'consider',
    { deleteWheres: 1001 },
    { deleteWheres: 1000 },
    { 'delWhere and clear entries': '1,001' },
  ],
  [
    'What the newest deletes hide is not known yet',
    'know',
    { logDeleteWheres: 2 },
    { logDeleteWheres: 2, recordsInFiles: 0 },
    { 'deletes by fields or range in the log': '2' },
  ],
  [
    'Compact: files have no filter, so a lookup of a key that is not there reads pages',
    'consider',
    { filesWithoutFilter: 1 },
    {},
    { 'files without a filter': '1 of 4' },
  ],
  [
    'Compact: there are 33 files',
    'consider',
    { files: 33, meanFiles: 12.5 },
    { files: 32 },
    { 'bucket files': '33, 100 MiB', 'a key is in the range of': '12.5 files on average' },
  ],
  [
    'Some keys are in the range of many more files than others',
    'know',
    { files: 12, mostFiles: 12, meanFiles: 3 },
    { files: 12, mostFiles: 12, meanFiles: 7 },
    { 'files at the worst place': '12', 'files of a record, on average': '3.00' },
  ],
  [
    'Compact: the log is larger than the bucket files',
    'consider',
    { logBytes: 120 * MIB, logRecords: 9 },
    { logBytes: 99 * MIB },
    { log: '120 MiB, 9 records', 'bucket files': '100 MiB' },
  ],
  [
    '80.0 MiB are log segments kept for reuse',
    'know',
    { spareBytes: 80 * MIB },
    { spareBytes: 80 * MIB, bytesOnDisk: 1000 * MIB },
    { 'spare segments': '80.0 MiB', 'on disk': '110 MiB' },
  ],
  [
    'Write less: 3.33 bytes were written for each byte put',
    'consider',
    { written: { log: 300 * MIB, buckets: 150 * MIB, other: 50 * MIB } },
    { recordBytesPut: MIB / 2, written: { log: 300 * MIB, buckets: 0, other: 0 } },
    { put: '150 MiB', written: '500 MiB: log 300 MiB, bucket files 150 MiB, other 50.0 MiB' },
  ],
  [
    'Make room: the disk has less than a merge of all files may need',
    'consider',
    { freeBytes: 99 * MIB },
    { freeBytes: undefined },
    { 'free on the disk': '99.0 MiB', 'bucket files': '100 MiB' },
  ],
  [
    'A program writes the table right now, or the last one did not close it',
    'know',
    { orphans: 2, tornAt: '000003.wal:76' },
    {},
    { 'files outside of the manifest': '2', 'the log breaks off at': '000003.wal:76' },
  ],
  ['The files were not verified', 'know', { isVerified: false }, {}, {}],
]

describe('advice', () => {
  test('is nothing for a healthy table', () => {
    expect(told({})).toEqual([])
    expect(head({})).toBe('Nothing to do. The table is healthy.')
    expect(head({ records: 0 })).toBe('Nothing to do: the table is empty.')
  })

  test.each(RULES)('%s', (title, urgency, speaks, silent, figures) => {
    const [advice, ...others] = told(speaks)
    expect(others).toEqual([])
    expect(advice).toMatchObject({ title, urgency, figures })
    expect(advice!.text).toMatch(/\.$/)
    expect(told(silent).map(advice => advice.title)).not.toContain(title)
  })

  test('tells by what most was written why it was much', () => {
    const why = (written: Figures['written']): string => told({ written })[0]!.text
    expect(why({ log: 500 * MIB, buckets: 0, other: 0 })).toContain('putColumns')
    expect(why({ log: 0, buckets: 500 * MIB, other: 0 })).toContain('bulkLoad')
    expect(why({ log: 0, buckets: 0, other: 500 * MIB })).toContain('keep the table open')
  })

  test('begins with what is most urgent, and the head line counts the rest', () => {
    const all = told({ problems: 1, files: 40, isVerified: false, filesWithoutFilter: 1 })
    expect(all.map(({ urgency }) => urgency)).toEqual(['act', 'consider', 'consider', 'know'])
    expect(head({ problems: 1, files: 40, filesWithoutFilter: 1 })).toBe(
      'Act now. Run flashtable repair: there is damage. And 2 other things below.',
    )
    expect(head({ files: 40, isVerified: false })).toBe(
      'Nothing wrong was seen, but something is worth doing. Compact: there are 40 files.',
    )
    expect(head({ isVerified: false })).toBe('Nothing to do. Nothing wrong was seen.')
  })

  test('has commands that a shell takes as they are', () => {
    const command = (directory: string): string | undefined => told({ directory, problems: 1 })[0]!.command
    expect(command('/data/prints')).toBe('flashtable repair /data/prints --into NEW')
    expect(command("it's $(x)")).toBe(`flashtable repair 'it'\\''s $(x)' --into NEW`)
    expect(command('--force')).toBe(`flashtable repair ./--force --into NEW`)
  })

  test('says why verify gave up', () => {
    const [advice] = told({ isVerified: false, verifyFailure: 'a writer keeps changing it' })
    expect(advice!.text).toMatch(/^a writer keeps changing it\. /)
  })
})

import type { Manifest } from '../../../src/manifest/manifest.js'

/** A manifest that uses every field: three bucket files, the first one of another table, two closed segments, an epoch that goes on. */
export function sampleManifest(changes: Partial<Manifest> = {}): Manifest {
  return {
    tableId: '0123456789abcdef0123456789abcdef',
    epoch: 3,
    schema: { key: { type: 'u64' }, value: { type: 'struct', fields: [{ name: 'id', type: 'i32' }] } },
    pageBytes: 4096,
    duplicates: 'keep',
    mode: 0o640,
    files: [
      {
        tableId: 'fedcba9876543210fedcba9876543210',
        number: 5,
        epoch: 1,
        level: 2,
        pages: 100,
        records: 1990,
        firstSequence: 0,
        endSequence: 2000,
      },
      { number: 7, epoch: 2, level: 1, pages: 60, records: 1000, firstSequence: 2000, endSequence: 3000 },
      { number: 19, epoch: 3, level: 0, pages: 4, records: 0, firstSequence: 3500, endSequence: 4000 },
    ],
    log: {
      closed: [
        { number: 21, epoch: 1, bytes: 40_000, firstSequence: 4000, endSequence: 4500 },
        { number: 22, epoch: 2, bytes: 36_004, firstSequence: 4500, endSequence: 5000 },
      ],
      firstSegment: 25,
    },
    firstLogSequence: 4000,
    nextSequence: 5001,
    nextFileNumber: 30,
    clean: false,
    counters: { walBytes: 1, bucketBytes: 2, manifestBytes: 3, eventBytes: 6, recordBytes: 4, records: 5 },
    meta: { upTo: 17, names: { é: [1, null] } },
    ...changes,
  }
}

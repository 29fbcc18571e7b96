/** Manifests of published tables for the tests of this room. */
import type { RemoteManifest } from '../../../src/remote/remote-manifest.js'
import { withVersion, type NextVersion, type PublishedFile } from '../../../src/remote/versions.js'

const ID = '0123456789abcdef0123456789abcdef'

export const TABLE: RemoteManifest['table'] = {
  tableId: ID,
  epoch: 1,
  schema: { key: { type: 'u32' }, value: null },
  pageBytes: 4096,
  duplicates: 'keep',
  mode: 0o600,
}

/** A file that a letter stands for; later letters are newer. */
export function fileIn(letter: string): PublishedFile {
  const number = letter.charCodeAt(0)
  return {
    key: `e000000000001/${String(number).padStart(6, '0')}-${letter.repeat(16)}.bucket`,
    entry: {
      tableId: ID,
      number,
      epoch: 1,
      level: 0,
      pages: 4,
      records: 10,
      firstSequence: number * 10,
      endSequence: number * 10 + 10,
    },
  }
}

/** What a publish at that time says, besides its files. */
export function manifestWith(at: number): Omit<NextVersion, 'files'> {
  return {
    table: TABLE,
    at,
    sequence: 2000,
    nextFileNumber: 200,
    counters: { walBytes: 0, bucketBytes: 0, manifestBytes: 0, eventBytes: 0, recordBytes: 0, records: 0 },
    meta: {},
  }
}

/** With one version, of these files. */
export function publishedAt(at: number, letters: readonly string[]): RemoteManifest {
  const empty: RemoteManifest = {
    lineage: ID,
    epoch: 1,
    writer: { id: ID, label: 'machine:/table' },
    nonce: ID,
    published: ID,
    parent: '',
    retentionMs: 3_600_000,
    table: TABLE,
    files: [],
    versions: [],
    names: [],
  }
  return withVersion(empty, { ...manifestWith(at), files: letters.map(fileIn) })
}

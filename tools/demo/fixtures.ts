/**
 * Loads the real music fingerprints of test/fixtures: for the tests and for the demo.
 *
 * What the files are and how they are laid out: test/fixtures/README.md.
 */
import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'

/** Records as columns, in the order in which they came out of the fingerprinter. */
export interface Fingerprints {
  readonly count: number
  readonly key: BigUint64Array
  readonly time: Uint16Array
  readonly flags: Uint16Array
  readonly id: Int32Array
}

/** A noisy excerpt of 12 seconds. */
export interface Clip {
  /** The track that it was taken from; `null`: it was played backwards and is in no track. */
  readonly track: number | null
  readonly name: string | null
  /** Where in the track it starts, in seconds. */
  readonly startSeconds: number
  readonly key: BigUint64Array
  /** Frames from the start of the excerpt, one a key. */
  readonly time: Uint16Array
}

/** Frames in a second; `time` counts frames. */
export const FRAMES_PER_SECOND = 22_050 / 256

/** Buckets and slots of the memory-mapped table. */
export const MEMMAP_SHAPE = [16_384, 32] as const

const RECORD_BYTES = 16

/** 140,287 records, track after track. */
export function readFingerprints(): Fingerprints {
  return decodeRecords(unpack('music-fingerprints.bin.br'))
}

/** The packed little-endian records that {@link readFingerprints} decodes. */
export function readFingerprintBytes(): Buffer {
  return unpack('music-fingerprints.bin.br')
}

/** The bytes of the memory-mapped hash table. */
export function readMemmapTable(): Buffer {
  return unpack('music-table.memmap.br')
}

/** The 140,235 records of the memory-mapped hash table, in the order of its slots. */
export function readMemmapRecords(): Fingerprints {
  const [buckets, slots] = MEMMAP_SHAPE
  const table = readMemmapTable()
  const inUse: Uint8Array[] = []
  for (let slot = 0; slot < buckets * slots; slot++) {
    const record = table.subarray(slot * RECORD_BYTES, (slot + 1) * RECORD_BYTES)
    if (slot % slots !== 0 && (record.readUInt16LE(10) & 1) === 1) inUse.push(record)
  }
  return decodeRecords(Buffer.concat(inUse))
}

/** The 16 clips. */
export function readClips(): Clip[] {
  const stored = JSON.parse(unpack('music-clips.json.br').toString()) as Record<
    string,
    { track: number | null; name: string | null; start_s: number; key: number[]; time: number[] }
  >
  return Object.values(stored).map(clip => ({
    track: clip.track,
    name: clip.name,
    startSeconds: clip.start_s,
    key: BigUint64Array.from(clip.key, BigInt),
    time: Uint16Array.from(clip.time),
  }))
}

/** Track names, by id. */
export function readTrackNames(): string[] {
  const stored = JSON.parse(readFileSync(fixture('music-tracks.json'), 'utf8')) as { tracks: string[] }
  return stored.tracks
}

/** Decodes packed records of 16 bytes. */
export function decodeRecords(bytes: Uint8Array): Fingerprints {
  const count = bytes.byteLength / RECORD_BYTES
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records: Fingerprints = {
    count,
    key: new BigUint64Array(count),
    time: new Uint16Array(count),
    flags: new Uint16Array(count),
    id: new Int32Array(count),
  }
  for (let row = 0, at = 0; row < count; row++, at += RECORD_BYTES) {
    records.key[row] = view.getBigUint64(at, true)
    records.time[row] = view.getUint16(at + 8, true)
    records.flags[row] = view.getUint16(at + 10, true)
    records.id[row] = view.getInt32(at + 12, true)
  }
  return records
}

function unpack(name: string): Buffer {
  return brotliDecompressSync(readFileSync(fixture(name)))
}

function fixture(name: string): URL {
  return new URL(`../../test/fixtures/${name}`, import.meta.url)
}

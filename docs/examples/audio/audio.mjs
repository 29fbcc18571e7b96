// Recognises noisy clips of music by their fingerprints.
//
//   node audio.mjs [FOLDER]      without a folder: fingerprints of a few tracks that come with flashtable
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync } from 'node:zlib'
import { FlashTable, struct } from 'flashtable'

const RECORD_BYTES = 16
const FRAMES_PER_SECOND = 22_050 / 256
/** Frames that share a vote: the frames of a clip lie between those of the track. */
const STEP_FRAMES = 2
/** Music repeats itself, so a wrong track gets a few votes, too: up to 3 here. The right one has 14 and more. */
const LEAST_VOTES = 6

const package_ = dirname(fileURLToPath(import.meta.resolve('flashtable/package.json')))
const folder = process.argv[2] ?? join(package_, 'docs/examples/audio/data')
const unpack = name => brotliDecompressSync(readFileSync(join(folder, name)))

/** Packed records: u64 key, u16 time, u16 flags, i32 id; little-endian. */
function readFingerprints() {
  const packed = unpack('music-fingerprints.bin.br')
  const rows = packed.length / RECORD_BYTES
  const columns = { key: new BigUint64Array(rows), time: new Uint16Array(rows), id: new Int32Array(rows) }
  for (let row = 0; row < rows; row++) {
    columns.key[row] = packed.readBigUInt64LE(row * RECORD_BYTES)
    columns.time[row] = packed.readUInt16LE(row * RECORD_BYTES + 8)
    columns.id[row] = packed.readInt32LE(row * RECORD_BYTES + 12)
  }
  return columns
}

/**
 * The track that a clip is taken from, or `undefined`.
 *
 * All keys are looked up, and the hits vote. Where the clip is a part of a track, time in the track minus time in the
 * clip is the same for all true hits; chance spreads the false ones (Wang 2003, "An Industrial-Strength Audio Search
 * Algorithm").
 */
async function recognise(table, clip) {
  const hits = await table.getColumns(BigUint64Array.from(clip.key, BigInt))
  const votes = new Map()
  let best = { votes: 0 }
  for (const [hit, query] of hits.query.entries()) {
    const offset = Math.floor((hits.time[hit] - clip.time[query]) / STEP_FRAMES) * STEP_FRAMES
    const pair = `${hits.id[hit]} ${offset}`
    const count = (votes.get(pair) ?? 0) + 1
    votes.set(pair, count)
    if (count > best.votes) best = { id: hits.id[hit], offset, votes: count }
  }
  return best.votes >= LEAST_VOTES ? best : undefined
}

const fingerprints = readFingerprints()
const names = JSON.parse(readFileSync(join(folder, 'music-tracks.json'), 'utf8')).tracks
const clips = Object.values(JSON.parse(unpack('music-clips.json.br').toString()))
const known = new Set(fingerprints.id)

await rm('./fingerprints', { recursive: true, force: true })
const table = await FlashTable.open('./fingerprints', {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', id: 'i32' }),
})
await table.putColumns(fingerprints, { sync: true })
console.log(`${fingerprints.key.length} fingerprints of ${known.size} tracks`)

let wrong = 0
for (const clip of clips) {
  const match = await recognise(table, clip)
  const second = match && Math.round(match.offset / FRAMES_PER_SECOND)
  const expected = known.has(clip.track) ? clip.track : undefined
  if (match?.id !== expected) wrong++
  console.log(match ? `${names[match.id]} from second ${second}, ${match.votes} votes` : 'not known')
}
console.log(`${clips.length} clips with noise, ${wrong} wrong answers`)
await table.close()
if (wrong > 0) process.exitCode = 1

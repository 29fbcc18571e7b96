// Deduplicates files: cuts them into chunks where their content says so, and counts each chunk once.
//
//   node dedup.mjs [FOLDER]      without a folder: the files of flashtable itself
import { createHash } from 'node:crypto'
import { readFile, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { FlashTable, bytes, struct } from 'flashtable'

const LEAST_BYTES = 512
const MOST_BYTES = 16_384
/** A chunk ends where the upper bits of the hash are 0: after 2 KiB on average, besides the least bytes. */
const CUT_SHIFT = 32 - 11
const DIGEST_BYTES = 20

/** A random number for each byte. The hash of a place depends on the 32 bytes before it. */
const GEAR = Uint32Array.from({ length: 256 }, (_, byte) =>
  createHash('sha256').update(`gear ${byte}`).digest().readUInt32LE(),
)

/** Cuts at places that the content chooses: an insertion moves the cuts with it, so chunks after it stay equal. */
function* chunksOf(content) {
  let from = 0
  let hash = 0
  for (let at = 0; at < content.length; at++) {
    hash = ((hash << 1) + GEAR[content[at]]) >>> 0
    const length = at + 1 - from
    if ((length < LEAST_BYTES || hash >>> CUT_SHIFT !== 0) && length < MOST_BYTES) continue
    yield content.subarray(from, at + 1)
    from = at + 1
    hash = 0
  }
  if (from < content.length) yield content.subarray(from)
}

/** Adds the chunks of a file to the table. Those that are there already take no space in a store. */
async function addFile(table, fileNumber, content, totals) {
  const chunks = [...chunksOf(content)]
  const key = new Uint8Array(chunks.length * DIGEST_BYTES)
  for (const [i, chunk] of chunks.entries())
    key.set(createHash('sha256').update(chunk).digest().subarray(0, DIGEST_BYTES), i * DIGEST_BYTES)
  const length = Uint32Array.from(chunks, chunk => chunk.length)
  const file = new Uint32Array(chunks.length).fill(fileNumber)
  const isNew = await table.putColumns({ key, length, file }, { ifAbsent: true })
  totals.files++
  totals.bytes += content.length
  totals.chunks += chunks.length
  for (const [i, one] of isNew.entries()) {
    totals.newChunks += one
    totals.newBytes += one * length[i]
  }
}

async function filesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
}

/** Adds all files; `prefix` is put before each. */
async function addAll(table, title, paths, prefix) {
  const totals = { files: 0, bytes: 0, chunks: 0, newChunks: 0, newBytes: 0 }
  for (const [number, path] of paths.entries())
    await addFile(table, number, Buffer.concat([prefix, await readFile(path)]), totals)
  const { files, bytes, chunks, newChunks, newBytes } = totals
  console.log(`${title}: ${files} files of ${bytes} bytes in ${chunks} chunks`)
  console.log(`  new: ${newChunks} chunks of ${newBytes} bytes; saved: ${percent(1 - newBytes / bytes)}`)
  return totals
}

const percent = share => `${(100 * share).toFixed(1)} %`

const package_ = dirname(fileURLToPath(import.meta.resolve('flashtable/package.json')))
const folders = process.argv[2] ? [process.argv[2]] : [join(package_, 'dist'), join(package_, 'docs')]
const paths = (await Promise.all(folders.map(filesIn))).flat().sort()

await rm('./chunks', { recursive: true, force: true })
const table = await FlashTable.open('./chunks', {
  keyEncoding: bytes(DIGEST_BYTES),
  valueEncoding: struct({ length: 'u32', file: 'u32' }),
})
await addAll(table, 'a first backup', paths, Buffer.alloc(0))
await addAll(table, 'the same again', paths, Buffer.alloc(0))
const changed = await addAll(table, 'a line added to the top of each', paths, Buffer.from('// a new line\n'))
const { writeAmplification } = await table.stats()
console.log(`written by the table: ${writeAmplification.toFixed(2)} bytes for a byte of its records`)
await table.close()
if (changed.newBytes > 0.9 * changed.bytes) throw new Error('what has moved was not found again')

// Counts the k-mers of DNA: all pieces of K letters, a piece and its reverse complement as one.
//
//   node kmer.mjs [FILE.fasta]   without a file: the documents of flashtable, four letters a byte
import { readFile, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { FlashTable, struct } from 'flashtable'

/** 2 bits a letter: 42 bits, which a number holds exactly (up to 26). */
const K = 21
const HIGHEST = 4 ** (K - 1)
const BATCH = 65_536

const CODES = new Int8Array(256).fill(-1)
for (const [code, letters] of ['Aa', 'Cc', 'Gg', 'Tt'].entries())
  for (const letter of letters) CODES[letter.charCodeAt(0)] = code

/** The codes of the letters, -1 where a sequence ends or a letter is unknown. */
function* fastaCodes(bytes) {
  let inTitle = false
  for (const byte of bytes) {
    if (byte === 0x3e) inTitle = true
    if (byte !== 0x0a && byte !== 0x0d) yield inTitle ? -1 : CODES[byte]
    else if (byte === 0x0a) inTitle = false
  }
}

/** Any bytes as DNA, as those write who store files in DNA: two bits a letter. */
function* bytesAsCodes(bytes) {
  for (const byte of bytes) {
    yield byte >> 6
    yield (byte >> 4) & 3
    yield (byte >> 2) & 3
    yield byte & 3
  }
}

/** The smaller one of each k-mer and its reverse complement, as a number. */
function* kmersOf(codes) {
  let letters = 0
  let forward = 0
  let backward = 0
  for (const code of codes) {
    letters = code < 0 ? 0 : letters + 1
    if (code < 0) continue
    forward = (forward % HIGHEST) * 4 + code
    backward = Math.floor(backward / 4) + (3 - code) * HIGHEST
    if (letters >= K) yield Math.min(forward, backward)
  }
}

/** Puts each k-mer with a count of 1; the table adds the counts up. */
async function count(table, kmers) {
  const key = new BigUint64Array(BATCH)
  const words = new Uint32Array(key.buffer)
  const ones = new Uint32Array(BATCH).fill(1)
  let rows = 0
  let total = 0
  const put = () => table.putColumns({ key: key.subarray(0, rows), count: ones.subarray(0, rows) })
  for (const kmer of kmers) {
    words[2 * rows] = kmer
    words[2 * rows + 1] = kmer / 2 ** 32
    total++
    if (++rows < BATCH) continue
    await put()
    rows = 0
  }
  await put()
  return total
}

async function documents() {
  const folder = join(dirname(fileURLToPath(import.meta.resolve('flashtable/package.json'))), 'docs')
  const names = (await readdir(folder)).filter(name => name.endsWith('.md')).sort()
  return Buffer.concat(await Promise.all(names.map(name => readFile(join(folder, name)))))
}

const file = process.argv[2]
const codes = file ? fastaCodes(await readFile(file)) : bytesAsCodes(await documents())

await rm('./k-mers', { recursive: true, force: true })
const table = await FlashTable.open('./k-mers', {
  keyEncoding: 'u64',
  valueEncoding: struct({ count: 'u32' }),
  combine: { count: 'sum' },
})
const total = await count(table, kmersOf(codes))
await table.compact()

const histogram = new Map()
let most = { kmer: 0n, count: 0 }
let added = 0
for await (const { key, count } of table.scanColumns()) {
  for (const [row, times] of count.entries()) {
    histogram.set(times, (histogram.get(times) ?? 0) + 1)
    added += times
    if (times > most.count) most = { kmer: key[row], count: times }
  }
}
const letters = Array.from({ length: K }, (_, i) => 'ACGT'[(most.kmer >> BigInt(2 * (K - 1 - i))) & 3n]).join(
  '',
)
const { records, dataBytesOnDisk } = await table.stats()
console.log(
  `${total} k-mers, ${records} different ones, ${(dataBytesOnDisk / records).toFixed(1)} bytes each`,
)
for (const times of [1, 2, 3, 4]) console.log(`  ${times} times: ${histogram.get(times) ?? 0}`)
console.log(`the most frequent one: ${letters}, ${most.count} times`)
await table.close()
if (added !== total) throw new Error(`${added} were counted, not ${total}`)

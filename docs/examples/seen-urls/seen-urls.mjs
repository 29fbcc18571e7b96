// Which URLs has a crawler seen? A 64-bit hash of each with the day of the first visit; old ones are forgotten.
//
//   node seen-urls.mjs [FILE...]   each file has the URLs of a day, one a line;
//                                  without files: the links in the documents of flashtable, a document a day
import { createHash } from 'node:crypto'
import { readFile, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { FlashTable, struct } from 'flashtable'

const DAYS_KEPT = 3

/** 64 bits: of a hundred million URLs a new one is taken for one of them once in 200 thousand million times. */
function hashOf(url) {
  return createHash('sha256').update(url).digest().readBigUInt64LE()
}

/** One at a time. Of several calls for one URL, at the same moment or not, one gets `true`. */
function isNew(table, url, day) {
  return table.putIfAbsent(hashOf(url), { day })
}

/** Many at a time: as fast as the hashes. Gives those that are new. */
async function newOnes(table, urls, day) {
  const key = BigUint64Array.from(urls, hashOf)
  const wasAdded = await table.putColumns(
    { key, day: new Uint16Array(key.length).fill(day) },
    { ifAbsent: true },
  )
  return urls.filter((_, row) => wasAdded[row] === 1)
}

/** Forgets the URLs that were seen first before `day`: one small log entry, whatever their number. */
function forgetBefore(table, day) {
  return table.delWhere({ day: { lt: day } })
}

async function linesOf(path) {
  return (await readFile(path, 'utf8')).split('\n').filter(line => line !== '')
}

async function linksOf(path) {
  const links = [...(await readFile(path, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)]
  return links.map(([, link]) => new URL(link, pathToFileURL(path)).href)
}

async function daysOfDocuments() {
  const folder = join(dirname(fileURLToPath(import.meta.resolve('flashtable/package.json'))), 'docs')
  const names = (await readdir(folder)).filter(name => name.endsWith('.md')).sort()
  return Promise.all(names.map(name => linksOf(join(folder, name))))
}

const files = process.argv.slice(2)
const days = files.length > 0 ? await Promise.all(files.map(linesOf)) : await daysOfDocuments()

await rm('./seen', { recursive: true, force: true })
const table = await FlashTable.open('./seen', { keyEncoding: 'u64', valueEncoding: struct({ day: 'u16' }) })
for (const [day, urls] of days.entries()) {
  const found = await newOnes(table, urls, day)
  await forgetBefore(table, day - DAYS_KEPT + 1 < 0 ? 0 : day - DAYS_KEPT + 1)
  console.log(`day ${day}: ${urls.length} URLs, ${found.length} new; known now: ${await table.count()}`)
}
const today = days.length
console.log('a URL that nobody has seen is new:', await isNew(table, 'https://example.org/', today))
console.log('the same URL again:', await isNew(table, 'https://example.org/', today))
await forgetBefore(table, today + 1)
console.log('when all are forgotten it is new again:', await isNew(table, 'https://example.org/', today))
await table.close()

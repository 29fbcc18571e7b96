/** Checks the built pages: each internal link leads to a page, and to a place in it that is there; each picture exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseHTML } from 'linkedom'

const DIST = fileURLToPath(new URL('dist', import.meta.url))
const BASE = process.env.SITE_BASE ?? '/'

const documents = new Map(
  readdirSync(DIST, { recursive: true })
    .filter(name => name.endsWith('.html'))
    .map(name => [join(DIST, name), parseHTML(readFileSync(join(DIST, name), 'utf8')).document]),
)

function fileOf(page, path) {
  const place = path.startsWith(BASE) ? join(DIST, path.slice(BASE.length)) : resolve(dirname(page), path)
  return [place, `${place}.html`, join(place, 'index.html')].find(
    file => existsSync(file) && /\.\w+$/.test(file),
  )
}

function wrongIn(page, document, address) {
  const [path, anchor] = address.split('#')
  const file = path === '' ? page : fileOf(page, decodeURIComponent(path))
  if (file === undefined) return `no page ${path}`
  if (anchor === undefined || anchor === '') return undefined
  const target = documents.get(file)
  return target?.getElementById(decodeURIComponent(anchor))
    ? undefined
    : `no place #${anchor} in ${path || 'the page'}`
}

const wrong = []
let links = 0
for (const [page, document] of documents) {
  const addresses = [
    ...[...document.querySelectorAll('a[href]')].map(link => link.getAttribute('href')),
    ...[...document.querySelectorAll('img[src]')].map(image => image.getAttribute('src')),
  ]
  for (const address of addresses) {
    if (/^([a-z]+:|\/\/)/.test(address)) continue
    links++
    const reason = wrongIn(page, document, address)
    if (reason !== undefined) wrong.push(`${relative(DIST, page)}: ${reason}`)
  }
}

for (const line of new Set(wrong)) console.error(line)
console.log(`${documents.size} pages, ${links} links, ${wrong.length} of them wrong`)
if (wrong.length > 0 || documents.size < 10) process.exitCode = 1

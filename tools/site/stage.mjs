/** Copies what becomes pages to pages/: documents of the root, and all of docs/ with its pictures. */
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const PAGES = join(import.meta.dirname, 'pages')
const OF_ROOT = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md']

const documents = readdirSync(join(ROOT, 'docs'), { recursive: true })
  .filter(name => /\.(md|svg|png)$/.test(name))
  .map(name => join('docs', name))

rmSync(PAGES, { recursive: true, force: true })
for (const name of [...OF_ROOT, ...documents]) cpSync(join(ROOT, name), join(PAGES, name))

/** Documents are read in editors and in diffs: their prose keeps to 120 columns. Tables, code and links cannot be wrapped. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const COLUMNS_MAX = 120

test('prose of documents keeps to 120 columns', () => {
  const docs = readdirSync('docs', { recursive: true }).map(name => join('docs', String(name)))
  const loose = readdirSync('.').filter(name => name.endsWith('.md'))
  const long = [...loose, ...docs.filter(path => path.endsWith('.md'))].flatMap(path => {
    let inCode = false
    return readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, i) => {
        if (line.trimStart().startsWith('```')) inCode = !inCode
        const free = inCode || line.startsWith('|') || !line.trim().includes(' ')
        return !free && line.length > COLUMNS_MAX ? [`${path}:${i + 1}`] : []
      })
  })
  expect(long).toEqual([])
})

import { readFileSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

/** Files and directories right in src/. */
const modules = readdirSync('src', { withFileTypes: true }).map(entry =>
  entry.isDirectory() ? `${entry.name}/` : entry.name,
)

test('every module stands once in the rank table of docs/architecture.md, which names no others', () => {
  const rows = readFileSync('docs/architecture.md', 'utf8').match(/^\| \d+ \| .*$/gm) ?? []
  const named = rows.flatMap(row => [...row.split('|')[2]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!))
  expect(named.toSorted()).toEqual(modules.toSorted())
})

test('lint knows what each module may import', () => {
  const { overrides } = JSON.parse(readFileSync('.oxlintrc.json', 'utf8')) as {
    overrides: { files: string[] }[]
  }
  const known = new Set(overrides.flatMap(({ files }) => files))
  const unknown = modules.filter(name => !known.has(name.endsWith('/') ? `src/${name}**` : `src/${name}`))
  expect(unknown).toEqual([])
})

/** test/unit mirrors src/ and tools/: a failure there names the room. */
import { existsSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readDocument, sectionOf } from '../support/markdown.js'
import { codeFiles, importsOf } from './sources.js'

/** Folders of test/unit that test tests. */
const OF_TESTS = new Set(['support'])

const ROOMS = sectionOf(readDocument('docs/architecture.md'), 'Ranks').tables[0]!.flatMap(row =>
  [...row['folders and files of `src/`']!.matchAll(/`([\w-]+)\/`/g)].map(([, name]) => name!),
)

test('every room of src/ has unit tests that import it', () => {
  const without = ROOMS.filter(room => {
    const tests = existsSync(`test/unit/${room}`) ? codeFiles(`test/unit/${room}`) : []
    const imports = tests.filter(path => path.endsWith('.test.ts')).flatMap(importsOf)
    return !imports.some(path => path.startsWith(`src/${room}/`))
  })
  expect(without).toEqual([])
})

test('every folder of test/unit has its counterpart in src/ or tools/', () => {
  const folders = readdirSync('test/unit', { withFileTypes: true }).filter(entry => entry.isDirectory())
  const strangers = folders.filter(
    ({ name }) => !OF_TESTS.has(name) && !existsSync(`src/${name}`) && !(name === 'tools'),
  )
  expect(strangers.map(({ name }) => name)).toEqual([])
})

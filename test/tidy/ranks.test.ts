/** Imports run strictly downward, by the table in docs/architecture.md, Ranks. */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readDocument, sectionOf } from '../support/markdown.js'
import { codeFiles, importsOf } from './sources.js'

/** The folders and files directly in `src/`, each with its rank. */
const RANKS = ranksOf(readDocument('docs/architecture.md'))

function ranksOf(document: string): Map<string, number> {
  const [rows] = sectionOf(document, 'Ranks').tables
  return new Map(
    rows!.flatMap(row =>
      [...row['folders and files of `src/`']!.matchAll(/`([^`]+)`/g)].map(
        ([, name]) => [name!, Number(row['rank'])] as const,
      ),
    ),
  )
}

/** `src/wal/writer.ts` is in `wal/`; `src/index.ts` stands for itself. */
function placeOf(path: string): string {
  const [, first, ...rest] = path.split('/')
  return rest.length === 0 ? first! : `${first}/`
}

/** Imports that climb, or cross over to a sibling: "file -> file". */
function wrongImports(ranks: ReadonlyMap<string, number>): string[] {
  return codeFiles('src').flatMap(path =>
    importsOf(path)
      .filter(target => {
        const [from, to] = [placeOf(path), placeOf(target)]
        return from !== to && !(ranks.get(from)! > ranks.get(to)!)
      })
      .map(target => `${path} -> ${target}`),
  )
}

test('the rank table of docs/architecture.md names every folder and file of src/, and no others', () => {
  const there = readdirSync('src', { withFileTypes: true }).map(entry =>
    entry.isDirectory() ? `${entry.name}/` : entry.name,
  )
  expect([...RANKS.keys()].toSorted()).toEqual(there.toSorted())
})

test('every import goes to the own folder or to a lower rank', () => {
  expect(wrongImports(RANKS)).toEqual([])
})

test('an import of a sibling and one that climbs are seen', () => {
  const changed = new Map(RANKS).set('records/', RANKS.get('format/')!).set('base/', 17)
  const wrong = wrongImports(changed)
  expect(wrong).toContain('src/format/frame-encoder.ts -> src/records/operations.ts')
  expect(wrong).toContain('src/io/lock.ts -> src/base/errors.ts')
})

test('src imports neither tests nor tools, and tools import no tests', () => {
  const outside = codeFiles('src').flatMap(path =>
    importsOf(path).filter(target => !target.startsWith('src/')),
  )
  const tests = codeFiles('tools').flatMap(path =>
    importsOf(path)
      .filter(target => target.startsWith('test/'))
      .map(target => `${path} -> ${target}`),
  )
  expect([...outside, ...tests]).toEqual([])
})

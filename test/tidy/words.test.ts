/** Comments and documents say things plainly, and name only what is there. CONTRIBUTING.md, Words. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { codeFiles, codeOf, commentsOf } from './sources.js'

/** Phrases that a reader stumbles over, and what to say instead. */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/\bso many\b/i, 'a number, or "that many"'],
  [/\blet(s|ting)? go\b/i, '"release", "free" or "close"'],
  [/\bshall\b/i, '"must" or "should"'],
  [/\bthose of which\b/i, 'a sentence of its own'],
  [/\ball the same\b/i, '"anyway"'],
  [/\bby itself\b/i, '"automatically" or "on its own"'],
  [/\bwhoever\b/i, 'who it is: "the caller", "the thread that ..."'],
]

const CODE = codeFiles('src', 'test', 'tools')
/** This file has to name them. */
const SELF = 'test/tidy/words.test.ts'

function documents(): string[] {
  const docs = readdirSync('docs', { recursive: true }).map(name => join('docs', String(name)))
  const loose = readdirSync('.').filter(name => name.endsWith('.md') && name !== 'CHANGELOG.md')
  return [...loose, ...docs.filter(path => path.endsWith('.md'))]
}

/** As one line: comments wrap. */
function flat(text: string): string {
  return text.replaceAll(/\s*\n\s*(?:\*|\/\/)?\s*/g, ' ')
}

function phrasesIn(text: string): string[] {
  return PHRASES.flatMap(([pattern, instead]) => {
    const found = pattern.exec(flat(text))
    return found === null ? [] : [`"${found[0]}": say ${instead}`]
  })
}

test('no comment and no document uses a phrase that readers stumble over', () => {
  const comments = CODE.filter(path => path !== SELF).flatMap(path =>
    commentsOf(path).flatMap(({ line, text }) =>
      phrasesIn(text).map(complaint => `${path}:${line}: ${complaint}`),
    ),
  )
  const prose = documents().flatMap(path =>
    readFileSync(path, 'utf8')
      .split('\n\n')
      .flatMap(paragraph => phrasesIn(paragraph).map(complaint => `${path}: ${complaint}`)),
  )
  expect([...comments, ...prose]).toEqual([])
})

/** Identifiers that comments name in camel case or with a leading `#`: a plain word never looks so. */
const NAME = /(?<![\w.`/-])#?[a-z]+(?:[A-Z][a-z0-9]+)+(?![\w-])/g

test('every name in camel case that a comment of src/ uses is one of the code or of a document', () => {
  const known = new Set(
    [...CODE.map(codeOf), ...documents().map(path => readFileSync(path, 'utf8'))].flatMap(text => [
      ...(text.match(/[A-Za-z_$][\w$]*/g) ?? []),
    ]),
  )
  const stale = codeFiles('src').flatMap(path =>
    commentsOf(path).flatMap(({ line, text }) =>
      (text.match(NAME) ?? [])
        .filter(name => !known.has(name.replace('#', '')))
        .map(name => `${path}:${line}: ${name}`),
    ),
  )
  expect(stale).toEqual([])
})

test('the search for phrases sees them across a line break', () => {
  expect(phrasesIn('closed when nobody lets\n * go of it')).toEqual([
    '"lets go": say "release", "free" or "close"',
  ])
})

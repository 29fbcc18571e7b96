/** What documents and comments refer to is there: sections, files, and the tests that docs/durability.md names. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readDocument, sectionOf, sectionsOf } from '../support/markdown.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

async function filesUnder(folders: readonly string[], extension: RegExp): Promise<string[]> {
  const lists = await Promise.all(
    folders.map(async folder => {
      const names = await readdir(join(ROOT, folder), { recursive: true })
      return names.filter(name => extension.test(name)).map(name => join(folder, name))
    }),
  )
  return lists.flat().filter(path => !path.includes('node_modules'))
}

/** As links name them: lower case, words with dashes. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

/** `struct(fields)` is the section `struct`. */
function headingsOf(document: string): string[] {
  return sectionsOf(document).map(({ heading }) => heading.replace(/\(.*/, ''))
}

test('every section that a comment refers to is there', async () => {
  const missing: string[] = []
  for (const path of await filesUnder(['src', 'tools', 'test'], /\.(ts|mjs)$/)) {
    // Comments wrap: a section's name may stand on the next line.
    const text = (await readFile(join(ROOT, path), 'utf8')).replaceAll(/\n\s*(\*|\/\/) ?/g, ' ')
    for (const [, document, section] of text.matchAll(
      /(docs\/[a-z/-]+\.md)(?:, ([A-Z`a-z][\w` .-]*?)(?=[.;:]\s|\.$|[.;]? \*\/|, ))?/g,
    )) {
      const wanted = section?.replaceAll('`', '')
      const there = existsSync(join(ROOT, document!))
      if (!there) missing.push(`${path}: ${document}`)
      else if (wanted !== undefined && /^([A-Z]|get)/.test(wanted)) {
        if (!headingsOf(readDocument(document!)).includes(wanted))
          missing.push(`${path}: ${document}, ${wanted}`)
      }
    }
  }
  expect(missing).toEqual([])
})

test('every link of a document leads somewhere', async () => {
  const missing: string[] = []
  for (const path of ['README.md', ...(await filesUnder(['docs'], /\.md$/))]) {
    for (const [, target, anchor] of readDocument(path).matchAll(
      /\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g,
    )) {
      const file = target === '' ? join(ROOT, path) : resolve(dirname(join(ROOT, path)), target!)
      if (!existsSync(file)) missing.push(`${path}: ${target}`)
      else if (anchor !== undefined) {
        const headings = sectionsOf(await readFile(file, 'utf8')).map(({ heading }) => anchorOf(heading))
        if (!headings.includes(anchor)) missing.push(`${path}: ${target}#${anchor}`)
      }
    }
  }
  expect(missing).toEqual([])
})

test('README.md leads to every document, and to every page and example', async () => {
  const readme = readDocument('README.md')
  const documents = (await filesUnder(['docs'], /\.md$/)).filter(
    path => !/^docs\/decisions\/(?!README)/.test(path),
  )
  expect(documents.length).toBeGreaterThan(20)
  expect(documents.filter(path => !readme.includes(`](${path})`))).toEqual([])
})

test('every source file that a document names is there', async () => {
  const missing: string[] = []
  for (const path of ['README.md', ...(await filesUnder(['docs'], /\.md$/))]) {
    for (const [, name] of readDocument(path).matchAll(/`([a-z][\w-]*(?:\/[\w.-]+)+\.(?:ts|mjs))`/g)) {
      if (!['', 'src/'].some(root => existsSync(join(ROOT, root + name!)))) missing.push(`${path}: ${name}`)
    }
  }
  expect(missing).toEqual([])
})

describe('the crash cases of docs/durability.md', () => {
  const [cases] = sectionOf(readDocument('docs/durability.md'), 'Crash cases').tables

  test('are numbered from 1 to 28', () => {
    expect(cases!.map(row => Number(row['#']))).toEqual(Array.from({ length: 28 }, (_, i) => i + 1))
  })

  test.each(cases!.map(row => [row['#']!, row['bug']!, row['test']!] as const))(
    'number %s, %s, is looked for by tests that are there',
    async (_, __, text) => {
      for (const [, file, names] of text.matchAll(/`([\w/-]+)`: ((?:"[^"]+"(?:, )?)+)/g)) {
        const source = await readFile(join(ROOT, `test/${file}.test.ts`), 'utf8')
        for (const [, name] of names!.matchAll(/"([^"]+)"/g)) expect(source).toContain(name)
      }
      const folder = await filesUnder(['test/crash/workloads'], /\.ts$/)
      const sources = await Promise.all(folder.map(path => readFile(join(ROOT, path), 'utf8')))
      const workloads = sources.join('\n')
      for (const [, list] of text.matchAll(/explorer ((?:`\w+`(?:, )?)+)/g)) {
        for (const [, name] of list!.matchAll(/`(\w+)`/g))
          expect(workloads).toMatch(new RegExp(`^  ${name}: \\{`, 'm'))
      }
    },
  )
})

/**
 * docs/api.md, README.md and docs/guide against the code: their examples are compiled and run, and the tables of
 * docs/api.md name what there is.
 *
 * An example is a block of `ts`. A line `expression // => text` becomes a check that the expression looks like this
 * when Node prints it.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_FILE_MODE } from '../../src/base/file-mode.js'
import * as flashtable from '../../src/index.js'
import { DEFAULT_DUPLICATES, DEFAULT_PAGE_BYTES, resolveOptions } from '../../src/options/options.js'
import { guidePages } from '../support/guide.js'
import { codeOf, readDocument, sectionOf, sectionsOf, type CodeBlock } from '../support/markdown.js'
import { Cli } from '../support/run-cli.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const API = readDocument('docs/api.md')

interface Example extends CodeBlock {
  /** File, heading and line: where to look when it fails. */
  readonly name: string
  readonly source: string
}

const PREAMBLE = codeOf(API).find(({ info }) => info === 'ts preamble')!.text
const EXAMPLES: readonly Example[] = [
  ...codeOf(readDocument('README.md'))
    .filter(({ info }) => info === 'ts')
    .map(block => example('README.md', block, '')),
  ...codeOf(API)
    .filter(({ info, text }) => info === 'ts' && text.includes('\n'))
    .map(block => example('docs/api.md', block, `${PREAMBLE}\n`)),
  ...guidePages().flatMap(({ path, blocks }) =>
    blocks.filter(({ info }) => info === 'ts').map(block => example(path, block, '')),
  ),
]

function example(document: string, block: CodeBlock, preamble: string): Example {
  return { ...block, name: `${document}:${block.line}, ${block.heading}`, source: preamble + block.text }
}

/** The module that an example becomes. */
function moduleOf({ source }: Example, indexUrl: string): string {
  const lines = source.split('\n').map(line => {
    const [, indent, expression, text] = /^(\s*)(\S.*?) \/\/ => (.*)$/.exec(line) ?? []
    return expression === undefined ? line : `${indent}looksLike(${expression}, ${JSON.stringify(text)})`
  })
  return [
    `import { inspect } from 'node:util'`,
    `import { strictEqual } from 'node:assert'`,
    `function looksLike(value: unknown, text: string): void {`,
    `  strictEqual(inspect(value, { compact: true, breakLength: Infinity, depth: Infinity }), text)`,
    `}`,
    ...lines.map(line =>
      line
        .replace(/ from 'flashtable'$/, ` from '${indexUrl}'`)
        .replace(
          / from 'flashtable\/(\w+)'$/,
          (_, name: string) => ` from '${indexUrl.replace(/index(?=\.[jt]s)/, name)}'`,
        ),
    ),
    // Whatever the example leaves open; idempotent.
    ...(source.includes('const table = ') ? ['await table.close()'] : []),
  ].join('\n')
}

let directory = ''
let failures: Readonly<Record<string, string>> = {}

/** Beside the sources, so that the compiler finds the types of Node. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-examples-'))
  const index = join(ROOT, 'src/index.ts')
  const { library } = await Cli.build()
  await mkdir(join(directory, 'run'))
  const modules = await Promise.all(
    EXAMPLES.map(async (each, i) => {
      // Compiled with the types of the sources, and run with the package as it is built.
      await writeFile(join(directory, `example-${i}.mts`), moduleOf(each, index))
      const path = join(directory, 'run', `example-${i}.mts`)
      await writeFile(path, moduleOf(each, library))
      return path
    }),
  )
  const results = join(directory, 'results.json')
  const runner = join(ROOT, 'test/support/run-examples.mjs')
  await promisify(execFile)(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), runner, results, ...modules],
    { cwd: ROOT },
  )
  failures = JSON.parse(await readFile(results, 'utf8')) as Record<string, string>
})

afterAll(() => rm(directory, { recursive: true }))

describe('the examples of the documents', () => {
  test.each(EXAMPLES.map((each, i) => [each.name, i] as const))(
    '%s: runs, and shows what it says',
    (_, i) => {
      expect(failures[join(directory, 'run', `example-${i}.mts`)]).toBeUndefined()
    },
  )

  test('all of them are compiled without an error', async () => {
    const config = {
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        allowImportingTsExtensions: true,
        noUnusedLocals: false,
        typeRoots: [join(ROOT, 'node_modules/@types')],
      },
      include: [],
      files: EXAMPLES.map((_, i) => join(directory, `example-${i}.mts`)),
    }
    await mkdir(join(directory, 'compile'), { recursive: true })
    await writeFile(join(directory, 'compile/tsconfig.json'), JSON.stringify(config))
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const compiled = promisify(execFile)(process.execPath, [compiler, '-p', join(directory, 'compile')]).then(
      () => '',
      // Errors in src/ are for `npm run check`.
      (error: { stdout: string }) =>
        error.stdout
          .split('\n')
          .filter(line => line.includes('example-'))
          .join('\n'),
    )
    expect(await compiled).toBe('')
  })

  test('there is an example of every kind of member', () => {
    const text = EXAMPLES.map(({ source }) => source).join('\n')
    for (const name of methodNames()) expect(text, `an example with ${name}()`).toContain(`.${name}(`)
    for (const name of getterNames()) expect(text, `an example with ${name}`).toContain(`.${name}`)
  })
})

describe('docs/api.md', () => {
  test('has a section for every member of a table', () => {
    const headings = sectionsOf(API).map(({ heading }) => heading.replace(/\(.*/, ''))
    for (const name of [...methodNames(), ...getterNames()]) expect(headings).toContain(name)
    for (const name of ['open', 'bulkLoad', 'restore']) expect(headings).toContain(`FlashTable.${name}`)
    for (const name of ['struct', 'bytes', 'fixed', 'encodings']) expect(headings).toContain(name)
  })

  test('names everything that is exported', async () => {
    const index = await readFile(join(ROOT, 'src/index.ts'), 'utf8')
    const types = [...index.matchAll(/export type \{([^}]*)\}/g)].flatMap(match => match[1]!.match(/\w+/g)!)
    for (const name of [...Object.keys(flashtable), ...types])
      expect(API).toMatch(new RegExp(`\\b${name}\\b`))
  })

  test('names every option with its default', () => {
    const [table] = sectionOf(API, 'Options').tables
    const stored = { pageBytes: DEFAULT_PAGE_BYTES, duplicates: DEFAULT_DUPLICATES, mode: DEFAULT_FILE_MODE }
    const defaults = { ...resolveOptions({}), ...stored }
    const documented = new Map(table!.map(row => [row['option']!.replaceAll('`', ''), row['default']!]))
    // Those of an open with `remote` have the defaults of `replicate`.
    const replica = Object.keys(resolveOptions({ remote: {} }).remote!).filter(name => name !== 'store')
    expect([...documented.keys()].sort()).toEqual([...Object.keys(defaults), ...replica].sort())
    for (const [name, value] of Object.entries(defaults)) {
      const text = documented.get(name)!.replace('as stored, or ', '')
      if (value === undefined) expect(['none', 'as stored']).toContain(text)
      else expect(valueOf(text), name).toBe(value)
    }
  })

  test('names every error code, and no other', async () => {
    const errors = await readFile(join(ROOT, 'src/base/errors.ts'), 'utf8')
    const codes = new Set([...errors.matchAll(/'(FLASHTABLE_\w+)'/g)].map(match => match[1]!))
    const tables = sectionOf(API, 'Errors').tables.flat()
    expect(tables.map(row => row['code']!.replaceAll('`', '')).sort()).toEqual([...codes].sort())
  })

  test('names every channel of events, and every kind', () => {
    const source = readDocument('src/base/events.ts')
    const channels = [...source.matchAll(/^ {2}(\w+): channel\('([\w:]+)'\)/gm)]
    const [table] = sectionOf(API, 'Events').tables
    expect(table!.map(row => row['channel']!.replaceAll('`', '')).sort()).toEqual(
      [...new Set(channels.map(match => match[2]!))].sort(),
    )
    const text = JSON.stringify(table)
    for (const [, kind] of channels) expect(text).toMatch(new RegExp(`['\`]${kind}['\`]`))
  })

  test('names every field of the statistics', async () => {
    const location = join(directory, 'statistics')
    const table = await flashtable.FlashTable.open(location, { keyEncoding: 'u8' })
    const stats = await table.stats()
    await table.close()
    const [rows] = sectionOf(API, 'Statistics').tables
    const documented = rows!.flatMap(row => row['field of `stats()`']!.match(/\w+/g)!)
    expect(documented.sort()).toEqual(Object.keys(stats).sort())
  })
})

/** Public methods of a table. */
function methodNames(): string[] {
  const source = readDocument('src/flash-table.ts')
  const internal = [...source.matchAll(/@internal\s*\*\/\s*(?:static )?(?:async )?(\w+)\(/g)].map(
    match => match[1]!,
  )
  const all = Object.getOwnPropertyNames(flashtable.FlashTable.prototype)
  return all.filter(name => name !== 'constructor' && !isGetter(name) && !internal.includes(name))
}

function getterNames(): string[] {
  return Object.getOwnPropertyNames(flashtable.FlashTable.prototype).filter(isGetter)
}

function isGetter(name: string): boolean {
  return Object.getOwnPropertyDescriptor(flashtable.FlashTable.prototype, name)?.get !== undefined
}

/** `32 MiB`, `5000`, `` `true` ``. */
function valueOf(text: string): unknown {
  const [, number, unit] = /^(0o[0-7]+|\d+)(?: (KiB|MiB))?$/.exec(text) ?? []
  if (number !== undefined) return Number(number) * (unit === 'KiB' ? 2 ** 10 : unit === 'MiB' ? 2 ** 20 : 1)
  const plain = text.replaceAll(/[`']/g, '')
  return plain === 'true' ? true : plain === 'false' ? false : plain
}

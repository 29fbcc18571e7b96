/** The source files of the project as text, for the tests that check how they are laid out and worded. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const CODE = /\.(ts|mts|mjs)$/
const RELATIVE_IMPORT = /(?:\bfrom|\bimport\(|\bimport)\s*'(\.[^']+)'/g
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g

/** The paths of all code files below these folders, from the root of the project. */
export function codeFiles(...folders: readonly string[]): string[] {
  return folders
    .flatMap(folder => readdirSync(folder, { recursive: true }).map(name => join(folder, String(name))))
    .filter(path => CODE.test(path) && !path.includes('node_modules'))
    .toSorted()
}

/** The files that a file imports by a relative path, from the root of the project. */
export function importsOf(path: string): string[] {
  return [...readFileSync(path, 'utf8').matchAll(RELATIVE_IMPORT)].map(([, specifier]) =>
    normalize(join(dirname(path), specifier!)).replace(/\.js$/, '.ts'),
  )
}

/** A comment, and the line on which it begins. */
export interface Comment {
  readonly line: number
  readonly text: string
}

export function commentsOf(path: string): Comment[] {
  const source = readFileSync(path, 'utf8')
  return [...source.matchAll(COMMENT)].map(({ 0: text, index }) => ({
    line: source.slice(0, index).split('\n').length,
    text,
  }))
}

/** The source without its comments. */
export function codeOf(path: string): string {
  return readFileSync(path, 'utf8').replaceAll(COMMENT, '')
}

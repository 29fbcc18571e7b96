/** The pages of docs/guide, and who executes the blocks of code in them. */
import { readdirSync } from 'node:fs'
import { codeOf, readDocument, type CodeBlock } from './markdown.js'

export interface GuidePage {
  /** `docs/guide/keys.md` */
  readonly path: string
  /** `keys` */
  readonly name: string
  readonly blocks: readonly CodeBlock[]
}

/** What stands behind a fence, and what becomes of the block. */
export const KINDS_OF_BLOCKS: Readonly<Record<string, string>> = {
  ts: 'compiled and run by test/format/api-examples.test.ts',
  sh: 'run by test/contract/guide.ts or packed-package.test.ts, those of a page one after another',
  'sh numpy': 'the same, where there is numpy',
  'js node:test': 'run by test/contract/guide.ts',
  'ts vitest': 'run by test/contract/guide.ts',
  'js lmdb': 'run by test/contract/guide.ts, where the peers of the benchmarks are installed',
  'js classic-level': 'run by test/contract/guide.ts, where the peers of the benchmarks are installed',
  'sh surroundings': 'shown; test/surroundings does the same, and test/contract/guide.ts compares options',
  'js surroundings': 'shown; test/surroundings does the same, and test/contract/guide.ts compares options',
  yaml: 'shown; test/contract/guide.ts compares the names of metrics',
  text: 'shown: what a program prints',
  'text crontab': 'shown',
}

export function guidePages(): readonly GuidePage[] {
  const files = readdirSync(new URL('../../docs/guide', import.meta.url)).sort()
  return files.map(file => {
    const path = `docs/guide/${file}`
    return { path, name: file.replace(/\.md$/, ''), blocks: codeOf(readDocument(path)) }
  })
}

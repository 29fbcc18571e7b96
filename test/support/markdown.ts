/** Takes tables and code out of the documents, so that tests can hold them against the code. */
import { readFileSync } from 'node:fs'

/** A row of a table: cells by the headings of its columns. */
export type TableRow = Readonly<Record<string, string>>

export interface CodeBlock {
  /** What stands behind the fence: `ts`, `hex frames`. */
  readonly info: string
  readonly text: string
  /** The heading that it stands under. */
  readonly heading: string
  /** Line number of its first line, from 1. */
  readonly line: number
}

export interface Section {
  readonly heading: string
  readonly tables: readonly (readonly TableRow[])[]
}

/** The document at `path`, counted from the root of the repository. */
export function readDocument(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

/** The section under a heading, without those under its sub-headings. */
export function sectionOf(document: string, heading: string): Section {
  const found = sectionsOf(document).filter(section => section.heading === heading)
  if (found.length !== 1) throw new Error(`${found.length} sections are called '${heading}'`)
  return found[0]!
}

export function sectionsOf(document: string): Section[] {
  const sections: { heading: string; tables: TableRow[][] }[] = []
  let header: string[] | undefined
  for (const line of withoutCode(document)) {
    const heading = /^#+ (.*)$/.exec(line)?.[1]
    if (heading !== undefined) sections.push({ heading, tables: [] })
    const cells = /^\|(.*)\|$/
      .exec(line)?.[1]
      ?.split('|')
      .map(cell => cell.trim())
    if (cells === undefined) header = undefined
    else if (header === undefined) {
      header = cells
      sections.at(-1)!.tables.push([])
    } else if (!cells.every(cell => /^-+$/.test(cell))) {
      const names = header
      sections
        .at(-1)!
        .tables.at(-1)!
        .push(Object.fromEntries(names.map((name, i) => [name, cells[i] ?? ''])))
    }
  }
  return sections
}

/** All fenced code. */
export function codeOf(document: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let heading = ''
  let open: { info: string; lines: string[]; line: number } | undefined
  for (const [index, line] of document.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)?.[1]
    if (fence === undefined) {
      if (open !== undefined) open.lines.push(line)
      else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
    } else if (open === undefined) open = { info: fence, lines: [], line: index + 2 }
    else {
      blocks.push({ info: open.info, text: open.lines.join('\n'), heading, line: open.line })
      open = undefined
    }
  }
  return blocks
}

function withoutCode(document: string): string[] {
  let code = false
  return document.split('\n').filter(line => {
    if (line.startsWith('```')) {
      code = !code
      return false
    }
    return !code
  })
}

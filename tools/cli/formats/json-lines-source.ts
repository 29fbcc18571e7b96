/** Reads JSON lines: an object on each line. Integers keep all digits, also where `JSON.parse` would round them. */
import type { SourceField } from '../../../src/exchange/columns.js'
import type { FileBatch, RecordSource } from './columns.js'
import type { InputFile } from './input-file.js'
import { checkText, textPieces } from './text-pieces.js'
import { WrongFileError } from './wrong-file.js'

export class JsonLinesSource implements RecordSource {
  readonly #file: InputFile
  readonly fields: readonly SourceField[]

  private constructor(file: InputFile, names: readonly string[]) {
    this.#file = file
    this.fields = names.map(name => ({ name, type: undefined, byteLength: 0 }))
  }

  /** Its columns are those of the first line. */
  static async open(file: InputFile): Promise<JsonLinesSource> {
    await checkText(file, 'JSON')
    const head = (await file.head(64 * 1024)).toString('utf8').replace(/^\ufeff/, '')
    const [line] = head.split('\n').filter(line => line.trim() !== '')
    if (line === undefined) throw new WrongFileError(`${file.path} is empty: it has no line`)
    const first = objectOf(line)
    if (typeof first === 'string')
      throw new WrongFileError(`${file.path}, the first line${first}; JSON lines have an object on each line`)
    return new JsonLinesSource(file, Object.keys(first))
  }

  get path(): string {
    return this.#file.path
  }

  get bytes(): number | undefined {
    return this.#file.bytes
  }

  async *batches(names: readonly string[]): AsyncGenerator<FileBatch> {
    let lines = 0
    for await (const { text, bytesRead } of textPieces(this.#file)) {
      const columns = new Map(names.map(name => [name, [] as unknown[]]))
      const wrong = new Map<number, string>()
      const places: number[] = []
      for (const line of linesOf(text)) {
        lines++
        if (line.trim() === '') continue
        const row = objectOf(line)
        if (typeof row === 'string') wrong.set(places.length, row)
        for (const [name, column] of columns) column.push(typeof row === 'string' ? undefined : row[name])
        places.push(lines)
      }
      yield { columns, rows: places.length, bytesRead, place: row => `line ${places[row]}`, wrong }
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

function linesOf(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** A number that may be rounded; within a text it does no harm. */
const LONG_INTEGER = /[:[,]\s*-?\d{16}/

/** The object of a line, or what is wrong with it. */
function objectOf(line: string): Readonly<Record<string, unknown>> | string {
  let value: unknown
  try {
    value = JSON.parse(LONG_INTEGER.test(line) ? quoteLongIntegers(line) : line)
  } catch (error) {
    return `: no JSON (${(error as Error).message})`
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  return ': no JSON object'
}

/** Texts are matched first, so that digits within them stay as they are. */
function quoteLongIntegers(line: string): string {
  return line.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, token =>
    token.startsWith('"') ? token : `"${token}"`,
  )
}

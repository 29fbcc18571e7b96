/** CSV and JSON lines: rows and their places, whatever the pieces of the file. */
import Papa from 'papaparse'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CsvSource } from '../../../../../tools/cli/formats/csv-source.js'
import { openInput } from '../../../../../tools/cli/formats/input-file.js'
import type { RecordSource } from '../../../../../tools/cli/formats/columns.js'
import { JsonLinesSource } from '../../../../../tools/cli/formats/json-lines-source.js'
import { Random } from '../../../../support/random.js'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-text-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function fileOf(text: string): Promise<string> {
  const path = join(directory, 'text')
  await writeFile(path, text)
  return path
}

interface Row {
  readonly values: readonly unknown[]
  readonly place: string
  readonly wrong: string | undefined
}

async function rowsOf(source: RecordSource): Promise<Row[]> {
  const names = source.fields.map(({ name }) => name)
  const rows: Row[] = []
  for await (const { columns, rows: count, place, wrong } of source.batches(names))
    for (let row = 0; row < count; row++)
      rows.push({
        values: names.map(name => columns.get(name)![row]),
        place: place(row),
        wrong: wrong?.get(row),
      })
  await source.close()
  return rows
}

const csvRows = async (text: string): Promise<Row[]> =>
  rowsOf(await CsvSource.open(await openInput(await fileOf(text)), true))

describe('CSV', () => {
  test('split or parsed, the values are those of papaparse, of files of several pieces', async () => {
    const random = new Random(7)
    for (const quoted of [false, true]) {
      const value = (): string => {
        const text = String(random.below(100_000))
        return quoted && random.below(2) === 0 ? `"${text}, ""x""\n${text}"` : text
      }
      const lines = Array.from({ length: 40_000 }, () => `${value()},${value()},${value()}`)
      const text = `a,b,c\n${lines.join('\n')}\n`
      const expected = Papa.parse<string[]>(text, { skipEmptyLines: true }).data.slice(1)
      const rows = await csvRows(text)
      expect(rows.length).toBe(expected.length)
      expect(rows.every(({ values }, row) => values.join('|') === expected[row]!.join('|'))).toBe(true)
      // The line is right after all that stands in several lines.
      const line = Number(rows.at(-1)!.place.replace('line ', ''))
      const [first] = lines.at(-1)!.split('\n')
      expect(text.split('\n')[line - 1]).toBe(first)
    }
  })

  test('rows of other widths are wrong, empty lines are none', async () => {
    const rows = await csvRows('a,b\n1,2\n\n3\n4,5,6\n7,8')
    expect(rows.map(({ place, wrong }) => [place, wrong])).toEqual([
      ['line 2', undefined],
      ['line 4', ': 1 columns, expected 2'],
      ['line 5', ': 3 columns, expected 2'],
      ['line 6', undefined],
    ])
  })

  test('a file without a line is refused, and so is one that is no text', async () => {
    await expect(csvRows('')).rejects.toThrow('is empty')
    await expect(csvRows('a,b\n\0')).rejects.toThrow('is no CSV')
  })

  test('a line that never ends is not gathered for ever', async () => {
    await expect(csvRows(`a,b\n"${'x'.repeat(17 * 1024 * 1024)}`)).rejects.toThrow(
      'a line of more than 16 MiB',
    )
  })
})

describe('JSON lines', () => {
  const jsonRows = async (text: string): Promise<Row[]> =>
    rowsOf(await JsonLinesSource.open(await openInput(await fileOf(text))))

  test('integers that a number would round are texts, digits in texts stay as they are', async () => {
    const rows = await jsonRows(
      '{"a":18446744073709551615,"b":"x: 18446744073709551615"}\n\n{"a":-9007199254740993,"b":1.5e300}\n{"a":9007199254740991,"b":1234567890123456.5}\n',
    )
    expect(rows.map(({ values }) => values)).toEqual([
      ['18446744073709551615', 'x: 18446744073709551615'],
      ['-9007199254740993', 1.5e300],
      ['9007199254740991', 1234567890123456.5],
    ])
    expect(rows.map(({ place }) => place)).toEqual(['line 1', 'line 3', 'line 4'])
  })

  test('lines that are no objects are wrong', async () => {
    const rows = await jsonRows('{"a":1}\n[1]\nnull\n{"a"\n"a"\n{}')
    expect(rows.map(({ wrong }) => wrong?.slice(0, 16))).toEqual([
      undefined,
      ': no JSON object',
      ': no JSON object',
      expect.stringMatching(/^: no JSON \(/),
      ': no JSON object',
      undefined,
    ])
  })
})

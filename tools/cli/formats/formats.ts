/** The formats of files, and how they are told from each other. */
import { extname } from 'node:path'
import { UsageError } from '../usage.js'
import { isText, signOf } from './foreign-file.js'
import type { InputFile } from './input-file.js'

/** Formats that `import` reads. */
export const IMPORT_FORMATS = ['csv', 'jsonl', 'npy', 'parquet', 'arrow', 'records', 'memmap'] as const
/** Formats that `export` writes. */
export const EXPORT_FORMATS = ['csv', 'jsonl', 'npy', 'parquet', 'arrow', 'arrow-stream', 'records'] as const

export type ImportFormat = (typeof IMPORT_FORMATS)[number]
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

const ENDINGS: Readonly<Record<string, ImportFormat & ExportFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.npy': 'npy',
  '.parquet': 'parquet',
  '.pq': 'parquet',
  '.arrow': 'arrow',
  '.feather': 'arrow',
  '.arrows': 'arrow',
}

/** What a file would be written in, by its ending. Throws a {@link UsageError} if that does not tell. */
export function exportFormatOf(path: string): ExportFormat {
  const ending = extname(path).toLowerCase()
  const format = ending === '.arrows' ? 'arrow-stream' : ENDINGS[ending]
  if (format !== undefined) return format
  throw new UsageError(
    `the format of ${path} is not told by its ending: say --format ${EXPORT_FORMATS.join('|')}`,
  )
}

/** The format of a file, by what it begins with, then by its ending. Throws a {@link UsageError} if neither tells. */
export async function importFormatOf(file: InputFile): Promise<ImportFormat> {
  const head = await file.head(4096)
  const format = signOf(head)?.format ?? ENDINGS[extname(file.path).toLowerCase()]
  if (format !== undefined) return format
  if (isText(head))
    return /^\s*\{/.test(head.toString('latin1').replace(/^\xef\xbb\xbf/, '')) ? 'jsonl' : 'csv'
  throw new UsageError(
    `the format of ${file.path} is not told by its first bytes nor by its ending: say --format ${IMPORT_FORMATS.join('|')}`,
  )
}

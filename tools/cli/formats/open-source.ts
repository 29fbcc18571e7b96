/** Opens a file of any format that `import` reads. */
import { UsageError } from '../usage.js'
import type { RecordSchema } from '../schema.js'
import type { Shape } from '../shape.js'
import type { RecordSource } from './columns.js'
import { foreignFormat, signOf } from './foreign-file.js'
import { importFormatOf, type ImportFormat } from './formats.js'
import { isOnDisk, openInput, type InputFile } from './input-file.js'
import { RawSource } from './raw-source.js'
import { WrongFileError } from './wrong-file.js'

export interface SourceOptions {
  /** Default: what the file is. */
  readonly format?: ImportFormat | undefined
  /** Of a raw file the fields, in its order. */
  readonly schema?: RecordSchema | undefined
  /** Of a memory-mapped table. */
  readonly shape?: Shape | undefined
  /** Bytes of a raw file before its first record. */
  readonly offset?: number | undefined
  /** Whether the numbers of a raw file have their highest byte first. */
  readonly bigEndian?: boolean | undefined
  /** Whether the first line of a CSV file has names. Default: true. */
  readonly hasHeader?: boolean | undefined
  /** Takes the bytes of a raw file even if it is recognised as something else. */
  readonly force?: boolean | undefined
  /** Ends the wait for standard input. */
  readonly signal?: AbortSignal | undefined
}

/** A source, and the format that was given or found. */
export interface OpenedSource {
  readonly source: RecordSource
  readonly format: ImportFormat
}

/** Throws a `WrongFileError` if the file is of another format, or a {@link UsageError} for options that do not fit. */
export async function openSource(path: string, options: SourceOptions): Promise<OpenedSource> {
  if (options.format !== undefined) checkOptions(options.format, options)
  const file = await openInput(path, options.signal)
  try {
    const format = options.format ?? (await importFormatOf(file))
    if (options.format === undefined) checkOptions(format, options)
    return { format, source: await sourceOf(file, format, options) }
  } catch (error) {
    await file.close().catch(() => {})
    throw error
  }
}

export function isRaw(format: ImportFormat): format is 'records' | 'memmap' {
  return format === 'records' || format === 'memmap'
}

function checkOptions(format: ImportFormat, options: SourceOptions): void {
  const { schema, shape, offset, bigEndian, hasHeader } = options
  if (isRaw(format) && schema === undefined) throw new UsageError(`--format ${format} needs --schema`)
  if (format === 'memmap' && shape === undefined) throw new UsageError('--format memmap needs --shape')
  if (format === 'memmap') checkFlags(schema!)
  if (format !== 'memmap' && shape !== undefined) throw new UsageError('--shape is for --format memmap')
  if (!isRaw(format) && (offset !== undefined || bigEndian === true))
    throw new UsageError('--offset and --big-endian are for --format records and memmap')
  if (format !== 'csv' && hasHeader === false) throw new UsageError('--no-header is for --format csv')
}

function checkFlags(schema: RecordSchema): void {
  const flags = schema.fields.find(field => field.name === 'flags')
  if (flags !== undefined && /^[ui]/.test(flags.type)) return
  throw new UsageError(
    'a memmap needs an integer field named "flags": its bit 0 tells which slots are in use',
  )
}

async function sourceOf(
  file: InputFile,
  format: ImportFormat,
  options: SourceOptions,
): Promise<RecordSource> {
  if (isRaw(format)) return rawSource(file, options)
  await refuseOther(file, format)
  switch (format) {
    case 'csv':
      return (await import('./csv-source.js')).CsvSource.open(file, options.hasHeader !== false)
    case 'jsonl':
      return (await import('./json-lines-source.js')).JsonLinesSource.open(file)
    case 'npy':
      return (await import('./npy-source.js')).NpySource.open(file)
    case 'arrow':
      return (await import('./arrow-source.js')).ArrowSource.open(file)
    case 'parquet':
      if (!isOnDisk(file))
        throw new UsageError(
          'Parquet is read from its end, which standard input does not have before: give a file',
        )
      return (await import('./parquet-source.js')).ParquetSource.open(file)
  }
}

async function rawSource(
  file: InputFile,
  { schema, shape, offset, bigEndian, force }: SourceOptions,
): Promise<RecordSource> {
  const foreign = force === true ? undefined : await foreignFormat(file)
  if (foreign !== undefined)
    throw new WrongFileError(`${file.path} is ${foreign}; --force takes its bytes as records anyway`)
  const fields = schema!.fields.map(field => ({ ...field, bigEndian: bigEndian === true }))
  return new RawSource(file, { schema: { ...schema!, fields }, shape, start: offset })
}

async function refuseOther(file: InputFile, format: ImportFormat): Promise<void> {
  const sign = signOf(await file.head(4096))
  if (sign !== undefined && sign.format !== format) throw new WrongFileError(`${file.path} is ${sign.what}`)
}

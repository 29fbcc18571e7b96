/** Reads Arrow IPC files and streams with apache-arrow, one record batch after another. docs/decisions/interop.md. */
import type { RecordBatch, RecordBatchReader, Schema } from 'apache-arrow'
import type { SourceField } from '../../../src/exchange/columns.js'
import type { FileBatch, RecordSource } from './columns.js'
import { isOnDisk, type DiskFile, type InputFile } from './input-file.js'
import { loadPackage } from './packages.js'
import { readingAs, WrongFileError } from './wrong-file.js'

type Arrow = typeof import('apache-arrow')
type Columns = typeof import('../../../src/exchange/arrow-columns.js')

const PIECE_BYTES = 1024 * 1024
/** What a file begins with, and a stream does not. */
const ARROW_MAGIC = 'ARROW1'

export class ArrowSource implements RecordSource {
  readonly #file: InputFile
  readonly #arrow: Arrow
  readonly #columns: Columns
  readonly #schema: Schema
  /** Of standard input, which can be read once: what has been opened. */
  #opened: RecordBatchReader | undefined
  #bytesRead = 0

  private constructor(file: InputFile, arrow: Arrow, columns: Columns, reader: RecordBatchReader) {
    this.#file = file
    this.#arrow = arrow
    this.#columns = columns
    this.#schema = reader.schema
    this.#opened = reader
  }

  static async open(file: InputFile): Promise<ArrowSource> {
    const arrow = await loadPackage<Arrow>('apache-arrow', 'Arrow')
    const columns = await import('../../../src/exchange/arrow-columns.js')
    return reading(file.path, async () => {
      const reader = await openReader(arrow, file, () => {})
      return new ArrowSource(file, arrow, columns, reader)
    })
  }

  get path(): string {
    return this.#file.path
  }

  get bytes(): number | undefined {
    return this.#file.bytes
  }

  get fields(): readonly SourceField[] {
    return this.#columns.arrowFieldsOf(this.#schema)
  }

  async *batches(names: readonly string[]): AsyncGenerator<FileBatch> {
    this.#bytesRead = 0
    const reader = await this.#reader()
    let before = 0
    for (;;) {
      const next = await reading(this.path, async () => (await reader.next()) as IteratorResult<RecordBatch>)
      if (next.done === true) return
      const batch = next.value
      const first = before
      before += batch.numRows
      yield {
        columns: new Map(names.map(name => [name, this.#columns.arrowColumnOf(batch, name)])),
        rows: batch.numRows,
        bytesRead: this.#bytesRead,
        place: row => `row ${first + row}`,
      }
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #reader(): Promise<RecordBatchReader> {
    const opened = this.#file.bytes === undefined ? this.#opened : undefined
    this.#opened = undefined
    if (opened !== undefined) return opened
    return reading(this.path, () => openReader(this.#arrow, this.#file, bytes => (this.#bytesRead += bytes)))
  }
}

async function openReader(
  arrow: Arrow,
  file: InputFile,
  onRead: (bytes: number) => void,
): Promise<RecordBatchReader> {
  const isFile = (await file.head(ARROW_MAGIC.length)).toString('latin1') === ARROW_MAGIC
  if (isFile && !isOnDisk(file))
    throw new WrongFileError(
      'standard input is an Arrow file, which is read from its end: give its path, or a stream',
    )
  async function* pieces() {
    for await (const piece of file.pieces(PIECE_BYTES)) {
      onRead(piece.byteLength)
      yield piece
    }
  }
  const reader = await (isFile && isOnDisk(file)
    ? arrow.RecordBatchReader.from(boundedHandle(file) as never)
    : arrow.RecordBatchReader.from(pieces()))
  // Else it closes the file at the end, which may be read again.
  await reader.open({ autoDestroy: false })
  checkLengths(reader as unknown as Partial<ReaderInside>)
  // Where nothing is, it has no schema, and says nothing.
  if (reader.schema === undefined)
    throw new WrongFileError(`${file.path} is no Arrow file or stream: it has no schema`)
  return reader as RecordBatchReader
}

/** How often the library may read the same bytes: more often it does where a damaged file leads it in circles. */
const MOST_READS = 16

/**
 * The file as the library takes it. In a damaged file it would read for ever: behind its end, or the same message, which is
 * not the one that it looks for.
 */
function boundedHandle(file: DiskFile): object {
  const reads = new Map<number, number>()
  return {
    fd: file.handle.fd,
    stat: () => file.handle.stat(),
    close: async () => {},
    async read(buffer: Uint8Array, offset: number, length: number, position: number) {
      if (!(position >= 0 && length >= 0 && position + length <= file.bytes))
        throw new Error(`bytes ${position} to ${position + length} are not in the file`)
      const times = (reads.get(position) ?? 0) + 1
      if (times > MOST_READS) throw new Error(`its parts are not in order at byte ${position}`)
      reads.set(position, times)
      buffer.set(await file.read(position, position + length), offset)
      return { bytesRead: length, buffer }
    },
  }
}

/** The part of a reader that makes a batch of a message. */
interface ReaderInside {
  readonly _impl: {
    _loadRecordBatch(header: BatchHeader, body: Uint8Array, ...more: unknown[]): RecordBatch
  }
}

interface BatchHeader {
  readonly nodes: readonly { readonly length: number }[]
  readonly compression: unknown
}

/**
 * Refuses messages that say more rows than their bytes can hold: the library would make room for them, of a damaged file
 * until no memory is left. There is no other place for that check; a test notices when there is none.
 */
function checkLengths({ _impl: inside }: Partial<ReaderInside>): void {
  if (typeof inside?._loadRecordBatch !== 'function') return
  const load = inside._loadRecordBatch.bind(inside)
  inside._loadRecordBatch = (header, body, ...more) => {
    const most = header.compression === null ? 8 * body.byteLength : Infinity
    const wrong = header.nodes.find(({ length }) => !(length >= 0 && length <= most))
    if (wrong !== undefined) throw new Error(`a batch of ${wrong.length} rows in ${body.byteLength} bytes`)
    return load(header, body, ...more)
  }
}

const reading = readingAs('Arrow')

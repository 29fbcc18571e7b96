/** The text of a file in pieces that end at the end of a line. */
import type { InputFile } from './input-file.js'
import { WrongFileError } from './wrong-file.js'

const PIECE_BYTES = 128 * 1024
/** A line that is longer is none, and would be gathered in memory. */
const LONGEST_LINE = 16 * 1024 * 1024

export interface TextPiece {
  readonly text: string
  /** Bytes of the file that have been read so far. */
  readonly bytesRead: number
}

/**
 * Pieces of whole lines; `isWhole` may say that a piece must go on, because what ends its line is within a quoted value. The last
 * piece may have no end of line. A byte order mark is left out.
 */
export async function* textPieces(
  file: InputFile,
  isWhole: (text: string) => boolean = () => true,
): AsyncGenerator<TextPiece> {
  const decoder = new TextDecoder('utf-8')
  let rest = ''
  let bytesRead = 0
  for await (const bytes of file.pieces(PIECE_BYTES)) {
    bytesRead += bytes.byteLength
    rest += decoder.decode(bytes, { stream: true })
    const end = rest.lastIndexOf('\n') + 1
    const text = rest.slice(0, end)
    if (end > 0 && isWhole(text)) {
      rest = rest.slice(end)
      yield { text, bytesRead }
    } else if (rest.length > LONGEST_LINE)
      throw new WrongFileError(
        `${file.path} has a line of more than ${LONGEST_LINE / 1024 / 1024} MiB before byte ${bytesRead}: ` +
          'it is no text of records, or a quotation mark is missing',
      )
  }
  rest += decoder.decode()
  if (rest !== '') yield { text: rest, bytesRead }
}

/** Throws if bytes cannot be text. */
export async function checkText(file: InputFile, format: string): Promise<void> {
  const head = await file.head(4096)
  if (head.includes(0))
    throw new WrongFileError(`${file.path} is no ${format}: it has bytes that text does not have`)
}

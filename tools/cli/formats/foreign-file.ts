/**
 * Recognises files that are not packed records although their size would fit: by their first bytes, and their last.
 *
 * Records may begin with any bytes. So each sign here is in records by chance in at most one of a million files, and
 * `--force` imports anyway. README.md, Import.
 */
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isOnDisk, type DiskFile, type InputFile } from './input-file.js'

/** What files of a format begin with. */
export interface Sign {
  readonly what: string
  /** The format that imports them, if there is one. */
  readonly format?: 'npy' | 'parquet' | 'arrow'
  readonly bytes: Buffer
  /** Their offset in the file. */
  readonly at?: number
}

/** Bytes, written as one character each. */
const sign = (what: string, text: string, at = 0): Sign => ({ what, bytes: Buffer.from(text, 'latin1'), at })

function known(format: 'npy' | 'parquet' | 'arrow', what: string, text: string): Sign {
  return { ...sign(`${what}: --format ${format} imports it`, text), format }
}

const COMPRESSED = 'compressed: unpack it first'

const SIGNS: readonly Sign[] = [
  known('npy', 'a NumPy file (.npy)', '\x93NUMPY'),
  known('parquet', 'a Parquet file', 'PAR1'),
  known('arrow', 'an Arrow file', 'ARROW1'),
  sign('a Feather file', 'FEA1'),
  sign('an ORC file', 'ORC'),
  sign('an Avro file', 'Obj\x01'),
  sign('an HDF5 file', '\x89HDF\r\n\x1a\n'),
  sign('a MATLAB file', 'MATLAB 5.0 MAT-file'),
  sign('a SQLite database', 'SQLite format 3\0'),
  sign('an LMDB environment', '\xde\xc0\xef\xbe', 16),
  sign('the manifest of a flashtable', 'flashtable manifest '),
  sign(`a gzip file, ${COMPRESSED}`, '\x1f\x8b\x08'),
  sign(`a zstd file, ${COMPRESSED}`, '\x28\xb5\x2f\xfd'),
  sign(`an xz file, ${COMPRESSED}`, '\xfd7zXZ\0'),
  sign(`a bzip2 file, ${COMPRESSED}`, '1AY&SY', 4),
  sign(`an LZ4 file, ${COMPRESSED}`, '\x04"M\x18'),
  sign(`a 7z archive, ${COMPRESSED}`, "7z\xbc\xaf'\x1c"),
  sign(`a zip archive (.npz is one, too), ${COMPRESSED}`, 'PK\x03\x04'),
  sign('a tar archive: unpack it first', 'ustar', 257),
  sign('a Python pickle', '\x80\x04\x95'),
  sign('a Python pickle', '\x80\x05\x95'),
  sign('a PDF file', '%PDF-'),
  sign('a PNG picture', '\x89PNG\r\n\x1a\n'),
  sign('a program (ELF)', '\x7fELF'),
]

/** How many bytes are examined, from the start. */
const HEAD_BYTES = 4096
/** A bucket file has its magic here in its last page. */
const FOOTER_MAGIC = { bytes: Buffer.from('FTBK'), at: 8, pageBytes: [4096, 8192, 16_384, 32_768, 65_536] }

const ARROW_STREAM = known('arrow', 'an Arrow stream', '\xff\xff\xff\xff')

/** A mark, the length of a message, and the message: a table of FlatBuffers, which begins soon. */
function isArrowStream(head: Buffer): boolean {
  if (head.byteLength < 12 || !head.subarray(0, 4).equals(ARROW_STREAM.bytes)) return false
  const [length, root] = [head.readUInt32LE(4), head.readUInt32LE(8)]
  return length % 8 === 0 && length >= 16 && length < 2 ** 20 && root >= 8 && root <= 32 && root % 4 === 0
}

/** What a file is that begins so. */
export function signOf(head: Buffer): Sign | undefined {
  const found = SIGNS.find(({ bytes, at = 0 }) => head.subarray(at, at + bytes.byteLength).equals(bytes))
  return found ?? (isArrowStream(head) ? ARROW_STREAM : undefined)
}

/** What the file is, if it is not records. */
export async function foreignFormat(file: InputFile): Promise<string | undefined> {
  const head = await file.head(HEAD_BYTES)
  const found = signOf(head)
  if (found !== undefined) return found.what
  if (isText(head)) return 'text, such as CSV or JSON: records are packed numbers and bytes'
  return isOnDisk(file) && (await isTableFile(file)) ? 'a file of a flashtable' : undefined
}

/** A bucket file by its footer; a log segment, which has no magic, by its name beside a manifest. */
async function isTableFile(file: DiskFile): Promise<boolean> {
  const { path, bytes } = file
  for (const pageBytes of FOOTER_MAGIC.pageBytes) {
    if (bytes < pageBytes || bytes % pageBytes !== 0) continue
    const at = bytes - pageBytes + FOOTER_MAGIC.at
    const magic = await file.read(at, at + FOOTER_MAGIC.bytes.byteLength)
    if (magic.equals(FOOTER_MAGIC.bytes)) return true
  }
  if (!/^\d{6,15}\.(wal|bucket)$/.test(basename(path))) return false
  const manifest = await stat(join(dirname(path), 'MANIFEST')).catch(() => undefined)
  return manifest?.isFile() === true
}

/**
 * Whether it is lines of several values, or begins like JSON. Records of characters, such as hex digests, are not lines
 * and pass.
 */
export function isText(head: Buffer): boolean {
  const text = head.toString('latin1').replace(/^\xef\xbb\xbf/, '')
  // Printable ASCII, white space, and the bytes of UTF-8.
  if (text.length < 2 || /[^\t\n\r -~\x80-\xf4]/.test(text)) return false
  if (/^\s*[[{]\s*["\d[{\]}-]/.test(text)) return true
  const [first, ...others] = text.split('\n')
  return others.length > 0 && /[,;\t|]/.test(first!)
}

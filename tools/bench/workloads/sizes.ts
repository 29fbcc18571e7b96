/** What a record takes in data pages, by the type and the order of its key. */
import { rmSync } from 'node:fs'
import { bytes, fixed, FlashTable, type KeyEncoding } from '../../../src/index.js'
import { mix, randomRecords } from '../records.js'
import { ENCODINGS, tableDirectory } from '../table.js'
import { check, type Figures, type FigureKind, type Workload } from '../workload.js'

type KeyColumn = Uint8Array | Uint16Array | Uint32Array | BigUint64Array

interface KeyCase {
  readonly figure: string
  readonly kind: FigureKind
  readonly encoding: KeyEncoding
  /** Elements of the column a key. */
  readonly width: number
  keys(count: number): KeyColumn
  /** Whether the id is all that the values say. */
  readonly idAlone?: boolean
}

const steps = (step: number, target: number): KeyCase => ({
  figure: `steps${step}`,
  kind: {
    unit: `bytes a record, u64 keys in steps of ${step}, a counter as value`,
    better: 'less',
    target,
    digits: 4,
  },
  encoding: 'u64',
  width: 1,
  keys: count => BigUint64Array.from({ length: count }, (_, row) => BigInt(row * step)),
  idAlone: true,
})

const random = (
  name: string,
  encoding: KeyEncoding,
  width: number,
  keys: (words: Uint32Array<ArrayBuffer>, count: number) => KeyColumn,
): KeyCase => ({
  figure: `random-${name}`,
  kind: { unit: `bytes a record, random keys ${name}`, better: 'less', digits: 4 },
  encoding,
  width,
  keys: count =>
    keys(
      Uint32Array.from({ length: 8 * count }, (_, at) => mix(at)),
      count,
    ),
})

const randomBytes = (name: string, encoding: KeyEncoding, length: number): KeyCase =>
  random(name, encoding, length, (words, count) => new Uint8Array(words.buffer, 0, count * length))

/** The key types of the tests. */
const CASES: readonly KeyCase[] = [
  steps(1, 1.7),
  steps(7, 1.94),
  random('u8', 'u8', 1, (words, count) => new Uint8Array(words.buffer, 0, count)),
  random('u16', 'u16', 1, (words, count) => new Uint16Array(words.buffer, 0, count)),
  random('u32', 'u32', 1, (words, count) => words.subarray(0, count)),
  random('u64', 'u64', 1, (words, count) => new BigUint64Array(words.buffer, 0, count)),
  randomBytes('bytes(1)', bytes(1), 1),
  randomBytes('bytes(5)', bytes(5), 5),
  randomBytes('bytes(16)', bytes(16), 16),
  randomBytes('bytes(32)', bytes(32), 32),
  randomBytes('hex(7)', fixed('hex', 7), 7),
]

export const sizes: Workload = {
  name: 'sizes',
  sentence:
    'Records with keys of each type are bulk loaded into a table of their own, and scanned to check it. Their ' +
    'values are those of the random records; where keys come in steps, `time` and `flags` are 0 and `id` ' +
    'counts.',
  stores: ['flashtable'],
  records: 1_000_000,
  figures: Object.fromEntries(CASES.map(({ figure, kind }) => [figure, kind])),
  async run({ directory, records }) {
    const figures: Figures = {}
    for (const keyCase of CASES) {
      figures[keyCase.figure] = await bytesPerRecord(tableDirectory(directory), keyCase, records)
    }
    return figures
  },
}

/** A table whose keys may be of any type. */
interface AnyTable {
  stats(): Promise<{ dataBytesOnDisk: number; files: readonly object[] }>
  scanColumns(): AsyncIterable<{ key: KeyColumn; time: Uint16Array; id: Int32Array }>
  close(): Promise<void>
}

async function bytesPerRecord(directory: string, keyCase: KeyCase, records: number): Promise<number> {
  const values = randomRecords(0, records)
  const key = keyCase.keys(records)
  if (keyCase.idAlone === true) values.time.fill(0)
  const options = { keyEncoding: keyCase.encoding, valueEncoding: ENCODINGS.valueEncoding }
  const loading = FlashTable.bulkLoad(directory, options, [{ ...values, key }] as never)
  const table = (await loading) as unknown as AnyTable
  const { dataBytesOnDisk, files } = await table.stats()
  check(files.length === 1, () => `${files.length} files`)
  await checkAll(table, key, values.time, keyCase.width)
  await table.close()
  rmSync(directory, { recursive: true })
  return dataBytesOnDisk / records
}

/** Each record is there once, with its key and its time. */
async function checkAll(table: AnyTable, keys: KeyColumn, times: Uint16Array, width: number): Promise<void> {
  const seen = new Uint8Array(times.length)
  let wrong = 0
  let count = 0
  for await (const { key, time, id } of table.scanColumns()) {
    count += id.length
    for (let row = 0; row < id.length; row++) {
      const number = id[row]!
      if (time[row] !== times[number] || seen[number]!++ > 0) wrong++
      for (let at = 0; at < width; at++) if (key[row * width + at] !== keys[number * width + at]) wrong++
    }
  }
  check(wrong === 0 && count === times.length, () => `${count} records, ${wrong} differences`)
}

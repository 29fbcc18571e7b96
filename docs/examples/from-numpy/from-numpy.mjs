// A structured numpy array becomes a table, inside of a program. (`npx flashtable import FILE DIR` does the same.)
//
//   node from-numpy.mjs [FILE.npy KEY]   KEY: the field that is the key; without a file: an array that it makes
import { readFile, rm, writeFile } from 'node:fs/promises'
import process from 'node:process'
import { FlashTable, struct } from 'flashtable'

/** numpy's names of types: ours, and the arrays that hold them. */
const TYPES = {
  '|u1': ['u8', Uint8Array],
  '<u2': ['u16', Uint16Array],
  '<u4': ['u32', Uint32Array],
  '<u8': ['u64', BigUint64Array],
  '|i1': ['i8', Int8Array],
  '<i2': ['i16', Int16Array],
  '<i4': ['i32', Int32Array],
  '<i8': ['i64', BigInt64Array],
  '<f4': ['f32', Float32Array],
  '<f8': ['f64', Float64Array],
}

/** Name and type of each field, and the bytes of the rows: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
function parseNpy(bytes) {
  if (bytes.toString('latin1', 1, 6) !== 'NUMPY') throw new Error('this is no .npy file')
  const [headerAt, headerBytes] = bytes[6] === 1 ? [10, bytes.readUInt16LE(8)] : [12, bytes.readUInt32LE(8)]
  const header = bytes.toString('latin1', headerAt, headerAt + headerBytes)
  const fields = [...header.matchAll(/\('(\w+)', '([|<>]\w\d+)'\)/g)].map(([, name, type]) => ({
    name,
    type,
  }))
  const [, rows] = /'shape': \((\d+),\)/.exec(header) ?? []
  if (fields.length === 0 || rows === undefined)
    throw new Error('this is no structured array of one dimension')
  for (const { name, type } of fields)
    if (TYPES[type] === undefined) throw new Error(`${name} has the type ${type}`)
  return { fields, rows: Number(rows), data: bytes.subarray(headerAt + headerBytes) }
}

/** Rows into columns: typed arrays, one for each field. */
function columnsOf({ fields, rows, data }) {
  const rowBytes = fields.reduce((sum, { type }) => sum + TYPES[type][1].BYTES_PER_ELEMENT, 0)
  let offset = 0
  return fields.map(({ name, type }) => {
    const [fieldType, Column] = TYPES[type]
    const column = new Column(rows)
    const bytes = new Uint8Array(column.buffer)
    const width = Column.BYTES_PER_ELEMENT
    for (let row = 0; row < rows; row++) {
      const from = row * rowBytes + offset
      for (let byte = 0; byte < width; byte++) bytes[row * width + byte] = data[from + byte]
    }
    offset += width
    return { name, fieldType, column }
  })
}

/** What `numpy.save` writes of 1,000 rows of (hash, time, track). */
async function makeArray(path) {
  const rows = 1000
  const dtype = `[('hash', '<u8'), ('time', '<u2'), ('track', '<i4')]`
  const header = `{'descr': ${dtype}, 'fortran_order': False, 'shape': (${rows},), }`
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${padded}`, 'latin1')
  head.writeUInt16LE(padded.length, 8)
  const data = Buffer.alloc(rows * 14)
  for (let row = 0; row < rows; row++) {
    data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(row + 1) * 0x9e3779b97f4a7c15n), row * 14)
    data.writeUInt16LE(row, row * 14 + 8)
    data.writeInt32LE(Math.floor(row / 100), row * 14 + 10)
  }
  await writeFile(path, Buffer.concat([head, data]))
}

const [file = 'prints.npy', keyName = 'hash'] = process.argv.slice(2)
if (process.argv[2] === undefined) await makeArray(file)

const columns = columnsOf(parseNpy(await readFile(file)))
const key = columns.find(({ name }) => name === keyName)
if (key === undefined) throw new Error(`there is no field ${keyName}`)
const values = columns.filter(column => column !== key)

await rm('./from-numpy', { recursive: true, force: true })
const table = await FlashTable.bulkLoad(
  './from-numpy',
  {
    keyEncoding: key.fieldType,
    valueEncoding: struct(Object.fromEntries(values.map(({ name, fieldType }) => [name, fieldType]))),
  },
  [{ key: key.column, ...Object.fromEntries(values.map(({ name, column }) => [name, column])) }],
)
console.log(`${await table.count()} records; their fields: ${values.map(({ name }) => name).join(', ')}`)
const row = key.column.length - 1
console.log('the last row:', key.column[row], await table.get(key.column[row]))
await table.close()

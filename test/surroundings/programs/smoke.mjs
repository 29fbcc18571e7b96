/** What must work everywhere: load past several seals, open what a crash left, merge, load in bulk, read all back. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { FlashTable, FlashTableError, struct } from 'flashtable'

const ROWS = 30_000
const STEP = 3000
const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ id: 'u32' }),
  bufferBytes: 65_536,
  walBytes: 131_072,
  fanout: 3,
}

const keyOf = number => BigInt(number) * 7919n

function columns(from, to) {
  const key = BigUint64Array.from({ length: to - from }, (_, i) => keyOf(from + i))
  return { key, id: Uint32Array.from(key, (_, i) => from + i) }
}

function* source() {
  for (let from = 0; from < ROWS; from += STEP) yield columns(from, from + STEP)
}

/** Every record once, with its value, by scan and by lookup. */
async function check(table, what) {
  let next = 0
  for await (const { key, id } of table.scanColumns()) {
    for (let i = 0; i < key.length; i++, next++) {
      if (key[i] !== keyOf(next) || id[i] !== next) throw new Error(`${what}: a wrong record, number ${next}`)
    }
  }
  if (next !== ROWS) throw new Error(`${what}: ${next} records of ${ROWS}`)
  const { id } = await table.getColumns(columns(0, ROWS).key)
  if (id.length !== ROWS || id.some((value, i) => value !== i))
    throw new Error(`${what}: lookups miss records`)
}

async function run(directory) {
  const table = await FlashTable.open(join(directory, 'table'), OPTIONS)
  for (const batch of source()) await table.putColumns(batch)
  const refused = await table.put('no key', { id: 1 }).catch(error => error)
  if (refused.code !== 'FLASHTABLE_INVALID_KEY') throw new Error('a wrong key was taken')
  const locked = await FlashTable.open(join(directory, 'table')).catch(error => error)
  if (!(locked instanceof FlashTableError) || locked.code !== 'FLASHTABLE_LOCKED') {
    throw new Error('opened twice', { cause: locked })
  }
  cpSync(table.location, join(directory, 'crashed'), { recursive: true })
  await check(table, 'after the load')
  await table.compact()
  const { files } = await table.stats()
  if (files.length !== 1) throw new Error(`${files.length} files after a compaction`)
  await check(table, 'merged')
  await table.close()
  const reader = await FlashTable.open(table.location, { readOnly: true })
  await check(reader, 'read only')
  await reader.close()
  // A copy has the lock of a process that lives.
  for (const name of readdirSync(join(directory, 'crashed'))) {
    if (name.startsWith('LOCK')) rmSync(join(directory, 'crashed', name))
  }
  const crashed = await FlashTable.open(join(directory, 'crashed'))
  await check(crashed, 'after a crash')
  await crashed.close()
  const loaded = await FlashTable.bulkLoad(
    join(directory, 'loaded'),
    { ...OPTIONS, memoryBytes: 0 },
    source(),
  )
  await check(loaded, 'loaded in bulk')
  await loaded.close()
}

/** Says `ok`, and whether jobs had threads. `FLASHTABLE_SMOKE` is where the tables may be left for others to look at. */
export async function smoke() {
  let threads = 'with threads'
  process.on('warning', warning => {
    if (warning.code === 'FLASHTABLE_NO_THREADS') threads = `without threads: ${warning.message}`
  })
  const directory = mkdtempSync(join(process.env.FLASHTABLE_SMOKE ?? tmpdir(), 'smoke-'))
  await run(directory)
  // Warnings come a turn later.
  await new Promise(resolve => process.nextTick(resolve))
  rmSync(directory, { recursive: true })
  return `ok ${threads}`
}

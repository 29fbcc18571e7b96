// Backups of a table while another program writes it: a checkpoint, verified, and only the newest few are kept.
//
//   node backup.mjs TABLE BACKUPS [KEEP]   a backup of TABLE in the folder BACKUPS; without arguments: shows it
import { spawn } from 'node:child_process'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { FlashTable, verifyTable } from 'flashtable'

const PARTIAL = '.partial'

/** The backups that are complete, oldest first: their names are times. */
async function backupsIn(folder) {
  const names = await readdir(folder)
  return names.filter(name => !name.endsWith(PARTIAL)).sort()
}

/** Makes a backup and removes all but the newest `keep`. Gives its path. */
export async function backup(location, folder, keep) {
  await mkdir(folder, { recursive: true })
  const path = join(folder, new Date().toISOString().replaceAll(':', '-'))
  // What an earlier try has left.
  for (const name of await readdir(folder))
    if (name.endsWith(PARTIAL)) await rm(join(folder, name), { recursive: true })

  // A reader takes no lock, so the program that writes is not disturbed. The checkpoint has all that it has put.
  const table = await FlashTable.open(location, { readOnly: true, createIfMissing: false })
  try {
    await table.checkpoint(path + PARTIAL)
  } finally {
    await table.close()
  }
  const { problems } = await verifyTable(path + PARTIAL)
  for (const { file, offset, message } of problems) console.error(file, offset, message)
  if (problems.length > 0) throw new Error(`${location} is damaged: no older backup was removed`)
  // From here on the name says that it is complete and was verified.
  await rename(path + PARTIAL, path)

  const names = await backupsIn(folder)
  for (const name of names.slice(0, -keep)) await rm(join(folder, name), { recursive: true })
  return path
}

/** A backup is a table: a checkpoint of it is one that can be written, and the backup stays as it is. */
export async function restore(path, location) {
  const table = await FlashTable.open(path, { readOnly: true })
  await table.checkpoint(location)
  await table.close()
}

/** Another program, which holds the table open and has put ten records. */
async function startWriter(location) {
  const program = `import { FlashTable } from 'flashtable'
    const table = await FlashTable.open(${JSON.stringify(location)}, { keyEncoding: 'u32', valueEncoding: 'u32' })
    for (let i = 0; i < 10; i++) await table.put(i, i)
    console.log('ready')
    process.stdin.resume()`
  const writer = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await new Promise(resolve => writer.stdout.once('data', resolve))
  return writer
}

async function show() {
  for (const name of ['numbers', 'backups', 'restored']) await rm(name, { recursive: true, force: true })
  const writer = await startWriter('./numbers')
  let path = ''
  for (let i = 0; i < 4; i++) path = await backup('./numbers', './backups', 3)
  console.log(`4 backups beside a writer, ${(await backupsIn('./backups')).length} of them kept`)
  writer.kill('SIGKILL')

  await restore(path, './restored')
  const table = await FlashTable.open('./restored')
  console.log(`restored: ${await table.count()} records, number 7 is ${await table.get(7)}`)
  await table.put(10, 10)
  console.log(`and written: ${await table.count()} records`)
  await table.close()
}

const [location, folder, keep = '7'] = process.argv.slice(2)
if (location === undefined) await show()
else if (folder === undefined || !(Number(keep) >= 1)) throw new Error('node backup.mjs TABLE BACKUPS [KEEP]')
else console.log(await backup(location, folder, Number(keep)))

/** tools/cli/output-file.ts: a file is there as a whole or not at all. */
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withOutput } from '../../../../tools/cli/output-file.js'

let directory: string
let path: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-output-'))
  path = join(directory, 'out')
})
afterEach(() => rm(directory, { recursive: true }))

test('a file has its name only when all of it is written', async () => {
  const seen: number[] = []
  const result = await withOutput({ path, onProgress: bytes => seen.push(bytes) }, async output => {
    await output.write('one\n')
    expect(await readdir(directory)).toEqual([`out.${process.pid}.partial`])
    await output.write(Buffer.from('two\n'))
    return 2
  })
  expect([result, seen, await readdir(directory)]).toEqual([2, [4, 8], ['out']])
  expect(await readFile(path, 'utf8')).toBe('one\ntwo\n')
})

test('what fails or is interrupted leaves nothing, and leaves alone what was there', async () => {
  await writeFile(path, 'before')
  const controller = new AbortController()
  const failing = withOutput({ path, force: true }, async output => {
    await output.write('half')
    throw new Error('no more')
  })
  await expect(failing).rejects.toThrow('no more')
  const interrupted = withOutput({ path, force: true, signal: controller.signal }, async output => {
    controller.abort(new Error('stop'))
    await output.write('never')
  })
  await expect(interrupted).rejects.toThrow('stop')
  const late = withOutput({ path, force: true, signal: controller.signal }, async () => {})
  await expect(late).rejects.toThrow('stop')
  expect([await readdir(directory), await readFile(path, 'utf8')]).toEqual([['out'], 'before'])
})

test('a directory that is missing is named', async () => {
  await expect(
    withOutput({ path: join(directory, 'none', 'file') }, () => Promise.resolve()),
  ).rejects.toMatchObject({
    code: 'FLASHTABLE_NOT_FOUND',
    message: `there is no directory ${join(directory, 'none')}; make it first`,
  })
})

test('a file that is there is refused, unless it is to be replaced; of a link, the file that it names', async () => {
  await writeFile(path, 'before')
  const link = join(directory, 'link')
  await symlink(path, link)
  for (const there of [path, link, directory]) {
    const refused = withOutput({ path: there }, () => Promise.reject(new Error('it ran')))
    await expect(refused).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
  }
  await expect(withOutput({ path: directory, force: true }, async () => {})).rejects.toThrow('a directory')
  await withOutput({ path: link, force: true }, output => output.write('after'))
  expect(await readFile(path, 'utf8')).toBe('after')
  expect((await readdir(directory, { withFileTypes: true })).map(entry => entry.isSymbolicLink())).toEqual([
    true,
    false,
  ])
})

test('a file that appears meanwhile is left alone', async () => {
  const refused = withOutput({ path }, async output => {
    await output.write('mine')
    await writeFile(path, 'theirs')
  })
  await expect(refused).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
  expect([await readdir(directory), await readFile(path, 'utf8')]).toEqual([['out'], 'theirs'])
})

test.runIf(process.platform === 'linux')('a device is written to, never replaced', async () => {
  await withOutput({ path: '/dev/null', force: true }, output => output.write('gone'))
  const full = withOutput({ path: '/dev/full' }, output => output.write('too much'))
  await expect(full).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
})

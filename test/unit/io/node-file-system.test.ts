import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../../src/io/node-file-system.js'
import { fileSystemContract } from '../../contract/file-system-contract.js'

const made: string[] = []

async function emptyDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-'))
  made.push(directory)
  return directory
}

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

fileSystemContract('of the machine', async () => ({
  fileSystem: nodeFileSystem,
  directory: await emptyDirectory(),
}))

describe('nodeFileSystem', () => {
  let directory: string

  beforeEach(async () => {
    directory = await emptyDirectory()
  })

  test('a new file is for its owner only', async () => {
    const handle = await nodeFileSystem.open(join(directory, 'a'), 'create')
    await handle.close()
    expect((await stat(join(directory, 'a'))).mode & 0o777).toBe(0o600)
  })

  test('new directories are for their owner only', async () => {
    await nodeFileSystem.makeDirectory(join(directory, 'x/y'))
    for (const path of ['x', 'x/y']) expect((await stat(join(directory, path))).mode & 0o777).toBe(0o700)
  })

  test('a symbolic link is not followed, whatever it points to', async () => {
    await writeFile(join(directory, 'real'), 'kept')
    await symlink(join(directory, 'real'), join(directory, 'link'))
    await symlink(join(directory, 'nowhere'), join(directory, 'dangling'))
    for (const mode of ['read', 'update'] as const) {
      await expect(nodeFileSystem.open(join(directory, 'link'), mode)).rejects.toMatchObject({
        code: 'ELOOP',
      })
    }
    await expect(nodeFileSystem.open(join(directory, 'dangling'), 'create')).rejects.toMatchObject({
      code: 'EEXIST',
    })
    expect(await nodeFileSystem.info(join(directory, 'link'))).toMatchObject({ kind: 'other' })
  })

  test('a pipe is refused, and does not block', async () => {
    const pipe = join(directory, 'pipe')
    execFileSync('mkfifo', [pipe])
    for (const mode of ['read', 'update'] as const) {
      await expect(nodeFileSystem.open(pipe, mode)).rejects.toMatchObject({ code: 'EINVAL', path: pipe })
    }
  })

  test.runIf(process.platform === 'linux')('a refused open leaves no descriptor behind', async () => {
    await mkdir(join(directory, 'd'))
    const before = await nodeFileSystem.list('/proc/self/fd')
    for (let i = 0; i < 20; i++) await nodeFileSystem.open(join(directory, 'd'), 'read').catch(() => {})
    const after = await nodeFileSystem.list('/proc/self/fd')
    expect(after.length).toBeLessThan(before.length + 10)
  })

  test('a call on a closed handle never reaches the file that got its descriptor', async () => {
    const first = await nodeFileSystem.open(join(directory, 'a'), 'create')
    await first.close()
    const second = await nodeFileSystem.open(join(directory, 'b'), 'create')
    expect(() => first.writeSync(new Uint8Array(4), 0)).toThrowError(/EBADF/)
    await expect(first.close()).rejects.toMatchObject({ code: 'EBADF' })
    expect(await second.size()).toBe(0)
    await second.close()
  })

  test.runIf(process.platform === 'linux')(
    'free bytes are those that this user may still write',
    async () => {
      const available = (): number =>
        Number(execFileSync('df', ['-B1', '--output=avail', directory]).toString().split('\n')[1])
      // Others write and delete meanwhile.
      const before = available()
      const free = await nodeFileSystem.freeBytes(directory)
      const after = available()
      expect(free).toBeGreaterThan(Math.min(before, after) - 2 ** 30)
      expect(free).toBeLessThan(Math.max(before, after) + 2 ** 30)
    },
  )

  test.runIf(existsSync('/proc/self'))('a file system that tells no size at all is not full', async () => {
    expect(await nodeFileSystem.freeBytes('/proc')).toBe(Infinity)
  })
})

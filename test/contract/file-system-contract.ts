/** What every FileSystem promises: the same checks run on the machine's and on the simulated one. */
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { FileHandle, FileSystem } from '../../src/io/file-system.js'
import { readFully, readFullySync, writeFully, writeFullySync } from '../../src/io/transfer.js'
import { Random } from '../support/random.js'

export interface FileSystemSubject {
  readonly fileSystem: FileSystem
  /** An empty directory. */
  readonly directory: string
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

export function fileSystemContract(name: string, make: () => Promise<FileSystemSubject>): void {
  describe(`contract of a file system: ${name}`, () => {
    let fileSystem: FileSystem
    let directory: string

    beforeEach(async () => {
      const subject = await make()
      fileSystem = subject.fileSystem
      directory = subject.directory
    })

    const at = (file: string): string => join(directory, file)

    async function store(file: string, text: string): Promise<void> {
      const handle = await fileSystem.open(at(file), 'create')
      await writeFully(handle, bytesOf(text), 0)
      await handle.close()
    }

    async function load(file: string): Promise<string> {
      const handle = await fileSystem.open(at(file), 'read')
      const buffer = new Uint8Array(await handle.size())
      await readFully(handle, buffer, 0)
      await handle.close()
      return new TextDecoder().decode(buffer)
    }

    async function using(file: string, use: (handle: FileHandle) => Promise<void>): Promise<void> {
      const handle = await fileSystem.open(at(file), 'update')
      await use(handle)
      await handle.close()
    }

    describe('files', () => {
      test('what was written is read, by both kinds of calls', async () => {
        const handle = await fileSystem.open(at('a'), 'create')
        const data = new Random(1).bytes(10_000)
        await writeFully(handle, data.subarray(0, 5000), 0)
        writeFullySync(handle, data.subarray(5000), 5000)
        const [first, second] = [new Uint8Array(10_000), new Uint8Array(10_000)]
        expect(await readFully(handle, first, 0)).toBe(10_000)
        expect(readFullySync(handle, second, 0)).toBe(10_000)
        expect(Buffer.compare(first, data)).toBe(0)
        expect(Buffer.compare(second, data)).toBe(0)
        await handle.close()
      })

      test('a read at the end or behind it transfers nothing', async () => {
        await store('a', 'four')
        await using('a', async handle => {
          expect(await handle.read(new Uint8Array(8), 4)).toBe(0)
          expect(handle.readSync(new Uint8Array(8), 100)).toBe(0)
        })
      })

      test('a read over the end leaves the rest of the buffer alone', async () => {
        await store('a', 'four')
        const buffer = new Uint8Array(8).fill(7)
        await using('a', async handle => {
          expect(await readFully(handle, buffer, 2)).toBe(2)
        })
        expect([...buffer]).toEqual([...bytesOf('ur'), 7, 7, 7, 7, 7, 7])
      })

      test('an overwrite keeps what is around it, and the size', async () => {
        await store('a', 'one two three')
        await using('a', async handle => {
          await writeFully(handle, bytesOf('TWO'), 4)
          expect(await handle.size()).toBe(13)
        })
        expect(await load('a')).toBe('one TWO three')
      })

      test('a write behind the end leaves zeros between', async () => {
        await store('a', 'x')
        await using('a', handle => writeFully(handle, bytesOf('y'), 9000))
        expect(await load('a')).toBe(`x${'\0'.repeat(8999)}y`)
      })

      test('a write of nothing is no error and changes nothing', async () => {
        await store('a', 'four')
        await using('a', async handle => {
          expect(await handle.write(new Uint8Array(0), 100)).toBe(0)
          expect(handle.writeSync(new Uint8Array(0), 100)).toBe(0)
        })
        expect(await load('a')).toBe('four')
      })

      test('two handles on one file see the same bytes', async () => {
        await store('a', 'old')
        const reader = await fileSystem.open(at('a'), 'read')
        await using('a', handle => writeFully(handle, bytesOf('new'), 0))
        const buffer = new Uint8Array(3)
        await readFully(reader, buffer, 0)
        expect(buffer).toEqual(bytesOf('new'))
        await reader.close()
      })

      test('sync resolves, twice and without writes too', async () => {
        await store('a', 'four')
        await using('a', async handle => {
          await handle.sync()
          await handle.write(bytesOf('F'), 0)
          await Promise.all([handle.sync(), handle.sync()])
        })
        expect(await load('a')).toBe('Four')
      })

      test('a handle keeps the path that it was opened by', async () => {
        await store('a', '')
        const handle = await fileSystem.open(at('a'), 'read')
        expect(handle.path).toBe(at('a'))
        await handle.close()
      })
    })

    describe('open', () => {
      test('create refuses a name that is taken and leaves its file alone', async () => {
        await store('a', 'kept')
        await expect(fileSystem.open(at('a'), 'create')).rejects.toMatchObject({
          code: 'EEXIST',
          syscall: 'open',
          path: at('a'),
        })
        expect(await load('a')).toBe('kept')
      })

      test('read and update refuse a name that is not there', async () => {
        for (const mode of ['read', 'update'] as const) {
          await expect(fileSystem.open(at('a'), mode)).rejects.toMatchObject({
            code: 'ENOENT',
            path: at('a'),
          })
        }
        expect(await fileSystem.list(directory)).toEqual([])
      })

      test('create refuses a directory that is not there', async () => {
        await expect(fileSystem.open(at('no/a'), 'create')).rejects.toMatchObject({ code: 'ENOENT' })
      })

      test('a directory is not opened as a file', async () => {
        await fileSystem.makeDirectory(at('d'))
        for (const mode of ['read', 'update'] as const) {
          await expect(fileSystem.open(at('d'), mode)).rejects.toMatchObject({ code: 'EISDIR' })
        }
        await expect(fileSystem.open(at('d'), 'create')).rejects.toMatchObject({ code: 'EEXIST' })
      })

      test('a handle for reading does not write', async () => {
        await store('a', 'kept')
        const handle = await fileSystem.open(at('a'), 'read')
        await expect(handle.write(bytesOf('x'), 0)).rejects.toMatchObject({ code: 'EBADF', path: at('a') })
        expect(() => handle.writeSync(bytesOf('x'), 0)).toThrowError(/EBADF/)
        await handle.close()
        expect(await load('a')).toBe('kept')
      })

      test('a closed handle refuses every call, and a second close', async () => {
        await store('a', 'four')
        const handle = await fileSystem.open(at('a'), 'update')
        await handle.close()
        const buffer = new Uint8Array(4)
        for (const call of [
          () => handle.read(buffer, 0),
          () => handle.write(buffer, 0),
          () => handle.sync(),
          () => handle.size(),
          () => handle.close(),
        ]) {
          await expect(call()).rejects.toMatchObject({ code: 'EBADF', path: at('a') })
        }
        expect(() => handle.readSync(buffer, 0)).toThrowError(/EBADF/)
        expect(() => handle.writeSync(buffer, 0)).toThrowError(/EBADF/)
      })
    })

    describe('names', () => {
      test('rename replaces the target', async () => {
        await store('a', 'new')
        await store('b', 'old')
        await fileSystem.rename(at('a'), at('b'))
        expect(await fileSystem.list(directory)).toEqual(['b'])
        expect(await load('b')).toBe('new')
      })

      test('rename of a name that is not there is an error that names both', async () => {
        await expect(fileSystem.rename(at('a'), at('b'))).rejects.toMatchObject({
          code: 'ENOENT',
          syscall: 'rename',
          path: at('a'),
          dest: at('b'),
        })
      })

      test('rename over a directory is an error', async () => {
        await store('a', '')
        await fileSystem.makeDirectory(at('d'))
        await expect(fileSystem.rename(at('a'), at('d'))).rejects.toMatchObject({ code: 'EISDIR' })
      })

      test('rename between two names of one file keeps both', async () => {
        await store('a', 'one')
        await fileSystem.link(at('a'), at('b'))
        await fileSystem.rename(at('a'), at('b'))
        expect((await fileSystem.list(directory)).sort()).toEqual(['a', 'b'])
      })

      test('link gives a second name to the same file', async () => {
        await store('a', 'one')
        await fileSystem.link(at('a'), at('b'))
        await using('a', handle => writeFully(handle, bytesOf('two'), 0))
        await fileSystem.unlink(at('a'))
        expect(await load('b')).toBe('two')
      })

      test('link refuses a name that is taken, and a file that is not there', async () => {
        await store('a', 'one')
        await store('b', 'kept')
        await expect(fileSystem.link(at('a'), at('b'))).rejects.toMatchObject({
          code: 'EEXIST',
          syscall: 'link',
        })
        await expect(fileSystem.link(at('c'), at('d'))).rejects.toMatchObject({
          code: 'ENOENT',
          dest: at('d'),
        })
        expect(await load('b')).toBe('kept')
      })

      test('an unlinked or replaced file lives on in its open handles', async () => {
        await store('a', 'old')
        const handle = await fileSystem.open(at('a'), 'read')
        await store('b', 'new')
        await fileSystem.rename(at('b'), at('a'))
        await fileSystem.unlink(at('a'))
        const buffer = new Uint8Array(3)
        await readFully(handle, buffer, 0)
        expect(buffer).toEqual(bytesOf('old'))
        await handle.close()
        expect(await fileSystem.list(directory)).toEqual([])
      })

      test('unlink of a name that is not there is an error', async () => {
        await expect(fileSystem.unlink(at('a'))).rejects.toMatchObject({ code: 'ENOENT', syscall: 'unlink' })
      })

      test('relative parts of a path mean nothing', async () => {
        await store('a', 'one')
        await fileSystem.makeDirectory(at('d'))
        expect(await load('d/.././a')).toBe('one')
      })
    })

    describe('directories', () => {
      test('makeDirectory makes the parents too, says where it began, and makes nothing where it exists', async () => {
        expect(await fileSystem.makeDirectory(at('x/y/z'))).toBe(at('x'))
        await store('x/y/z/a', 'kept')
        expect(await fileSystem.makeDirectory(at('x/y/z'))).toBeUndefined()
        expect(await load('x/y/z/a')).toBe('kept')
        expect(await fileSystem.list(at('x'))).toEqual(['y'])
      })

      test('makeDirectory refuses the name of a file, and a file on the way', async () => {
        await store('a', '')
        await expect(fileSystem.makeDirectory(at('a'))).rejects.toMatchObject({ code: 'EEXIST' })
        await expect(fileSystem.makeDirectory(at('a/b'))).rejects.toMatchObject({ code: 'ENOTDIR' })
      })

      test('removeDirectory removes what is empty, and nothing else', async () => {
        await fileSystem.makeDirectory(at('x/y'))
        await store('x/a', 'kept')
        for (const path of ['x', 'x/a', 'no']) {
          const code = { x: 'ENOTEMPTY', 'x/a': 'ENOTDIR', no: 'ENOENT' }[path]
          await expect(fileSystem.removeDirectory(at(path))).rejects.toMatchObject({ code, syscall: 'rmdir' })
        }
        await fileSystem.removeDirectory(at('x/y'))
        expect(await fileSystem.list(at('x'))).toEqual(['a'])
        expect(await load('x/a')).toBe('kept')
        expect(await fileSystem.makeDirectory(at('x/y'))).toBe(at('x/y'))
      })

      test('list gives files and directories, and an error where there is none', async () => {
        await store('a', '')
        await fileSystem.makeDirectory(at('d'))
        expect((await fileSystem.list(directory)).sort()).toEqual(['a', 'd'])
        await expect(fileSystem.list(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
        await expect(fileSystem.list(at('a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
      })

      test('syncDirectory resolves, and is an error where there is none', async () => {
        await fileSystem.syncDirectory(directory)
        await expect(fileSystem.syncDirectory(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
      })

      test('an open directory is synced later, and is an error where there is none', async () => {
        const opened = await fileSystem.openDirectory(directory)
        await store('a', 'four')
        await opened.sync()
        await opened.close()
        await expect(fileSystem.openDirectory(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
      })

      test('info tells files from directories from nothing', async () => {
        await store('a', 'four')
        await fileSystem.makeDirectory(at('d'))
        expect(await fileSystem.info(at('a'))).toEqual({
          kind: 'file',
          bytes: 4,
          allocatedBytes: expect.any(Number) as number,
          modifiedMs: expect.any(Number) as number,
        })
        expect(await fileSystem.info(at('d'))).toMatchObject({ kind: 'directory' })
        expect(await fileSystem.info(at('no'))).toBeUndefined()
        expect(await fileSystem.info(at('no/a'))).toBeUndefined()
      })

      test('freeBytes is a number of bytes, and an error where there is no such path', async () => {
        expect(await fileSystem.freeBytes(directory)).toBeGreaterThan(0)
        await expect(fileSystem.freeBytes(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
      })
    })
  })
}

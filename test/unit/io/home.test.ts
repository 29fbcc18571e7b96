import { expect, test } from 'vitest'
import { Home } from '../../../src/io/home.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A directory with a manifest, held; `moved`: what was told. */
async function settled(
  files: Record<string, string>,
): Promise<{ disk: SimulatedFileSystem; home: Home; moved: unknown[] }> {
  const disk = new SimulatedFileSystem({ links: false })
  for (const [name, content] of Object.entries(files)) disk.writeFile(`/t/${name}`, bytesOf(content))
  const moved: unknown[] = []
  const home = await Home.hold(disk, '/t', error => moved.push(error))
  await home.settle()
  return { disk, home, moved }
}

test('a LOCK that is a directory is the same as long as its record is', async () => {
  const { disk, home, moved } = await settled({ MANIFEST: 'm', 'LOCK/record': 'ours' })
  await home.check()
  await disk.rename('/t/LOCK', '/t/LOCK.old')
  await home.check()
  disk.writeFile('/t/LOCK/record', bytesOf('another'))
  await expect(home.check()).rejects.toMatchObject({ code: 'FLASHTABLE_MOVED' })
  expect(moved).toHaveLength(1)
})

test('files that were touched or copied over themselves are what they were', async () => {
  const { disk, home } = await settled({ MANIFEST: 'm', LOCK: 'ours' })
  for (const [name, content] of Object.entries({ MANIFEST: 'm', LOCK: 'ours' })) {
    disk.writeFile(`/t/${name}`, bytesOf(content))
    disk.removeFile(`/t/${name}`)
    disk.writeFile(`/t/${name}`, bytesOf(content))
    await home.check()
  }
})

test('a directory that has moved is refused from then on, also when it comes back', async () => {
  const { disk, home, moved } = await settled({ MANIFEST: 'm' })
  disk.moveDirectory('/t', '/u')
  await expect(home.fileSystem.unlink('/t/MANIFEST')).rejects.toMatchObject({ code: 'FLASHTABLE_MOVED' })
  disk.moveDirectory('/u', '/t')
  await expect(home.fileSystem.unlink('/t/MANIFEST')).rejects.toMatchObject({ code: 'FLASHTABLE_MOVED' })
  expect(disk.files()).toEqual(['/t/MANIFEST'])
  expect(moved).toHaveLength(1)
})

test('a manifest that could not be renamed leaves the old one right, and no manifest where there was none', async () => {
  for (const files of [{ MANIFEST: 'old', other: '' }, { other: '' }]) {
    const { disk, home } = await settled(files)
    disk.writeFile('/t/MANIFEST.tmp', bytesOf('new'))
    disk.failAt(({ op }) => op === 'rename', 'EIO', { effect: 'none' })
    await expect(home.fileSystem.rename('/t/MANIFEST.tmp', '/t/MANIFEST')).rejects.toMatchObject({
      code: 'EIO',
    })
    await home.check()
    disk.clearFaults()
    await home.fileSystem.rename('/t/MANIFEST.tmp', '/t/MANIFEST')
    await home.check()
    disk.writeFile('/t/MANIFEST', bytesOf('old'))
    await expect(home.check()).rejects.toMatchObject({ code: 'FLASHTABLE_MOVED' })
  }
})

test('a call on a path outside of the directory is made, also when the directory has moved', async () => {
  const { disk, home } = await settled({ MANIFEST: 'm' })
  disk.writeFile('/other/file', bytesOf('x'))
  disk.moveDirectory('/t', '/u')
  await home.fileSystem.unlink('/other/file')
  expect(disk.files()).toEqual(['/u/MANIFEST'])
})

/** A reader beside a writer that is always quicker: what it has replayed is never enough for the manifest that follows. */
import { expect, test } from 'vitest'
import { Poison } from '../../../src/base/poison.js'
import { FlashTable } from '../../../src/index.js'
import type { FileSystem, OpenMode } from '../../../src/io/file-system.js'
import { installManifest, loadManifest } from '../../../src/manifest/store.js'
import { simulatedEnvironment } from '../../support/simulated-environment.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const DIRECTORY = '/tables/moving'

/** A disk on which the log moves on between the two looks of a reader at the manifest, `moves` times. */
async function movingDisk(moves: number): Promise<{ disk: SimulatedFileSystem; moving: FileSystem }> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const options = { keyEncoding: 'u64', bufferBytes: 1024 }
  const table = await FlashTable.openIn(DIRECTORY, options, simulatedEnvironment(disk))
  await table.putColumns({ key: BigUint64Array.from({ length: 100 }, (_, i) => BigInt(i)) })
  await table.compact()
  await table.close()
  let looks = 0
  const open = async (path: string, mode: OpenMode) => {
    if (path.endsWith('/MANIFEST') && ++looks % 2 === 0 && looks <= 2 * moves) await moveLog(disk)
    return disk.open(path, mode)
  }
  const moving = new Proxy<FileSystem>(disk, {
    get: (_, name) => {
      if (name === 'open') return open
      const member: unknown = Reflect.get(disk, name, disk)
      return typeof member === 'function' ? (member.bind(disk) as unknown) : member
    },
  })
  return { disk, moving }
}

async function moveLog(disk: SimulatedFileSystem): Promise<void> {
  const { manifest } = (await loadManifest(disk, DIRECTORY))!
  const sequence = manifest.nextSequence + 1
  const moved = { ...manifest, firstLogSequence: sequence, nextSequence: sequence }
  await installManifest(disk, DIRECTORY, moved, new Poison())
}

test('it starts over until the writer rests, and sees the state of then', async () => {
  const { disk, moving } = await movingDisk(49)
  const reader = await FlashTable.openIn(
    DIRECTORY,
    { readOnly: true },
    { ...simulatedEnvironment(disk), fileSystem: moving },
  )
  expect(await reader.count(7n)).toBe(1)
  expect((await reader.stats()).sequence.next).toBe(149)
  await reader.close()
  expect(disk.openHandles).toBe(0)
})

test('it gives up after 50 times, and says why', async () => {
  const { disk, moving } = await movingDisk(50)
  const opening = FlashTable.openIn(
    DIRECTORY,
    { readOnly: true },
    { ...simulatedEnvironment(disk), fileSystem: moving },
  )
  await expect(opening).rejects.toMatchObject({
    code: 'FLASHTABLE_IO_ERROR',
    message: `${DIRECTORY} changed 50 times while it was being opened for reading; try again`,
  })
  expect(disk.openHandles).toBe(0)
})

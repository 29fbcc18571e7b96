import { expect, test } from 'vitest'
import { collectRemote, removeOrphans } from '../../../src/remote/garbage.js'
import { remoteKey, serializeRemote, type RemoteManifest } from '../../../src/remote/remote-manifest.js'
import { withVersion } from '../../../src/remote/versions.js'
import { SimulatedStore } from '../../support/simulated-store.js'
import { fileIn, manifestWith, publishedAt } from './manifests.js'

/** A store with this manifest, the objects that it names, and others. */
function storeWith(remote: RemoteManifest, others: readonly string[]): SimulatedStore {
  const store = new SimulatedStore()
  store.stored.swap('MANIFEST', serializeRemote(remote), undefined)
  for (const key of [...remote.files.map(({ key }) => key), ...others])
    store.stored.put(key, new Uint8Array(1))
  return store
}

const pointerTo = (store: SimulatedStore) => ({
  store,
  newNonce: () => 'f'.repeat(32),
  wait: () => Promise.resolve(),
})

const RANDOM = '0123456789abcdef'

test('objects and uploads of lower epochs that nothing names go; the writer and strangers keep theirs', async () => {
  const remote = { ...publishedAt(1000, ['a']), epoch: 3 }
  const orphan = remoteKey(2, 7, RANDOM)
  const own = remoteKey(3, 7, RANDOM)
  const later = remoteKey(4, 7, RANDOM)
  const store = storeWith(remote, [orphan, own, later, 'else/where', 'e1/mine'])
  for (const key of [orphan, own, 'else/where']) store.stored.uploads.add(key)
  expect((await removeOrphans(store, 3, {})).map(({ key }) => key)).toEqual([orphan])
  expect([...store.stored.objects.keys()]).toEqual([fileIn('a').key, own, later, 'else/where', 'e1/mine'])
  expect([...store.stored.uploads]).toEqual([own, 'else/where'])
})

test('where nothing is published nothing is an orphan', async () => {
  const store = new SimulatedStore()
  store.stored.put(remoteKey(1, 7, RANDOM), new Uint8Array(1))
  expect(await removeOrphans(store, 3, {})).toEqual([])
  expect(await collectRemote(pointerTo(store), { dryRun: false })).toBeUndefined()
})

test('garbage is counted without being removed, or removed after the manifest has dropped it', async () => {
  const remote = withVersion(publishedAt(1000, ['a']), { ...manifestWith(2000), files: [fileIn('b')] })
  const store = storeWith(remote, [])
  const expected = { versions: [1], dropped: [fileIn('a').key], orphans: [] }
  expect(await collectRemote(pointerTo(store), { dryRun: true, retentionMs: 0 })).toEqual(expected)
  expect(store.stored.objects.size).toBe(2)
  // By the retention of the last publish there is none.
  expect(await collectRemote(pointerTo(store), { dryRun: false })).toMatchObject({ versions: [] })
  expect(store.counts['swap']).toBeUndefined()
  const tooEarly: string[] = []
  store.stored.onCall = () => {
    const isNamed = Buffer.from(store.stored.pointers.get('MANIFEST')!.bytes).includes(fileIn('a').key)
    if (isNamed && !store.stored.objects.has(fileIn('a').key)) tooEarly.push(fileIn('a').key)
  }
  expect(await collectRemote(pointerTo(store), { dryRun: false, retentionMs: 0 })).toEqual(expected)
  expect([...store.stored.objects.keys()]).toEqual([fileIn('b').key])
  expect(tooEarly).toEqual([])
})

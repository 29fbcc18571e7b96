import { expect, test } from 'vitest'
import { changeRemote, loadRemote, type PointerOptions } from '../../../src/remote/pointer.js'
import type { RemoteManifest } from '../../../src/remote/remote-manifest.js'
import { SimulatedStore, type StoreFault } from '../../support/simulated-store.js'
import { publishedAt } from './manifests.js'

function pointerOf(store: SimulatedStore): PointerOptions {
  let nonces = 0
  return {
    store,
    newNonce: () => String(++nonces).padStart(32, '0'),
    wait: () => Promise.resolve(),
  }
}

const first = publishedAt(1000, ['a'])
const longer = (remote: RemoteManifest | undefined): RemoteManifest => ({
  ...remote!,
  retentionMs: remote!.retentionMs + 1,
})

/** The fault of each swap in turn; then none. */
function faulty(store: SimulatedStore, faults: readonly StoreFault[]): void {
  let swaps = 0
  store.faultOf = name => (name === 'swap' ? (faults[swaps++] ?? 'none') : 'none')
}

test.each<readonly StoreFault[]>([
  ['before'],
  ['after'],
  ['late'],
  ['before', 'late', 'after'],
  ['late', 'late', 'late'],
])('a change whose answers are lost is done once: %s %s %s', async (...faults) => {
  const store = new SimulatedStore()
  const pointer = pointerOf(store)
  const state = await changeRemote(pointer, undefined, () => first, { isWriter: true })
  faulty(store, faults)
  const sent: string[] = []
  const beforeSend = (nonce: string): Promise<void> => Promise.resolve(void sent.push(nonce))
  const changed = await changeRemote(pointer, state, longer, { isWriter: true, beforeSend })
  store.stored.settle()
  expect(sent).toHaveLength(1)
  expect(changed!.remote).toMatchObject({
    nonce: sent[0],
    published: sent[0],
    parent: state!.remote.nonce,
    retentionMs: first.retentionMs + 1,
  })
  expect(await loadRemote(store)).toEqual(changed)
})

test('a change of a writer that was done and then changed by a collection counts as done', async () => {
  const store = new SimulatedStore()
  const pointer = pointerOf(store)
  const state = await changeRemote(pointer, undefined, () => first, { isWriter: true })
  faulty(store, ['after'])
  store.beforeCall = async name => {
    if (name !== 'load') return
    store.beforeCall = () => Promise.resolve()
    const other = { ...pointerOf(store), newNonce: () => 'e'.repeat(32) }
    await changeRemote(other, await loadRemote(store), current => current, { isWriter: false })
  }
  let changes = 0
  const changed = await changeRemote(pointer, state, current => (changes++, longer(current)), {
    isWriter: true,
  })
  expect(changes).toBe(1)
  expect(changed!.remote).toMatchObject({ nonce: 'e'.repeat(32), retentionMs: first.retentionMs + 1 })
})

test('a change gives way to another one, and is made on top of it', async () => {
  const store = new SimulatedStore()
  const pointer = pointerOf(store)
  const old = await changeRemote(pointer, undefined, () => first, { isWriter: true })
  await changeRemote(pointer, old, longer, { isWriter: true })
  const changed = await changeRemote(pointer, old, longer, { isWriter: false })
  expect(changed!.remote.retentionMs).toBe(first.retentionMs + 2)
  expect(changed!.remote.published).not.toBe(changed!.remote.nonce)
})

test('a store that never answers is given up, and the reason is its own', async () => {
  const store = new SimulatedStore()
  const pointer = pointerOf(store)
  store.faultOf = name => (name === 'swap' ? 'before' : 'none')
  await expect(changeRemote(pointer, undefined, () => first, { isWriter: true })).rejects.toMatchObject({
    code: 'FLASHTABLE_UNAVAILABLE',
    message: expect.stringMatching(/was not reached/) as string,
  })
  expect(store.counts['swap']).toBe(6)
})

test('what a change throws ends it, and a signal ends the wait', async () => {
  const store = new SimulatedStore()
  const refuse = (): never => {
    throw new Error('no')
  }
  await expect(changeRemote(pointerOf(store), undefined, refuse, { isWriter: true })).rejects.toThrow('no')
  const controller = new AbortController()
  store.faultOf = name => (name === 'swap' ? 'before' : 'none')
  const pointer: PointerOptions = {
    ...pointerOf(store),
    wait: () => Promise.resolve(controller.abort(new Error('enough'))),
  }
  const { signal } = controller
  await expect(changeRemote(pointer, undefined, () => first, { isWriter: true, signal })).rejects.toThrow(
    'enough',
  )
})

test('a state that is known already is not parsed again', async () => {
  const store = new SimulatedStore()
  const pointer = pointerOf(store)
  const state = await changeRemote(pointer, undefined, () => first, { isWriter: true })
  expect(await loadRemote(store, {}, state)).toBe(state)
  const changed = await changeRemote(pointer, state, longer, { isWriter: true })
  expect(await loadRemote(store, {}, state)).toEqual(changed)
  expect(await loadRemote(new SimulatedStore(), {}, state)).toBeUndefined()
})

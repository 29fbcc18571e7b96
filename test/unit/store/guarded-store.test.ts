/** A store of a user that keeps to less than the port: what comes of it. */
import { describe, expect, test } from 'vitest'
import { GuardedStore, guardedStore } from '../../../src/store/guarded-store.js'
import { sourceOf, type ObjectStore } from '../../../src/store/object-store.js'
import { SimulatedStore } from '../../support/simulated-store.js'

const KEY = 'e1/a'
const BYTES = Uint8Array.of(1, 2, 3, 4, 5)

/** A store that has one object and one pointer, of which some methods are others. */
async function storeWith(changed: object = {}, giveUpMs?: number): Promise<GuardedStore> {
  const store = new SimulatedStore()
  await store.put(KEY, sourceOf(BYTES))
  await store.swap('M', BYTES, undefined)
  return new GuardedStore(
    new Proxy(store, {
      get: (_, name) => {
        const value: unknown = Reflect.get(name in changed ? changed : store, name)
        return typeof value === 'function' ? (value.bind(store) as unknown) : value
      },
    }),
    giveUpMs,
  )
}

/** The store with a signal for every call: it is the last argument, whatever comes before. */
function withSignal(store: ObjectStore, signal: AbortSignal): ObjectStore {
  const counts = { get: 1, put: 2, load: 1, swap: 3, list: 1, delete: 1, abortUploads: 1, now: 0 } as const
  const methods = Object.entries(counts).map(([name, count]) => {
    const method = Reflect.get(store, name) as (...args: unknown[]) => unknown
    return [name, (...args: unknown[]) => method.call(store, ...args.slice(0, count), { signal })]
  })
  return Object.fromEntries(methods) as ObjectStore
}

async function listOf(store: ObjectStore): Promise<unknown[]> {
  const found = []
  for await (const info of store.list('e')) found.push(info)
  return found
}

/** Every call, by name. */
const CALLS: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  get: store => store.get(KEY),
  put: store => store.put('e1/b', sourceOf(BYTES)),
  load: store => store.load('M'),
  swap: store => store.swap('M', BYTES, 'v1'),
  list: listOf,
  delete: store => store.delete(KEY),
  abortUploads: store => store.abortUploads('e'),
  now: store => store.now(),
}

test('a store has one guard, and a guard none', () => {
  const store = new SimulatedStore()
  const guard = guardedStore(store)
  expect(guardedStore(store)).toBe(guard)
  expect(guardedStore(guard)).toBe(guard)
  expect(guardedStore(new SimulatedStore())).not.toBe(guard)
})

test('what the store gives is given, also below it', async () => {
  const store = await storeWith()
  expect(store.url).toBe('sim://store')
  expect(await store.get(KEY)).toEqual(BYTES)
  expect(await store.get(KEY, { range: { start: 1, end: 3 } })).toEqual(BYTES.subarray(1, 3))
  expect(await store.get('e1/none')).toBeUndefined()
  expect(await store.load('M')).toEqual({ bytes: BYTES, version: 'v1' })
  expect(await store.load('N')).toBeUndefined()
  expect(await store.swap('M', BYTES, 'v1')).toBe('v2')
  expect(await store.swap('M', BYTES, 'v1')).toBeUndefined()
  expect(await listOf(store)).toEqual([{ key: KEY, bytes: 5 }])
  expect(await store.now()).toBeGreaterThan(0)
  const below = store.below('p/0a')
  await below.put('e1/c', sourceOf(BYTES))
  expect([below.url, await listOf(below)]).toEqual(['sim://store/p/0a', [{ key: 'e1/c', bytes: 5 }]])
  await store.delete(KEY)
  await store.abortUploads('e')
  expect(await listOf(store)).toEqual([])
  await store.close()
})

describe.each(Object.entries(CALLS))('%s', (name, call) => {
  test.each([
    ['rejects', () => Promise.reject(new Error('the net is down'))],
    [
      'throws',
      () => {
        throw new Error('the net is down')
      },
    ],
  ])('that %s can be tried again: its failure has a code', async (how, fail) => {
    const method =
      name === 'list' && how === 'rejects' ? () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }) : fail
    await expect(call(await storeWith({ [name]: method }))).rejects.toMatchObject({
      code: 'FLASHTABLE_UNAVAILABLE',
      message: expect.stringMatching(
        /^the store sim:[/][/]store cannot .*: the net is down; try again$/,
      ) as string,
      cause: { message: 'the net is down' },
    })
  })

  test.each([
    ['a code that throws', Object.defineProperty(new Error('down'), 'code', { get: () => expect.fail() })],
    ['a code that is an object', Object.assign(new Error('down'), { code: Object.create(null) as object })],
    ['no text', Object.create(null) as object],
    ['a text alone', 'down'],
  ])('that fails with %s has a code', async (_, error) => {
    const fail = (): never => {
      throw error as Error
    }
    await expect(call(await storeWith({ [name]: fail }))).rejects.toMatchObject({
      code: 'FLASHTABLE_UNAVAILABLE',
      cause: error,
    })
  })

  test('that advises itself to try again is not advised twice', async () => {
    const fail = (): never => {
      throw new Error('it is busy; try again')
    }
    await expect(call(await storeWith({ [name]: fail }))).rejects.toThrow(
      /cannot [^;]*: it is busy; try again$/,
    )
  })

  test('that fails with an address does not tell its secrets', async () => {
    const fail = (): never => {
      throw new Error('cannot reach https://me:word@host/x?signature=abc')
    }
    const failure = await call(await storeWith({ [name]: fail })).catch((error: unknown) => error as Error)
    expect(failure).toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
    expect((failure as Error).message).not.toMatch(/word|abc/)
  })

  test('that takes no notice of its signal is given up', async () => {
    const abort = new AbortController()
    const never = (): Promise<never> => new Promise(() => {})
    const method = name === 'list' ? () => ({ [Symbol.asyncIterator]: () => ({ next: never }) }) : never
    const reason = new Error('enough')
    const calling = call(withSignal(await storeWith({ [name]: method }, 5), abort.signal))
    const rejection = expect(calling).rejects.toBe(reason)
    await Promise.resolve()
    abort.abort(reason)
    await rejection
  })

  test('that fails with a code of ours stays what it is, also from another copy of the library', async () => {
    const error = Object.assign(new Error('it is full'), { code: 'FLASHTABLE_UNSUPPORTED_STORE' })
    const fail = (): never => {
      throw error
    }
    await expect(call(await storeWith({ [name]: fail }))).rejects.toBe(error)
  })
})

test.each([
  ['get', null],
  ['get', 'text'],
  ['load', null],
  ['load', { bytes: BYTES, version: 1 }],
  ['load', { bytes: 'text', version: 'v1' }],
  ['swap', true],
  ['swap', null],
  ['now', 1.5],
  ['now', new Date(0)],
])('%s that answers %j is no method of a store', async (name, answer) => {
  await expect(
    CALLS[name]!(await storeWith({ [name]: () => Promise.resolve(answer) })),
  ).rejects.toMatchObject({
    code: 'FLASHTABLE_UNSUPPORTED_STORE',
    message: expect.stringMatching(
      new RegExp(`^${name} of the store sim://store gave .*, expected `),
    ) as string,
  })
})

test.each([[null], [{ key: 'e1/a' }], [{ key: 1, bytes: 2 }], [{ key: 'e1/a', bytes: -1 }]])(
  'a list with %j is no list of a store',
  async item => {
    const list = async function* (): AsyncGenerator<unknown> {
      yield { key: KEY, bytes: 5 }
      yield await Promise.resolve(item)
    }
    await expect(listOf(await storeWith({ list }))).rejects.toMatchObject({
      code: 'FLASHTABLE_UNSUPPORTED_STORE',
    })
  },
)

test.each([1, 3])('a range that comes with %i bytes instead of two can be asked for again', async length => {
  const store = await storeWith({ get: () => Promise.resolve(new Uint8Array(length)) })
  await expect(store.get(KEY, { range: { start: 1, end: 3 } })).rejects.toMatchObject({
    code: 'FLASHTABLE_UNAVAILABLE',
    message: expect.stringContaining(`was asked for 2 bytes from 1 on and gave ${length}`) as string,
  })
})

test.each([
  ['rejects with an error of its own', true],
  ['takes no notice', false],
])('what a source rejects with is told as it is, where the store %s', async (_, rejects) => {
  const failure = new Error('the file is damaged')
  const put: ObjectStore['put'] = async (_key, source) => {
    const reading = source.read(0, new Uint8Array(5))
    await reading.catch(() => {
      if (rejects) throw new Error('the upload broke off')
    })
  }
  const source = { bytes: 5, read: () => Promise.reject(failure) }
  await expect((await storeWith({ put })).put('e1/b', source)).rejects.toBe(failure)
})

test('a call whose signal has aborted rejects with its reason, whatever the store makes of it', async () => {
  const reason = new Error('enough')
  const abort = new AbortController()
  const get = (): Promise<never> => {
    abort.abort(reason)
    return Promise.reject(new Error('the socket was closed'))
  }
  const store = await storeWith({ get })
  await expect(store.get(KEY, { signal: abort.signal })).rejects.toBe(reason)
  await expect(store.now({ signal: abort.signal })).rejects.toBe(reason)
})

test('a list that is not read to its end ends the list of the store', async () => {
  let ended = false
  const list = async function* (): AsyncGenerator<unknown> {
    try {
      for (;;) yield await Promise.resolve({ key: KEY, bytes: 5 })
    } finally {
      ended = true
    }
  }
  for await (const _ of (await storeWith({ list })).list('e')) break
  expect(ended).toBe(true)
})

test.each([[[{ key: KEY, bytes: 5 }]], [undefined], [{}]])('a list that is %j is no list', async found => {
  await expect(listOf(await storeWith({ list: () => found }))).rejects.toMatchObject({
    code: 'FLASHTABLE_UNSUPPORTED_STORE',
  })
})

test('a list whose end fails has given what it had, and a step that gives nothing is no step', async () => {
  const end = (): Promise<never> => Promise.reject(new Error('it was closed already'))
  const listing = (next: () => Promise<unknown>) =>
    storeWith({ list: () => ({ [Symbol.asyncIterator]: () => ({ next, return: end }) }) })
  for await (const info of (await listing(() => Promise.resolve({ value: { key: KEY, bytes: 5 } }))).list(
    'e',
  )) {
    expect(info.bytes).toBe(5)
    break
  }
  await expect(listOf(await listing(() => Promise.resolve(undefined)))).rejects.toMatchObject({
    code: 'FLASHTABLE_UNSUPPORTED_STORE',
  })
})

test.each([
  ['beyond the end', 3, new Uint8Array(3)],
  ['before the start', -1, new Uint8Array(3)],
  ['into something else', 0, new ArrayBuffer(5)],
])(
  'a store that reads %s of what it puts is told so: the source is not damaged',
  async (_, position, buffer) => {
    const put: ObjectStore['put'] = (_key, source) => source.read(position, buffer as Uint8Array)
    const source = { bytes: 5, read: () => Promise.reject(new Error('the file is damaged')) }
    await expect((await storeWith({ put })).put('e1/b', source)).rejects.toMatchObject({
      code: 'FLASHTABLE_UNSUPPORTED_STORE',
      message: expect.stringMatching(
        /^put of the store .*, expected to read a Uint8Array within the 5/,
      ) as string,
    })
  },
)

test('nothing is read of a source once its put is over, and reads that go on are waited for', async () => {
  let release = (): void => {}
  const slow = new Promise<void>(resolve => (release = resolve))
  const seen: ((position: number, buffer: Uint8Array) => Promise<void>)[] = []
  const put: ObjectStore['put'] = (_key, source) => {
    seen.push(source.read)
    void source.read(0, new Uint8Array(5))
    return Promise.reject(new Error('the net is down'))
  }
  let over = false
  const putting = (await storeWith({ put })).put('e1/b', { bytes: 5, read: () => slow })
  const settled = putting.catch(() => (over = true))
  await new Promise(resolve => setTimeout(resolve, 5))
  expect(over).toBe(false)
  release()
  await settled
  await expect(seen[0]!(0, new Uint8Array(5))).rejects.toThrow('the write of e1/b is over')
})

test.each([[undefined], [{}], [Promise.resolve({})], [{ url: 'x' }]])('%j is no store below', async found => {
  const store = await storeWith({ below: () => found })
  expect(() => store.below('p')).toThrow(expect.objectContaining({ code: 'FLASHTABLE_UNSUPPORTED_STORE' }))
})

test('a place below that cannot be given has a code', async () => {
  const below = (): never => {
    throw new Error('too deep')
  }
  const store = await storeWith({ below })
  expect(() => store.below('p')).toThrow(expect.objectContaining({ code: 'FLASHTABLE_UNAVAILABLE' }))
})

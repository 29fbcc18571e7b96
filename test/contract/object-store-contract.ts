/** What every object store must do: run by the tests of each of them. */
import { describe, expect, test } from 'vitest'
import { sourceOf, type ObjectStore } from '../../src/store/object-store.js'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}

/** `newStore`: an empty one each time. `others`: the same store as another process sees it. */
export function describeObjectStore(
  name: string,
  newStore: () => Promise<{ store: ObjectStore; other: ObjectStore }>,
): void {
  describe(`${name}, as an object store`, () => {
    test('an object is read back, whole and by ranges', async () => {
      const { store, other } = await newStore()
      const bytes = Uint8Array.from({ length: 3_000_000 }, (_, at) => (at * 7 + (at >> 8)) & 255)
      await store.put('e1/000001.bucket', sourceOf(bytes))
      expect(Buffer.compare(bytes, (await other.get('e1/000001.bucket'))!)).toBe(0)
      for (const [start, end] of [
        [0, 1],
        [4096, 8192],
        [2_999_999, 3_000_000],
        [0, 3_000_000],
      ] as const)
        expect(
          Buffer.compare(
            bytes.subarray(start, end),
            (await other.get('e1/000001.bucket', { range: { start, end } }))!,
          ),
        ).toBe(0)
    })

    test('an empty object is there', async () => {
      const { store } = await newStore()
      await store.put('e1/empty', sourceOf(new Uint8Array(0)))
      expect(await store.get('e1/empty')).toEqual(new Uint8Array(0))
    })

    test('what was never stored is not there', async () => {
      const { store } = await newStore()
      expect(await store.get('e1/no')).toBeUndefined()
      expect(await store.get('no/such/object', { range: { start: 0, end: 1 } })).toBeUndefined()
      expect(await store.load('MANIFEST')).toBeUndefined()
      await store.delete('no/such/object')
      expect(await keysOf(store, '')).toEqual([])
    })

    test('a range beyond the end is refused, not shortened', async () => {
      const { store } = await newStore()
      await store.put('e1/a', sourceOf(text('four')))
      await expect(store.get('e1/a', { range: { start: 2, end: 5 } })).rejects.toMatchObject({
        code: 'FLASHTABLE_UNAVAILABLE',
      })
      await expect(store.get('e1/a', { range: { start: 9, end: 10 } })).rejects.toMatchObject({
        code: 'FLASHTABLE_UNAVAILABLE',
      })
    })

    test('lists are in the order of keys, by prefix', async () => {
      const { store } = await newStore()
      const keys = ['checkpoint/v1.json', 'e10/b', 'e2/a', 'e2/b', 'e2/c-1', 'e2/c.1', 'f/a']
      for (const key of keys.toReversed()) await store.put(key, sourceOf(text(key)))
      await store.swap('MANIFEST', text('pointer'), undefined)
      expect(await keysOf(store, 'e')).toEqual(['e10/b', 'e2/a', 'e2/b', 'e2/c-1', 'e2/c.1'])
      expect(await keysOf(store, 'e2/')).toEqual(['e2/a', 'e2/b', 'e2/c-1', 'e2/c.1'])
      expect(await keysOf(store, 'e2/c')).toEqual(['e2/c-1', 'e2/c.1'])
      expect(await keysOf(store, 'g')).toEqual([])
      const sizes: number[] = []
      for await (const { bytes } of store.list('check')) sizes.push(bytes)
      expect(sizes).toEqual([18])
    })

    test('a deleted object is gone, the others stay', async () => {
      const { store } = await newStore()
      for (const key of ['e1/a', 'e1/b']) await store.put(key, sourceOf(text(key)))
      await store.delete('e1/a')
      await store.delete('e1/a')
      expect(await store.get('e1/a')).toBeUndefined()
      expect(await keysOf(store, '')).toEqual(['e1/b'])
      await store.delete('e1/b')
      expect(await keysOf(store, '')).toEqual([])
    })

    test('a pointer is created once, and replaced only by who has seen its version', async () => {
      const { store, other } = await newStore()
      const first = await store.swap('MANIFEST', text('one'), undefined)
      expect(first).toBeTypeOf('string')
      expect(await other.swap('MANIFEST', text('two'), undefined)).toBeUndefined()
      expect(await other.load('MANIFEST')).toEqual({ bytes: text('one'), version: first })
      const second = await other.swap('MANIFEST', text('three'), first)
      expect(second).not.toBe(first)
      expect(await store.swap('MANIFEST', text('four'), first)).toBeUndefined()
      expect(await store.load('MANIFEST')).toEqual({ bytes: text('three'), version: second })
    })

    test('of many who swap at once, one wins, and its bytes are there', async () => {
      const { store, other } = await newStore()
      let version: string | undefined
      for (let round = 0; round < 10; round++) {
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, (_, at) =>
            (at % 2 === 0 ? store : other).swap('MANIFEST', text(`${round} ${at}`), version),
          ),
        )
        const won = results.flatMap((result, at) =>
          result.status === 'fulfilled' && result.value !== undefined ? [{ at, version: result.value }] : [],
        )
        expect(won).toHaveLength(1)
        const loaded = await store.load('MANIFEST')
        expect(loaded).toEqual({ bytes: text(`${round} ${won[0]!.at}`), version: won[0]!.version })
        version = loaded!.version
      }
    })

    test('a store below has objects and pointers of its own', async () => {
      const { store, other } = await newStore()
      const [a, b] = [store.below('p/0a'), other.below('p/0b')]
      expect(a.url).toBe(`${store.url}/p/0a`)
      const same = other.below('p').below('0a')
      expect(same.url).toBe(a.url)
      for (const one of [store, a, b]) {
        await one.put('e1/a', sourceOf(text(one.url)))
        const first = await one.swap('MANIFEST', text('old'), undefined)
        expect(await one.swap('MANIFEST', text(one.url), first)).toBeTypeOf('string')
      }
      for (const one of [store, a, b, same]) {
        expect(await one.get('e1/a', { range: { start: 0, end: one.url.length } })).toEqual(text(one.url))
        expect((await one.load('MANIFEST'))!.bytes).toEqual(text(one.url))
        // What a collection of garbage looks through.
        expect(await keysOf(one, 'e')).toEqual(['e1/a'])
      }
      expect(await keysOf(a, '')).toEqual(['e1/a'])
      expect(await keysOf(store, 'p/')).toEqual(expect.arrayContaining(['p/0a/e1/a', 'p/0b/e1/a']))
      expect(await store.get('p/0a/e1/a')).toEqual(text(a.url))
      expect(await a.now()).toBeTypeOf('number')
      await a.abortUploads('')
      await b.delete('e1/a')
      await b.delete('MANIFEST')
      expect(await b.load('MANIFEST')).toBeUndefined()
      expect(await keysOf(b, '')).toEqual([])
      expect((await same.load('MANIFEST'))!.bytes).toEqual(text(a.url))
    })

    test('closing a store below leaves the others open', async () => {
      const { store } = await newStore()
      const [a, b] = [store.below('a'), store.below('b')]
      await a.put('e1/a', sourceOf(text('a')))
      await a.close()
      await store.put('e1/a', sourceOf(text('store')))
      await b.put('e1/a', sourceOf(text('b')))
      expect(await store.get('e1/a')).toEqual(text('store'))
      expect(await b.get('e1/a')).toEqual(text('b'))
    })

    test.each([
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      'a.1',
      'a b',
      'a?',
      'ä',
      '\0',
      'e1',
      'e000000000001/a',
      7,
    ])('there is no store below at %j', async path => {
      const { store } = await newStore()
      expect(() => store.below(path as string)).toThrow(
        expect.objectContaining({
          code: 'FLASHTABLE_INVALID_OPTION',
          message: expect.stringMatching(/^below: /) as string,
        }),
      )
    })

    test('a call whose signal has aborted does nothing', async () => {
      const { store } = await newStore()
      const signal = AbortSignal.abort(new Error('enough'))
      await expect(store.put('e1/a', sourceOf(text('a')), { signal })).rejects.toThrow('enough')
      await expect(store.swap('MANIFEST', text('a'), undefined, { signal })).rejects.toThrow('enough')
      await expect(store.get('e1/a', { signal })).rejects.toThrow('enough')
      expect(await keysOf(store, '')).toEqual([])
      expect(await store.load('MANIFEST')).toBeUndefined()
    })

    test('a source that fails leaves nothing', async () => {
      const { store } = await newStore()
      const source = { bytes: 10, read: () => Promise.reject(new Error('the source is gone')) }
      await expect(store.put('e1/a', source)).rejects.toThrow('the source is gone')
      expect(await store.get('e1/a')).toBeUndefined()
      expect(await keysOf(store, '')).toEqual([])
    })

    test('time goes on', async () => {
      const { store } = await newStore()
      const before = await store.now()
      expect(await store.now()).toBeGreaterThanOrEqual(before)
      await store.abortUploads('')
      await store.close()
    })
  })
}

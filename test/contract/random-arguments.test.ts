/** Methods with arguments that were made for none of them. */
import { describe, expect, test } from 'vitest'
import { FlashTable, Snapshot } from '../../src/index.js'
import { Random } from '../support/random.js'
import { testTables } from '../support/tables.js'
import { call, filledTable, METHODS, textOf } from './method-arguments.js'

const tables = testTables()
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)

describe('random junk', () => {
  const CODES = /^FLASHTABLE_(INVALID_KEY|INVALID_VALUE|INVALID_OPTION|READ_ONLY|SNAPSHOT_CLOSED)$/
  const OWN = new Error('of the user')

  /** Arguments that no method was made for, some of which throw when they are looked at. */
  function junk(random: Random): unknown {
    const throwing = () => {
      throw OWN
    }
    return random.pick<unknown>([
      undefined,
      null,
      true,
      0,
      -1,
      1.5,
      NaN,
      2 ** 53,
      1n,
      -1n,
      2n ** 70n,
      Symbol('junk'),
      () => 1n,
      {},
      [],
      [1n, 2n],
      [undefined],
      Array(3),
      new Map(),
      new Date(),
      new Uint8Array(3),
      new BigUint64Array(2),
      new DataView(new ArrayBuffer(8)),
      Object.create(null),
      { key: 1n },
      { type: 'put', key: 1n },
      [{ type: 'put', key: 1n, value: null }],
      [null],
      { id: 'x' },
      { time: 1, flags: 2, id: 3 },
      { sync: 'yes' },
      { snapshot: 5 },
      { signal: 5 },
      { gte: {} },
      { within: -5 },
      { limit: 'all' },
      { onProgress: 5 },
      {
        get id() {
          return throwing()
        },
      },
      {
        get sync() {
          return throwing()
        },
      },
      { [Symbol.iterator]: throwing },
      new Proxy({}, { get: throwing, has: throwing, ownKeys: throwing }),
      new Proxy([], { get: throwing }),
    ])
  }

  test(`given to any method rejects with a documented code or not at all (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    const table = await filledTable(tables)
    const names = Object.keys(METHODS).filter(name => name !== 'close')
    for (let i = 0; i < 4000; i++) {
      const name = random.pick(names)
      const args = Array.from({ length: random.below(4) }, () => junk(random))
      const error: unknown = await call(table, name, args).then(
        result => (result instanceof Snapshot ? result.close() : undefined),
        (reason: unknown) => reason,
      )
      if (error === undefined || error === OWN) continue
      const { code, cause } = error as { code?: unknown; cause?: unknown }
      if (cause === OWN) continue
      expect(code, `${name}(${args.map(textOf).join(', ')}): ${String(error)}`).toMatch(CODES)
    }
    for (let i = 0; i < 500; i++) {
      const args = [undefined, ...Array.from({ length: random.below(3) }, () => junk(random))]
      const start = random.pick(['open', 'bulkLoad'] as const)
      const error: unknown = await (FlashTable[start] as (...args: unknown[]) => Promise<unknown>)(
        ...args,
      ).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    }
  })
})

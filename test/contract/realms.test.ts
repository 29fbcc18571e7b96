/** Objects of another realm: what a `vm` context, a test environment or a second copy of the package hands over. */
import { createContext, runInContext } from 'node:vm'
import { describe, expect, test, vi } from 'vitest'
import { isAbortSignal, linkSignals, newAbortController, throwIfAborted } from '../../src/async/abort.js'
import { FlashTableError, codeOf, diskError, hasCode, isError, messageOf } from '../../src/base/errors.js'
import { failureOf } from '../../src/executor/worker-protocol.js'
import { bytes, struct } from '../../src/index.js'
import { collect, testTables } from '../support/tables.js'
import { thrownBy } from '../support/thrown-by.js'

const tables = testTables()
const context = createContext({})

/** What the code makes in another realm. */
function foreign<T>(code: string): T {
  return runInContext(code, context) as T
}

/** An implementation as old libraries and test environments have it: no `reason`, no `throwIfAborted`. */
class PlainSignal {
  aborted = false
  readonly listeners = new Set<() => void>()
  addEventListener(_: string, listener: () => void): void {
    this.listeners.add(listener)
  }
  removeEventListener(_: string, listener: () => void): void {
    this.listeners.delete(listener)
  }
  abort(): void {
    this.aborted = true
    for (const listener of this.listeners) listener()
  }
}

function plainSignal(): PlainSignal & AbortSignal {
  return new PlainSignal() as unknown as PlainSignal & AbortSignal
}

describe('an error of another realm', () => {
  const error = foreign<Error>(`Object.assign(new Error('no such file'), { code: 'ENOENT' })`)

  test('is told by its code, not by its class', () => {
    expect(error instanceof Error).toBe(false)
    expect(hasCode(error, 'ENOENT')).toBe(true)
    expect(isError(error)).toBe(true)
    expect(messageOf(error)).toBe('no such file')
    expect(diskError(error, 'reading')).toMatchObject({
      code: 'FLASHTABLE_IO_ERROR',
      message: expect.stringMatching(/^reading: no such file/) as string,
    })
    const full = foreign<Error>(`Object.assign(new Error('full'), { code: 'ENOSPC' })`)
    expect(diskError(full, 'writing').code).toBe('FLASHTABLE_DISK_FULL')
  })

  test('comes out of a thread with its code and its message', () => {
    expect(failureOf(error)).toMatchObject({ ours: false, code: 'ENOENT', message: 'no such file' })
  })

  test('that is none has no code, and becomes text', () => {
    for (const thrown of [undefined, null, 'gone', 7, {}]) {
      expect(codeOf(thrown)).toBeUndefined()
      expect(isError(thrown)).toBe(false)
    }
    expect(messageOf('gone')).toBe('gone')
  })

  test('is known though it is no native error', () => {
    for (const value of [AbortSignal.abort().reason, Object.create(new Error('from a thread'))]) {
      expect(isError(value)).toBe(true)
    }
  })
})

test('an error of a second copy of the package is an instance of FlashTableError', async () => {
  vi.resetModules()
  const copy = await import('../../src/base/errors.js')
  expect(copy.FlashTableError).not.toBe(FlashTableError)
  const error = new copy.FlashTableError('FLASHTABLE_LOCKED', 'it is open elsewhere')
  expect(error instanceof FlashTableError).toBe(true)
  expect(diskError(error, 'opening')).toBe(error)
  expect(new Error('other') instanceof FlashTableError).toBe(false)
  class Narrower extends FlashTableError {}
  expect(error instanceof Narrower).toBe(false)
})

describe('a signal that is no instance of AbortSignal', () => {
  test('is told by its shape', () => {
    expect(isAbortSignal(plainSignal())).toBe(true)
    expect(isAbortSignal(new AbortController().signal)).toBe(true)
    for (const value of [{}, null, 7, { aborted: false }, new EventTarget(), () => {}]) {
      expect(isAbortSignal(value)).toBe(false)
    }
  })

  test('ends an open, a compaction and a scan', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, { time: 1, flags: 0, id: 1 })
    const signal = plainSignal()
    await table.compact({ signal })
    expect(signal.listeners.size).toBe(0)
    expect(await collect(table.keys({ signal }))).toEqual([1n])
    signal.abort()
    for (const call of [table.compact({ signal }), collect(table.keys({ signal }))]) {
      await expect(call).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
    }
    await expect(tables.open(tables.path(), { keyEncoding: 'u8', signal })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })

  test('aborts what it is linked with; what is released has no listener left', () => {
    const [one, other] = [plainSignal(), newAbortController()]
    const first = linkSignals(one, undefined, other.signal)
    first.release()
    expect(one.listeners.size).toBe(0)
    const second = linkSignals(other.signal, one)
    expect(second.signal.aborted).toBe(false)
    one.abort()
    expect(second.signal.aborted).toBe(true)
    expect(thrownBy(() => throwIfAborted(second.signal))).toMatchObject({ name: 'AbortError' })
    expect(linkSignals(one).signal.aborted).toBe(true)
  })
})

test('arrays, objects and iterables of another realm are taken as those of this one are', async () => {
  const valueEncoding = struct(foreign<{ id: 'u32'; hash: 'u64' }>(`({ id: 'u32', hash: 'u64' })`))
  const options = foreign<object>('({ fanout: 3, bufferBytes: 4096 })')
  const table = await tables.open(tables.path(), { ...options, keyEncoding: bytes(2), valueEncoding })
  await table.put(foreign('Uint8Array.of(0, 1)'), foreign('({ id: 1, hash: 2n })'))
  await table.putColumns(
    foreign('({ key: Uint8Array.of(0, 2), id: Uint32Array.of(2), hash: BigUint64Array.of(4n) })'),
  )
  await table.batch(foreign(`[{ type: 'put', key: Uint8Array.of(0, 3), value: { id: 3, hash: 6n } }]`))
  const keys = foreign<Uint8Array[]>('[Uint8Array.of(0, 1), Uint8Array.of(0, 2), Uint8Array.of(0, 3)]')
  expect(await table.getMany(keys)).toEqual([
    { id: 1, hash: 2n },
    { id: 2, hash: 4n },
    { id: 3, hash: 6n },
  ])
  const hits = await table.getColumns(foreign<Uint8Array>('Uint8Array.of(0, 3, 0, 1)'))
  expect(hits).toMatchObject({ id: Uint32Array.of(3, 1), hash: BigUint64Array.of(6n, 2n) })
  expect(await collect(table.keys(foreign('({ gte: Uint8Array.of(0, 2), limit: 1 })')))).toEqual([
    Uint8Array.of(0, 2),
  ])
  await table.delWhere(foreign('({ id: 1 })'))
  await table.delRecord(foreign('Uint8Array.of(0, 2)'), foreign('({ id: 2, hash: 4n })'))
  expect(await collect(table.keys())).toEqual([Uint8Array.of(0, 3)])
})

test('fake timers of a test runner do not stop a table', async () => {
  vi.useFakeTimers()
  try {
    const table = await tables.fingerprints({ bufferBytes: 4096, fanout: 3, syncIntervalMs: 1 })
    for (let i = 0; i < 2000; i++) await table.put(BigInt(i), { time: 1, flags: 0, id: i })
    await table.compact()
    await table.sync()
    expect((await collect(table.keys())).length).toBe(2000)
    await table.close()
  } finally {
    vi.useRealTimers()
  }
})

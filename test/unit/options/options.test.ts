import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../../src/options/options.js'
import { thrownBy } from '../../support/thrown-by.js'

const MIB = 1024 * 1024

describe('options of an open', () => {
  test('have the documented defaults', () => {
    expect(resolveOptions(undefined)).toEqual({
      readOnly: false,
      createIfMissing: true,
      errorIfExists: false,
      lockTimeoutMs: 0,
      bufferBytes: 128 * MIB,
      walBytes: 16 * MIB,
      cacheBytes: undefined,
      syncIntervalMs: 5000,
      filterBitsPerRecord: 10,
      fanout: 16,
      signal: undefined,
      pageBytes: undefined,
      mode: undefined,
      duplicates: undefined,
      keyEncoding: undefined,
      valueEncoding: undefined,
      latency: false,
      eventLog: true,
      writeBudget: undefined,
      remote: undefined,
    })
  })

  test('may be given as undefined, which is as good as left out', () => {
    const names = Object.keys(resolveOptions({}))
    expect(resolveOptions(Object.fromEntries(names.map(name => [name, undefined])))).toEqual(
      resolveOptions({}),
    )
  })

  test.each([
    { readOnly: true, createIfMissing: false },
    { errorIfExists: true },
    { lockTimeoutMs: 2 ** 31 - 1 },
    { lockTimeoutMs: Infinity },
    { bufferBytes: 1024 },
    { bufferBytes: 1024 * MIB },
    { walBytes: 4096 },
    { cacheBytes: 0 },
    { syncIntervalMs: 0 },
    { syncIntervalMs: Infinity },
    { filterBitsPerRecord: 0 },
    { filterBitsPerRecord: 32 },
    { fanout: 2 },
    { fanout: 64 },
    { signal: new AbortController().signal },
    { pageBytes: 4096 },
    { pageBytes: 65536 },
    ...[0o600, 0o604, 0o606, 0o640, 0o644, 0o646, 0o660, 0o664, 0o666].map(mode => ({ mode })),
    { duplicates: 'keep' },
    { duplicates: 'replace' },
    { keyEncoding: { untouched: true }, valueEncoding: 17 },
  ])('are taken as they are given: %o', options => {
    expect(resolveOptions(options)).toMatchObject(options)
  })

  test('create nothing with readOnly', () => {
    expect(resolveOptions({ readOnly: true }).createIfMissing).toBe(false)
  })

  test.each([
    [{ readOnly: 1 }, "option 'readOnly': expected true or false, found 1"],
    [{ createIfMissing: 'yes' }, "option 'createIfMissing': expected true or false, found 'yes'"],
    [{ errorIfExists: null }, "option 'errorIfExists': expected true or false, found null"],
    [{ lockTimeoutMs: '5' }, "found '5'"],
    [{ syncIntervalMs: 5n }, 'found 5n'],
    [{ bufferBytes: 1024n }, 'an integer from 1024 to 1073741824, found 1024n'],
    [{ signal: {} }, "option 'signal': expected an AbortSignal, found an object"],
    [{ pageBytes: '4096' }, 'a power of two from 4096 to 65536'],
    [{ mode: '640' }, 'such as 0o640'],
    [{ mode: null }, 'permissions of files'],
    [{ duplicates: 'drop' }, "expected 'keep' or 'replace', found 'drop'"],
    [{ cacheSize: 1 }, "there is no option 'cacheSize'; the options are keyEncoding, "],
    [{ ['__proto__']: 1 }, "there is no option '__proto__'"],
    [{ readOnly: true, createIfMissing: true }, 'exclude each other'],
    [{ readOnly: true, errorIfExists: true }, 'exclude each other'],
    [{ createIfMissing: false, errorIfExists: true }, 'leave nothing to open'],
    ['u64', "the options: expected an object, found 'u64'"],
    [null, 'the options: expected an object, found null'],
    [[], 'the options: expected an object, found an array'],
  ])('of a wrong type are a TypeError: %o', (options, message) => {
    const error = thrownBy(() => resolveOptions(options))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    expect(error.message).toContain(message)
  })

  test.each([
    [{ lockTimeoutMs: -1 }, 'found -1'],
    [
      { lockTimeoutMs: 2 ** 31 },
      'milliseconds, an integer from 0 to 2147483647 or Infinity, found 2147483648',
    ],
    [{ syncIntervalMs: NaN }, 'found NaN'],
    [{ syncIntervalMs: 0.5 }, 'found 0.5'],
    [{ syncIntervalMs: -Infinity }, 'found -Infinity'],
    [{ bufferBytes: 1023 }, 'found 1023'],
    [{ bufferBytes: 1024 * MIB + 1 }, "option 'bufferBytes'"],
    [{ bufferBytes: Infinity }, 'found Infinity'],
    [{ walBytes: 4095 }, 'found 4095'],
    [{ cacheBytes: -1 }, 'found -1'],
    [{ cacheBytes: 1.5 }, 'found 1.5'],
    [{ filterBitsPerRecord: 33 }, 'an integer from 0 to 32, found 33'],
    [{ fanout: 1 }, 'an integer from 2 to 64, found 1'],
    [{ fanout: 65 }, 'an integer from 2 to 64, found 65'],
    [{ pageBytes: 2048 }, 'found 2048'],
    ...[
      0,
      640,
      0o400,
      0o700,
      0o620,
      0o610,
      0o602,
      0o1600,
      0o100640,
      -1,
      416.5,
      NaN,
      Infinity,
      2 ** 32 + 0o600,
    ].map(mode => [{ mode }, `found ${mode}`] as [object, string]),
    [{ pageBytes: 131072 }, 'found 131072'],
    [{ pageBytes: 6144 }, 'found 6144'],
    [{ pageBytes: 4096.5 }, 'found 4096.5'],
    [{ pageBytes: NaN }, 'found NaN'],
  ])('out of bounds are a RangeError: %o', (options, message) => {
    const error = thrownBy(() => resolveOptions(options))
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    expect(error.message).toContain(message)
  })

  test('are read once each', () => {
    let reads = 0
    const options = {
      get fanout() {
        return reads++ === 0 ? 4 : 'another'
      },
    }
    expect(resolveOptions(options).fanout).toBe(4)
    expect(reads).toBe(1)
  })
})

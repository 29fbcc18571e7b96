import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../../src/base/errors.js'
import { crc32 } from '../../../src/format/checksum.js'
import { U48_MAX } from '../../../src/format/little-endian.js'
import { MANIFEST_BYTES_MAX, parseManifest, serializeManifest } from '../../../src/manifest/manifest.js'
import { validateManifest } from '../../../src/manifest/validate.js'
import { sampleManifest } from './sample.js'

const PATH = '/t/MANIFEST'

/** A file around any JSON, with a checksum that fits. */
function signed(json: string, version = '2'): Uint8Array {
  const body = Buffer.from(json)
  const checksum = crc32(body).toString(16).padStart(8, '0')
  return Buffer.concat([Buffer.from(`flashtable manifest ${version} ${checksum} ${body.byteLength}\n`), body])
}

function errorOf(bytes: Uint8Array): FlashTableError {
  try {
    parseManifest(bytes, PATH)
  } catch (error) {
    if (error instanceof FlashTableError) return error
    throw error
  }
  throw new Error('it was parsed')
}

/** The manifest with one field changed, named by its path. */
function changed(path: string, value: unknown): unknown {
  const manifest = structuredClone(sampleManifest()) as unknown as Record<string, unknown>
  const names = path.split('.')
  const last = names.pop()!
  let place = manifest
  for (const name of names) place = place[name] as Record<string, unknown>
  if (value === undefined) delete place[last]
  else place[last] = value
  return manifest
}

/** That many objects within each other. */
function nested(depth: number): object {
  let value = {}
  for (let i = 1; i < depth; i++) value = { value }
  return value
}

test('a manifest comes back as it was', () => {
  for (const clean of [false, true]) {
    const manifest = sampleManifest({ clean, nextSequence: clean ? 5000 : 5001 })
    expect(parseManifest(serializeManifest(manifest), PATH)).toEqual(manifest)
  }
})

test('a manifest is text that a person can read', () => {
  const text = Buffer.from(serializeManifest(sampleManifest())).toString()
  expect(text).toMatch(
    /^flashtable manifest 2 [0-9a-f]{8} \d+\n\{\n {2}"tableId": "0123456789abcdef0123456789abcdef",\n/,
  )
  expect(text.endsWith('\n}\n')).toBe(true)
})

test('metadata take one line of a manifest, and come back frozen', () => {
  const meta = { a: [[['}\n}\n', { meta: {} }]]], b: '$&' }
  const bytes = serializeManifest(sampleManifest({ meta }))
  expect(Buffer.from(bytes).toString().split('\n').at(-3)).toBe(`  "meta": ${JSON.stringify(meta)}`)
  const back = parseManifest(bytes, PATH).meta
  expect(back).toEqual(meta)
  expect(Object.isFrozen((back['a'] as unknown[])[0])).toBe(true)
})

describe('damage', () => {
  const good = serializeManifest(sampleManifest())

  test('of any one byte is refused', () => {
    for (let at = 0; at < good.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const bytes = Uint8Array.from(good)
        bytes[at]! ^= flip
        expect(() => parseManifest(bytes, PATH), `byte ${at}`).toThrow(FlashTableError)
      }
    }
  })

  test('by a cut at any place is refused', () => {
    for (let length = 0; length < good.length; length++) {
      expect(errorOf(good.subarray(0, length)).code).toBe('FLASHTABLE_CORRUPTION')
    }
  })

  test('by bytes behind the end is refused', () => {
    expect(errorOf(Buffer.concat([good, Buffer.from(' ')])).code).toBe('FLASHTABLE_CORRUPTION')
    expect(errorOf(Buffer.concat([good, good])).code).toBe('FLASHTABLE_CORRUPTION')
  })

  test('names the file, the offset, what was expected and what was found', () => {
    const bytes = Uint8Array.from(good)
    bytes[bytes.length - 3]! ^= 1
    const headline = Buffer.from(good).indexOf('\n') + 1
    expect(errorOf(bytes).message).toMatch(
      new RegExp(
        `^/t/MANIFEST is damaged at offset ${headline}: expected checksum [0-9a-f]{8}, found [0-9a-f]{8}$`,
      ),
    )
    expect(errorOf(Buffer.from('{}\n')).message).toBe(
      '/t/MANIFEST is damaged at offset 0: expected a line like "flashtable manifest 2 <checksum> <bytes>", found "{}"',
    )
  })

  test('that is random is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, withLine) => {
        const file = withLine ? Buffer.concat([good.subarray(0, 40), bytes]) : bytes
        expect(errorOf(file).code).toMatch(/^FLASHTABLE_(CORRUPTION|UNSUPPORTED_FORMAT)$/)
      }),
    )
  })
})

describe('another version', () => {
  test.each([1, 3])('is named together with the one that this release reads: %i', version => {
    for (const file of [
      signed('{}', String(version)),
      Buffer.from(`flashtable manifest ${version} whatever follows`),
    ]) {
      const error = errorOf(file)
      expect(error.code).toBe('FLASHTABLE_UNSUPPORTED_FORMAT')
      expect(error.message).toBe(
        `/t/MANIFEST has format version ${version}; this release of flashtable reads version 2`,
      )
    }
  })

  test('that never was is damage', () => {
    const json = JSON.stringify(sampleManifest())
    for (const version of ['0', '01', '-1', '1.0', '9999999999']) {
      expect(errorOf(signed(json, version)).code, version).toBe('FLASHTABLE_CORRUPTION')
    }
  })
})

describe('a hostile manifest', () => {
  test.each([
    ['tableId', '../../../etc/passwd', /^tableId: expected 32 hexadecimal digits, found '/],
    ['tableId', '0123456789ABCDEF0123456789ABCDEF', /^tableId: /],
    ['epoch', 0, /^epoch: expected an integer from 1 to /],
    ['epoch', -1, /^epoch: /],
    ['epoch', 1.5, /^epoch: /],
    ['epoch', '1', /^epoch: .* found '1'$/],
    ['epoch', U48_MAX + 1, /^epoch: /],
    ['epoch', undefined, /^the manifest: expected a field 'epoch', found undefined$/],
    ['surprise', 1, /^the manifest: expected only known fields, found 'surprise'$/],
    ['schema', [], /^schema: expected an object, found an array$/],
    ['schema', null, /^schema: expected an object, found null$/],
    ['pageBytes', 512, /^pageBytes: /],
    ['pageBytes', 5000, /^pageBytes: expected a power of two, found 5000$/],
    ['pageBytes', 2 ** 31, /^pageBytes: /],
    ['duplicates', 'both', /^duplicates: expected 'keep', 'replace' or an object, found 'both'$/],
    ['duplicates', ['sum'], /^duplicates: expected 'keep', 'replace' or an object, found an array$/],
    ['duplicates', null, /^duplicates: expected 'keep', 'replace' or an object, found null$/],
    [
      'duplicates',
      { value: 'add' },
      /^duplicates\.value: expected sum, min, max, or, and, first, last, found 'add'$/,
    ],
    ['mode', undefined, /^the manifest: expected a field 'mode', /],
    ['mode', '0640', /^mode: /],
    ['mode', 0o400, /^mode: expected permissions of a file of a table, found 256$/],
    ['mode', 0o7640, /^mode: /],
    ['clean', 0, /^clean: /],
    ['files', {}, /^files: expected an array, found an object$/],
    ['files', Array.from({ length: 70_000 }), /^files: expected at most 65536 entries, found 70000$/],
    ['files.0', '../000001.bucket', /^files\[0\]: expected an object, found '..\/000001.bucket'$/],
    ['files.0.name', '../../evil', /^files\[0\]: expected only known fields, found 'name'$/],
    [
      'files.0.tableId',
      '../../etc',
      /^files\[0\]\.tableId: expected 32 hexadecimal digits, of another table, /,
    ],
    ['files.0.tableId', null, /^files\[0\]\.tableId: /],
    ['files.1.tableId', '0123456789abcdef0123456789abcdef', /^files\[1\]\.tableId: .* of another table, /],
    ['files.0.number', '../1', /^files\[0\]\.number: /],
    ['files.0.number', 0, /^files\[0\]\.number: /],
    ['files.0.number', 1e15, /^files\[0\]\.number: /],
    ['files.0.number', 30, /^files\[0\]\.number: expected an integer from 1 to 29, found 30$/],
    ['files.1.number', 5, /^files\[1\]\.number: expected a number that no other file has, found 5$/],
    ['files.0.epoch', 4, /^files\[0\]\.epoch: expected an integer from 1 to 3, found 4$/],
    ['files.0.level', -1, /^files\[0\]\.level: /],
    ['files.0.level', 64, /^files\[0\]\.level: /],
    ['files.2.level', 2, /^files\[2\]\.level: expected an integer from 0 to 1, found 2$/],
    ['files.0.pages', 0, /^files\[0\]\.pages: /],
    ['files.0.pages', 2 ** 50, /^files\[0\]\.pages: /],
    ['files.0.records', -1, /^files\[0\]\.records: /],
    ['files.0.records', 1e300, /^files\[0\]\.records: /],
    ['files.0.firstSequence', -1, /^files\[0\]\.firstSequence: /],
    ['files.0.endSequence', 0, /^files\[0\]\.endSequence: expected an integer from 1 to /],
    [
      'files.0.endSequence',
      2001,
      /^files\[1\]\.firstSequence: expected an integer from 2001 to 4000, found 2000$/,
    ],
    ['files.1.firstSequence', 500, /^files\[1\]\.firstSequence: /],
    ['files.2.endSequence', 4001, /^files\[2\]\.endSequence: /],
    ['log', null, /^log: /],
    ['log.firstSegment', 0, /^firstSegment: /],
    ['log.firstSegment', 31, /^firstSegment: /],
    ['log.closed', 'all', /^log\.closed: /],
    ['log.closed.0.number', 23, /^log\.closed\[1\]\.number: expected 24, found 22$/],
    [
      'log.closed.0.number',
      7,
      /^log\.closed\[0\]\.number: expected a number that no other file has, found 7$/,
    ],
    ['log.closed.1.number', 25, /^log\.closed\[1\]\.number: expected an integer from 22 to 24, found 25$/],
    ['log.closed.0.epoch', 4, /^log\.closed\[0\]\.epoch: /],
    ['log.closed.0.bytes', 0, /^log\.closed\[0\]\.bytes: /],
    ['log.closed.0.bytes', 42, /^log\.closed\[0\]\.bytes: expected a multiple of 4, found 42$/],
    ['log.closed.0.firstSequence', 3999, /^log\.closed\[0\]\.firstSequence: expected 4000, found 3999$/],
    ['log.closed.1.firstSequence', 4501, /^log\.closed\[1\]\.firstSequence: expected 4500, found 4501$/],
    ['log.closed.1.endSequence', 4500, /^log\.closed\[1\]\.endSequence: /],
    ['firstLogSequence', 6000, /^firstLogSequence: /],
    ['firstLogSequence', 3500, /^files\[2\]\.endSequence: /],
    ['nextSequence', 4900, /^nextSequence: expected at least 5000, /],
    ['nextSequence', U48_MAX + 1, /^nextSequence: /],
    ['nextFileNumber', 2 ** 52, /^nextFileNumber: /],
    ['counters', [], /^counters: /],
    ['counters.records', -1, /^records: /],
    ['counters.walBytes', null, /^walBytes: expected .*, found null$/],
    ['meta', undefined, /^the manifest: expected a field 'meta', found undefined$/],
    ['meta', [], /^meta: expected a plain object, found an array$/],
    ['meta.deep', nested(32), /^meta: expected at most 32 levels, /],
    ['meta.text', 'x'.repeat(65_536), /^meta: expected at most 65536 bytes of JSON, /],
    ['counters.more', 1, /^counters: expected only known fields, found 'more'$/],
  ])('with %s %o is refused', (path, value, problem) => {
    expect(validateManifest(changed(path, value))).toMatch(problem)
    const error = errorOf(signed(JSON.stringify(changed(path, value))))
    expect(error.code).toBe('FLASHTABLE_CORRUPTION')
    expect(error.message).toMatch(/^\/t\/MANIFEST is damaged at offset \d+: expected a manifest, found /)
  })

  test('that claims a clean end short of the next sequence number is refused', () => {
    expect(validateManifest(sampleManifest({ clean: true, nextSequence: 5001 }))).toBe(
      'nextSequence: expected 5000, where the log has ended cleanly, found 5001',
    )
  })

  test('with __proto__ among its fields is refused', () => {
    const json = JSON.stringify(sampleManifest()).replace('{', '{"__proto__":{"clean":true},')
    expect(errorOf(signed(json)).message).toMatch(/only known fields, found '__proto__'$/)
  })

  test('that nests without end is refused', () => {
    const depth = 100_000
    expect(errorOf(signed('['.repeat(depth) + ']'.repeat(depth))).message).toMatch(
      /an object, found an array$/,
    )
    const nested = '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
    const json = JSON.stringify(sampleManifest({ schema: { mark: 1 } })).replace('{"mark":1}', nested)
    expect(errorOf(signed(json)).message).toMatch(/schema: expected at most 16 levels, found 'more'$/)
  })

  test('that is no JSON, or no text, is refused', () => {
    expect(errorOf(signed('{')).message).toMatch(/expected JSON, found /)
    expect(errorOf(signed('')).message).toMatch(/expected JSON, found /)
    const latin1 = Buffer.from('{"é":1}', 'latin1')
    const file = Buffer.concat([
      Buffer.from(`flashtable manifest 2 ${crc32(latin1).toString(16).padStart(8, '0')} ${latin1.length}\n`),
      latin1,
    ])
    expect(errorOf(file).message).toMatch(/expected JSON, found /)
    for (const json of ['null', '1', '"x"', '[]', '{}']) {
      expect(errorOf(signed(json)).code).toBe('FLASHTABLE_CORRUPTION')
    }
  })

  test('that is too large is refused unread', () => {
    expect(errorOf(new Uint8Array(MANIFEST_BYTES_MAX + 1)).message).toMatch(/expected at most 16777216 bytes/)
  })

  test('with any value anywhere is refused or is a manifest', () => {
    const paths = fc.constantFrom(
      'epoch',
      'schema',
      'files',
      'log',
      'log.closed',
      'files.0',
      'files.1.level',
      'nextFileNumber',
    )
    fc.assert(
      fc.property(paths, fc.jsonValue(), (path, value) => {
        const json = JSON.stringify(changed(path, value))
        try {
          expect(validateManifest(parseManifest(signed(json), PATH))).toBeUndefined()
        } catch (error) {
          expect(error).toBeInstanceOf(FlashTableError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

test('what would not be read back is never written', () => {
  const broken = sampleManifest({ epoch: 0 })
  expect(() => serializeManifest(broken)).toThrow(/a manifest is valid before it is written: epoch: /)
  const [oldest, middle, newest] = sampleManifest().files
  const files = [oldest!, { ...newest!, level: 1 }, middle!]
  expect(() => serializeManifest(sampleManifest({ files }))).toThrow(/files\[2\]\.firstSequence/)
})

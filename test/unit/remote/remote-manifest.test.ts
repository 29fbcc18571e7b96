import { expect, test } from 'vitest'
import { codeOf } from '../../../src/base/errors.js'
import {
  epochOfFolder,
  epochOfKey,
  manifestOf,
  parseRemote,
  remoteKey,
  serializeRemote,
  type RemoteManifest,
} from '../../../src/remote/remote-manifest.js'
import { withVersion } from '../../../src/remote/versions.js'
import { fileIn, manifestWith, publishedAt } from './manifests.js'

const REMOTE = withVersion(publishedAt(1000, ['a', 'b']), {
  ...manifestWith(2000),
  files: [fileIn('b'), fileIn('c')],
  name: { name: 'kept', expiresAt: 9000 },
})

test('a manifest is read back', () => {
  expect(parseRemote(serializeRemote(REMOTE), 'sim://x')).toEqual(REMOTE)
})

test('each bit that is flipped, and each cut, is found', () => {
  const bytes = Uint8Array.from(serializeRemote(REMOTE))
  for (let at = 0; at < bytes.byteLength; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = bytes.slice()
      flipped[at]! ^= 1 << bit
      expect(codeOf(thrownBy(flipped)), `byte ${at}, bit ${bit}`).toMatch(
        /^FLASHTABLE_(CORRUPTION|UNSUPPORTED_FORMAT)$/,
      )
    }
    expect(codeOf(thrownBy(bytes.subarray(0, at))), `cut at ${at}`).toBe('FLASHTABLE_CORRUPTION')
  }
})

test('a later format is told with both versions', () => {
  const text = Buffer.from(serializeRemote(REMOTE)).toString().replace('remote 1', 'remote 7')
  expect(thrownBy(Buffer.from(text))).toMatchObject({
    code: 'FLASHTABLE_UNSUPPORTED_FORMAT',
    message: 'sim://x/MANIFEST has format version 7; this release of flashtable reads version 1',
  })
})

test('nonsense with a checksum that fits is damage, and is never written', () => {
  const wrong: Record<string, unknown>[] = [
    { lineage: 'x' },
    { versions: [{ ...REMOTE.versions[0], at: 8.64e15 + 1 }, REMOTE.versions[1]] },
    { versions: [{ ...REMOTE.versions[0], supersededAt: 8.64e15 + 1 }, REMOTE.versions[1]] },
    { names: [{ name: 'kept', version: 2, expiresAt: 8.64e15 + 1 }] },
    { nonce: 7 },
    { writer: null },
    { epoch: 0 },
    { epoch: 1.5 },
    { retentionMs: -1 },
    { table: null },
    { table: { ...REMOTE.table, pageBytes: 4095 } },
    { files: null },
    { files: [null] },
    { files: [{ ...REMOTE.files[0], key: '../../etc/passwd' }] },
    { files: [{ ...REMOTE.files[0], key: remoteKey(2, 1, '0123456789abcdef') }] },
    { files: [REMOTE.files[1], REMOTE.files[1]] },
    { files: [{ ...REMOTE.files[0], until: 1 }] },
    { files: [{ ...REMOTE.files[1], entry: { ...REMOTE.files[1]!.entry, pages: 0 } }] },
    { versions: [] },
    { versions: [REMOTE.versions[1], REMOTE.versions[0]] },
    { versions: [{ ...REMOTE.versions[0], at: 1.5 }] },
    { versions: [{ ...REMOTE.versions[0], replicated: 1 }] },
    { names: [{ name: 'x' }] },
    { names: [REMOTE.names[0], REMOTE.names[0]] },
  ]
  for (const fields of wrong) {
    const remote = { ...REMOTE, ...fields } as RemoteManifest
    expect(() => serializeRemote(remote), JSON.stringify(fields)).toThrow(/valid before it is written/)
  }
})

test('a version is the manifest of a table without a log', () => {
  expect(manifestOf(REMOTE, REMOTE.versions[0]!)).toMatchObject({
    tableId: REMOTE.table.tableId,
    files: [{ number: 97 }, { number: 98 }],
    log: { closed: [], firstSegment: 200 },
    firstLogSequence: 2000,
    nextSequence: 2000,
    clean: true,
  })
})

test('keys tell the epoch of their writer, and others are no keys', () => {
  expect(epochOfKey(remoteKey(7, 31, '0123456789abcdef'))).toBe(7)
  for (const key of ['MANIFEST', 'e000000000007/x', 'e7/000031-0123456789abcdef.bucket', 'probe/x'])
    expect(epochOfKey(key)).toBeUndefined()
  expect(epochOfFolder('e000000000007/.upload-x')).toBe(7)
  expect(epochOfFolder('.upload-x')).toBeUndefined()
})

function thrownBy(bytes: Uint8Array): unknown {
  try {
    return parseRemote(bytes, 'sim://x')
  } catch (error) {
    return error
  }
}

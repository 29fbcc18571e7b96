/** Real music fingerprints, published by one process: another one, which has only the URL, recognises the clips. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { directoryStore, FlashTable, struct, type ObjectStore } from '../../src/index.js'
import { s3Store } from '../../src/s3.js'
import { readClips, readFingerprints } from '../../tools/demo/fixtures.js'
import { countWrongKeys } from '../../tools/demo/found-again.js'
import { startS3, whyNoS3, type RunningS3 } from '../support/s3/s3.js'

const ENCODINGS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const
const PROGRAM = ['--import', 'tsx', 'test/support/recognising-process.ts']
const CLIPS = readClips()
const why = whyNoS3()

let directory = ''

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-recognise-'))
})

afterAll(async () => {
  await rm(directory, { recursive: true })
})

/** Publishes, restores and recognises; `environment`: what the other process needs to find the store. */
async function publishAndRecognise(store: ObjectStore, name: string, environment: object): Promise<void> {
  const { key, time, flags, id } = readFingerprints()
  const path = join(directory, name)
  const table = await FlashTable.open(path, ENCODINGS)
  const half = key.length >>> 1
  for (const [from, to] of [
    [0, half],
    [half, key.length],
  ] as const) {
    await table.putColumns({
      key: key.subarray(from, to),
      time: time.subarray(from, to),
      flags: flags.subarray(from, to),
      id: id.subarray(from, to),
    })
    // Half of the tracks are in each version.
    await table.publish(store)
  }
  await table.close()
  const copy = `${path}-copy`
  await FlashTable.restore(store, copy, { verify: true })
  const restored = await FlashTable.open(copy, { ...ENCODINGS, readOnly: true })
  expect(await countWrongKeys(restored, readFingerprints())).toBe(0)
  await restored.close()
  // It must not find a table but by the URL.
  await rm(path, { recursive: true })
  await rm(copy, { recursive: true })
  const env = { ...process.env, ...environment }
  const { stdout } = await promisify(execFile)(process.execPath, [...PROGRAM, store.url], { env })
  const { tracks, version, requests } = JSON.parse(stdout) as Record<string, unknown>
  expect(tracks).toEqual(CLIPS.map(({ track }) => track))
  expect(version).toBe(2)
  expect(requests).toBeGreaterThan(0)
}

test('from a directory', async () => {
  await publishAndRecognise(directoryStore(join(directory, 'store')), 'table', {})
})

if (why !== undefined) console.log(`skipped, recognition from a real S3 store: ${why}`)

describe.skipIf(why !== undefined)('Ceph', () => {
  let s3: RunningS3

  beforeAll(async () => {
    s3 = await startS3()
    const client = new S3Client({ ...s3.options, forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: 'tables' }))
    client.destroy()
  })

  afterAll(async () => {
    await s3?.stop()
  })

  test('from S3', async () => {
    const { endpoint, region, credentials } = s3.options
    const store = s3Store('s3://tables/music', s3.options)
    await publishAndRecognise(store, 'published-to-s3', {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    })
    await store.close()
  })
})

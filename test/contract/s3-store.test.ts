import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { S3RangeReads } from '../../src/store/s3-range-reads.js'
import { S3Store } from '../../src/store/s3-store.js'
import { sourceOf } from '../../src/store/object-store.js'
import { whyNoS3, startS3, type RunningS3 } from '../support/s3/s3.js'
import { describeObjectStore } from './object-store-contract.js'
import { describePartitions } from './partitioned-writers.js'
import { describePublishing } from './publishing.js'
import { describeReplicating } from './replicating.js'
import { describeRemoteReading } from './remote-reading.js'
import { Cli } from '../support/run-cli.js'

const why = whyNoS3()
if (why !== undefined) console.log(`skipped, the tests with a real S3 store: ${why}`)

describe.skipIf(why !== undefined)('Ceph', () => {
  let s3: RunningS3
  let client: S3Client
  const bucket = 'tables'

  beforeAll(async () => {
    s3 = await startS3()
    client = new S3Client({ ...s3.options, forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
  })

  afterAll(async () => {
    client?.destroy()
    await s3?.stop()
  })

  const newStores = (): Promise<{ store: S3Store; other: S3Store }> => {
    const prefix = `t${randomBytes(8).toString('hex')}/`
    return Promise.resolve({
      store: new S3Store(bucket, prefix, s3.options),
      other: new S3Store(bucket, prefix, s3.options),
    })
  }

  describeObjectStore('Ceph', newStores)
  describePublishing('in Ceph', async () => (await newStores()).store)
  describeRemoteReading('in Ceph', async () => (await newStores()).store)
  describeReplicating('in Ceph', async () => (await newStores()).store)
  describePartitions('in Ceph', () => {
    const prefix = `t${randomBytes(8).toString('hex')}/`
    return Promise.resolve(() => new S3Store(bucket, prefix, s3.options))
  })

  test('an object of many parts is read back', async () => {
    const { store } = await newStores()
    const bytes = randomBytes(100 * 2 ** 20)
    await store.put('e1/large', {
      bytes: bytes.byteLength,
      read: (position, buffer) => {
        bytes.copy(buffer, 0, position, position + buffer.byteLength)
        return Promise.resolve()
      },
    })
    expect(Buffer.compare(bytes, (await store.get('e1/large'))!)).toBe(0)
  })

  test('an upload that was never finished can be cleaned up', async () => {
    const { store } = await newStores()
    const source = {
      bytes: 100 * 2 ** 20,
      read: (position: number) =>
        position === 0 ? Promise.resolve() : Promise.reject(new Error('the source is gone')),
    }
    await expect(store.put('e1/large', source)).rejects.toThrow('the source is gone')
    await store.abortUploads('')
    expect(await store.get('e1/large')).toBeUndefined()
  })

  test('of uploads that others have begun, those are ended that are asked for', async () => {
    const prefix = `t${randomBytes(8).toString('hex')}/`
    const store = new S3Store(bucket, prefix, s3.options)
    for (const key of ['e1/a', 'e2/a', 'f/a'])
      await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: prefix + key }))
    await store.abortUploads('e', { which: key => key.startsWith('e1/') })
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }))
    expect(Uploads!.map(({ Key }) => Key!.slice(prefix.length))).toEqual(['e2/a', 'f/a'])
  })

  test('lists of more than a page are whole', async () => {
    const store = new S3Store(bucket, `t${randomBytes(8).toString('hex')}/`, s3.options, 4)
    const keys = Array.from({ length: 11 }, (_, at) => `e1/${String(at).padStart(4, '0')}`)
    await Promise.all(keys.map(key => store.put(key, sourceOf(new Uint8Array(1)))))
    const found: string[] = []
    for await (const { key } of store.list('e1/')) found.push(key)
    expect(found).toEqual(keys)
  })

  test('the command line finds the store and the credentials in the environment, and tells no secret', async () => {
    const { endpoint, region, credentials } = s3.options
    const environment = {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    }
    const url = `s3://${bucket}/cli${randomBytes(8).toString('hex')}`
    const directory = await mkdtemp(join(tmpdir(), 'flashtable-s3-'))
    const cli = await Cli.build()
    const table = await FlashTable.open(join(directory, 'table'), { keyEncoding: 'u64' })
    for (let key = 0n; key < 100n; key++) await table.put(key)
    await table.close()
    const run = async (...args: string[]): Promise<string> => {
      const env = { ...process.env, ...environment }
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [cli.script, ...args], { env })
      for (const secret of Object.values(credentials)) expect(stdout + stderr).not.toContain(secret)
      return stdout + stderr
    }
    expect(await run('publish', join(directory, 'table'), url)).toContain(`version 1 in ${url}: 1 file,`)
    expect(await run('restore', url, join(directory, 'copy'), '--verify')).toContain('version 1 of')
    expect(await run('verify', url)).toContain('100 records: no problem')
    await rm(directory, { recursive: true })
  })

  test.each([86_400_000, -86_400_000])(
    'with a clock that is off by %i ms, ranges are read and pointers replaced',
    async ms => {
      const { store } = await newStores()
      const plain = vi.spyOn(S3RangeReads.prototype, 'read')
      const read = (): Promise<Uint8Array | undefined> => store.get('e1/a', { range: { start: 1, end: 3 } })
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms })
      try {
        await store.put('e1/a', sourceOf(Uint8Array.of(1, 2, 3, 4)))
        const version = await store.swap('MANIFEST', Uint8Array.of(1), undefined)
        expect(await store.swap('MANIFEST', Uint8Array.of(2), version)).toBeTypeOf('string')
        expect([await read(), await read()]).toEqual([Uint8Array.of(2, 3), Uint8Array.of(2, 3)])
        expect(await Promise.all(plain.mock.results.map(({ value }) => value as unknown))).toEqual([
          Uint8Array.of(2, 3),
          Uint8Array.of(2, 3),
        ])
        expect(Math.abs((await store.now()) - Date.now() + ms)).toBeLessThan(60_000)
      } finally {
        vi.useRealTimers()
        plain.mockRestore()
      }
    },
  )

  test('no bucket, and a wrong secret: the message says what to do, and has no secret', async () => {
    const none = new S3Store('no-such-bucket', '', s3.options)
    await expect(none.put('e1/a', sourceOf(new Uint8Array(1)))).rejects.toMatchObject({
      code: 'FLASHTABLE_UNAVAILABLE',
      message: expect.stringMatching(/make the bucket first/) as string,
    })
    const { accessKeyId } = s3.options.credentials
    const secretAccessKey = 'not-the-secret-0123456789'
    const wrong = new S3Store(bucket, '', { ...s3.options, credentials: { accessKeyId, secretAccessKey } })
    const error: unknown = await wrong.load('MANIFEST').catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'FLASHTABLE_UNAVAILABLE',
      message: expect.stringMatching(/check the credentials/) as string,
    })
    const all = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).cause)
    for (const secret of [secretAccessKey, accessKeyId, 'AWS4-HMAC']) expect(all).not.toContain(secret)
  })
})

test('nobody at the address', async () => {
  const store = new S3Store('tables', '', {
    endpoint: 'http://127.0.0.1:1',
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'y' },
  })
  await expect(store.load('MANIFEST')).rejects.toMatchObject({
    code: 'FLASHTABLE_UNAVAILABLE',
    message: expect.stringMatching(/check the address/) as string,
  })
})

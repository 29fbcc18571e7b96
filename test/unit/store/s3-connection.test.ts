/** What is sent to Amazon, without Amazon: the client's connections are replaced. */
import { Readable } from 'node:stream'
import { expect, onTestFinished, test, vi } from 'vitest'
import { s3Store } from '../../../src/s3.js'
import { S3Connection } from '../../../src/store/s3-connection.js'
import { S3Store } from '../../../src/store/s3-store.js'

interface Sent {
  readonly method: string
  readonly hostname: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** A store at Amazon's, and what is sent to it; each request gets the same answer. */
function amazon(): { readonly store: S3Store; readonly connection: S3Connection; readonly sent: Sent[] } {
  const connection = new S3Connection({
    region: 'eu-west-1',
    credentials: { accessKeyId: 'ID', secretAccessKey: 'SECRET' },
  })
  const sent: Sent[] = []
  const handle = (request: unknown): Promise<unknown> => {
    sent.push(request as Sent)
    const headers = { etag: '"0123"', 'content-length': '2', date: new Date().toUTCString() }
    return Promise.resolve({ response: { statusCode: 200, headers, body: Readable.from(['{}']) } })
  }
  for (const client of [connection.client, connection.once])
    vi.spyOn(client.config.requestHandler, 'handle').mockImplementation(handle as never)
  return { store: new S3Store('tables', 't/', connection), connection, sent }
}

test('a swap at Amazon is one request: how it compares versions is documented', async () => {
  const { store, sent } = amazon()
  const { version } = (await store.load('MANIFEST'))!
  await store.below('p').swap('MANIFEST', Uint8Array.of(1), version)
  expect(sent.map(({ method, hostname, path }) => `${method} ${hostname}${path}`)).toEqual([
    'GET tables.s3.eu-west-1.amazonaws.com/t/MANIFEST',
    'PUT tables.s3.eu-west-1.amazonaws.com/t/p/MANIFEST',
  ])
  expect(sent[1]!.headers['if-match']).toBe('"0123"')
})

test('the one try of a swap is signed by the clock that the other client has set', async () => {
  // No midnight comes between the two requests.
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12), toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const { store, connection, sent } = amazon()
  await store.load('MANIFEST')
  connection.client.config.systemClockOffset = 86_400_000
  await store.swap('MANIFEST', Uint8Array.of(1), undefined)
  expect(sent.map(({ headers }) => headers['x-amz-date'])).toEqual(['20260101T120000Z', '20260102T120000Z'])
})

test('without a region or credentials it says what to set, and sends nothing', async () => {
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) vi.stubEnv(name, undefined)
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/dev/null')
  try {
    const noRegion = s3Store('s3://tables/t')
    await expect(noRegion.load('MANIFEST')).rejects.toMatchObject({
      code: 'FLASHTABLE_UNAVAILABLE',
      message: expect.stringMatching(/cannot read MANIFEST: no region is known .*AWS_REGION/) as string,
    })
    const credentials = (): Promise<never> => Promise.reject(new Error('no such profile'))
    const nobody = s3Store('s3://tables/t', { region: 'eu-west-1', credentials })
    await expect(nobody.swap('MANIFEST', Uint8Array.of(1), undefined)).rejects.toMatchObject({
      code: 'FLASHTABLE_UNAVAILABLE',
      message: expect.stringMatching(
        /no credentials are found \(no such profile\); set AWS_ACCESS_KEY_ID/,
      ) as string,
    })
  } finally {
    vi.unstubAllEnvs()
  }
})

test('what a source says of itself is no failure of the store', async () => {
  const { store } = amazon()
  const failure = Object.assign(new Error('the disk of this machine'), { code: 'EIO' })
  const source = { bytes: 10, read: () => Promise.reject(failure) }
  await expect(store.put('e000000000001/000001-0123456789abcdef.bucket', source)).rejects.toBe(failure)
})

test('an address is the same place as text and as a URL', () => {
  for (const address of ['s3://tables', 's3://tables/a b/ü', 's3://tables/a%25b']) {
    const { url } = s3Store(address)
    expect(url).toBe(address)
    expect(s3Store(new URL(encodeURI(url))).url).toBe(url)
  }
  expect(() => s3Store(new URL('s3://tables/%ff'))).toThrow(/cannot be decoded/)
})

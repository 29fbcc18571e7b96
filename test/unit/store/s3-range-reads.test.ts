/** Reads of ranges over plain requests, of a server that lies: the answer is right, or there is an error. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { S3Connection } from '../../../src/store/s3-connection.js'
import { S3Store } from '../../../src/store/s3-store.js'
import { LyingServer, refuse, sendRange, type Lie } from '../../support/s3/lying-server.js'

const KEY = "e1/it's (1)*.bucket"
const CREDENTIALS = {
  accessKeyId: 'ACCESS/KEY+ID',
  secretAccessKey: 'SECRET-0123456789',
  sessionToken: 'SESSION-TOKEN-0123456789',
}
const BYTES = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 7 + (at >> 8)) & 255)
const RANGE = { start: 4096, end: 69_632 }
const EXPECTED = Buffer.from(BYTES.subarray(RANGE.start, RANGE.end))

let server: LyingServer
let connection: S3Connection | undefined
let store: S3Store

/** With a store that may be silent for that long. */
function connect(silenceMs: number, pauseMs = 10): void {
  connection?.close()
  const to = { endpoint: server.endpoint, region: 'eu-west-1', credentials: CREDENTIALS }
  connection = new S3Connection(to, { connectionMs: 60_000, silenceMs, pauseMs })
  store = new S3Store('tables', 'a/b/', connection)
}

beforeEach(async () => {
  server = await LyingServer.start()
  server.objects.set(`/tables/a/b/${KEY}`, BYTES)
  connect(60_000)
})

afterEach(async () => {
  connection?.close()
  await server.stop()
})

const isRight = async (signal?: AbortSignal): Promise<boolean> =>
  EXPECTED.equals((await store.get(KEY, { range: RANGE, ...(signal === undefined ? {} : { signal }) }))!)

/** After a read by the SDK, which shows the way. */
async function learnt(): Promise<void> {
  expect(await isRight()).toBe(true)
  expect([server.bySdk, server.plain.length]).toEqual([1, 0])
}

test('after the first read of the client, ranges are read by plain requests that are signed', async () => {
  await learnt()
  const rest = Array.from({ length: 20 }, async () => isRight())
  expect(await Promise.all(rest)).toEqual(rest.map(() => true))
  expect([server.bySdk, server.plain.length]).toEqual([1, 20])
  const { headers, url } = server.plain[0]!
  expect(url).toBe('/tables/a/b/e1/it%27s%20%281%29%2A.bucket')
  expect(headers.authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=ACCESS\/KEY\+ID\/\d{8}\/eu-west-1\/s3\/aws4_request, SignedHeaders=host;range;/,
  )
  expect(headers['x-amz-security-token']).toBe(CREDENTIALS.sessionToken)
})

test('a store below goes the same way', async () => {
  await learnt()
  const below = new S3Store('tables', '', connection!).below('a/b')
  expect(await below.get(KEY, { range: { start: 0, end: 3 } })).toEqual(BYTES.slice(0, 3))
  expect([server.bySdk, server.plain.length]).toEqual([1, 1])
})

const part = (length: number): Uint8Array => BYTES.subarray(RANGE.start, RANGE.start + length)
const LIES: Record<string, Lie> = {
  'the body breaks off': (_, response) =>
    sendRange(response, part(1000), RANGE.start, BYTES.byteLength, EXPECTED.byteLength),
  'the body is short': (_, response) => sendRange(response, part(1000), RANGE.start, BYTES.byteLength),
  'the body is short, and of no length': (_, response) => {
    response.writeHead(206, { 'content-range': `bytes ${RANGE.start}-${RANGE.end - 1}/100000` })
    response.end(part(1000))
  },
  'the body is long': (_, response) => {
    response.writeHead(206, { 'content-range': `bytes ${RANGE.start}-${RANGE.end - 1}/100000` })
    response.end(BYTES)
  },
  'another range': (_, response) => sendRange(response, BYTES.subarray(0, EXPECTED.byteLength), 0, 100_000),
  'no range': (_, response) => {
    response.writeHead(206, { 'content-length': EXPECTED.byteLength })
    response.end(BYTES.subarray(0, EXPECTED.byteLength))
  },
  'the whole object': (_, response) => {
    response.writeHead(200, { 'content-length': BYTES.byteLength })
    response.end(BYTES)
  },
  'a range, and the status of the whole': (_, response) => {
    response.writeHead(200, {
      'content-length': EXPECTED.byteLength,
      'content-range': `bytes ${RANGE.start}-${RANGE.end - 1}/100000`,
    })
    response.end(BYTES.subarray(0, EXPECTED.byteLength))
  },
  '503 SlowDown': (_, response) => refuse(response, 503, 'SlowDown'),
  '429': (_, response) => refuse(response, 429, 'TooManyRequests'),
  '500': (_, response) => refuse(response, 500, 'InternalError'),
  '403': (_, response) => refuse(response, 403, 'SignatureDoesNotMatch'),
  '404 of one that is there': (_, response) => refuse(response, 404, 'NoSuchKey'),
  'another region': (_, response) =>
    refuse(response, 301, 'PermanentRedirect', { 'x-amz-bucket-region': 'us-west-2' }),
  'another place': (_, response) =>
    refuse(response, 307, 'TemporaryRedirect', { location: 'http://127.0.0.1:1/' }),
  'a reset': (_, response) => void response.socket!.resetAndDestroy(),
  silence: () => {},
  'a body that stops, and silence': (_, response) => {
    response.writeHead(206, {
      'content-length': EXPECTED.byteLength,
      'content-range': `bytes ${RANGE.start}-${RANGE.end - 1}/100000`,
    })
    response.write(part(1000))
  },
}

test.each(Object.entries(LIES))('%s: the client is asked, and the answer is right', async (name, lie) => {
  if (name.includes('silence')) connect(1000)
  await learnt()
  server.lies.push(lie)
  expect(await isRight()).toBe(true)
  expect([server.bySdk, server.plain.length]).toEqual([2, 1])
  // It was one answer: the way is as good as before.
  expect(await isRight()).toBe(true)
  expect([server.bySdk, server.plain.length]).toEqual([2, 2])
})

test('idle connections that the server has ended are made anew', async () => {
  await learnt()
  for (let round = 0; round < 5; round++) {
    expect(await isRight()).toBe(true)
    server.hangUp()
  }
  expect(server.plain.length).toBeGreaterThanOrEqual(3)
})

test.each(['another range', 'no range', 'the whole object'])(
  '%s, whoever asks: an error that says so and has no secret',
  async name => {
    await learnt()
    server.everybody = LIES[name]!
    const error: unknown = await store.get(KEY, { range: RANGE }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'FLASHTABLE_UNAVAILABLE',
      message: expect.stringMatching(/expected 65536 bytes from 4096, found \d+ \(/) as string,
    })
    const all = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).cause)
    for (const secret of [...Object.values(CREDENTIALS), 'AWS4-HMAC', 'Signature'])
      expect(all).not.toContain(secret)
  },
)

test('a body that breaks off again and again is asked for a few times', async () => {
  await learnt()
  let left = 3
  server.everybody = (request, response, tell) => {
    if (left-- > 0) LIES['the body breaks off']!(request, response, tell)
    else tell()
  }
  expect(await isRight()).toBe(true)
  expect([server.bySdk, server.plain.length]).toEqual([4, 1])
  left = Infinity
  await expect(store.get(KEY, { range: RANGE })).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
  expect([server.bySdk, server.plain.length]).toEqual([7, 2])
})

test('a clock that the store will not have: the advice is to set it', async () => {
  server.everybody = (_, response) => refuse(response, 403, 'RequestTimeTooSkewed')
  await expect(store.get(KEY, { range: RANGE })).rejects.toMatchObject({
    code: 'FLASHTABLE_UNAVAILABLE',
    message: expect.stringMatching(/set the clock of this machine/) as string,
  })
})

test('403, whoever asks: the advice is that of the client', async () => {
  await learnt()
  server.everybody = (_, response) => refuse(response, 403, 'AccessDenied')
  await expect(store.get(KEY, { range: RANGE })).rejects.toMatchObject({
    code: 'FLASHTABLE_UNAVAILABLE',
    message: expect.stringMatching(/check the credentials/) as string,
  })
})

test('an object that is not there is not there', async () => {
  await learnt()
  expect(await store.get('e1/no', { range: RANGE })).toBeUndefined()
})

test('a store that refuses plain requests is soon asked by the client alone', async () => {
  await learnt()
  server.always = (_, response) => refuse(response, 403, 'AccessDenied')
  for (let read = 0; read < 20; read++) expect(await isRight()).toBe(true)
  expect([server.bySdk, server.plain.length]).toEqual([21, 5])
})

test('a read that is aborted ends at once, with the reason', async () => {
  // Nothing else would end it.
  connect(60_000, 60_000)
  await learnt()
  const controller = new AbortController()
  server.lies.push(() => controller.abort(new Error('enough')))
  await expect(isRight(controller.signal)).rejects.toThrow('enough')
  expect(server.bySdk).toBe(1)
  await expect(isRight(AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
  // Also while it leaves a busy store alone.
  const later = new AbortController()
  server.lies.push((_, response) => {
    refuse(response, 503, 'SlowDown')
    setTimeout(() => later.abort(new Error('enough')), 20)
  })
  await expect(isRight(later.signal)).rejects.toThrow('enough')
  expect([server.bySdk, server.plain.length]).toEqual([1, 2])
})

test.each([86_400_000, -86_400_000])(
  'a clock that is off by %i ms: requests are signed by that of the store',
  async ms => {
    server.aheadMs = ms
    expect(await isRight()).toBe(true)
    const { bySdk } = server
    for (let read = 0; read < 3; read++) expect(await isRight()).toBe(true)
    expect([server.bySdk, server.plain.length]).toEqual([bySdk, 3])
    expect(Math.abs((await store.now()) - Date.now() - ms)).toBeLessThan(60_000)
  },
)

test('a clock that is set wrong later: the client finds out, and plain requests go on', async () => {
  await learnt()
  expect(await isRight()).toBe(true)
  server.aheadMs = 86_400_000
  for (let read = 0; read < 3; read++) expect(await isRight()).toBe(true)
  // Refused once: one plain request, and one of the client before it has set its clock.
  expect([server.bySdk, server.plain.length]).toEqual([3, 4])
})

test("the time is the store's also where it answers that there is no such object", async () => {
  server.aheadMs = 86_400_000
  server.everybody = (_, response) => refuse(response, 404, 'NoSuchKey')
  expect(Math.abs((await store.now()) - Date.now() - 86_400_000)).toBeLessThan(60_000)
})

test('closing ends the connections', async () => {
  await learnt()
  expect(await isRight()).toBe(true)
  connection!.close()
  await expect.poll(() => server.connections).toBe(0)
})

test('credentials that change are followed', async () => {
  let number = 0
  const changing = new S3Connection({
    endpoint: server.endpoint,
    region: 'eu-west-1',
    credentials: () =>
      Promise.resolve({ ...CREDENTIALS, accessKeyId: `ID${++number}`, expiration: new Date(0) }),
  })
  store = new S3Store('tables', 'a/b/', changing)
  for (let read = 0; read < 3; read++) expect(await isRight()).toBe(true)
  const ids = server.plain.map(({ headers }) => /Credential=(\w+)/.exec(headers.authorization!)![1])
  expect(new Set(ids).size).toBe(2)
  changing.close()
})

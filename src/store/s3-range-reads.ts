/**
 * Reads ranges of objects by plain requests: half the time and a third of the work of the client, which is made for everything.
 *
 * Where to ask and how to sign is copied from a request of the client that has succeeded, and its signer signs. Only a whole
 * and exact answer counts. Whatever else comes, the caller asks the client, which tries again with pauses, follows the
 * store to another region, sets its clock, and says what is wrong. docs/decisions/s3-client.md.
 */
import http from 'node:http'
import https from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import type { S3Client } from '@aws-sdk/client-s3'
import { throwIfAborted } from '../async/abort.js'
import type { ByteRange } from './object-store.js'
import { isRange } from './s3-answers.js'
import { wayOf, type Way } from './s3-way.js'

/** Connections at the same time: each waits for a store that answers after some 20 ms. */
const SOCKETS = 64
/** After that many useless answers in a row, all is left to the client. */
const REFUSALS_MAX = 5
export interface Patience {
  /** How long a connection may take to begin. */
  readonly connectionMs: number
  /** How long it may be silent. */
  readonly silenceMs: number
  /** A store that has too much to do, or breaks off, is left alone for between half and all of this time. */
  readonly pauseMs: number
}

/** Before a request is sent again; of those who have to wait, not all come back at once. Rejects with `signal.reason`. */
export async function pause({ pauseMs }: Patience, signal: AbortSignal | undefined): Promise<void> {
  const ms = pauseMs * (0.5 + Math.random() / 2)
  await wait(ms, undefined, { signal }).catch(() => throwIfAborted(signal))
}

type Signer = Awaited<ReturnType<S3Client['config']['signer']>>

/** What came: the bytes, or only the status of an answer that does not count. */
interface Answer {
  readonly status: number
  readonly bytes?: Uint8Array
}

export class S3RangeReads {
  readonly #client: S3Client
  readonly #patience: Patience
  readonly #onDate: (text: string | undefined) => void
  readonly #agents = {
    'http:': new http.Agent({ keepAlive: true, maxSockets: SOCKETS }),
    'https:': new https.Agent({ keepAlive: true, maxSockets: SOCKETS }),
  }
  #way: Way | undefined
  #signer: Promise<Signer> | undefined
  #refusals = 0

  /** `onDate` gets the date of each answer. */
  constructor(client: S3Client, patience: Patience, onDate: (text: string | undefined) => void) {
    this.#client = client
    this.#patience = patience
    this.#onDate = onDate
  }

  /** From a request of the client for the object at `key` that has succeeded. */
  learn(request: unknown, key: string): void {
    if (this.#way !== undefined || this.#refusals >= REFUSALS_MAX) return
    this.#way = wayOf(request, key)
    this.#signer = undefined
  }

  /** Exactly that range; `undefined`: ask the client. Rejects with `signal.reason` alone. */
  async read(
    key: string,
    range: ByteRange,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const way = this.#way
    if (way === undefined) return undefined
    let answer: Answer
    try {
      answer = await this.#send(way, await this.#sign(way, key, range), range, signal)
    } catch {
      // The connection has broken off, or there are no credentials.
      throwIfAborted(signal)
      return undefined
    }
    throwIfAborted(signal)
    const { status, bytes } = answer
    if (bytes !== undefined) {
      this.#refusals = 0
      return bytes
    }
    if (status >= 500 || status === 429) {
      await pause(this.#patience, signal)
      return undefined
    }
    // There is no such object, or no such range: nothing is wrong with the way.
    if (status !== 404 && status !== 416) {
      this.#refusals++
      this.#way = undefined
    }
    return undefined
  }

  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy()
  }

  async #sign(way: Way, key: string, { start, end }: ByteRange): Promise<http.RequestOptions> {
    const { config } = this.#client
    const { protocol, hostname, port, host, region: signingRegion, service: signingService } = way
    this.#signer ??= config.signer({
      name: 'sigv4',
      signingName: signingService,
      signingRegion,
      properties: {},
    })
    const signer = await this.#signer
    const { path, headers } = await signer.sign(
      {
        method: 'GET',
        protocol,
        hostname,
        ...(port === undefined ? {} : { port }),
        path: way.pathOf(key),
        query: {},
        headers: {
          host,
          range: `bytes=${start}-${end - 1}`,
          'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
        },
      },
      // As the client does: it finds out by how much this clock is off.
      { signingDate: new Date(Date.now() + config.systemClockOffset), signingRegion, signingService },
    )
    return { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, path, headers }
  }

  #send(
    way: Way,
    options: http.RequestOptions,
    range: ByteRange,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const { connectionMs, silenceMs } = this.#patience
    const agent = this.#agents[way.protocol]
    const { request } = way.protocol === 'http:' ? http : https
    return new Promise((resolve, reject) => {
      const sent = request({
        ...options,
        agent,
        timeout: silenceMs,
        ...(signal === undefined ? {} : { signal }),
      })
      sent.on('error', reject)
      sent.on('timeout', () => sent.destroy(new Error('silence')))
      sent.on('socket', socket => {
        if (!socket.connecting) return
        socket.setTimeout(connectionMs)
        socket.once('connect', () => socket.setTimeout(silenceMs))
      })
      sent.on('response', response => {
        this.#onDate(response.headers.date)
        response.on('error', reject)
        if (isExact(response, range)) {
          collect(response, range.end - range.start, resolve, reject)
          return
        }
        const status = response.statusCode!
        // The rest of an error is short; anything else may be the whole object.
        if (status >= 300) response.resume()
        else response.destroy()
        resolve({ status })
      })
      sent.end()
    })
  }
}

/** Whether it promises the range, the whole range, and nothing else. */
function isExact({ statusCode, headers }: http.IncomingMessage, range: ByteRange): boolean {
  const length = headers['content-length']
  const isWhole = length === undefined || Number(length) === range.end - range.start
  return statusCode === 206 && isWhole && isRange(headers['content-range'], range)
}

function collect(
  response: http.IncomingMessage,
  length: number,
  resolve: (answer: Answer) => void,
  reject: (error: Error) => void,
): void {
  const bytes = new Uint8Array(length)
  let at = 0
  response.on('data', (chunk: Uint8Array) => {
    if (at + chunk.byteLength <= length) bytes.set(chunk, at)
    else response.destroy(new Error('more than was asked for'))
    at += chunk.byteLength
  })
  response.on('end', () => {
    if (response.complete && at === length) resolve({ status: 206, bytes })
    else reject(new Error(`${at} of ${length} bytes`))
  })
}

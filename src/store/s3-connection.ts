/**
 * The way to an S3 store, shared by a store and those below it: the clients with their connections, the store's date, and
 * what was learned of it.
 */
import { performance } from 'node:perf_hooks'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { messageOf } from '../base/errors.js'
import type { VersionForm } from './s3-answers.js'
import { S3RangeReads, pause, type Patience } from './s3-range-reads.js'
import { documentedForm, wayOf } from './s3-way.js'

/** Connections of a client at the same time. */
const SOCKETS = 16
const PATIENCE: Patience = { connectionMs: 10_000, silenceMs: 60_000, pauseMs: 200 }
/** An answer's date is the store's time for so long. */
const DATE_LASTS_MS = 60_000

/** Where the bucket is, and who asks. */
export interface S3StoreOptions {
  /** For stores other than Amazon's: the address, without a user or a password. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  /** As the SDK takes them. Default: its own search: environment, shared files, the machine's role. */
  readonly credentials?: S3ClientConfig['credentials'] | undefined
}

export class S3Connection {
  readonly client: S3Client
  readonly #once: S3Client
  readonly ranges: S3RangeReads
  readonly #patience: Patience
  #form: Promise<VersionForm> | undefined
  #date: { readonly at: number; readonly seenMs: number } | undefined

  constructor({ endpoint, region, credentials }: S3StoreOptions, patience = PATIENCE) {
    this.#patience = patience
    const config: S3ClientConfig = {
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
      // Stores other than Amazon's refuse the checksums that the client would add on its own.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: patience.connectionMs,
        socketTimeout: patience.silenceMs,
        httpAgent: { keepAlive: true, maxSockets: SOCKETS },
        httpsAgent: { keepAlive: true, maxSockets: SOCKETS },
      },
    }
    this.client = new S3Client({ ...config, maxAttempts: 4 })
    this.#once = new S3Client({ ...config, maxAttempts: 1 })
    this.ranges = new S3RangeReads(this.client, patience, text => this.#noteDate(text))
    for (const client of [this.client, this.#once])
      client.middlewareStack.add(
        next => async sent => {
          const result = await next(sent)
          this.#note(sent, result.response)
          return result
        },
        // Last of all: what comes after it makes errors of answers.
        { step: 'deserialize', priority: 'low', name: 'note' },
      )
  }

  /** As `client`, but each request is sent once: none is there to find out by how much this machine's clock is off. */
  get once(): S3Client {
    this.#once.config.systemClockOffset = this.client.config.systemClockOffset
    return this.#once
  }

  /**
   * Why nothing can be sent: no region or no credentials are found. `undefined`: both are there. The client keeps what it has
   * found; its own errors for this do not say what to set.
   */
  async whatIsMissing(): Promise<string | undefined> {
    const { region, credentials } = this.client.config
    try {
      await region()
    } catch (error) {
      return `no region is known (${messageOf(error)}); give one, or set AWS_REGION`
    }
    try {
      await credentials()
    } catch (error) {
      return (
        `no credentials are found (${messageOf(error)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what else ` +
        'the AWS tools read'
      )
    }
    return undefined
  }

  /** How the store compares versions: found out once, by `find`. */
  async form(find: () => Promise<VersionForm>): Promise<VersionForm> {
    this.#form ??= find().catch((error: unknown) => {
      this.#form = undefined
      throw error
    })
    return this.#form
  }

  /** Before something is tried again. */
  pause(signal: AbortSignal | undefined): Promise<void> {
    return pause(this.#patience, signal)
  }

  /** The store's time, in milliseconds since 1970; `undefined` if it has said nothing for a while. */
  time(): number | undefined {
    if (this.#date === undefined) return undefined
    const passedMs = performance.now() - this.#date.seenMs
    return passedMs > DATE_LASTS_MS ? undefined : this.#date.at + Math.floor(passedMs)
  }

  close(): void {
    this.ranges.close()
    this.client.destroy()
    this.#once.destroy()
  }

  #note({ input, request }: { readonly input: object; readonly request: unknown }, response: unknown): void {
    const { statusCode = 0, headers = {} } = response as Partial<Received>
    this.#noteDate(headers['date'])
    const { Key: key } = input as { readonly Key?: string }
    if (statusCode < 200 || statusCode >= 300 || key === undefined) return
    this.ranges.learn(request, key)
    const way = this.#form === undefined ? wayOf(request, key) : undefined
    const form = way === undefined ? undefined : documentedForm(way)
    if (form !== undefined) this.#form = Promise.resolve(form)
  }

  #noteDate(text: string | undefined): void {
    const at = Date.parse(text ?? '')
    if (!Number.isNaN(at)) this.#date = { at, seenMs: performance.now() }
  }
}

interface Received {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
}

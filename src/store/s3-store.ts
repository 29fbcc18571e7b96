/**
 * An object store that speaks S3: Amazon's, Ceph, MinIO, Garage, R2 and so on, by `@aws-sdk/client-s3`.
 *
 * A pointer is an object that is put with `If-None-Match` or `If-Match`. Such a put is sent once: if its answer is lost,
 * a client that sent it again would be told that somebody else was first. Everything else the client tries again on
 * its own. docs/decisions/s3-client.md.
 */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
  type ListMultipartUploadsCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3'
import { throwIfAborted } from '../async/abort.js'
import { atOnce } from '../async/at-once.js'
import { FlashTableError } from '../base/errors.js'
import { checkBelow } from './below.js'
import {
  adviceOn,
  bareVersion,
  content,
  ifThere,
  inForm,
  isRange,
  readSource,
  reasonOf,
  SourceFailure,
  statusOf,
  withoutRequest,
  type VersionForm,
} from './s3-answers.js'
import { S3Connection, type S3StoreOptions } from './s3-connection.js'
import type {
  ByteRange,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  PointerContent,
  StoreCall,
  UploadChoice,
} from './object-store.js'

/** Larger objects are uploaded in parts; a single put ends at 5 GB, and a lost one is sent again as a whole. */
const SINGLE_PUT_BYTES = 64 * 2 ** 20
const PART_BYTES_MIN = 16 * 2 ** 20
/** A store takes 10,000 parts. */
const PARTS_MAX = 9000
/** Parts on their way at the same time: each is in memory. */
const PARTS_AT_ONCE = 3
/** A body that breaks off is asked for again; the client does that for answers only. */
const BODY_ATTEMPTS = 3
/** Answers that say that the pointer is another one. 409: another put of it was under way. 404: it is gone. */
const LOST: ReadonlySet<unknown> = new Set([404, 409, 412])

export class S3Store implements ObjectStore {
  readonly url: string
  readonly #connection: S3Connection
  /** Whether the connection ends with this store: those of a store below another one do not. */
  readonly #isOwner: boolean
  readonly #bucket: string
  readonly #prefix: string
  readonly #pageKeys: number | undefined

  /**
   * `prefix`: of all keys, empty or ending with `/`. `to`: where it is, or the connection of another store. `pageKeys`: of
   * each page of a list, where not as the store likes it.
   */
  constructor(bucket: string, prefix: string, to: S3StoreOptions | S3Connection, pageKeys?: number) {
    this.#isOwner = !(to instanceof S3Connection)
    this.#connection = to instanceof S3Connection ? to : new S3Connection(to)
    this.#pageKeys = pageKeys
    this.#bucket = bucket
    this.#prefix = prefix
    this.url = `s3://${bucket}/${prefix}`.replace(/\/$/, '')
  }

  get #client(): S3Client {
    return this.#connection.client
  }

  get(
    key: string,
    { range, signal }: StoreCall & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | undefined> {
    return this.#call(`read ${key}`, signal, async call => {
      if (range !== undefined) {
        const bytes = await this.#connection.ranges.read(this.#prefix + key, range, signal)
        if (bytes !== undefined) return bytes
      }
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#getOnce(key, range, call)
        } catch (error) {
          throwIfAborted(signal)
          // The client has tried again what the store has answered with an error.
          if (attempt === BODY_ATTEMPTS || statusOf(error) !== undefined) throw error
          await this.#connection.pause(signal)
        }
      }
    })
  }

  async #getOnce(key: string, range: ByteRange | undefined, call: Call): Promise<Uint8Array | undefined> {
    const wanted = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }
    const get = new GetObjectCommand({ ...this.#object(key), ...wanted })
    const answer = await ifThere(this.#client.send(get, call))
    if (answer === undefined) return undefined
    const { ContentLength, ContentRange } = answer
    const wrong = (found: number | undefined): FlashTableError => {
      const expected = range === undefined ? `${ContentLength}` : `${range.end - range.start}`
      const from = range === undefined ? '' : ` from ${range.start}`
      return this.#unavailable(
        `read ${key}`,
        `expected ${expected} bytes${from}, found ${found} (${ContentRange ?? 'no range'})`,
      )
    }
    if (range !== undefined && !isRange(ContentRange, range)) {
      // It may be the whole object.
      ;(answer.Body as Readable).destroy()
      throw wrong(ContentLength)
    }
    const bytes = await answer.Body!.transformToByteArray()
    const length = range === undefined ? ContentLength : range.end - range.start
    if (bytes.byteLength !== length) throw wrong(bytes.byteLength)
    return bytes
  }

  put(key: string, source: ObjectSource, { signal }: StoreCall = {}): Promise<void> {
    return this.#call(`write ${key}`, signal, async call => {
      if (source.bytes > SINGLE_PUT_BYTES) return this.#putParts(key, source, call)
      const body = new Uint8Array(source.bytes)
      await readSource(source, 0, body)
      await this.#client.send(new PutObjectCommand({ ...this.#object(key), ...content(body) }), call)
    })
  }

  load(key: string, { signal }: StoreCall = {}): Promise<PointerContent | undefined> {
    return this.#call(`read ${key}`, signal, async call => {
      const answer = await ifThere(this.#client.send(new GetObjectCommand(this.#object(key)), call))
      if (answer === undefined) return undefined
      const bytes = await answer.Body!.transformToByteArray()
      if (bytes.byteLength !== answer.ContentLength || answer.ETag === undefined)
        throw this.#unavailable(`read ${key}`, 'the answer is not whole')
      return { bytes, version: bareVersion(answer.ETag) }
    })
  }

  swap(
    key: string,
    bytes: Uint8Array,
    expected: string | undefined,
    { signal }: StoreCall = {},
  ): Promise<string | undefined> {
    return this.#call(`replace ${key}`, signal, async call => {
      if (expected === undefined) return this.#swapOnce(key, bytes, { IfNoneMatch: '*' }, call)
      const match = inForm(expected, await this.#connection.form(() => this.#findForm(call)))
      return this.#swapOnce(key, bytes, { IfMatch: match }, call)
    })
  }

  async *list(prefix: string, { signal }: StoreCall = {}): AsyncGenerator<ObjectInfo> {
    let next: string | undefined
    do {
      const page = await this.#call(`list ${prefix}`, signal, call =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix + prefix,
            ContinuationToken: next,
            MaxKeys: this.#pageKeys,
          }),
          call,
        ),
      )
      for (const { Key, Size } of page.Contents ?? []) {
        const key = Key!.slice(this.#prefix.length)
        // Pointers stand directly below the prefix.
        if (key.includes('/')) yield { key, bytes: Size! }
      }
      next = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (next !== undefined)
  }

  delete(key: string, { signal }: StoreCall = {}): Promise<void> {
    return this.#call(`delete ${key}`, signal, async call => {
      await this.#client.send(new DeleteObjectCommand(this.#object(key)), call)
    })
  }

  abortUploads(prefix: string, { signal, which = () => true }: StoreCall & UploadChoice = {}): Promise<void> {
    return this.#call(`clean up ${prefix}`, signal, async call => {
      let next: UploadMarker | undefined = {}
      while (next !== undefined) {
        const page: ListMultipartUploadsCommandOutput = await this.#uploadsPage(prefix, next, call)
        for (const { Key, UploadId } of page.Uploads ?? []) {
          if (!which(Key!.slice(this.#prefix.length))) continue
          const abort = new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId })
          await ifThere(this.#client.send(abort, call))
        }
        const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page
        next = IsTruncated === true ? { KeyMarker, UploadIdMarker } : undefined
      }
    })
  }

  now({ signal }: StoreCall = {}): Promise<number> {
    return this.#call('tell the time', signal, async call => {
      if (this.#connection.time() === undefined)
        await ifThere(this.#client.send(new HeadObjectCommand(this.#object('time')), call))
      return this.#connection.time() ?? Date.now()
    })
  }

  below(path: string): S3Store {
    const prefix = `${this.#prefix}${checkBelow(path)}/`
    return new S3Store(this.#bucket, prefix, this.#connection, this.#pageKeys)
  }

  close(): Promise<void> {
    if (this.#isOwner) this.#connection.close()
    return Promise.resolve()
  }

  /** Runs calls of the client; their failures become `FLASHTABLE_UNAVAILABLE`, those of a source stay what they are. */
  async #call<T>(
    what: string,
    signal: AbortSignal | undefined,
    action: (call: Call) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal)
    const missing = await this.#connection.whatIsMissing()
    throwIfAborted(signal)
    if (missing !== undefined) throw this.#unavailable(what, missing)
    try {
      return await action(signal === undefined ? {} : { abortSignal: signal })
    } catch (error) {
      throwIfAborted(signal)
      if (error instanceof SourceFailure) throw error.cause
      if (error instanceof FlashTableError) throw error
      throw this.#unavailable(what, `${reasonOf(error)}${adviceOn(error)}`, withoutRequest(error))
    }
  }

  #unavailable(what: string, reason: string, cause?: unknown): FlashTableError {
    return new FlashTableError('FLASHTABLE_UNAVAILABLE', `the store ${this.url} cannot ${what}: ${reason}`, {
      cause,
    })
  }

  #object(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key }
  }

  async #swapOnce(
    key: string,
    bytes: Uint8Array,
    condition: Condition,
    call: Call,
  ): Promise<string | undefined> {
    try {
      const put = new PutObjectCommand({ ...this.#object(key), ...content(bytes), ...condition })
      const { ETag } = await this.#connection.once.send(put, call)
      return bareVersion(ETag!)
    } catch (error) {
      if (LOST.has(statusOf(error))) return undefined
      throw error
    }
  }

  /** Tries on an object of its own which form the store compares, and that it refuses a wrong version in that form. */
  async #findForm(call: Call): Promise<VersionForm> {
    const key = `probe/${randomBytes(8).toString('hex')}`
    const swap = (value: string, condition: Condition): Promise<string | undefined> =>
      this.#swapOnce(key, Buffer.from(value), condition, call)
    try {
      const first = await swap('1', { IfNoneMatch: '*' })
      if (first === undefined || (await swap('2', { IfNoneMatch: '*' })) !== undefined)
        throw unsupportedStore(this.url, 'it stores an object again that is there, in spite of If-None-Match')
      for (const form of ['quoted', 'bare'] as const) {
        if ((await swap('3', { IfMatch: inForm(first, form) })) === undefined) continue
        if ((await swap('4', { IfMatch: inForm(first, form) })) === undefined) return form
        throw unsupportedStore(this.url, 'it replaces an object that has changed, in spite of If-Match')
      }
      throw unsupportedStore(this.url, 'it refuses every If-Match')
    } finally {
      await this.#client.send(new DeleteObjectCommand(this.#object(key)), call).catch(() => {})
    }
  }

  async #putParts(key: string, source: ObjectSource, call: Call): Promise<void> {
    const object = this.#object(key)
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(object), call)
    const upload = { ...object, UploadId }
    try {
      const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(source.bytes / PARTS_MAX))
      const Parts: CompletedPart[] = []
      await atOnce(Math.ceil(source.bytes / partBytes), PARTS_AT_ONCE, async number => {
        const position = number * partBytes
        const body = new Uint8Array(Math.min(partBytes, source.bytes - position))
        await readSource(source, position, body)
        const PartNumber = number + 1
        const part = new UploadPartCommand({ ...upload, PartNumber, ...content(body) })
        const { ETag } = await this.#client.send(part, call)
        Parts[number] = { PartNumber, ETag }
      })
      const complete = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } })
      await this.#client.send(complete, call)
    } catch (error) {
      // Without the signal: it may have aborted.
      await this.#client.send(new AbortMultipartUploadCommand(upload)).catch(() => {})
      throw error
    }
  }

  #uploadsPage(prefix: string, from: UploadMarker, call: Call): Promise<ListMultipartUploadsCommandOutput> {
    const list = new ListMultipartUploadsCommand({
      Bucket: this.#bucket,
      Prefix: this.#prefix + prefix,
      ...from,
    })
    return this.#client.send(list, call)
  }
}

/** When a put is done. */
type Condition = { readonly IfNoneMatch: string } | { readonly IfMatch: string }

/** What the client takes besides a command. */
interface Call {
  readonly abortSignal?: AbortSignal
}

/** Where a list of uploads goes on. */
interface UploadMarker {
  readonly KeyMarker?: string | undefined
  readonly UploadIdMarker?: string | undefined
}

function unsupportedStore(url: string, reason: string): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_UNSUPPORTED_STORE',
    `the store ${url} cannot hold a table: ${reason}; two writers would overwrite each other. ` +
      'Use a store with conditional writes',
  )
}

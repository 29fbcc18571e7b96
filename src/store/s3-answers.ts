/** What the client for S3 is given and gives back, in the words of the port. */
import { createHash } from 'node:crypto'
import { codeOf, isError, messageOf } from '../base/errors.js'
import type { ByteRange, ObjectSource } from './object-store.js'

/** An `If-Match` wants the version in quotation marks by the standard; some stores compare it without. */
export type VersionForm = 'quoted' | 'bare'

/** With the one checksum that every store knows: it refuses a body that has changed on its way. */
export function content(body: Uint8Array): { Body: Uint8Array; ContentLength: number; ContentMD5: string } {
  const ContentMD5 = createHash('md5').update(body).digest('base64')
  return { Body: body, ContentLength: body.byteLength, ContentMD5 }
}

/** Whether the answer is the range that was asked for: some stores answer with another one, or with everything. */
export function isRange(found: string | undefined, wanted: ByteRange | undefined): boolean {
  if (wanted === undefined) return true
  return found?.startsWith(`bytes ${wanted.start}-${wanted.end - 1}/`) ?? false
}

export function bareVersion(tag: string): string {
  return tag.replaceAll('"', '')
}

export function inForm(version: string, form: VersionForm): string {
  return form === 'quoted' ? `"${version}"` : version
}

/** `undefined` if the store says that there is none. */
export async function ifThere<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    throw error
  }
}

export function statusOf(error: unknown): unknown {
  return (error as { $metadata?: { httpStatusCode?: unknown } } | undefined)?.$metadata?.httpStatusCode
}

/** A source could not be read, which says nothing of the store: its `cause` is what the caller gets. */
export class SourceFailure extends Error {}

/** Reads of a source. Rejects with a {@link SourceFailure}. */
export async function readSource(source: ObjectSource, position: number, buffer: Uint8Array): Promise<void> {
  try {
    await source.read(position, buffer)
  } catch (cause) {
    throw new SourceFailure('the source cannot be read', { cause })
  }
}

export function reasonOf(error: unknown): string {
  const { name, Code } = (error ?? {}) as { readonly name?: string; readonly Code?: string }
  const status = statusOf(error)
  const said = messageOf(error)
  const text = said === '' || said === 'UnknownError' ? (Code ?? name ?? 'no reason given') : said
  return status === undefined ? text : `${text} (${String(status)})`
}

export function adviceOn(error: unknown): string {
  const status = statusOf(error)
  const name = isError(error) ? error.name : undefined
  if (name === 'RequestTimeTooSkewed') return '; set the clock of this machine, and try again'
  if (status === 403 || status === 401)
    return '; check the credentials, and that they may list the bucket: without that, a missing object looks forbidden'
  if (status === 404) return '; make the bucket first'
  return '; check the address and the connection, and try again'
}

/** The error as others may see it: the client hangs the request on it, with its signature. */
export function withoutRequest(error: unknown): Error {
  const code = codeOf(error)
  return Object.assign(new Error(reasonOf(error)), code === undefined ? {} : { code })
}

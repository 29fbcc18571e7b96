/**
 * `flashtable/s3`: tables published to S3 and to what speaks it. It needs the package `@aws-sdk/client-s3` beside this one.
 * docs/api.md, Object stores.
 */
import { URL } from 'node:url'
import { describeValue } from './base/describe-value.js'
import { invalidOption, readOptions, refuseExtra, unexpected } from './options/arguments.js'
import type { ObjectStore } from './store/object-store.js'
import type { S3StoreOptions } from './store/s3-connection.js'
import { S3Store } from './store/s3-store.js'

export type { S3StoreOptions }

const S3_OPTIONS = {
  endpoint: optionalEndpoint,
  region: optionalRegion,
  credentials: optionalCredentials,
}

/**
 * The store at `s3://bucket/prefix`. `endpoint`: the address of a store other than Amazon's. Credentials are found as the SDK
 * finds them, unless they are given. Nothing is sent yet. Throws with `FLASHTABLE_INVALID_OPTION`.
 */
export function s3Store(url: string | URL, options?: S3StoreOptions, ...extra: never[]): ObjectStore {
  refuseExtra('s3Store', extra)
  const text = addressOf(url)
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/+(.*?))?\/*$/.exec(text)
  if (match === null || /[?#]|\/\/|(^|\/)\.\.?(\/|$)/.test(match[2] ?? ''))
    throw invalidOption(
      's3Store: expected an address such as s3://bucket/prefix, where the bucket has 3 to 63 lower-case letters, digits, ' +
        `dots and hyphens, found ${describeValue(text)}`,
    )
  const [, bucket, path = ''] = match
  const given = readOptions('s3Store', options, S3_OPTIONS)
  return new S3Store(bucket!, path === '' ? '' : `${path}/`, given)
}

/** As text, in which a prefix stands as it is: a URL has some characters as `%20` and the like. */
function addressOf(url: string | URL): string {
  if (typeof url === 'string') return url
  try {
    return decodeURIComponent(String(url))
  } catch {
    throw invalidOption(
      's3Store: expected an address such as s3://bucket/prefix, found a URL that cannot be decoded',
    )
  }
}

function optionalText(value: unknown, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw unexpected(name, 'a text', value)
}

function optionalRegion(value: unknown, name: string): string | undefined {
  if (value === '') throw unexpected(name, 'a text, or nothing at all', value)
  return optionalText(value, name)
}

/** No message shows them. */
function optionalCredentials(value: unknown): S3StoreOptions['credentials'] {
  const { accessKeyId, secretAccessKey } = (value ?? {}) as Readonly<Record<string, unknown>>
  const areKeys = typeof accessKeyId === 'string' && typeof secretAccessKey === 'string'
  if (value === undefined || typeof value === 'function' || areKeys)
    return value as S3StoreOptions['credentials']
  throw invalidOption(
    'credentials: expected { accessKeyId, secretAccessKey }, both of them texts, or a function that gives them',
  )
}

/** A user or a password in it would be shown in messages. */
function optionalEndpoint(value: unknown, name: string): string | undefined {
  const text = optionalText(value, name)
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (isHttp && url.username === '' && url.password === '') return text
  throw invalidOption(`${name}: expected an http: or https: address without user and password`)
}

/** Where an S3 store is, and how requests to it are signed: read off a request that the client has signed. Pure. */
import type { VersionForm } from './s3-answers.js'

export interface Way {
  readonly protocol: 'http:' | 'https:'
  readonly hostname: string
  readonly port: number | undefined
  /** The header. */
  readonly host: string
  /** What the signature is for. */
  readonly region: string
  readonly service: string
  /** The path of the object at a key. */
  pathOf(key: string): string
}

/** `undefined`: signed in another way than this one knows, such as for several regions at once. */
export function wayOf(request: unknown, key: string): Way | undefined {
  const { protocol, hostname, port, path, headers = {} } = request as Partial<SignedRequest>
  const scope = SCOPE.exec(headers['authorization'] ?? '')
  const { host } = headers
  const end = encodedKey(key)
  if (scope === null || host === undefined || hostname === undefined) return undefined
  if (protocol !== 'http:' && protocol !== 'https:') return undefined
  if (path === undefined || !path.endsWith(`/${end}`)) return undefined
  const start = path.slice(0, path.length - end.length)
  const [, region, service] = scope
  return {
    protocol,
    hostname,
    port,
    host,
    region: region!,
    service: service!,
    pathOf: other => start + encodedKey(other),
  }
}

/** How Amazon's own store compares versions, as its documents say; `undefined` for others, which are to be tried. */
export function documentedForm({ protocol, hostname, service }: Way): VersionForm | undefined {
  const isAmazon = protocol === 'https:' && service === 's3' && /\.amazonaws\.com(\.cn)?$/.test(hostname)
  return isAmazon ? 'quoted' : undefined
}

interface SignedRequest {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** One region and the service `s3`: the sessions of directory buckets have a service of their own. */
const SCOPE = /^AWS4-HMAC-SHA256 Credential=\S+\/\d{8}\/([^/\s]+)\/(s3)\/aws4_request,/

/** As the signature has it. */
function encodedKey(key: string): string {
  return key
    .split('/')
    .map(name =>
      encodeURIComponent(name).replace(
        /[!'()*]/g,
        char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
      ),
    )
    .join('/')
}

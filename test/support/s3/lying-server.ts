/** An S3 store of one process for tests that answers as it is told: objects can be read, and nothing else. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** Answers a request instead of the truth; `tell` tells the truth. */
export type Lie = (request: IncomingMessage, response: ServerResponse, tell: () => void) => void

export class LyingServer {
  readonly objects = new Map<string, Uint8Array>()
  /** What the next plain requests get, one each. The client of the SDK is told the truth. */
  readonly lies: Lie[] = []
  /** What all plain requests get. */
  always: Lie | undefined
  /** What all requests get. */
  everybody: Lie | undefined
  /** Requests so far: those of the SDK, and plain ones. */
  bySdk = 0
  readonly plain: IncomingMessage[] = []
  /** By how much its clock is ahead. */
  aheadMs = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response))
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(): Promise<LyingServer> {
    const server = new LyingServer()
    await new Promise<void>(resolve => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** Ends all connections, as a server does with those that were idle for a while. */
  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  stop(): Promise<void> {
    this.hangUp()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const isSdk = request.headers['user-agent']?.includes('aws-sdk-js') ?? false
    if (isSdk) this.bySdk++
    else this.plain.push(request)
    const now = Date.now() + this.aheadMs
    response.sendDate = false
    response.setHeader('date', new Date(now).toUTCString())
    const lie = this.everybody ?? (isSdk ? undefined : (this.lies.shift() ?? this.always))
    const tell = (): void => this.#tell(request, response, now)
    if (lie === undefined) tell()
    else lie(request, response, tell)
  }

  #tell(request: IncomingMessage, response: ServerResponse, now: number): void {
    const [, year, month, day, hour, minute, second] = DATE.exec(String(request.headers['x-amz-date']))!
    const signed = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
    if (Math.abs(signed - now) > 900_000) return refuse(response, 403, 'RequestTimeTooSkewed')
    const { pathname } = new URL(request.url!, this.endpoint)
    const bytes = this.objects.get(decodeURIComponent(pathname))
    if (bytes === undefined) return refuse(response, 404, 'NoSuchKey')
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    response.setHeader('etag', '"0123"')
    if (start === undefined || end === undefined) {
      response.writeHead(200, { 'content-length': bytes.byteLength })
      response.end(bytes)
      return
    }
    sendRange(response, bytes.subarray(Number(start), Number(end) + 1), Number(start), bytes.byteLength)
  }
}

const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

/** An answer with a range; `length`: what it says of the length. */
export function sendRange(
  response: ServerResponse,
  bytes: Uint8Array,
  start: number,
  total: number,
  length = bytes.byteLength,
): void {
  response.writeHead(206, {
    'content-length': length,
    'content-range': `bytes ${start}-${start + length - 1}/${total}`,
  })
  response.write(bytes)
  if (length === bytes.byteLength) response.end()
  // Without an end: the body breaks off.
  else setImmediate(() => response.destroy())
}

export function refuse(response: ServerResponse, status: number, code: string, headers = {}): void {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length, ...headers })
  response.end(body)
}

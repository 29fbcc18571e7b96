/** The objects and blocks that a cache knows: each has an identity in which tables and stores never mix. */
import { createHash } from 'node:crypto'
import { crc32 } from '../format/checksum.js'
import { viewOf } from '../format/little-endian.js'

/** Objects are cached in blocks of this many bytes; the last one of an object is shorter. */
export const BLOCK_BYTES = 2 ** 16

/** Numbers that identify an object. */
export const ID_WORDS = 4

/** An object of a store. */
export interface CachedObject {
  readonly key: string
  /** As text. */
  readonly name: string
  /** As numbers: {@link ID_WORDS} of 32 bits. */
  readonly words: Uint32Array
}

/** `url`: of the store. */
export function cachedObject(url: string, key: string): CachedObject {
  const digest = createHash('sha256').update(`${url}\n${key}`).digest()
  const view = viewOf(digest)
  const words = Uint32Array.from({ length: ID_WORDS }, (_, i) => view.getUint32(4 * i, true))
  return { key, name: digest.toString('hex', 0, 4 * ID_WORDS), words }
}

/** Names a block of an object. */
export function blockName({ name }: CachedObject, block: number): string {
  return `${name}:${block}`
}

/** The checksum of a block: of its identity and of its content, so that no other block passes for it. */
export function blockChecksum(words: Uint32Array, block: number, content: Uint8Array): number {
  const identity = Uint32Array.of(...words, block)
  return crc32(content, crc32(new Uint8Array(identity.buffer)))
}

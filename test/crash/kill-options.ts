/** The table of the kill test: so small that seals and merges always run in their threads. */
import { struct } from '../../src/index.js'

export const KILL_OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ call: 'u32', index: 'u16' }),
  bufferBytes: 32_768,
  walBytes: 65_536,
  cacheBytes: 262_144,
  fanout: 3,
  syncIntervalMs: 50,
} as const

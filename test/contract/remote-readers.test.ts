/** Published tables that are read where they are: in a directory. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { directoryStore } from '../../src/index.js'
import { describeRemoteReading } from './remote-reading.js'

let root: string
let stores = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-remote-'))
})
afterAll(() => rm(root, { recursive: true }))

describeRemoteReading('in a directory', () => Promise.resolve(directoryStore(join(root, `${stores++}`))))

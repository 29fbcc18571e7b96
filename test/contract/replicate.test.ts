/** Replicas in a directory. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { directoryStore } from '../../src/index.js'
import { describeReplicating } from './replicating.js'

let root: string
let stores = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-replica-'))
})
afterAll(() => rm(root, { recursive: true }))

describeReplicating('in a directory', () => Promise.resolve(directoryStore(join(root, `${stores++}`))))

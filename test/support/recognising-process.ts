/**
 * A process that has nothing but the URL of a published table of music fingerprints, `argv[2]`: recognises all clips, and
 * prints which tracks they are of, and what it has fetched, as JSON. Where S3 is, and the credentials, are in its environment.
 */
import process from 'node:process'
import { directoryStore, FlashTable, struct } from '../../src/index.js'
import { s3Store } from '../../src/s3.js'
import { readClips } from '../../tools/demo/fixtures.js'
import { recognise } from '../../tools/demo/recognise.js'

const [, , url] = process.argv as [string, string, string]
const { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region } = process.env
const store = url.startsWith('s3:') ? s3Store(url, { endpoint, region }) : directoryStore(new URL(url))
const table = await FlashTable.openRemote(store, {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
})
const tracks: (number | null)[] = []
for (const { key, time } of readClips()) tracks.push(recognise(await table.getColumns(key), time)?.id ?? null)
const { remote } = await table.stats()
await table.close()
await store.close()
console.log(JSON.stringify({ tracks, version: remote!.version, requests: remote!.requests }))

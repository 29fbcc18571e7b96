/** Where tables are published, as the commands take it: a directory, a file: URL, or s3://bucket/prefix. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Option, type Command } from 'commander'
import { directoryStore, type ObjectStore } from '../../src/index.js'
import { MANIFEST_NAME } from '../../src/io/file-names.js'
import { PARTITIONS_KEY } from '../../src/remote/nothing-published.js'
import { isAddress, parseDirectory, single } from './arguments.js'
import { MissingPackageError } from './formats/packages.js'
import { UsageError } from './usage.js'

/** Where S3 is, as it was given. */
export interface StoreTexts {
  readonly endpoint?: string
  readonly region?: string
}

const IS_S3 = /^s3:/i
const IS_FILE = /^file:/i

/** What the help of commands that take a URL says of it. */
export const URL_DETAILS = `
URL is a directory, such as /mnt/nas/prints, or s3://bucket/prefix; for S3 install @aws-sdk/client-s3. Credentials are
found as the AWS tools find them; --endpoint and --region, or AWS_ENDPOINT_URL and AWS_REGION, say where the store is.`

/** What the help of commands adds that take the URL of a table with partitions and do the same to each of them. */
export const PARTITIONS_DETAILS =
  'At the URL of a table with partitions it does so for each of them, with the sums at the end.'

/** The argument URL, and `--endpoint` and `--region`. */
export function addStoreOptions(command: Command): Command {
  // The endpoint is checked later: commander would repeat it in its message, and somebody may have put a password there.
  return command
    .addOption(single(new Option('--endpoint <address>', "of an S3 store that is not Amazon's")))
    .addOption(single(new Option('--region <name>', 'of the S3 store')))
}

/** `<url>`. */
export function parseUrl(text: string): string {
  if (text === '') throw new UsageError('It must be a directory, or s3://bucket/prefix.')
  if (isAddress(text) && !IS_S3.test(text) && !IS_FILE.test(text))
    throw new UsageError('It must be a directory, a file: URL, or s3://bucket/prefix.')
  return text
}

/** The store; the client for S3 is loaded only for that. */
export async function openStore(url: string, { endpoint, region }: StoreTexts): Promise<ObjectStore> {
  if (!IS_S3.test(url)) {
    if (endpoint !== undefined || region !== undefined)
      throw new UsageError('--endpoint and --region are for s3://bucket/prefix')
    const directory = IS_FILE.test(url) ? pathOf(url) : url
    if (isTable(directory))
      throw new UsageError(
        `${url} is a table, and no place where one is published; flashtable publish DIR URL publishes it to another one`,
      )
    if (isOfWriter(namesIn(directory)))
      throw new UsageError(
        `${url} is what a writer of a table with partitions has on its disk, and no place where they are published: ` +
          'take the URL of its store',
      )
    return directoryStore(directory)
  }
  const { env } = process
  const address = endpoint ?? env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL']
  const place = region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? (address && 'us-east-1')
  const { s3Store } = await loadS3()
  return s3Store(url, {
    ...(address === undefined ? {} : { endpoint: address }),
    ...(place === undefined ? {} : { region: place }),
  })
}

async function loadS3(): Promise<typeof import('../../src/s3.js')> {
  // The SDK would print ten lines on each command about versions of Node.js that its later versions need.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
  try {
    return await import('../../src/s3.js')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes('@aws-sdk/client-s3')) throw error
    throw new MissingPackageError(
      's3:// needs the package @aws-sdk/client-s3; install it where flashtable is: npm install @aws-sdk/client-s3',
    )
  }
}

/** `<dir>` of commands that read a table in a directory or at its URL. */
export function parseReadable(text: string): string {
  return isAddress(text) ? parseUrl(text) : parseDirectory(text)
}

/** `<dir>` of commands for which a table must be in a directory. */
export function parseTable(text: string): string {
  if (text !== '' && hasPartitions(text))
    throw new UsageError(
      'A table with partitions is published there, and this command is for a table in a directory: flashtable restore ' +
        'URL NEW makes one of a partition, a directory below p.',
    )
  if (text !== '' && isStore(text))
    throw new UsageError(
      'A table is published there, and this command is for a table in a directory: flashtable restore URL NEW makes one.',
    )
  return parseDirectory(text)
}

/** Whether what may be a table or a store is a store: a URL, or a directory where the manifest is a series of directories. */
export function isStore(text: string): boolean {
  if (isAddress(text)) return IS_S3.test(text) || IS_FILE.test(text)
  return hasPartitions(text) || namesIn(text).some(name => /^MANIFEST\.[1-9]\d*$/.test(name))
}

/** Whether it is a directory where a table with partitions is published. */
function hasPartitions(text: string): boolean {
  const names = isAddress(text) ? [] : namesIn(text)
  // p is made by the first publish.
  return hasObject(names) && !isOfWriter(names)
}

/** Whether it is the directory of a writer of partitions, which has a copy of PARTITIONS, too. */
function isOfWriter(names: readonly string[]): boolean {
  return hasObject(names) && !names.includes('p') && names.some(name => /^p-[\da-f]+$/.test(name))
}

/** Whether it has the object that says how a table is divided, in one of its versions. */
function hasObject(names: readonly string[]): boolean {
  return names.some(name => name.startsWith(`${PARTITIONS_KEY}.`))
}

/** What is in a directory that has no table. */
function namesIn(directory: string): readonly string[] {
  try {
    return isTable(directory) ? [] : readdirSync(directory)
  } catch {
    // It is not there, or is a file: the open says so.
    return []
  }
}

/** Whether it is the directory of a table. */
function isTable(directory: string): boolean {
  try {
    return statSync(join(directory, MANIFEST_NAME)).isFile()
  } catch {
    // It is not there, or a file is in its way: the store says so.
    return false
  }
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (error) {
    throw new UsageError(`${url}: ${(error as Error).message}`)
  }
}

/**
 * Traces the system calls of a load and checks how flashtable writes: `npm --prefix tools/bench run write-trace`.
 *
 * No synced page is written again, in log or bucket files; bucket files are written front to back in large calls; nearly
 * all bytes continue a stream. Needs strace. docs/benchmarks.md, docs/internals.md.
 */
import { spawnSync } from 'node:child_process'
import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'

const PAGE_BYTES = 4096
const LEAST_BUCKET_WRITE = 256 * 1024

/** A file, from its creation or from the rename that recycles it. */
class FileLife {
  readonly path: string
  readonly synced = new Set<number>()
  readonly #unsynced = new Set<number>()
  /** End of the last write, and of the furthest. */
  end = 0
  furthest = 0
  writes = 0
  shortWrites: number[] = []

  constructor(path: string) {
    this.path = path
  }

  get isBucket(): boolean {
    return this.path.endsWith('.bucket') || this.path.endsWith('.bucket.tmp')
  }

  /** Returns what is wrong with a write, and how it relates to the last one. */
  write(offset: number, bytes: number): { problem?: string; continues: boolean; rewrites: boolean } {
    // After a sync the log goes on at the next page; without one, in the zeros after the last frame of the page.
    const continues =
      offset >=
        Math.floor(this.end / PAGE_BYTES) * PAGE_BYTES - (this.end % PAGE_BYTES === 0 ? PAGE_BYTES : 0) &&
      offset <= Math.ceil(this.end / PAGE_BYTES) * PAGE_BYTES
    const rewrites = !continues && offset < this.furthest
    let problem: string | undefined
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < offset + bytes; page++) {
      if (this.synced.has(page)) problem = `page ${page} was written again after its sync`
      this.#unsynced.add(page)
    }
    if (this.isBucket) {
      if (offset !== this.end) problem = `a write at ${offset} after one that ended at ${this.end}`
      if (bytes < LEAST_BUCKET_WRITE) this.shortWrites.push(this.writes)
    }
    this.writes++
    this.end = offset + bytes
    this.furthest = Math.max(this.furthest, this.end)
    return { continues, rewrites, ...(problem === undefined ? {} : { problem }) }
  }

  sync(): void {
    for (const page of this.#unsynced) this.synced.add(page)
    this.#unsynced.clear()
  }

  /** The number of short writes other than the last one. */
  get wrongShortWrites(): number {
    return this.shortWrites.filter(write => write !== this.writes - 1).length
  }
}

/** What a trace shows. */
interface Findings {
  writes: number
  bytes: number
  continuing: number
  rewritten: number
  readonly lives: FileLife[]
  readonly problems: string[]
}

async function readTrace(file: string, directory: string): Promise<Findings> {
  const findings: Findings = { writes: 0, bytes: 0, continuing: 0, rewritten: 0, lives: [], problems: [] }
  const open = new Map<string, FileLife>()
  const lifeOf = (path: string): FileLife => {
    let life = open.get(path)
    if (life === undefined) {
      life = new FileLife(path)
      open.set(path, life)
      findings.lives.push(life)
    }
    return life
  }
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const write = /\bpwrite64\(\d+<([^>]*)>, .*?, (\d+), (\d+)( <unfinished|\))/.exec(line)
    if (write !== null) {
      const [, path, bytes, offset] = write
      if (!path!.startsWith(directory) || !/\.(wal|bucket)(\.tmp)?$/.test(path!)) continue
      const count = Number(bytes)
      const verdict = lifeOf(path!).write(Number(offset), count)
      findings.writes++
      findings.bytes += count
      if (verdict.continues) findings.continuing += count
      if (verdict.rewrites) findings.rewritten += count
      if (verdict.problem !== undefined) findings.problems.push(`${path}: ${verdict.problem}`)
      continue
    }
    const sync = /\bf(?:data)?sync\(\d+<([^>]*)>/.exec(line)
    if (sync !== null) open.get(sync[1]!)?.sync()
    const rename = /\brename(?:at2?)?\(.*?"([^"]+)".*?"([^"]+)"/.exec(line)
    // Recycled: what was synced in the file's older life does not count.
    if (rename !== null) for (const path of [rename[1]!, rename[2]!]) open.delete(path)
    const unlink = /\bunlink(?:at)?\(.*?"([^"]+)"/.exec(line)
    if (unlink !== null) open.delete(unlink[1]!)
  }
  for (const life of findings.lives) {
    if (life.wrongShortWrites > 0) {
      findings.problems.push(
        `${life.path}: ${life.wrongShortWrites} calls below 256 KiB that are not the last`,
      )
    }
  }
  return findings
}

async function main(options: { records: string; dir: string; keep?: boolean }): Promise<void> {
  if (spawnSync('strace', ['-V']).status !== 0) {
    process.stdout.write('skipped: strace is not installed\n')
    return
  }
  const directory = mkdtempSync(join(options.dir, 'flashtable-trace-'))
  const trace = join(directory, 'trace.txt')
  const writer = fileURLToPath(new URL('./trace-writer.js', import.meta.url))
  const calls = 'pwrite64,pwritev,write,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat'
  const result = spawnSync(
    'strace',
    [
      '-f',
      '-y',
      '-s',
      '0',
      '-e',
      `trace=${calls}`,
      '-o',
      trace,
      process.execPath,
      writer,
      directory,
      options.records,
    ],
    { stdio: 'inherit' },
  )
  if (result.status !== 0 || !existsSync(trace)) throw new Error(`strace ended with ${result.status}`)
  const findings = await readTrace(trace, directory)
  print(findings)
  if (options.keep !== true) rmSync(directory, { recursive: true })
  if (findings.problems.length > 0 || findings.writes === 0) process.exitCode = 1
}

function print({ writes, bytes, continuing, rewritten, lives, problems }: Findings): void {
  const share = (part: number) => (part / bytes).toFixed(4)
  const buckets = lives.filter(life => life.isBucket).length
  process.stdout.write(
    [
      `${writes} writes of ${bytes} bytes to ${buckets} bucket files and ${lives.length - buckets} log segments`,
      `continue a stream: ${share(continuing)} of the bytes (target >= 0.98)`,
      `rewrite a block out of stream: ${share(rewritten)} of the bytes (target <= 0.02)`,
      ...problems.slice(0, 20).map(problem => `WRONG: ${problem}`),
      problems.length === 0
        ? 'no synced page was written again; bucket files were written front to back'
        : `${problems.length} problems`,
      '',
    ].join('\n'),
  )
}

const program = new Command('write-trace')
  .option('--records <count>', 'random records', '3000000')
  .option('--dir <directory>', 'where the table is made', tmpdir())
  .option('--keep', 'keep table and trace')
await main(program.parse().opts<{ records: string; dir: string; keep?: boolean }>())

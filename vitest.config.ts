import { resolve } from 'node:path'
import { configDefaults, defineConfig } from 'vitest/config'
import type { Plugin } from 'vite'
import { workerText } from './tools/build/worker-text.mjs'
import LongestFirst from './test/support/longest-first.js'

/** Tests that take several seconds: they start processes, fill tables of many files, or wait for locks. */
const SLOW = [
  'test/contract/{bulk-load,callbacks,checkpoint,checkpoint-beside,checkpoint-outside}.test.ts',
  'test/contract/{cli,cli-bench,cli-completion,cli-dump,cli-export,cli-import,cli-inspect,cli-log,cli-partitions,cli-publish,cli-reads,cli-remote,cli-replicate,cli-scan,cli-terminal,cli-top,cli-upkeep}.test.ts',
  'test/contract/{close,counters,deletes,floats,hidden-data,says-what-it-is,turns}.test.ts',
  'test/contract/{partition-failures,partitioned-table,publish,recognise-remote,remote-readers,replicate,s3-store}.test.ts',
  'test/contract/{few-descriptors,keeps-alive,locations,locking,lookups,maintenance,many-records,many-tables,moved,open}.test.ts',
  'test/contract/{packed-package,ranges,readers,repair,report,short-lives,signals,space,types}.test.ts',
  'test/format/{api-examples,golden,golden-published,python-reader}.test.ts',
  'test/unit/{bulk-load/build-file,compaction/policy,io/lock,io/lock-processes,sort/sort,spill/spill,wal/crash}.test.ts',
  'test/unit/table/recover-reader.test.ts',
]
const QUICK = ['test/{contract,format,tidy,unit}/**/*.test.ts']

/**
 * Gives threads their script as text, as the build does: from its sources a thread takes a second to begin, for tsx
 * loads as many modules as the test. test/contract/cli.test.ts starts one from the sources.
 */
const WORKER_AS_TEXT: Plugin = {
  name: 'worker-as-text',
  async load(id) {
    if (!id.endsWith('/src/executor/worker-source.ts')) return undefined
    const { text, files } = await workerText()
    // In watch mode: it is made again when one of them changes.
    for (const file of files) this.addWatchFile(resolve(file))
    return text
  },
}

export default defineConfig({
  plugins: [WORKER_AS_TEXT],
  test: {
    // By default one processor is left free: of two that is half of them.
    maxWorkers: '100%',
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    globalSetup: 'test/support/built-cli.ts',
    sequence: { sequencer: LongestFirst },
    coverage: { include: ['src/**'], reporter: ['text-summary', 'json-summary'] },
    projects: [
      {
        extends: true,
        test: {
          // `npm run test:quick`. Timeouts are for what hangs: on a machine that is busy with other work, a test takes ten times as long.
          name: 'quick',
          include: QUICK,
          exclude: [...configDefaults.exclude, ...SLOW],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['test/{crash,property}/**/*.test.ts', ...SLOW],
          testTimeout: 300_000,
        },
      },
    ],
  },
})

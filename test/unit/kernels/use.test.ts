/** When kernels are used, and when their twins. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { startThread } from '../../../src/executor/thread.js'
import { WorkerPool } from '../../../src/executor/worker-pool.js'
import type { FromWorker } from '../../../src/executor/worker-protocol.js'
import { workerExecutor } from '../../../src/executor/worker-executor.js'
import { FlashTable } from '../../../src/index.js'
import {
  beginKernels,
  endKernels,
  giveBackColumn,
  kernels,
  load,
  newColumn,
} from '../../../src/kernels/kernels.js'
import { nodeEnvironment } from '../../../src/table/environment.js'

afterEach(() => {
  endKernels()
  vi.unstubAllGlobals()
})

describe('kernels', () => {
  test('are there from the beginning of a job to its end, and columns lie in their memory', () => {
    expect(kernels()).toBeUndefined()
    expect(newColumn(10).buffer.byteLength).toBe(40)
    beginKernels()
    const column = newColumn(10)
    expect(kernels()!.has(column)).toBe(true)
    giveBackColumn(column)
    expect(newColumn(10).byteOffset).toBe(column.byteOffset)
    endKernels()
    expect(kernels()).toBeUndefined()
    expect(newColumn(10).buffer.byteLength).toBe(40)
  })

  test('have all of their memory again for the next job', () => {
    beginKernels()
    const first = newColumn(10).byteOffset
    endKernels()
    beginKernels()
    expect(newColumn(10).byteOffset).toBe(first)
  })

  test('give columns elsewhere when their memory is full', () => {
    beginKernels()
    const columns = Array.from({ length: 9 }, () => newColumn(2 ** 23))
    const inside = columns.filter(column => kernels()!.has(column)).length
    expect(inside).toBeGreaterThan(4)
    expect(inside).toBeLessThan(9)
    expect(columns.every(column => column.length === 2 ** 23)).toBe(true)
  })

  test('are not loaded without WebAssembly', () => {
    vi.stubGlobal('WebAssembly', undefined)
    expect(load()).toBeUndefined()
  })

  test('are not loaded where their memory cannot be had, or vector instructions are not known', () => {
    const { Module, Memory, Instance } = (globalThis as unknown as { WebAssembly: Record<string, unknown> })
      .WebAssembly
    const refuse = vi.fn(function () {
      throw new RangeError('could not allocate memory')
    })
    vi.stubGlobal('WebAssembly', { Module, Memory: refuse, Instance })
    expect(load()).toBeUndefined()
    vi.stubGlobal('WebAssembly', { Module: refuse, Memory, Instance })
    expect(load()).toBeUndefined()
    vi.stubGlobal('WebAssembly', { Module, Memory, Instance })
    expect(load()).toBeDefined()
  })
})

test('the threads of a table write and read its pages by kernels', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-test-'))
  const pages: number[] = []
  const startWorker = () =>
    startThread().on('message', (message: FromWorker) => {
      if (message.kind === 'done') pages.push(message.kernelPages)
    })
  const newExecutor = () => workerExecutor(new WorkerPool({ startWorker }))
  const options = { keyEncoding: 'u64', valueEncoding: 'u32', bufferBytes: 2 ** 16, fanout: 64 } as const
  const table = await FlashTable.openIn(join(directory, 'table'), options, {
    ...nodeEnvironment,
    newExecutor,
  })
  try {
    const keys = BigUint64Array.from(
      { length: 20_000 },
      (_, i) => (BigInt(i) * 0x9e3779b97f4a7c15n) % 2n ** 64n,
    )
    for (let from = 0; from < keys.length; from += 5000) {
      const key = keys.slice(from, from + 5000)
      await table.putColumns({ key, value: Uint32Array.from(key, (_, i) => from + i) })
    }
    await table.compact()
    const { files } = await table.stats()
    expect(files.length).toBe(1)
    expect(pages.length).toBeGreaterThan(2)
    expect(Math.min(...pages)).toBeGreaterThan(0)
    expect(await table.get(keys[19_999]!)).toBe(19_999)
  } finally {
    await table.close()
    await rm(directory, { recursive: true })
  }
})

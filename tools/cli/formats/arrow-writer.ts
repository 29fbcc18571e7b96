/** Writes Arrow IPC files and streams with apache-arrow. docs/decisions/interop.md. */
import type { Output } from '../output-file.js'
import { loadPackage } from './packages.js'
import type { RecordWriter, Written } from './record-writer.js'

type Arrow = typeof import('apache-arrow')

export async function openArrowWriter(
  output: Output,
  { fields }: Written,
  isFile: boolean,
): Promise<RecordWriter> {
  const arrow = await loadPackage<Arrow>('apache-arrow', 'Arrow')
  const { arrowBatchOf, arrowSchemaOf } = await import('../../../src/exchange/arrow-columns.js')
  const schema = arrowSchemaOf(fields)
  const writer = isFile ? new arrow.RecordBatchFileWriter() : new arrow.RecordBatchStreamWriter()
  writer.reset(undefined, schema)
  // It queues without end what nobody takes: each batch is taken before the next one is given.
  const written = writer[Symbol.asyncIterator]()
  let taken: ReturnType<typeof written.next> | undefined

  /** Passes on what is ready. */
  async function drain(): Promise<void> {
    for (;;) {
      taken ??= written.next()
      const next = await Promise.race([taken, nothingYet()])
      if (next === undefined) return
      taken = undefined
      if (next.done === true) return
      await output.write(next.value)
    }
  }

  return {
    batchRows: 64 * 1024,
    async write(columns, rows) {
      writer.write(arrowBatchOf(schema, columns, rows))
      await drain()
    },
    async end() {
      writer.finish()
      writer.close()
      await drain()
    },
  }
}

/** Resolves after all that is ready now. */
function nothingYet(): Promise<undefined> {
  return new Promise(resolve => setImmediate(() => resolve(undefined)))
}

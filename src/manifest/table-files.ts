/** A table, as the parts see it that read or write its files. */
import type { FileSystem } from '../io/file-system.js'
import type { RecordLayout } from '../records/record-layout.js'

/** What is needed to make sense of the files of a table. It goes to worker threads as plain data. */
export interface TableFormat {
  /** Part of all checksums. */
  readonly tableId: Uint8Array
  readonly layout: RecordLayout
  readonly pageBytes: number
}

/** The files of a table. */
export interface TableFiles extends TableFormat {
  readonly fileSystem: FileSystem
  /** The absolute path of the table's directory. */
  readonly directory: string
}

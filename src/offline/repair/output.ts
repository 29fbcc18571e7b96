/**
 * The table that a repair writes: operations in the order of their age, some thousands at a time.
 *
 * Until everything is in it and synced, its manifest has another name, so an interrupted repair leaves no table; a
 * repair that fails removes it. docs/durability.md, Repair.
 */
import { dirname } from 'node:path'
import { FlashTableError } from '../../base/errors.js'
import { Poison } from '../../base/poison.js'
import type { PendingDelete } from '../../commit/committer.js'
import { FlashTable } from '../../flash-table.js'
import { MANIFEST_NAME, UNFINISHED_MANIFEST_NAME, parseFileName } from '../../io/file-names.js'
import type { FileSystem } from '../../io/file-system.js'
import type { Executor } from '../../jobs/job.js'
import { MAX_PAGE_BYTES } from '../../options/options.js'
import { OperationBuffer, countPuts, type DeleteWhere } from '../../records/operations.js'
import type { Environment } from '../../table/environment.js'
import { createTable } from '../../table/create-table.js'
import type { RepairOptions, Inventory } from './types.js'

/** Nothing is read from the table, and it does not count before its end. */
const QUIET = { cacheBytes: MAX_PAGE_BYTES, syncIntervalMs: Infinity, eventLog: false }
/** Operations of one commit. */
const BATCH_ROWS = 16_384
/** Fewer than a frame can have. */
const BATCH_DELETES = 16_384

export class RepairOutput {
  /** Puts that were added. */
  records = 0
  readonly #directory: string
  /** The topmost directory that was made, if any. */
  readonly #made: string | undefined
  readonly #fileSystem: FileSystem
  readonly #table: FlashTable
  readonly #inventory: Inventory
  readonly #batchRows: number
  #rows: OperationBuffer
  #deletes: PendingDelete[] = []

  private constructor(
    directory: string,
    made: string | undefined,
    fileSystem: FileSystem,
    table: FlashTable,
    inventory: Inventory,
    batchRows: number,
  ) {
    this.#directory = directory
    this.#made = made
    this.#fileSystem = fileSystem
    this.#table = table
    this.#inventory = inventory
    this.#batchRows = batchRows
    this.#rows = new OperationBuffer(inventory.schema.layout, batchRows)
  }

  /** Creates the table in a new or empty directory; `FLASHTABLE_EXISTS` if something is in it. */
  static async create(
    directory: string,
    inventory: Inventory,
    environment: Environment,
    { signal, bufferBytes }: Pick<RepairOptions, 'signal' | 'bufferBytes'>,
  ): Promise<RepairOutput> {
    const { fileSystem } = environment
    await assertEmpty(fileSystem, directory)
    const made = await fileSystem.makeDirectory(directory, inventory.mode)
    const hidden: Environment = {
      ...environment,
      fileSystem: unfinished(fileSystem, directory),
      newExecutor: () => homeless(environment.newExecutor()),
    }
    try {
      // By the stored schema: custom encodings, which only the program knows, are not needed.
      await createTable(directory, inventory.schema, inventory, hidden, new Poison())
      const table = await FlashTable.openIn(directory, { ...QUIET, bufferBytes, signal }, hidden)
      const { recordBytes } = inventory.schema.layout
      const memtableRows = Math.max(1, Math.floor((bufferBytes ?? Infinity) / recordBytes))
      return new RepairOutput(
        directory,
        made,
        fileSystem,
        table,
        inventory,
        Math.min(BATCH_ROWS, memtableRows),
      )
    } catch (error) {
      await removeAll(fileSystem, directory, made)
      throw error
    }
  }

  /**
   * Adds operations that are newer than all before. `deletes` have a position among the rows, and hide what comes
   * before it.
   */
  async add(rows: OperationBuffer, deletes: readonly PendingDelete[]): Promise<void> {
    this.records += countPuts(rows)
    let row = 0
    for (const entry of deletes) {
      row = await this.#append(rows, row, entry.position)
      this.#deletes.push({ ...entry, position: this.#rows.count })
      if (this.#deletes.length === BATCH_DELETES) await this.#flush()
    }
    await this.#append(rows, row, rows.count)
  }

  /** When it resolves, everything added is on the device and the directory is a table. */
  async finish(): Promise<void> {
    await this.#flush()
    await this.#table.close()
    const fileSystem = this.#fileSystem
    await fileSystem.rename(
      `${this.#directory}/${UNFINISHED_MANIFEST_NAME}`,
      `${this.#directory}/${MANIFEST_NAME}`,
    )
    await fileSystem.syncDirectory(this.#directory)
  }

  /** Removes what has been written. Best effort. */
  async abandon(): Promise<void> {
    await this.#table.close().catch(() => {})
    await removeAll(this.#fileSystem, this.#directory, this.#made)
  }

  async #append(rows: OperationBuffer, from: number, to: number): Promise<number> {
    for (let row = from; row < to;) {
      const end = Math.min(to, row + this.#batchRows - this.#rows.count)
      this.#rows.append(rows, row, end)
      row = end
      if (this.#rows.count === this.#batchRows) await this.#flush()
    }
    return to
  }

  async #flush(): Promise<void> {
    if (this.#rows.count + this.#deletes.length === 0) return
    const call = { operations: this.#rows, deletes: this.#deletes }
    // The buffer belongs to the table from now on.
    this.#rows = new OperationBuffer(this.#inventory.schema.layout, this.#batchRows)
    this.#deletes = []
    await this.#table.commitOperations(call)
  }
}

/** Delete-where entries as they stand among operations that begin with sequence number `first`. */
export function pendingDeletes(entries: readonly DeleteWhere[], first: number): PendingDelete[] {
  return entries.map(({ sequence, ...terms }, i) => ({ position: sequence - first - i, ...terms }))
}

async function assertEmpty(fileSystem: FileSystem, directory: string): Promise<void> {
  const info = await fileSystem.info(directory)
  if (info === undefined) return
  if (info.kind !== 'directory') {
    throw new FlashTableError('FLASHTABLE_EXISTS', `a repair needs a new directory: ${directory} is a file`)
  }
  const names = await fileSystem.list(directory)
  if (names.length === 0) return
  const what = names.includes(UNFINISHED_MANIFEST_NAME)
    ? 'holds what an interrupted repair has left; remove it'
    : 'is not empty'
  throw new FlashTableError('FLASHTABLE_EXISTS', `a repair needs a new directory: ${directory} ${what}`)
}

async function removeAll(fileSystem: FileSystem, directory: string, made: string | undefined): Promise<void> {
  const names = await fileSystem.list(directory).catch(() => [])
  for (const name of names) {
    if (parseFileName(name) !== undefined) await fileSystem.unlink(`${directory}/${name}`).catch(() => {})
  }
  if (made === undefined) return
  for (let path = directory; path.length >= made.length; path = dirname(path)) {
    await fileSystem.removeDirectory(path).catch(() => {})
  }
}

/** Jobs would look for the manifest under its usual name, to check that the directory is still the table's. */
function homeless(executor: Executor): Executor {
  return {
    threads: executor.threads,
    run: (job, control) => executor.run({ ...job, home: undefined }, control),
    spill: (job, control) => executor.spill({ ...job, home: undefined }, control),
    build: (job, control) => executor.build({ ...job, home: undefined }, control),
    endIdle: () => executor.endIdle(),
    close: () => executor.close(),
  }
}

/** The file system with the manifest of `directory` under its other name. */
function unfinished(fileSystem: FileSystem, directory: string): FileSystem {
  const manifest = `${directory}/${MANIFEST_NAME}`
  const at = (path: string): string => (path === manifest ? `${directory}/${UNFINISHED_MANIFEST_NAME}` : path)
  return {
    list: directory => fileSystem.list(directory),
    makeDirectory: (directory, fileMode) => fileSystem.makeDirectory(directory, fileMode),
    removeDirectory: directory => fileSystem.removeDirectory(directory),
    syncDirectory: directory => fileSystem.syncDirectory(directory),
    openDirectory: directory => fileSystem.openDirectory(directory),
    freeBytes: path => fileSystem.freeBytes(path),
    open: (path, mode, fileMode) => fileSystem.open(at(path), mode, fileMode),
    rename: (from, to) => fileSystem.rename(at(from), at(to)),
    unlink: path => fileSystem.unlink(at(path)),
    link: (existing, path) => fileSystem.link(at(existing), at(path)),
    info: path => fileSystem.info(at(path)),
    stamp: path => fileSystem.stamp(at(path)),
    digest: path => fileSystem.digest(at(path)),
  }
}

/**
 * The names of the simulated disk: what a process sees, and what the device may hold of it after a power cut.
 *
 * Each create, link, unlink and rename waits, as one atomic operation, until a sync of its directory. A power cut may
 * leave out any that still waits, but never one that a surviving one on the same name came after.
 */
import { basename, dirname } from 'node:path'
import type { Random } from './random.js'
import type { SimulatedFile } from './simulated-file.js'

type Tree = Map<string, Map<string, SimulatedFile>>

/** An operation on directory entries that no directory sync has covered. Paths are absolute and normal. */
export type EntryOperation =
  | { readonly kind: 'add'; readonly path: string; readonly file: SimulatedFile }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly path: string; readonly file: SimulatedFile }
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'renameDirectory'; readonly from: string; readonly path: string }
  | { readonly kind: 'removeDirectory'; readonly path: string }

/** What a power cut leaves of the waiting operations: none, all, those up to a point, any that are possible. */
export type EntryMode = 'none' | 'all' | 'prefix' | 'any'

const RANDOM_MODES: readonly EntryMode[] = ['none', 'all', 'prefix', 'any', 'any']

export class SimulatedDirectories {
  /** What a process sees. */
  #current: Tree
  /** What is sure to be found after a power cut. */
  readonly #synced: Tree
  #waiting: EntryOperation[] = []

  /** Inodes of directories: one that is removed and made anew is another one. */
  readonly #ids = new WeakMap<object, number>()
  #nextId = 1

  constructor(tree: Tree = new Map([['/', new Map()]])) {
    this.#current = tree
    this.#synced = copyOf(tree)
  }

  has(directory: string): boolean {
    return this.#current.has(directory)
  }

  /** `undefined` where there is no such directory. */
  idOf(directory: string): number | undefined {
    const files = this.#current.get(directory)
    if (files === undefined) return undefined
    const id = this.#ids.get(files) ?? this.#nextId++
    this.#ids.set(files, id)
    return id
  }

  /** A directory gets another name, as by another program, and all that is in it with it; all of it is synced. */
  move(from: string, to: string): void {
    this.endSync(new Set(this.#waiting))
    for (const tree of [this.#current, this.#synced]) moveTree(tree, from, to)
  }

  find(path: string): SimulatedFile | undefined {
    return this.#current.get(dirname(path))?.get(basename(path))
  }

  /** Names of files and directories in a directory, sorted. */
  names(directory: string): string[] {
    const names = [...(this.#current.get(directory)?.keys() ?? [])]
    for (const path of this.#current.keys()) {
      if (path !== '/' && dirname(path) === directory) names.push(basename(path))
    }
    return names.sort()
  }

  /** Every file with its path, each name once. */
  *entries(): Generator<readonly [string, SimulatedFile]> {
    for (const [directory, files] of this.#current) {
      for (const [name, file] of files) yield [directory === '/' ? `/${name}` : `${directory}/${name}`, file]
    }
  }

  do(operation: EntryOperation): void {
    apply(this.#current, operation)
    this.#waiting.push(operation)
  }

  /** As damage done to the device, or a file placed there: synced at once. */
  place(path: string, file: SimulatedFile | undefined): void {
    this.endSync(new Set(this.#waiting.filter(operation => namesOf(operation).includes(path))))
    for (const tree of [this.#current, this.#synced]) {
      apply(tree, file === undefined ? { kind: 'remove', path } : { kind: 'add', path, file })
    }
  }

  /** The operations that a sync of the directory will cover when it ends. */
  beginSync(directory: string): ReadonlySet<EntryOperation> {
    return new Set(
      this.#waiting.filter(operation => namesOf(operation).some(name => dirname(name) === directory)),
    )
  }

  /** The entry of the directory itself is kept with it, which POSIX does not promise and journals do. */
  endSync(covered: ReadonlySet<EntryOperation>): void {
    const kept = withPredecessors(this.#waiting, operation => covered.has(operation))
    for (const operation of kept) apply(this.#synced, operation)
    this.#waiting = this.#waiting.filter(operation => !kept.has(operation))
  }

  /** Every file that a name has, or has had and may have again after a power cut. */
  *files(): Generator<SimulatedFile> {
    for (const tree of [this.#current, this.#synced]) for (const files of tree.values()) yield* files.values()
    for (const operation of this.#waiting) if ('file' in operation) yield operation.file
  }

  /** To put the names back to what they are now. Directories stay the same objects: they are known by them. */
  remember(): () => void {
    const trees = [this.#current, this.#synced].map(tree => ({
      tree,
      directories: [...tree].map(([path, files]) => ({ path, files, entries: [...files] })),
    }))
    const waiting = this.#waiting.slice()
    return () => {
      for (const { tree, directories } of trees) {
        tree.clear()
        for (const { path, files, entries } of directories) {
          files.clear()
          for (const [name, file] of entries) files.set(name, file)
          tree.set(path, files)
        }
      }
      this.#waiting = waiting
    }
  }

  /** The same names, synced or not as they are, for the copies of the files. */
  clone(copy: (file: SimulatedFile) => SimulatedFile): SimulatedDirectories {
    const result = new SimulatedDirectories(copyOf(this.#synced, copy))
    result.#current = copyOf(this.#current, copy)
    result.#waiting = this.#waiting.map(operation =>
      'file' in operation ? { ...operation, file: copy(operation.file) } : operation,
    )
    return result
  }

  /** One legal state of the names after a power cut now; `copy` gives the file as the power cut left it. */
  afterPowerCut(
    random: Random,
    mode: EntryMode | undefined,
    copy: (file: SimulatedFile) => SimulatedFile,
    note: (line: string) => void,
  ): SimulatedDirectories {
    const tree = copyOf(this.#synced)
    const chosen = mode ?? random.pick(RANDOM_MODES)
    const kept = this.#survivors(random, chosen)
    for (const operation of kept) apply(tree, operation)
    if (this.#waiting.length > 0) {
      note(`directory entries: ${chosen}`)
      for (const operation of this.#waiting)
        note(`  ${kept.has(operation) ? 'kept' : 'lost'} ${describe(operation)}`)
    }
    return new SimulatedDirectories(copyOf(tree, copy))
  }

  #survivors(random: Random, mode: EntryMode): ReadonlySet<EntryOperation> {
    switch (mode) {
      case 'none':
        return new Set()
      case 'all':
        return new Set(this.#waiting)
      case 'prefix':
        return new Set(this.#waiting.slice(0, random.below(this.#waiting.length + 1)))
      case 'any':
        return withPredecessors(this.#waiting, () => random.chance(0.5))
    }
  }
}

/**
 * The chosen ones, every earlier one on the same names, the directories they are in, and what has emptied those that
 * they remove; in their order.
 */
function withPredecessors(
  operations: readonly EntryOperation[],
  choose: (operation: EntryOperation) => boolean,
): ReadonlySet<EntryOperation> {
  const needed = new Set<string>()
  const removed = new Set<string>()
  const moved = new Set<string>()
  const chosen: EntryOperation[] = []
  for (const operation of operations.toReversed()) {
    const isNeeded = namesOf(operation).some(
      name => needed.has(name) || removed.has(dirname(name)) || moved.has(dirname(name)),
    )
    if (!choose(operation) && !isNeeded) continue
    chosen.push(operation)
    if (operation.kind === 'removeDirectory') removed.add(operation.path)
    // What is in it goes with it.
    if (operation.kind === 'renameDirectory') moved.add(operation.from)
    for (const name of namesOf(operation)) {
      needed.add(name)
      for (let above = dirname(name); above !== '/'; above = dirname(above)) needed.add(above)
    }
  }
  return new Set(chosen.toReversed())
}

function namesOf(operation: EntryOperation): readonly string[] {
  return 'from' in operation ? [operation.from, operation.path] : [operation.path]
}

function apply(tree: Tree, operation: EntryOperation): void {
  const name = basename(operation.path)
  switch (operation.kind) {
    case 'add':
      directoryOf(tree, operation.path).set(name, operation.file)
      break
    case 'remove':
      directoryOf(tree, operation.path).delete(name)
      break
    case 'rename':
      directoryOf(tree, operation.from).delete(basename(operation.from))
      directoryOf(tree, operation.path).set(name, operation.file)
      break
    case 'directory':
      if (!tree.has(operation.path)) tree.set(operation.path, new Map())
      break
    case 'removeDirectory':
      tree.delete(operation.path)
      break
    case 'renameDirectory':
      moveTree(tree, operation.from, operation.path)
      break
  }
}

function moveTree(tree: Tree, from: string, to: string): void {
  const moving = [...tree].filter(([path]) => path === from || path.startsWith(`${from}/`))
  for (const [path, files] of moving) {
    tree.delete(path)
    tree.set(`${to}${path.slice(from.length)}`, files)
  }
}

function directoryOf(tree: Tree, path: string): Map<string, SimulatedFile> {
  const directory = tree.get(dirname(path))
  if (directory === undefined) throw new Error(`simulation: no directory for ${path}`)
  return directory
}

function copyOf(tree: Tree, copy: (file: SimulatedFile) => SimulatedFile = file => file): Tree {
  const result: Tree = new Map()
  for (const [directory, files] of tree) {
    const entries = new Map<string, SimulatedFile>()
    for (const [name, file] of files) entries.set(name, copy(file))
    result.set(directory, entries)
  }
  return result
}

function describe(operation: EntryOperation): string {
  return 'from' in operation
    ? `${operation.kind} ${operation.from} -> ${operation.path}`
    : `${operation.kind} ${operation.path}`
}

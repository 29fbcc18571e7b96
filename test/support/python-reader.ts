/** The Python reader, tools/python/flashtable.py, in a process of its own: test/support/read-table.py answers commands. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const READER = join(import.meta.dirname, '../../tools/python')

/** Of those that are there, the first Python with numpy: that of the path, or that of the system. */
export const PYTHON = ['python3', '/usr/bin/python3'].find(
  python => spawnSync(python, ['-c', 'import numpy, sys; assert sys.version_info >= (3, 11)']).status === 0,
)

/** Columns as their bytes. */
export interface ReadColumns {
  readonly count: number
  readonly columns: Readonly<Record<string, Buffer>>
}

type Answer = Readonly<Record<string, unknown>>

export class PythonReader {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = []
  #errors = ''

  constructor(python: string) {
    const script = join(import.meta.dirname, 'read-table.py')
    const environment = { ...process.env, PYTHONPATH: READER, PYTHONDONTWRITEBYTECODE: '1' }
    this.#process = spawn(python, ['-W', 'error', script], { env: environment })
    this.#process.stderr.on('data', data => (this.#errors += String(data)))
    createInterface({ input: this.#process.stdout }).on('line', line => {
      const { resolve, reject } = this.#waiting.shift()!
      const answer = JSON.parse(line) as Answer
      if (typeof answer['failed'] === 'string') reject(new Error(answer['failed']))
      else resolve(answer)
    })
    this.#process.on('close', () => {
      for (const { reject } of this.#waiting)
        reject(new Error(`the Python reader has ended: ${this.#errors}`))
    })
  }

  ask(command: string, path: string, more: object = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#process.stdin.write(`${JSON.stringify({ command, path, ...more })}\n`)
    })
  }

  /** All records, or those with keys in the range; bounds as text. The table stays open, and is refreshed. */
  async scan(path: string, bounds: Readonly<Record<string, string>> = {}): Promise<ReadColumns> {
    const answer = await this.ask('use', path, { do: 'scan', bounds })
    if (answer['counted'] !== answer['count'])
      throw new Error(`count says ${answer['counted'] as number}, scan ${answer['count'] as number}`)
    return decoded(answer)
  }

  /** `check`: queries that are asked for one by one, too. */
  async lookup(
    path: string,
    keys: readonly string[],
    check: readonly number[] = [],
  ): Promise<ReadColumns & { readonly query: readonly number[] }> {
    const answer = await this.ask('use', path, { do: 'lookup', keys, check })
    return { ...decoded(answer), query: answer['query'] as number[] }
  }

  /** What an expression about `table` gives, as Python writes it. */
  async value(path: string, use: string): Promise<string> {
    return (await this.ask('use', path, { do: 'value', use }))['value'] as string
  }

  close(): void {
    this.#process.stdin.end()
  }
}

function decoded(answer: Answer): ReadColumns {
  const columns = Object.entries(answer['columns'] as Record<string, string>)
  return {
    count: answer['count'] as number,
    columns: Object.fromEntries(columns.map(([name, text]) => [name, Buffer.from(text, 'base64')])),
  }
}

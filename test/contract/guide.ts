/** docs/guide, with the packed package: its commands, and its programs that are no plain `ts`. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { guidePages, KINDS_OF_BLOCKS } from '../support/guide.js'
import { linkPackage } from '../support/link-package.js'
import { readDocument } from '../support/markdown.js'
import { metricNames } from './examples.js'

const REPOSITORY = resolve(import.meta.dirname, '../..')
const PEERS = join(REPOSITORY, 'tools/bench')
const NUMPY = spawnSync('python3', ['-c', 'import numpy']).status === 0

/** These install packages: packed-package.test.ts has a test for each. */
const TESTED_ALONE = ['tutorial', 'ways-in-and-out']

const PAGES = guidePages()
const BLOCKS = PAGES.flatMap(({ path, blocks }) => blocks.map(block => ({ path, ...block })))

/** What each program wants to find; it then counts two records. */
const OLD_STORES = {
  lmdb: `import { open } from 'lmdb'
    const old = open({ path: './old-lmdb', dupSort: true, encoding: 'ordered-binary' })
    await old.put(7, [17, 42])
    await old.put(7, [18, -42])
    await old.close()`,
  'classic-level': `import { ClassicLevel } from 'classic-level'
    const old = new ClassicLevel('./old-level', { keyEncoding: 'hex', valueEncoding: 'json' })
    await old.put('0a0b0c0d00000001', { time: 17, id: 42 })
    await old.put('0a0b0c0d00000002', { time: 18, id: -42 })
    await old.close()`,
}

function textsOf(info: string): string[] {
  return BLOCKS.filter(block => block.info === info).map(({ text }) => text)
}

/** `run` runs a command in a directory of the project, and gives what it prints. */
export function testGuide(
  project: () => string,
  run: (command: string, args: readonly string[], cwd: string) => Promise<string>,
): void {
  async function folder(name: string): Promise<string> {
    const path = join(project(), 'pages', name)
    await mkdir(path, { recursive: true })
    return path
  }

  describe('docs/guide', () => {
    test('every block of code is executed, or shown for a reason', () => {
      const unknown = BLOCKS.filter(({ info }) => KINDS_OF_BLOCKS[info] === undefined)
      expect(unknown.map(({ path, line, info }) => `${path}:${line}: ${info}`)).toEqual([])
    })

    test('the index has every page', () => {
      const index = readDocument('docs/guide/README.md')
      expect(PAGES.filter(({ name }) => name !== 'README' && !index.includes(`(${name}.md)`))).toEqual([])
    })

    const commands = PAGES.filter(({ name }) => !TESTED_ALONE.includes(name)).map(({ name, blocks }) => {
      const kinds = ['sh', ...(NUMPY ? ['sh numpy'] : [])]
      return [name, blocks.filter(({ info }) => kinds.includes(info)).map(({ text }) => text)] as const
    })
    test.each(commands.filter(([, texts]) => texts.length > 0))(
      'the commands of %s.md',
      async (name, texts) => {
        // npx takes longer than the command. What npm would install is linked from this repository.
        const npx = `npx() { ${JSON.stringify(join(project(), 'node_modules/.bin'))}/"$@"; }\nnpm() { :; }`
        const wanted = texts.flatMap(text => [...text.matchAll(/^npm install (.+)$/gm)])
        for (const name of wanted.flatMap(([, names]) => names!.split(' ')))
          await linkPackage(name, project())
        await run('bash', ['-euo', 'pipefail', '-c', [npx, ...texts].join('\n')], await folder(name))
      },
    )

    test('the test for node:test passes', async () => {
      const path = await folder('node-test')
      for (const [i, text] of textsOf('js node:test').entries())
        await writeFile(join(path, `visits-${i}.test.mjs`), text)
      const printed = await run(process.execPath, ['--test', '--test-reporter=tap', path], path)
      expect(printed).toContain('# pass 1')
    })

    test('the test for Vitest passes', async () => {
      const path = await folder('vitest')
      await linkPackage('vitest', path)
      await writeFile(join(path, 'vitest.config.mjs'), `export default { test: { watch: false } }`)
      for (const [i, text] of textsOf('ts vitest').entries())
        await writeFile(join(path, `visits-${i}.test.ts`), text)
      const vitest = join(REPOSITORY, 'node_modules/vitest/vitest.mjs')
      const printed = await run(process.execPath, [vitest, 'run', '--reporter=json'], path)
      expect(JSON.parse(printed)).toMatchObject({ success: true, numPassedTests: 1 })
    })

    for (const [name, prepare] of Object.entries(OLD_STORES)) {
      const isThere = existsSync(join(PEERS, 'node_modules', name))
      test.runIf(isThere)(`the way from ${name}${isThere ? '' : ' (skipped: not installed)'}`, async () => {
        const path = await folder(`from-${name}`)
        await linkPackage(name, path, PEERS)
        await run(process.execPath, ['--input-type=module', '-e', prepare], path)
        const [program] = textsOf(`js ${name}`)
        expect(await run(process.execPath, ['--input-type=module', '-e', program!], path)).toBe('2 records\n')
      })
    }

    test('what bundling.md shows is what test/surroundings does', () => {
      const tried = readDocument('test/surroundings/surroundings.mjs')
      const shown = [...textsOf('sh surroundings'), ...textsOf('js surroundings')].join('\n')
      const words = shown.match(/--[\w-]+(?:=node\w*)?|NODE_\w+|noExternal: true/g)!
      expect(words.length).toBeGreaterThan(10)
      expect(words.filter(word => !tried.includes(word))).toEqual([])
      // Whatever is added to test/surroundings is told.
      const page = readDocument('docs/guide/bundling.md').toLowerCase()
      const names = [...tried.matchAll(/\{ name: '(\w+)/g)].map(([, name]) => name!.toLowerCase())
      const GENERAL = ['npm', 'single', 'a', 'node', 'node_options']
      expect(names.filter(name => !GENERAL.includes(name) && !page.includes(name))).toEqual([])
    })

    test('every metric that monitoring.md names is there', async () => {
      const names = await metricNames(join(project(), 'monitoring'))
      const used = readDocument('docs/guide/monitoring.md').match(/flashtable_[a-z_]+/g)!
      expect(used.length).toBeGreaterThan(5)
      expect(names).toEqual(expect.arrayContaining(used))
    })
  })
}

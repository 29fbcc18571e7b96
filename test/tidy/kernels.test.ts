/** The kernels that are checked in are those of the sources. docs/decisions/kernels.md. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MODULE_PATH, kernelModule } from '../../tools/build/kernels.mjs'

test('src/kernels/module.ts is what `npm run build:kernels` makes of src/kernels/assembly', async () => {
  expect(readFileSync(MODULE_PATH, 'utf8')).toBe(await kernelModule())
})

test('no project of TypeScript takes the AssemblyScript for its own', () => {
  for (const [file, folder] of [
    ['tsconfig.json', 'src/kernels/assembly'],
    ['tools/bench/tsconfig.json', '../../src/kernels/assembly'],
  ] as const) {
    const { exclude } = JSON.parse(readFileSync(file, 'utf8')) as { exclude: readonly string[] }
    expect(exclude, file).toContain(folder)
  }
})

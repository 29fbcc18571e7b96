/** The kernels that are checked in are those of the sources. docs/decisions/kernels.md. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MODULE_PATH, kernelModule } from '../../tools/build/kernels.mjs'

test('src/kernels/module.ts is what `npm run build:kernels` makes of src/kernels/assembly', async () => {
  expect(readFileSync(MODULE_PATH, 'utf8')).toBe(await kernelModule())
})

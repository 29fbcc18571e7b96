// `npm run build:kernels`: compiles src/kernels/assembly to src/kernels/module.ts, which is checked in.
// docs/decisions/kernels.md.
import asc from 'assemblyscript/asc'
import { Buffer } from 'node:buffer'
import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

export const MODULE_PATH = 'src/kernels/module.ts'

/** The text of the module, from the sources as they are. */
export async function kernelModule() {
  const { error, stderr, binary } = await compile()
  if (error) throw new Error(`the kernels do not compile: ${error.message}\n${stderr.toString()}`)
  const text = Buffer.from(binary).toString('base64')
  return `/** The kernels as WebAssembly, in base64: made of assembly/ by \`npm run build:kernels\`. */
export const KERNEL_MODULE =
  '${text}'
`
}

async function compile() {
  let binary
  const options = ['--outFile', 'kernels.wasm', '-O3', '--converge', '--noAssert', '--runtime', 'stub']
  const memory = ['--importMemory', '--initialMemory', '1', '--enable', 'simd', '--use', 'abort=']
  const result = await asc.main(['src/kernels/assembly/index.ts', ...options, ...memory], {
    writeFile: (_name, contents) => void (binary = contents),
  })
  return { ...result, binary }
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(MODULE_PATH, await kernelModule())

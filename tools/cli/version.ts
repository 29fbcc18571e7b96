/** The version of this package. */
import { createRequire } from 'node:module'

/** Found by the name of the package, which works from `tools/` and from `dist/tools/`. */
export function packageVersion(): string {
  const require = createRequire(import.meta.url)
  return (require('flashtable/package.json') as { version: string }).version
}

// Starts worker.ts where the sources run as they are (tsx, vitest); the built package has the bundled worker as text.
import { register } from 'tsx/esm/api'

register()
await import('./worker.ts')

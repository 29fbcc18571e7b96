// Starts worker.ts where the sources run as they are (tsx, vitest); the built package starts worker.js itself.
import { register } from 'tsx/esm/api'

register()
await import('./worker.ts')

// What level-transcoder takes for global.
export { TextDecoder, TextEncoder } from 'node:util'

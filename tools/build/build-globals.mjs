// What level-transcoder expects as globals.
export { TextDecoder, TextEncoder } from 'node:util'

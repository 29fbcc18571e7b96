/** The only run-time import of level-transcoder. The build bundles it in place of this file (tools/build/build.mjs). */
export { Transcoder } from 'level-transcoder'

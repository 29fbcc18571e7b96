/** The only import of level-transcoder that is there at run time. The build bundles it in the place of this file (tools/build/build.mjs). */
export { Transcoder } from 'level-transcoder'

/** Where things are: the benchmarks run built, from tools/bench/dist/tools/bench. */

/** The root of the repository. */
export const ROOT = new URL('../../../../../', import.meta.url)

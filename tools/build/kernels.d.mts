export const MODULE_PATH: string
export function kernelModule(): Promise<string>

export function workerText(): Promise<{ readonly text: string; readonly files: readonly string[] }>

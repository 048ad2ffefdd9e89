/** What is used of packages that bring no types. */
declare module 'node-persist' {
  interface Storage {
    init(): Promise<unknown>;
    setItem(key: string, value: unknown): Promise<unknown>;
  }
  const storage: { create(options: { dir: string; expiredInterval?: number }): Storage };
  export default storage;
}

declare module 'write-file-atomic' {
  export default function writeFileAtomic(file: string, data: string | Buffer): Promise<void>;
}

/** What an observer of file transfers says and needs. Pure: SHA-256 comes in as a factory. */

/** One file that went by, or one change to a name. */
export interface FileFact {
  readonly action: 'transfer' | 'remove' | 'rename' | 'mkdir' | 'rmdir' | 'link' | 'chmod';
  /** `up` is from the client to the target. */
  readonly direction: 'up' | 'down';
  readonly path: string;
  /** The new name of a rename or a link; empty otherwise. */
  readonly to: string;
  /** Bytes seen. */
  readonly size: number;
  readonly mode?: number;
  /** In hex, if the bytes passed in order from the first to the last. */
  readonly sha256?: string;
  /** Empty if all went well and everything was seen; else what did not. */
  readonly remark: string;
}

/** A running SHA-256, as node:crypto makes it. */
export interface Hasher {
  update(bytes: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

/** Looks at copies of both streams of one channel. It never throws and never holds anything up. */
export interface FileObserver {
  clientBytes(bytes: Uint8Array): void;
  serverBytes(bytes: Uint8Array): void;
  /** The channel is over: what is unfinished is said to be so. */
  end(): void;
}

/** What an observer says when it no longer understands what goes by. It says nothing more afterwards. */
export function unparsed(words: string, direction: 'up' | 'down', size: number): FileFact {
  return { action: 'transfer', direction, path: '', to: '', size, remark: `unparsed: ${words}` };
}

/**
 * Searches what is on a disk: folders with everything below them, single files of any size, a PostgreSQL data folder
 * with its WAL. Files are read as streams. What a file holds compressed or encrypted is found only through a decoder that the caller
 * passes in. It counts what it saw: a scan that saw nothing has proven nothing, and callers should assert on the counts.
 */
import { createReadStream } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Canary, type Hit, type Patterns, patternsOf, searchIn } from './canary.ts';

/** Turns a file into the bytes that matter: decrypted, decompressed. Each file is searched as it is, too. */
export interface Decoder {
  readonly name: string;
  /** Whether it is for this file, by its name or its first 64 bytes. */
  matches(path: string, head: Uint8Array): boolean;
  /** The decoded bytes. Throwing makes the file `unread`. */
  decode(path: string): AsyncIterable<Uint8Array>;
}

export interface Scan {
  readonly hits: readonly Hit[];
  readonly files: number;
  /** Bytes searched as they lie on the disk. */
  readonly bytes: number;
  /** Files that a decoder opened, and bytes it gave. */
  readonly decoded: { readonly files: number; readonly bytes: number };
  /** What could not be searched, and why. Files that vanished in the meantime are not among them. */
  readonly unread: readonly { readonly path: string; readonly reason: string }[];
}

export interface ScanOptions {
  readonly decoders?: readonly Decoder[];
  /** Paths that are left out with everything below them, such as the test's own notes. */
  readonly except?: (path: string) => boolean;
}

function decompressor(name: string, magic: readonly number[], make: () => NodeJS.ReadWriteStream): Decoder {
  return {
    name,
    matches: (_, head) => magic.every((byte, i) => head[i] === byte),
    decode: async function* (path) {
      const through = make();
      const done = pipeline(createReadStream(path), through);
      // A cut-off file rejects here and breaks the loop below; it is awaited after it, so nothing goes unheard.
      done.catch(() => {});
      for await (const piece of through) yield piece as unknown as Uint8Array;
      await done;
    },
  };
}

/** Rotated logs and the like. */
export const gunzip: Decoder = decompressor('gzip', [0x1f, 0x8b], () => createGunzip());
export const unzstd: Decoder = decompressor('zstd', [0x28, 0xb5, 0x2f, 0xfd], () => createZstdDecompress());

const pieceSize = 4 << 20;

/** Searches these folders and files. A root that does not exist is an error: its silence would look like cleanness. */
export async function scan(
  canaries: readonly Canary[],
  roots: readonly string[],
  options: ScanOptions = {},
): Promise<Scan> {
  const patterns = patternsOf(canaries);
  const hits: Hit[] = [];
  const unread: { path: string; reason: string }[] = [];
  const seen = new Set<string>();
  const count = { files: 0, bytes: 0, decodedFiles: 0, decodedBytes: 0 };

  async function visit(path: string): Promise<void> {
    if (options.except?.(path)) return;
    try {
      const name = searchIn(patterns, `name of ${path}`);
      name.add(Buffer.from(path));
      hits.push(...name.hits());
      // Links are followed (tablespaces are links), each place once.
      const real = await realpath(path);
      if (seen.has(real)) return;
      seen.add(real);
      const entry = await stat(real);
      if (entry.isDirectory()) {
        for (const child of (await readdir(real)).toSorted()) await visit(join(path, child));
      } else if (entry.isFile()) await read(path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'ENOENT') unread.push({ path, reason: code ?? String(error) });
    }
  }

  async function read(path: string): Promise<void> {
    const head = await searchFile(patterns, path, hits, (bytes) => {
      count.bytes += bytes;
    });
    count.files++;
    for (const decoder of options.decoders ?? []) {
      if (!decoder.matches(path, head)) continue;
      const inside = searchIn(patterns, `${path} (${decoder.name})`);
      try {
        for await (const piece of decoder.decode(path)) {
          inside.add(piece);
          count.decodedBytes += piece.length;
        }
        count.decodedFiles++;
      } catch (error) {
        unread.push({ path, reason: `${decoder.name}: ${error instanceof Error ? error.message : String(error)}` });
      }
      hits.push(...inside.hits());
    }
  }

  for (const root of roots) {
    await stat(root);
    await visit(root);
  }
  return {
    hits,
    files: count.files,
    bytes: count.bytes,
    decoded: { files: count.decodedFiles, bytes: count.decodedBytes },
    unread,
  };
}

/** Searches one file piece by piece and gives its first bytes. */
async function searchFile(
  patterns: Patterns,
  path: string,
  hits: Hit[],
  counted: (bytes: number) => void,
): Promise<Uint8Array> {
  const search = searchIn(patterns, path);
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(pieceSize);
  let head: Uint8Array = new Uint8Array(0);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, pieceSize, at);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    if (at === 0) head = Uint8Array.from(piece.subarray(0, 64));
    search.add(piece);
    counted(bytesRead);
    at += bytesRead;
  }
  hits.push(...search.hits());
  return head;
}

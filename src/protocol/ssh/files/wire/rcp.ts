/**
 * An observer of `scp -t` and `scp -f`: the rcp protocol. The source sends lines (`C0644 12 name`, `D0755 0 name`, `E`,
 * `T…`), file bytes, and a status byte after each file; the sink answers each of them with a status byte: 0, or 1 or 2
 * with words and a line feed. The two take turns, so the order in which a relay sees the bytes is the order they mean.
 */
import { text } from '../../../../base/bytes.ts';
import { type FileFact, type FileObserver, type Hasher, unparsed } from './facts.ts';

const maxLine = 8192;
const maxDepth = 256;
const maxPath = 32 * 1024;

interface Incoming {
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  left: number;
  hash: Hasher | undefined;
  remark: string;
}

/** Where the source is. */
type State =
  | { readonly at: 'line' }
  /** A line was sent; the sink decides. */
  | { readonly at: 'answer'; readonly file: Incoming | undefined }
  | { readonly at: 'data'; readonly file: Incoming }
  /** The status byte after the data, and the sink's answer to it. */
  | { readonly at: 'status'; readonly file: Incoming }
  | { readonly at: 'done'; readonly file: Incoming }
  | { readonly at: 'dormant' };

/** `up` watches `scp -t`, `down` watches `scp -f`. */
export function observeRcp(
  direction: 'up' | 'down',
  hasher: () => Hasher,
  emit: (fact: FileFact) => void,
): FileObserver {
  let state: State = { at: 'line' };
  let line: number[] = [];
  let answer: number[] | undefined;
  let seen = 0;
  const folders: string[] = [];

  function give(file: Incoming, remark: string): void {
    const { path, mode, hash } = file;
    const size = file.size - file.left;
    const whole = remark === '' && file.left === 0 && hash !== undefined;
    emit({
      action: 'transfer',
      direction,
      path,
      to: '',
      size,
      mode,
      ...(whole && { sha256: hash.digest('hex') }),
      remark,
    });
  }
  function sleep(words: string): void {
    state = { at: 'dormant' };
    line = [];
    emit(unparsed(words, direction, seen));
  }
  function path(name: string): string {
    return [...folders, name].join('/');
  }

  /** One whole line of the source. */
  function read(bytes: readonly number[]): void {
    const words = text(new Uint8Array(bytes));
    const kind = words[0];
    // Warnings of the source are not answered.
    if (kind === '\x01' || kind === '\x02') return;
    if (kind === 'T' || kind === 'E') {
      if (kind === 'E') folders.pop();
      state = { at: 'answer', file: undefined };
      return;
    }
    const parts = /^([CD])([0-7]{4,5}) (\d{1,15}) (.+)$/s.exec(words);
    if (parts === null) return sleep('not a line of scp');
    const [, letter, mode = '', size = '', name = ''] = parts;
    if (path(name).length > maxPath) return sleep('path too long');
    if (letter === 'D') {
      if (folders.length >= maxDepth) return sleep('folders too deep');
      folders.push(name);
      state = { at: 'answer', file: undefined };
      return;
    }
    const bytesLeft = Number(size);
    const file: Incoming = {
      path: path(name),
      mode: Number.parseInt(mode, 8),
      size: bytesLeft,
      left: bytesLeft,
      hash: undefined,
      remark: '',
    };
    state = { at: 'answer', file };
  }

  /** One byte or a run of them; gives how many it took. */
  function source(bytes: Uint8Array, from: number): number {
    const byte = bytes[from] ?? 0;
    switch (state.at) {
      case 'dormant':
        return bytes.length - from;
      case 'data': {
        const { file } = state;
        const run = bytes.subarray(from, from + file.left);
        file.hash?.update(run);
        file.left -= run.length;
        if (file.left === 0) state = { at: 'status', file };
        return run.length;
      }
      case 'status':
        if (byte !== 0) {
          // Words follow up to a line feed: the source could not read its file.
          if (line.length === 0 && byte !== 1 && byte !== 2) sleep('no status after a file');
          else if (byte === 0x0a) {
            state.file.remark = text(new Uint8Array(line.slice(1))).trim();
            line = [];
            state = { at: 'done', file: state.file };
          } else if (line.length >= maxLine) sleep('line too long');
          else line.push(byte);
        } else state = { at: 'done', file: state.file };
        return 1;
      case 'line':
        if (byte === 0x0a) {
          const whole = line;
          line = [];
          read(whole);
        } else if (line.length >= maxLine) sleep('line too long');
        else line.push(byte);
        return 1;
      case 'answer':
      case 'done':
        sleep('the source did not wait for its answer');
        return bytes.length - from;
      default:
        return state satisfies never;
    }
  }

  function answered(refusal: string | undefined): void {
    if (state.at === 'answer') {
      const { file } = state;
      if (file === undefined) state = { at: 'line' };
      else if (refusal !== undefined) {
        give(file, `refused: ${refusal}`);
        state = { at: 'line' };
      } else {
        file.hash = hasher();
        state = file.left === 0 ? { at: 'status', file } : { at: 'data', file };
      }
    } else if (state.at === 'done') {
      give(
        state.file,
        state.file.remark !== '' ? state.file.remark : refusal === undefined ? '' : `refused: ${refusal}`,
      );
      state = { at: 'line' };
    } else if (refusal !== undefined && (state.at === 'data' || state.at === 'status')) state.file.remark = refusal;
  }

  function sink(byte: number): void {
    if (answer !== undefined) {
      if (byte === 0x0a) {
        const words = text(new Uint8Array(answer)).trim();
        answer = undefined;
        answered(words);
      } else if (answer.length < maxLine) answer.push(byte);
    } else if (byte === 0) answered(undefined);
    else if (byte === 1 || byte === 2) answer = [];
  }

  function fromSource(bytes: Uint8Array): void {
    seen += bytes.length;
    for (let at = 0; at < bytes.length; ) at += source(bytes, at);
  }
  function fromSink(bytes: Uint8Array): void {
    if (state.at === 'dormant') return;
    for (const byte of bytes) sink(byte);
  }
  return {
    clientBytes: direction === 'up' ? fromSource : fromSink,
    serverBytes: direction === 'up' ? fromSink : fromSource,
    end() {
      if ('file' in state && state.file !== undefined) give(state.file, 'not finished');
      state = { at: 'dormant' };
    },
  };
}

/**
 * An observer of SFTP version 3 (draft-ietf-secsh-filexfer-02). It follows handles from OPEN to CLOSE, hashes what is
 * read or written as long as it passes in order, and says what became of names. Everything it remembers is bounded; when
 * a bound or the protocol is violated it says so once and sleeps.
 */
import { hex, text } from '../../../../base/bytes.ts';
import { type FileFact, type FileObserver, type Hasher, unparsed } from './facts.ts';
import { type PacketFields, packetFields, splitPackets } from './packets.ts';

const maxHandles = 1024;
const maxPending = 4096;
const maxPath = 32 * 1024;
const maxSizes = 256;

/** SSH_FXP_* and SSH_FXF_* (§3, §6.3). */
const fxp = {
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  stat: 17,
  rename: 18,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  attrs: 105,
  extended: 200,
} as const;
const write = 0x02;
const append = 0x04;

/** One way of one open file. */
interface Way {
  readonly hash: Hasher;
  next: number;
  bytes: number;
  inOrder: boolean;
  /** The end was seen: reading met it, or everything that is said to be there was read. */
  ended: boolean;
  remark: string;
}

interface OpenFile {
  readonly path: string;
  readonly mode: number | undefined;
  readonly writes: boolean;
  readonly appends: boolean;
  up: Way | undefined;
  down: Way | undefined;
}

/** A request whose answer matters. */
type Pending =
  | { readonly kind: 'open'; readonly file: OpenFile }
  | { readonly kind: 'close'; readonly handle: string }
  | { readonly kind: 'read'; readonly file: OpenFile; readonly offset: number }
  | { readonly kind: 'write'; readonly way: Way }
  | { readonly kind: 'stat'; readonly path: string }
  | { readonly kind: 'name'; readonly fact: Omit<FileFact, 'remark'> };

export function observeSftp(hasher: () => Hasher, emit: (fact: FileFact) => void): FileObserver {
  const handles = new Map<string, OpenFile>();
  const pending = new Map<number, Pending>();
  const sizes = new Map<string, number>();
  let asleep = false;
  let seen = 0;

  function sleep(words: string): void {
    if (asleep) return;
    asleep = true;
    handles.clear();
    pending.clear();
    emit(unparsed(words, 'up', seen));
  }
  function way(): Way {
    return { hash: hasher(), next: 0, bytes: 0, inOrder: true, ended: false, remark: '' };
  }
  function await_(id: number, what: Pending): void {
    if (pending.size >= maxPending) sleep('too many requests at a time');
    else pending.set(id, what);
  }
  function passed(one: Way, offset: number, bytes: Uint8Array): void {
    if (offset !== one.next) one.inOrder = false;
    if (one.inOrder) one.hash.update(bytes);
    one.next = offset + bytes.length;
    one.bytes += bytes.length;
  }
  function path(fields: PacketFields): string {
    const bytes = fields.string();
    if (bytes.length > maxPath) sleep('path too long');
    return text(bytes);
  }

  function request(packet: Uint8Array): void {
    const fields = packetFields(packet);
    const type = fields.u8();
    const id = fields.u32();
    switch (type) {
      case fxp.open: {
        const name = path(fields);
        const flags = fields.u32();
        const mode = modeOf(fields);
        await_(id, {
          kind: 'open',
          file: {
            path: name,
            mode,
            writes: (flags & write) !== 0,
            appends: (flags & append) !== 0,
            up: undefined,
            down: undefined,
          },
        });
        break;
      }
      case fxp.close:
        await_(id, { kind: 'close', handle: hex(fields.string().subarray(0, 256)) });
        break;
      case fxp.read: {
        const file = handles.get(hex(fields.string().subarray(0, 256)));
        const offset = fields.u64();
        if (file !== undefined) await_(id, { kind: 'read', file, offset });
        break;
      }
      case fxp.write: {
        const file = handles.get(hex(fields.string().subarray(0, 256)));
        const offset = fields.u64();
        const data = fields.string();
        if (file === undefined || !fields.ok) break;
        file.up ??= way();
        if (file.appends) file.up.inOrder = false;
        passed(file.up, offset, data);
        await_(id, { kind: 'write', way: file.up });
        break;
      }
      case fxp.stat:
      case fxp.lstat:
        await_(id, { kind: 'stat', path: path(fields) });
        break;
      case fxp.fstat: {
        const file = handles.get(hex(fields.string().subarray(0, 256)));
        if (file !== undefined) await_(id, { kind: 'stat', path: file.path });
        break;
      }
      case fxp.remove:
        return named(id, 'remove', path(fields), '');
      case fxp.rmdir:
        return named(id, 'rmdir', path(fields), '');
      case fxp.mkdir:
        return named(id, 'mkdir', path(fields), '', modeOf(fields));
      case fxp.rename:
        return named(id, 'rename', path(fields), path(fields));
      case fxp.symlink:
        return named(id, 'link', path(fields), path(fields));
      case fxp.setstat: {
        const name = path(fields);
        const mode = modeOf(fields);
        if (mode !== undefined) named(id, 'chmod', name, '', mode);
        break;
      }
      case fxp.extended: {
        const name = text(fields.string());
        if (name === 'posix-rename@openssh.com') named(id, 'rename', path(fields), path(fields));
        if (name === 'hardlink@openssh.com') named(id, 'link', path(fields), path(fields));
        break;
      }
    }
    if (!fields.ok) sleep('a request is cut off');
  }

  function named(id: number, action: FileFact['action'], name: string, to: string, mode?: number): void {
    await_(id, {
      kind: 'name',
      fact: { action, direction: 'up', path: name, to, size: 0, ...(mode !== undefined && { mode }) },
    });
  }

  function reply(packet: Uint8Array): void {
    const fields = packetFields(packet);
    const type = fields.u8();
    const id = fields.u32();
    // Of VERSION this field is the version, not an id.
    if (type === fxp.version) return id === 3 ? undefined : sleep(`sftp version ${id}`);
    const asked = pending.get(id);
    if (asked === undefined) return;
    pending.delete(id);
    if (type === fxp.status) answered(asked, fields.u32());
    else if (type === fxp.handle && asked.kind === 'open') {
      if (handles.size >= maxHandles) sleep('too many open files');
      else handles.set(hex(fields.string().subarray(0, 256)), asked.file);
    } else if (type === fxp.data && asked.kind === 'read') {
      const { file } = asked;
      file.down ??= way();
      passed(file.down, asked.offset, fields.string());
      if (file.down.next === sizes.get(file.path)) file.down.ended = true;
    } else if (type === fxp.attrs && asked.kind === 'stat') {
      if ((fields.u32() & 1) === 0) return;
      if (sizes.size >= maxSizes) sizes.clear();
      sizes.set(asked.path, fields.u64());
    }
    if (!fields.ok) sleep('an answer is cut off');
  }

  /** SSH_FX_OK is 0, SSH_FX_EOF is 1 (§7). */
  function answered(asked: Pending, status: number): void {
    switch (asked.kind) {
      case 'open':
        if (status !== 0) give(asked.file, 'up', undefined, `refused: status ${status}`);
        return;
      case 'close':
        return closed(asked.handle, '');
      case 'read':
        if (status === 1) (asked.file.down ??= way()).ended = true;
        else if (asked.file.down !== undefined) asked.file.down.remark = `a read failed: status ${status}`;
        return;
      case 'write':
        if (status !== 0) asked.way.remark = `a write failed: status ${status}`;
        return;
      case 'name':
        return emit({ ...asked.fact, remark: status === 0 ? '' : `refused: status ${status}` });
      case 'stat':
        return;
      default:
        return asked satisfies never;
    }
  }

  function closed(handle: string, remark: string): void {
    const file = handles.get(handle);
    if (file === undefined) return;
    handles.delete(handle);
    // A file that is made empty is a file all the same.
    if (file.writes && file.up === undefined && file.down === undefined) file.up = way();
    if (file.up !== undefined) give(file, 'up', file.up, remark);
    if (file.down !== undefined)
      give(file, 'down', file.down, remark === '' && !file.down.ended ? 'not read to its end' : remark);
  }

  function give(file: OpenFile, direction: 'up' | 'down', one: Way | undefined, remark: string): void {
    const inOrder = one?.inOrder ?? false;
    const words = one?.remark !== undefined && one.remark !== '' ? one.remark : remark;
    emit({
      action: 'transfer',
      direction,
      path: file.path,
      to: '',
      size: one?.bytes ?? 0,
      ...(file.mode !== undefined && { mode: file.mode }),
      ...(one !== undefined && inOrder && words === '' && { sha256: one.hash.digest('hex') }),
      remark: words === '' && !inOrder ? 'not sequential' : words,
    });
  }

  const requests = splitPackets((packet) => {
    if (!asleep) request(packet);
  });
  const replies = splitPackets((packet) => {
    if (!asleep) reply(packet);
  });
  const watch = (split: (piece: Uint8Array) => boolean) => (bytes: Uint8Array) => {
    seen += bytes.length;
    if (!asleep && !split(bytes)) sleep('a packet is out of bounds');
  };
  return {
    clientBytes: watch(requests),
    serverBytes: watch(replies),
    end() {
      for (const handle of handles.keys()) closed(handle, 'not closed');
      asleep = true;
    },
  };
}

/** The permissions in ATTRS (§5), if they are there; what stands before them is skipped. */
function modeOf(fields: PacketFields): number | undefined {
  const flags = fields.u32();
  if ((flags & 1) !== 0) fields.u64();
  if ((flags & 2) !== 0) {
    fields.u32();
    fields.u32();
  }
  return (flags & 4) !== 0 ? fields.u32() & 0o7777 : undefined;
}

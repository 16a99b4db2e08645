/**
 * Looking on: what the relay lets through becomes events of the recording and rows of the audit trail.
 *
 * A terminal is recorded in full. Of exec, sftp and scp: the request, how many bytes went each way and their SHA-256,
 * and each file with its name, size and hash; the contents only where the grant says so.
 */
import { createHash, type Hash } from 'node:crypto';
import { text } from '../../base/bytes.ts';
import { encodeModes, type FileFact, type FileObserver, observeFiles } from '../../protocol/ssh/ssh.ts';
import { sessionChannel } from '../../recording/format/format.ts';
import type { Recorder } from '../../recording/recorder.ts';
import type { Session } from '../open-session.ts';
import type { Place } from '../place.ts';
import { openTelling, type Telling } from '../telling.ts';
import type { Channel } from './channels.ts';
import type { Watcher } from './relay.ts';

const maxWords = 1000;

interface Watched {
  /** Everything is kept, because it is a terminal or the grant says so. */
  full: boolean;
  readonly streams: Readonly<Record<'input' | 'output' | 'error-output', Stream>>;
  files: FileObserver | undefined;
}

interface Stream {
  bytes: number;
  readonly hash: Hash;
}

export interface ChannelWatcher extends Watcher, Omit<Telling, 'tell'> {}

export function watchChannels(session: Session, recorder: Recorder, place: Place): ChannelWatcher {
  const watched = new Map<number, Watched>();
  const { clock } = place;
  const telling = openTelling(session, place);
  const { tell } = telling;

  function of(channel: Channel): Watched {
    let one = watched.get(channel.number);
    if (one === undefined) {
      const stream = (): Stream => ({ bytes: 0, hash: createHash('sha256') });
      const streams = { input: stream(), output: stream(), 'error-output': stream() };
      one = { full: session.authorization.recordContent, streams, files: undefined };
      watched.set(channel.number, one);
    }
    return one;
  }

  function fileSeen(channel: Channel, fact: FileFact): void {
    recorder.record({ kind: 'file', ...fact }, channel.number, clock.now());
    if (fact.action !== 'transfer') return;
    tell({
      type: 'file.transferred',
      channel: channel.number,
      direction: fact.direction === 'up' ? 'upload' : 'download',
      path: fact.path.slice(0, maxWords),
      size: fact.size,
      complete: fact.remark === '',
      ...(fact.sha256 === undefined ? {} : { sha256: fact.sha256 }),
    });
  }

  return {
    get congested() {
      return telling.congested;
    },
    onDrain: (listener) => telling.onDrain(listener),
    opened: (channel) => {
      of(channel);
      recorder.record({ kind: 'channel-open', type: 'session', about: '' }, channel.number, clock.now());
    },
    requested: (channel, name, request) => {
      const one = of(channel);
      const now = clock.now();
      switch (request.type) {
        case 'pty-req':
          one.full = true;
          recorder.record(
            {
              kind: 'pty',
              term: request.term,
              columns: request.cols,
              rows: request.rows,
              modes: encodeModes(request.modes),
            },
            channel.number,
            now,
          );
          return;
        case 'window-change':
          return recorder.record({ kind: 'resize', columns: request.cols, rows: request.rows }, channel.number, now);
        case 'env':
          return recorder.record({ kind: 'env', name: request.name, value: text(request.value) }, channel.number, now);
        case 'shell':
          one.full = true;
          recorder.record({ kind: 'shell' }, channel.number, now);
          return tell({ type: 'channel.opened', channel: channel.number, what: 'shell' });
        case 'exec':
          recorder.record({ kind: 'exec', command: request.command.slice() }, channel.number, now);
          tell({
            type: 'channel.opened',
            channel: channel.number,
            what: 'exec',
            command: text(request.command).slice(0, maxWords),
          });
          break;
        case 'subsystem':
          recorder.record({ kind: 'subsystem', name: request.subsystem }, channel.number, now);
          tell({ type: 'channel.opened', channel: channel.number, what: request.subsystem });
          break;
        default:
          return recorder.record({ kind: 'request', name, bytes: new Uint8Array() }, channel.number, now);
      }
      const files =
        channel.use.kind === 'subsystem' ? 'sftp' : channel.use.kind === 'exec' ? channel.use.files : undefined;
      // A program before this one that the target could not start was observed in vain.
      one.files?.end();
      one.files =
        files === undefined
          ? undefined
          : observeFiles(
              files,
              () => createHash('sha256'),
              (fact) => fileSeen(channel, fact),
            );
    },
    refused: (what, reason, channel) => {
      recorder.record(
        { kind: 'note', text: `refused: ${what}, ${reason}` },
        channel?.number ?? sessionChannel,
        clock.now(),
      );
      tell({ type: 'channel.refused', channel: channel?.number ?? 0, what: what.slice(0, maxWords), reason });
    },
    bytes: (channel, stream, bytes) => {
      const one = of(channel);
      if (stream === 'input') one.files?.clientBytes(bytes);
      if (stream === 'output') one.files?.serverBytes(bytes);
      if (one.full) return recorder.append(stream, channel.number, bytes, clock.now());
      const way = one.streams[stream];
      way.bytes += bytes.length;
      way.hash.update(bytes);
    },
    reported: (channel, request) => {
      if (request.type === 'exit-status')
        recorder.record({ kind: 'exit-status', status: request.status }, channel.number, clock.now());
      if (request.type === 'exit-signal')
        recorder.record({ kind: 'exit-signal', signal: request.signal }, channel.number, clock.now());
    },
    closed: (channel) => {
      const one = watched.get(channel.number);
      if (one === undefined) return;
      watched.delete(channel.number);
      one.files?.end();
      const now = clock.now();
      const { input, output, 'error-output': errors } = one.streams;
      if (!one.full || input.bytes > 0 || output.bytes > 0) {
        const sha256 = (way: Stream): string => way.hash.digest('hex');
        recorder.record(
          { kind: 'stream', direction: 'up', bytes: input.bytes, sha256: sha256(input) },
          channel.number,
          now,
        );
        recorder.record(
          { kind: 'stream', direction: 'down', bytes: output.bytes, sha256: sha256(output) },
          channel.number,
          now,
        );
      }
      if (errors.bytes > 0) {
        const text = `error output: ${errors.bytes} bytes, sha256 ${errors.hash.digest('hex')}`;
        recorder.record({ kind: 'note', text }, channel.number, now);
      }
      recorder.record({ kind: 'channel-close' }, channel.number, now);
    },
    settled: () => telling.settled(),
  };
}

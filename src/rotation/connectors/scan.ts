/** Which host keys a server shows: one handshake for each type, ended before any name is sent. Runs in the worker. */
import { wordsOf } from '../../base/errors.ts';
import { connect } from '../../protocol/ssh/ssh.ts';
import type { Answer } from './job.ts';
import { classOf } from './target.ts';

const types: readonly (readonly string[])[] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256'],
  ['ecdsa-sha2-nistp384'],
  ['ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
];

/** `confirmed` with the keys as words, `type base64` a line; `failed` when the server could not be asked at all. */
export async function scan(address: string, port: number, signal: AbortSignal): Promise<Answer> {
  const keys: string[] = [];
  let fault: unknown;
  for (const hostKey of types) {
    const before = keys.length;
    const checkHostKey = (key: Uint8Array, algorithm: string): boolean => {
      keys.push(`${algorithm.replace(/^rsa-sha2-\d+$/, 'ssh-rsa')} ${Buffer.from(key).toString('base64')}`);
      return false;
    };
    const options = { host: address, port, user: '-', credential: {}, checkHostKey, algorithms: { hostKey } };
    try {
      await connect(options, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (keys.length === before) fault ??= error;
      if (classOf(error).startsWith('unreachable')) break;
    }
  }
  if (keys.length > 0) return { outcome: 'confirmed', class: 'none', words: keys.join('\n') };
  return { outcome: 'failed', class: classOf(fault), words: wordsOf(fault) };
}

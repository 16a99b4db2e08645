/**
 * One job for a connector process, and how it crosses the pipe: one frame of JSON that holds no secret, then one frame
 * for each secret, in the order of their numbers. In the JSON a secret is its number, bytes are base64, and of a private
 * key there are its public half and a number: the process asks for signatures.
 */
import { Secret } from '../../base/secret.ts';
import type { Signer } from '../../protocol/ssh/types.ts';
import { RotationError } from '../errors.ts';
import type { Said, Verification } from '../plan/verdict.ts';
import type { AnswerClass, Login, LoginCredential, NewCredential, Task, VerifyAnswer, Work } from './connector.ts';

/** What a connector is asked. Secrets in it are borrowed: the caller disposes of them. */
export type Job = { readonly connector: string } & (
  | { readonly operation: 'precheck' | 'fence'; readonly work: Work }
  | { readonly operation: 'change' | 'reconcile'; readonly work: Work; readonly fresh: NewCredential }
  | { readonly operation: 'retire'; readonly work: Work; readonly former: readonly Uint8Array[] }
  | { readonly operation: 'verify'; readonly task: Task; readonly login: Login }
  | {
      readonly operation: 'adminverify';
      readonly task: Task;
      readonly admin?: Login;
      readonly candidates: readonly LoginCredential[];
      /** Refused logins, at most. */
      readonly budget: number;
    }
  | {
      readonly operation: 'scan';
      readonly protocol: 'ssh' | 'rdp';
      readonly address: string;
      readonly port: number;
    }
);

/** What came back. `crashed` and `late` are ours: the process died, or was killed at its deadline. */
export interface Answer {
  readonly outcome: Said | Verification | 'crashed' | 'late';
  readonly class: AnswerClass;
  readonly words: string;
  /** See `VerifyAnswer`. */
  readonly counts?: true;
  /** Of `adminverify`: one for each candidate. */
  readonly each?: readonly VerifyAnswer[];
}

/** More would be a flood: an account has a handful of candidates. */
export const mostSecrets = 256;

export interface Packed {
  readonly head: Uint8Array;
  readonly secrets: readonly Uint8Array[];
  /** By their numbers; with the user that each may sign for. */
  readonly signers: readonly { readonly signer: Signer; readonly user: string }[];
}

/** `$` marks what JSON has no form for. No value of ours has such a key. */
type Marked =
  | { readonly $: 'secret'; readonly number: number }
  | { readonly $: 'bytes'; readonly base64: string }
  | {
      readonly $: 'signer';
      readonly number: number;
      readonly publicKey: string;
      readonly algorithms: readonly string[];
    };

export function packJob(job: Job): Packed {
  const secrets: Uint8Array[] = [];
  const signers: { signer: Signer; user: string }[] = [];
  /** `user`: whose login this part of the job is. */
  const plain = (value: unknown, user: string): unknown => {
    if (value instanceof Secret) return { $: 'secret', number: secrets.push(value.reveal()) - 1 } satisfies Marked;
    if (value instanceof Uint8Array) return { $: 'bytes', base64: base64(value) } satisfies Marked;
    if (Array.isArray(value)) return value.map((item) => plain(item, user));
    if (typeof value !== 'object' || value === null) return value;
    if (isSigner(value)) {
      const number = signers.push({ signer: value, user }) - 1;
      const publicKey = base64(value.publicKey);
      return { $: 'signer', number, publicKey, algorithms: value.algorithms } satisfies Marked;
    }
    if ('$' in value) throw new RotationError('rotation.worker-protocol', 'a setting is named $');
    const own = 'user' in value && typeof value.user === 'string' ? value.user : user;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner, own)]));
  };
  // Of candidates only the account itself may be signed for.
  const account = 'task' in job ? job.task.account : '';
  const body = plain(job, account);
  const head = new TextEncoder().encode(JSON.stringify({ secrets: secrets.length, job: body }));
  return { head, secrets, signers };
}

function isSigner(value: object): value is Signer {
  return 'sign' in value && typeof value.sign === 'function';
}

/** In the worker: the number of secret frames that follow a head. */
export function secretsOf(head: Uint8Array): number {
  const count = (JSON.parse(new TextDecoder().decode(head)) as { secrets?: unknown }).secrets;
  if (typeof count !== 'number' || count < 0 || count > mostSecrets)
    throw new RotationError('rotation.worker-protocol', 'head');
  return count;
}

/** In the worker: the job again. `sign` asks the engine. The head comes from our own engine and is trusted. */
export function unpackJob(
  head: Uint8Array,
  secrets: readonly Uint8Array[],
  sign: (signer: number, data: Uint8Array, algorithm: string, signal: AbortSignal) => Promise<Uint8Array>,
): { readonly job: Job; readonly secrets: readonly Secret[] } {
  const owned = secrets.map((bytes) => new Secret(bytes));
  const revive = (marked: Marked): unknown => {
    if (marked.$ === 'bytes') return bytesOf(marked.base64);
    if (marked.$ === 'secret') {
      const found = owned[marked.number];
      if (found === undefined) throw new RotationError('rotation.worker-protocol', 'a secret is missing');
      return found;
    }
    return {
      publicKey: bytesOf(marked.publicKey),
      algorithms: marked.algorithms,
      sign: (data, algorithm, signal) => sign(marked.number, data, algorithm, signal),
    } satisfies Signer;
  };
  const { job } = JSON.parse(new TextDecoder().decode(head), (_, value: unknown) =>
    typeof value === 'object' && value !== null && '$' in value ? revive(value as Marked) : value,
  ) as { job: Job };
  return { job, secrets: owned };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

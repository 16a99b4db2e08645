/**
 * One job for a connector process, and how it crosses the pipe: one frame of JSON that holds no secret, then one frame
 * for each secret, in the order of their numbers. Private keys do not cross: the process asks for signatures.
 */
import { Secret } from '../../base/secret.ts';
import type { Signer } from '../../protocol/ssh/types.ts';
import { RotationError } from '../errors.ts';
import type { Said, Verification } from '../plan/verdict.ts';
import type { AnswerClass, LoginCredential, Login, NewCredential, Place, Work } from './connector.ts';

/** What a connector is asked. Secrets in it are borrowed: the caller disposes of them. */
export type Job = { readonly connector: string } & (
  | { readonly operation: 'precheck'; readonly work: Work }
  | { readonly operation: 'change'; readonly work: Work; readonly fresh: NewCredential }
  | { readonly operation: 'retire'; readonly work: Work; readonly former: readonly Uint8Array[] }
  | { readonly operation: 'verify'; readonly place: Place; readonly login: Login }
  | { readonly operation: 'scan'; readonly address: string; readonly port: number }
);

/** What came back. `crashed` and `late` are ours: the process died, or was killed at its deadline. */
export interface Answer {
  readonly outcome: Said | Verification | 'crashed' | 'late';
  readonly class: AnswerClass;
  readonly words: string;
}

/** A credential in the JSON frame: a password by its number, a key by its public half and its number. */
type Wire =
  | { kind: 'password'; secret: number }
  | { kind: 'ssh-key'; signer: number; publicKey: string; algorithms: string[] };

export interface Packed {
  readonly head: Uint8Array;
  readonly secrets: readonly Uint8Array[];
  /** By their numbers; with the user that each may sign for. */
  readonly signers: readonly { readonly signer: Signer; readonly user: string }[];
}

export function packJob(job: Job): Packed {
  const secrets: Uint8Array[] = [];
  const signers: { signer: Signer; user: string }[] = [];
  const login = ({ user, credential }: Login): { user: string; credential: Wire } => {
    if (credential.kind === 'password')
      return { user, credential: { kind: 'password', secret: secrets.push(credential.secret.reveal()) - 1 } };
    const { signer } = credential;
    const number = signers.push({ signer, user }) - 1;
    return {
      user,
      credential: {
        kind: 'ssh-key',
        signer: number,
        publicKey: base64(signer.publicKey),
        algorithms: [...signer.algorithms],
      },
    };
  };
  const place = (where: Place) => ({ ...where, hostKeys: where.hostKeys.map(base64) });
  const work = (what: Work) => ({
    ...what,
    place: place(what.place),
    by: { mode: what.by.mode, login: login(what.by.login) },
  });
  const plain = ((): object => {
    switch (job.operation) {
      case 'precheck':
        return { work: work(job.work) };
      case 'change':
        return {
          work: work(job.work),
          fresh:
            job.fresh.kind === 'password'
              ? { kind: 'password', secret: secrets.push(job.fresh.secret.reveal()) - 1 }
              : {
                  kind: 'ssh-key',
                  publicKey: base64(job.fresh.publicKey),
                  replaces: job.fresh.replaces && base64(job.fresh.replaces),
                },
        };
      case 'retire':
        return { work: work(job.work), former: job.former.map(base64) };
      case 'verify':
        return { place: place(job.place), login: login(job.login) };
      case 'scan':
        return { address: job.address, port: job.port };
      default:
        return job satisfies never;
    }
  })();
  const text = JSON.stringify({
    connector: job.connector,
    operation: job.operation,
    secrets: secrets.length,
    ...plain,
  });
  return { head: new TextEncoder().encode(text), secrets, signers };
}

/** In the worker: the number of secret frames that follow a head. */
export function secretsOf(head: Uint8Array): number {
  const count = (JSON.parse(new TextDecoder().decode(head)) as { secrets?: unknown }).secrets;
  if (typeof count !== 'number' || count < 0 || count > 8) throw new RotationError('rotation.worker-protocol', 'head');
  return count;
}

/** In the worker: the job again. `sign` asks the engine. The head comes from our own engine and is trusted. */
export function unpackJob(
  head: Uint8Array,
  secrets: readonly Uint8Array[],
  sign: (signer: number, data: Uint8Array, algorithm: string, signal: AbortSignal) => Promise<Uint8Array>,
): { readonly job: Job; readonly secrets: readonly Secret[] } {
  const owned = secrets.map((bytes) => new Secret(bytes));
  const secret = (number: number): Secret => {
    const found = owned[number];
    if (found === undefined) throw new RotationError('rotation.worker-protocol', 'a secret is missing');
    return found;
  };
  const credential = (wire: Wire): LoginCredential =>
    wire.kind === 'password'
      ? { kind: 'password', secret: secret(wire.secret) }
      : {
          kind: 'ssh-key',
          signer: {
            publicKey: bytes(wire.publicKey),
            algorithms: wire.algorithms,
            sign: (data, algorithm, signal) => sign(wire.signer, data, algorithm, signal),
          },
        };
  const login = (wire: { user: string; credential: Wire }): Login => ({
    user: wire.user,
    credential: credential(wire.credential),
  });
  const place = (wire: { address: string; port: number; hostKeys: string[] }): Place => ({
    ...wire,
    hostKeys: wire.hostKeys.map(bytes),
  });
  type WireWork = Omit<Work, 'place' | 'by'> & {
    place: { address: string; port: number; hostKeys: string[] };
    by: { mode: 'self' | 'admin'; login: { user: string; credential: Wire } };
  };
  const work = (wire: WireWork): Work => ({
    ...wire,
    place: place(wire.place),
    by: { mode: wire.by.mode, login: login(wire.by.login) },
  });
  const wire = JSON.parse(new TextDecoder().decode(head)) as {
    connector: string;
    operation: Job['operation'];
    work: WireWork;
    place: { address: string; port: number; hostKeys: string[] };
    login: { user: string; credential: Wire };
    fresh: { kind: 'password'; secret: number } | { kind: 'ssh-key'; publicKey: string; replaces?: string };
    former: string[];
    address: string;
    port: number;
  };
  const { connector, operation } = wire;
  const job = ((): Job => {
    switch (operation) {
      case 'precheck':
        return { connector, operation, work: work(wire.work) };
      case 'change':
        return {
          connector,
          operation,
          work: work(wire.work),
          fresh:
            wire.fresh.kind === 'password'
              ? { kind: 'password', secret: secret(wire.fresh.secret) }
              : {
                  kind: 'ssh-key',
                  publicKey: bytes(wire.fresh.publicKey),
                  replaces: wire.fresh.replaces === undefined ? undefined : bytes(wire.fresh.replaces),
                },
        };
      case 'retire':
        return { connector, operation, work: work(wire.work), former: wire.former.map(bytes) };
      case 'verify':
        return { connector, operation, place: place(wire.place), login: login(wire.login) };
      case 'scan':
        return { connector, operation, address: wire.address, port: wire.port };
      default:
        return operation satisfies never;
    }
  })();
  return { job, secrets: owned };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

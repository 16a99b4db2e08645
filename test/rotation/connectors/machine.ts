/** What the tests of both connectors share: a machine with the accounts they need, and the connector in its own process. */
import { generateKeyPair, parsePrivateKey, signerFromPrivateKey } from '../../../src/protocol/ssh/ssh.ts';
import { isRefusal } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/base/secret.ts';
import type { LoginCredential, Place, Work } from '../../../src/rotation/connectors/connector.ts';
import type { Answer, Job } from '../../../src/rotation/connectors/job.ts';
import { processRunner } from '../../../src/rotation/connectors/run.ts';
import { type Machine, startMachine } from '../../lab/machine.ts';
import { never } from '../room.ts';
import type { Bench } from './conformance.ts';

export const passwords = {
  root: 'Root.Pass-1',
  nopass: 'Nopass.Pass-1',
  asking: 'Asking.Pass-1',
  plain: 'Plain.Pass-1',
  app: 'App.Pass-1',
};

export async function accountsMachine(
  name: string,
  keys: Readonly<Record<string, readonly string[]>> = {},
): Promise<Machine> {
  const lines = (user: string) => (keys[user] === undefined ? {} : { authorizedKeys: keys[user] });
  return startMachine({
    name,
    users: [
      { name: 'root', password: passwords.root, ...lines('root') },
      { name: 'nopass', password: passwords.nopass, sudo: 'nopasswd', ...lines('nopass') },
      { name: 'asking', password: passwords.asking, sudo: 'password', ...lines('asking') },
      { name: 'plain', password: passwords.plain, ...lines('plain') },
      { name: 'app', password: passwords.app, ...lines('app') },
    ],
    sshd: ['PermitRootLogin yes', 'MaxStartups 100'],
  });
}

export function placeOf(machine: Machine, at: { address: string; port: number } = machine): Place {
  return {
    protocol: 'ssh',
    tls: { kind: 'off' },
    settings: {},
    address: at.address,
    port: at.port,
    hostKeys: machine.hostKeys.map((line) => new Uint8Array(Buffer.from(line.split(' ')[1] ?? '', 'base64'))),
  };
}

export function password(text: string): LoginCredential {
  return { kind: 'password', secret: Secret.fromText(text) };
}

export interface Pair {
  readonly line: string;
  readonly publicKey: Uint8Array;
  readonly login: LoginCredential;
}

export async function pair(comment: string): Promise<Pair> {
  const { privateKeyOpenSsh, publicKey, line } = await generateKeyPair('ed25519', comment);
  const key = await parsePrivateKey(privateKeyOpenSsh, undefined, never);
  if (isRefusal(key)) throw new Error(key.reason);
  return { line, publicKey, login: { kind: 'ssh-key', signer: signerFromPrivateKey(key.key) } };
}

export function work(place: Place, account: string, user: string, credential: LoginCredential): Work {
  const mode = user === account ? 'self' : 'admin';
  return { place, account, by: { mode, login: { user, credential } }, tag: 'rot-test', targetSeconds: 5, settings: {} };
}

/** What the benches of all ssh connectors share: `accountsMachine`, its administrators, and `app`. */
export function sshBench(
  machine: () => Machine,
): Pick<Bench, 'account' | 'place' | 'impostor' | 'admins' | 'powerless' | 'settled'> {
  const login = (user: keyof typeof passwords) => () => ({ user, credential: password(passwords[user]) });
  return {
    account: 'app',
    place: (at) => placeOf(machine(), at),
    impostor: (place) => ({
      ...place,
      hostKeys: place.hostKeys.map((key) => key.map((byte, at) => (at > 24 ? byte ^ 1 : byte))),
    }),
    admins: {
      root: login('root'),
      'sudo without a password': login('nopass'),
      'sudo with its password': login('asking'),
    },
    powerless: login('plain'),
    settled: () => settledMachine(machine()),
  };
}

const runner = processRunner();

/** Runs a job in a connector process. */
export async function ask(job: Job, deadlineMs = 20_000): Promise<Answer> {
  return runner(job, { deadlineMs }, never);
}

/** Resolves when no change of ours is running on the machine any more. */
export async function settledMachine(machine: Machine): Promise<void> {
  await machine.exec([
    'sh',
    '-c',
    'while pgrep -x timeout >/dev/null || pgrep -x chpasswd >/dev/null; do sleep 0.05; done',
  ]);
}

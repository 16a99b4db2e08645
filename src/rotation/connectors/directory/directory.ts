/**
 * Speaking LDAP over a protected connection: log in, search, modify, and the password modify operation. Every answer is
 * a value: a result code with the server's words, or a fault where there was no answer. The library would open a second
 * connection by itself, without TLS and without a login, when the first is lost: here it gets one and never another.
 */
import type { TLSSocket } from 'node:tls';
import {
  AndFilter,
  Attribute,
  type BerReader,
  Change,
  Client,
  Control,
  EqualityFilter,
  OrFilter,
  ResultCodeError,
} from 'ldapts';
import { text } from '../../../base/bytes.ts';
import { wordsOf } from '../../../base/errors.ts';
import type { Secret } from '../../../base/secret.ts';
import type { Place } from '../connector.ts';
import { dial } from './dial.ts';
import { type Fault, isFault } from './faults.ts';
import {
  operations,
  type PolicyAnswer,
  passwordModify,
  passwordPolicyControl,
  readPolicyAnswer,
} from './wire/ldap-messages.ts';

/** A result of RFC 4511 §4.1.9 with the server's words. 0 is success. */
export interface Result {
  readonly code: number;
  readonly words: string;
  /** What the server said about its password policy, where it was asked and knows one. */
  readonly policy: PolicyAnswer | undefined;
}

export interface Entry {
  readonly dn: string;
  /** By attribute in lower case; an attribute that is not there has no values. */
  readonly values: (attribute: string) => readonly Uint8Array[];
}

export interface Replacement {
  readonly attribute: string;
  readonly operation: 'add' | 'delete' | 'replace';
  readonly values: readonly Uint8Array[];
}

export interface Directory extends AsyncDisposable {
  /** A simple bind. An empty password would be no login at all and yet succeed (RFC 4513 §5.1.2): it is refused here. */
  bind(dn: string, password: Secret): Promise<Result | Fault>;
  /** At most `most` entries; more are a fault of the question. */
  search(
    base: string,
    where: { readonly scope: 'base' | 'sub'; readonly any?: readonly Match[]; readonly all?: readonly Match[] },
    attributes: readonly string[],
    controls?: readonly Control[],
  ): Promise<readonly Entry[] | Result | Fault>;
  modify(dn: string, changes: readonly Replacement[]): Promise<Result | Fault>;
  /** RFC 3062. */
  setPassword(user: string, old: Secret | undefined, fresh: Secret): Promise<Result | Fault>;
}

export interface Match {
  readonly attribute: string;
  readonly value: string;
}

/** Bytes that one connection may bring; a directory that says more is not listened to. */
const mostBytes = 4 << 20;
const mostEntries = 8;

/** A connection on which nobody has logged in yet, or why there is none. */
export async function openDirectory(place: Place, signal: AbortSignal): Promise<Directory | Fault> {
  const socket = await dial(place, signal);
  if (isFault(socket)) return socket;
  const end = (): void => void socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received > mostBytes) socket.destroy();
  });
  let given = false;
  const client = new Client({
    url: 'ldap://directory',
    strictDN: false,
    createConnection: ((): TLSSocket => {
      if (given) throw new Error('the connection to the directory was lost');
      given = true;
      return socket;
    }) as never,
  });

  /** Runs one operation; `policy` is asked for with it. */
  async function answer(run: (controls: Control[]) => Promise<unknown>): Promise<Result | Fault> {
    const policy = new PolicyControl();
    try {
      await run([policy]);
      return { code: 0, words: '', policy: policy.answer };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ResultCodeError) return { ...resultOf(error), policy: policy.answer };
      return { fault: 'cut', words: wordsOf(error) };
    }
  }

  return {
    bind: async (dn, password) => {
      if (dn === '' || password.length === 0) throw new TypeError('a login has a name and a password');
      return answer((controls) => client.bind(dn, password.revealText(), controls));
    },
    search: async (base, { scope, any, all }, attributes, controls = []) => {
      const matches = (any ?? all ?? []).map((match) => new EqualityFilter({ ...match }));
      const filter = any === undefined ? new AndFilter({ filters: matches }) : new OrFilter({ filters: matches });
      const options = {
        scope,
        sizeLimit: mostEntries,
        attributes: [...attributes],
        explicitBufferAttributes: [...attributes],
        ...(matches.length === 0 ? {} : { filter }),
      };
      try {
        const { searchEntries } = await client.search(base, options, [...controls]);
        return searchEntries.map(entryOf);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof ResultCodeError) return { ...resultOf(error), policy: undefined };
        return { fault: 'cut', words: wordsOf(error) };
      }
    },
    modify: (dn, changes) =>
      answer((controls) =>
        client.modify(
          dn,
          changes.map(
            ({ attribute, operation, values }) =>
              new Change({
                operation,
                modification: new Attribute({ type: attribute, values: values.map((value) => Buffer.from(value)) }),
              }),
          ),
          controls,
        ),
      ),
    setPassword: (user, old, fresh) =>
      answer((controls) =>
        client.exop(
          operations.passwordModify,
          Buffer.from(passwordModify(user, old?.reveal(), fresh.reveal())),
          controls,
        ),
      ),
    [Symbol.asyncDispose]: async () => {
      signal.removeEventListener('abort', end);
      await client.unbind().catch(() => {});
      socket.destroy();
    },
  };
}

export function isResult(value: object): value is Result {
  return 'code' in value;
}

/** The one value of an attribute as text; undefined if it has none. */
export function textOf(entry: Entry, attribute: string): string | undefined {
  const [value] = entry.values(attribute);
  return value === undefined ? undefined : text(value);
}

/** Asks for the policy's answer, and keeps it: the library hands a response control to the request's own. */
class PolicyControl extends Control {
  answer: PolicyAnswer | undefined;

  constructor() {
    super(passwordPolicyControl);
  }

  override parse(reader: BerReader): void {
    this.answer = readPolicyAnswer(reader.buffer);
  }
}

/** The library puts the number of the result behind the server's words. */
function resultOf(error: ResultCodeError): { code: number; words: string } {
  return { code: error.code, words: error.message.replace(/ Code: 0x[0-9a-f]+$/, '').trim() };
}

function entryOf(found: { dn: string; [attribute: string]: unknown }): Entry {
  const byName = new Map<string, readonly Uint8Array[]>();
  for (const [name, value] of Object.entries(found)) {
    if (name === 'dn') continue;
    const list = (Array.isArray(value) ? value : [value]) as readonly (Buffer | string)[];
    byName.set(
      name.toLowerCase(),
      list.map((one) => (typeof one === 'string' ? new TextEncoder().encode(one) : new Uint8Array(one))),
    );
  }
  return { dn: found.dn, values: (attribute) => byName.get(attribute.toLowerCase()) ?? [] };
}

/** KEXINIT and what follows from two of them (RFC 4253 §7.1), with the markers for strict KEX and EXT_INFO. Pure. */
import { msg } from './numbers.ts';
import { Reader, type Violation } from './reader.ts';
import { Writer } from './writer.ts';

export interface Kexinit {
  readonly cookie: Uint8Array;
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  readonly cipherToServer: readonly string[];
  readonly cipherToClient: readonly string[];
  readonly macToServer: readonly string[];
  readonly macToClient: readonly string[];
  readonly compressionToServer: readonly string[];
  readonly compressionToClient: readonly string[];
  readonly languagesToServer: readonly string[];
  readonly languagesToClient: readonly string[];
  readonly firstKexPacketFollows: boolean;
}

/** The lists in the order of the message. */
const lists = [
  'kex',
  'hostKey',
  'cipherToServer',
  'cipherToClient',
  'macToServer',
  'macToClient',
  'compressionToServer',
  'compressionToClient',
  'languagesToServer',
  'languagesToClient',
] as const;

/** Generous: the longest list of a real peer is under 1 KiB. */
const maxList = 8192;

export function encodeKexinit(kexinit: Kexinit): Uint8Array {
  const writer = new Writer(1024).u8(msg.kexinit).raw(kexinit.cookie);
  for (const list of lists) writer.namelist(kexinit[list]);
  return writer.bool(kexinit.firstKexPacketFollows).u32(0).finish();
}

export function decodeKexinit(payload: Uint8Array): Kexinit | Violation {
  const reader = new Reader(payload, 1);
  if (payload[0] !== msg.kexinit) reader.fail('not KEXINIT');
  const cookie = reader.raw(16).slice();
  const [kex, hostKey, c2s, s2c, mac2s, mac2c, zip2s, zip2c, lang2s, lang2c] = lists.map(() =>
    reader.namelist(maxList),
  ) as [string[], string[], string[], string[], string[], string[], string[], string[], string[], string[]];
  const firstKexPacketFollows = reader.bool();
  reader.u32();
  reader.end();
  if (reader.violation !== undefined) return { violation: `KEXINIT: ${reader.violation}` };
  return {
    cookie,
    kex,
    hostKey,
    cipherToServer: c2s,
    cipherToClient: s2c,
    macToServer: mac2s,
    macToClient: mac2c,
    compressionToServer: zip2s,
    compressionToClient: zip2c,
    languagesToServer: lang2s,
    languagesToClient: lang2c,
    firstKexPacketFollows,
  };
}

/** What the exchange agreed on; the MACs are empty where the cipher authenticates itself. */
export interface Agreement {
  readonly kex: string;
  readonly hostKey: string;
  readonly cipherToServer: string;
  readonly cipherToClient: string;
  readonly macToServer: string;
  readonly macToClient: string;
  /** The side that guessed (`firstKexPacketFollows`) guessed wrong: its next kex packet is to be ignored. */
  readonly wrongGuess: boolean;
}

/** Names in the kex list that are markers, not methods. */
const markers = /^(ext-info-[cs]|kex-strict-[cs]-v00@openssh\.com)$/;

/** RFC 4253 §7.1: in each category the first of the client's names that the server has too. */
export function agree(client: Kexinit, server: Kexinit, needsMac: (cipher: string) => boolean): Agreement | Violation {
  let violation: string | undefined;
  const choose = (category: string, wanted: readonly string[], known: readonly string[]): string => {
    const choice = wanted.find((name) => known.includes(name));
    const some = (list: readonly string[]): string => list.join(',').slice(0, 300);
    if (choice === undefined) violation ??= `${category}: client has ${some(wanted)}, server has ${some(known)}`;
    return choice ?? '';
  };
  const methods = (list: readonly string[]): string[] => list.filter((name) => !markers.test(name));
  const clientKex = methods(client.kex);
  const serverKex = methods(server.kex);
  const kex = choose('kex', clientKex, serverKex);
  const hostKey = choose('host key', client.hostKey, server.hostKey);
  const cipherToServer = choose('cipher to server', client.cipherToServer, server.cipherToServer);
  const cipherToClient = choose('cipher to client', client.cipherToClient, server.cipherToClient);
  choose('compression to server', client.compressionToServer, server.compressionToServer);
  choose('compression to client', client.compressionToClient, server.compressionToClient);
  const macToServer = needsMac(cipherToServer) ? choose('mac to server', client.macToServer, server.macToServer) : '';
  const macToClient = needsMac(cipherToClient) ? choose('mac to client', client.macToClient, server.macToClient) : '';
  const wrongGuess = clientKex[0] !== serverKex[0] || client.hostKey[0] !== server.hostKey[0];
  if (violation !== undefined) return { violation };
  return { kex, hostKey, cipherToServer, cipherToClient, macToServer, macToClient, wrongGuess };
}

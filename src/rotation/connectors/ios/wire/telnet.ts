/**
 * Telnet as a client that wants a line and nothing else (RFC 854, 855): the server may echo (RFC 857) and both may drop
 * go-ahead (RFC 858); every other option is refused in both directions. It encrypts nothing and proves nobody. Pure.
 */

const IAC = 255;
const command = { se: 240, sb: 250, will: 251, wont: 252, do: 253, dont: 254 } as const;
const echo = 1;
const suppressGoAhead = 3;

/** Longer ones are a flood: we have allowed no option that has any. */
const longestSubnegotiation = 1024;
/** A server that negotiates for ever would keep us busy for ever. */
const mostAnswers = 256;

type Reading = 'data' | 'cr' | 'iac' | 'will' | 'wont' | 'do' | 'dont' | 'sub' | 'sub-iac';

/** Where the stream stands between two reads. */
export interface Telnet {
  readonly reading: Reading;
  /** Options that are in force, `theirs` on the server's side and `ours` on this one. */
  readonly theirs: readonly number[];
  readonly ours: readonly number[];
  /** Bytes of the subnegotiation so far. */
  readonly skipped: number;
  readonly answers: number;
}

export const fresh: Telnet = { reading: 'data', theirs: [], ours: [], skipped: 0, answers: 0 };

export interface Received {
  readonly telnet: Telnet;
  /** What the server's terminal shows, commands taken out; CR NUL is CR. */
  readonly data: Uint8Array;
  /** To be sent before anything else. */
  readonly reply: Uint8Array;
}

export interface Violation {
  readonly violation: string;
}

/** Takes the next bytes of the server. A violation ends the connection. */
export function receive(telnet: Telnet, bytes: Uint8Array): Received | Violation {
  let { reading, theirs, ours, skipped, answers } = telnet;
  const data: number[] = [];
  const reply: number[] = [];
  const answer = (verb: number, option: number): void => {
    answers++;
    reply.push(IAC, verb, option);
  };
  for (const byte of bytes) {
    switch (reading) {
      case 'data':
      case 'cr':
        if (byte === IAC) reading = 'iac';
        else {
          // NUL means nothing on a network terminal, least of all after CR.
          if (byte !== 0) data.push(byte);
          reading = byte === 13 ? 'cr' : 'data';
        }
        break;
      case 'iac':
        reading = afterIac(byte);
        if (byte === IAC) data.push(byte);
        if (reading === 'sub') skipped = 0;
        break;
      case 'will':
        if (byte !== echo && byte !== suppressGoAhead) answer(command.dont, byte);
        else if (!theirs.includes(byte)) {
          theirs = [...theirs, byte];
          answer(command.do, byte);
        }
        reading = 'data';
        break;
      case 'wont':
        if (theirs.includes(byte)) {
          theirs = theirs.filter((option) => option !== byte);
          answer(command.dont, byte);
        }
        reading = 'data';
        break;
      case 'do':
        if (byte !== suppressGoAhead) answer(command.wont, byte);
        else if (!ours.includes(byte)) {
          ours = [...ours, byte];
          answer(command.will, byte);
        }
        reading = 'data';
        break;
      case 'dont':
        if (ours.includes(byte)) {
          ours = ours.filter((option) => option !== byte);
          answer(command.wont, byte);
        }
        reading = 'data';
        break;
      case 'sub':
        if (++skipped > longestSubnegotiation) return { violation: 'a telnet subnegotiation without an end' };
        if (byte === IAC) reading = 'sub-iac';
        break;
      case 'sub-iac':
        reading = byte === command.se ? 'data' : 'sub';
        break;
      default:
        return reading satisfies never;
    }
    if (answers > mostAnswers) return { violation: 'a telnet negotiation without an end' };
  }
  const next = { reading, theirs, ours, skipped, answers };
  return { telnet: next, data: Uint8Array.from(data), reply: Uint8Array.from(reply) };
}

/** Commands without an option (go-ahead, no-operation…) mean nothing to a client that only waits for text. */
function afterIac(byte: number): Reading {
  switch (byte) {
    case command.will:
      return 'will';
    case command.wont:
      return 'wont';
    case command.do:
      return 'do';
    case command.dont:
      return 'dont';
    case command.sb:
      return 'sub';
    default:
      return 'data';
  }
}

/** Bytes as they go to the server: 255 twice, and CR never alone (RFC 854: CR LF is a line end, CR NUL a bare CR). */
export function send(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (const [at, byte] of bytes.entries()) {
    out.push(byte);
    if (byte === IAC) out.push(IAC);
    if (byte === 13 && bytes[at + 1] !== 10) out.push(0);
  }
  return Uint8Array.from(out);
}

/** SFTP packets out of a stream that comes in pieces (draft-ietf-secsh-filexfer-02 §3): a length, then so many bytes. */
import { empty } from '../../../../base/bytes.ts';

/** The largest packet that OpenSSH sends or takes is 256 KiB; the rest is for others' overhead. */
export const maxPacket = 256 * 1024 + 1024;

/** Takes pieces; gives each whole packet, a view valid during the call. False as soon as a length is out of bounds. */
export function splitPackets(packet: (bytes: Uint8Array) => void): (piece: Uint8Array) => boolean {
  let held: Uint8Array = empty;
  let length = 0;
  return (piece) => {
    let rest = piece;
    if (length > 0) {
      const taken = rest.subarray(0, held.length - length);
      held.set(taken, length);
      length += taken.length;
      rest = rest.subarray(taken.length);
      if (length === 4 && held.length === 4) {
        const need = lengthAt(held);
        if (need === undefined) return false;
        const whole = new Uint8Array(4 + need);
        whole.set(held);
        held = whole;
        const more = rest.subarray(0, need);
        held.set(more, 4);
        length += more.length;
        rest = rest.subarray(more.length);
      }
      if (length < held.length) return true;
      length = 0;
      packet(held.subarray(4));
    }
    while (rest.length >= 4) {
      const need = lengthAt(rest);
      if (need === undefined) return false;
      if (rest.length < 4 + need) break;
      packet(rest.subarray(4, 4 + need));
      rest = rest.subarray(4 + need);
    }
    if (rest.length === 0) return true;
    held = new Uint8Array(rest.length < 4 ? 4 : 4 + (lengthAt(rest) ?? 0));
    held.set(rest);
    length = rest.length;
    return true;
  };
}

function lengthAt(bytes: Uint8Array): number | undefined {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  return length >= 1 && length <= maxPacket ? length : undefined;
}

/** Fields of one packet; the first that does not fit makes `ok` false and the rest empty. */
export interface PacketFields {
  readonly ok: boolean;
  u8(): number;
  u32(): number;
  u64(): number;
  string(): Uint8Array;
}

export function packetFields(bytes: Uint8Array): PacketFields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let ok = true;
  function step(length: number): number {
    ok &&= length <= bytes.length - at;
    if (!ok) return -1;
    at += length;
    return at - length;
  }
  function u32(): number {
    const from = step(4);
    return from < 0 ? 0 : view.getUint32(from);
  }
  return {
    get ok() {
      return ok;
    },
    u8: () => {
      const from = step(1);
      return from < 0 ? 0 : view.getUint8(from);
    },
    u32,
    u64: () => {
      const from = step(8);
      const value = from < 0 ? 0 : Number(view.getBigUint64(from));
      ok &&= value <= Number.MAX_SAFE_INTEGER;
      return value;
    },
    string: () => {
      const length = u32();
      const from = step(length);
      return from < 0 ? empty : bytes.subarray(from, from + length);
    },
  };
}

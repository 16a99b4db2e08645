/**
 * Arithmetic of the binary packet (RFC 4253 §6). Pure. Field table, in bytes:
 *
 *     4 packet_length | 1 padding_length | n payload | p padding | m mac or tag
 *
 * packet_length counts from padding_length to the end of the padding. AEAD and encrypt-then-mac leave packet_length out
 * of the encrypted blocks; then the rest must fill whole blocks, else packet_length with the rest must.
 */
import type { Violation } from './reader.ts';

/** Bytes of padding for a payload: 4 at least, as few as the block allows. */
export function paddingFor(payload: number, block: number, lengthInBlocks: boolean): number {
  const body = (lengthInBlocks ? 5 : 1) + payload;
  const padding = block - (body % block);
  return padding < 4 ? padding + block : padding;
}

/** Why a packet_length is refused before its packet is waited for, or undefined. */
export function refuseLength(length: number, block: number, lengthInBlocks: boolean, max: number): string | undefined {
  if (length > max) return `packet_length ${length} where ${max} are allowed`;
  // 1 padding_length + 1 payload + 4 padding is the least that can be
  if (length < 6) return `packet_length ${length}`;
  if ((lengthInBlocks ? length + 4 : length) % block !== 0)
    return `packet_length ${length} does not fill blocks of ${block}`;
  return undefined;
}

/** The payload inside an opened packet (which starts at padding_length), as a view. */
export function payloadOf(packet: Uint8Array): Uint8Array | Violation {
  const padding = packet[0] ?? 0;
  const end = packet.length - padding;
  if (padding < 4) return { violation: `padding of ${padding} bytes` };
  if (end < 2) return { violation: 'packet without payload' };
  // not subarray(): of Node's Buffer that would be a Buffer, whose slice() does not copy
  return new Uint8Array(packet.buffer, packet.byteOffset + 1, end - 1);
}

/**
 * Certificates (RFC 5280) and detached signatures (CMS, RFC 5652) as values. pkijs writes the structures; it never sees a
 * private key: what is to be signed goes to the vault's signer, RSA with SHA-256.
 */
import { BitString, Integer, Null, OctetString, Utf8String } from 'asn1js';
import {
  AlgorithmIdentifier,
  AltName,
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  ContentInfo,
  EncapsulatedContentInfo,
  ExtKeyUsage,
  Extension,
  GeneralName,
  IssuerAndSerialNumber,
  PublicKeyInfo,
  SignedData,
  SignerInfo,
  Time,
} from 'pkijs';
import { isIP } from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
import type { RsaSigner } from '../vault/vault.ts';

const sha256WithRsa = '1.2.840.113549.1.1.11';
const sha256 = '2.16.840.1.101.3.4.2.1';
const rsa = '1.2.840.113549.1.1.1';
const data = '1.2.840.113549.1.7.1';
const signedData = '1.2.840.113549.1.7.2';

export interface CertificateWish {
  /** The subject's common name. */
  readonly name: string;
  readonly publicKey: Uint8Array;
  /** DER of the issuer's certificate; undefined: it is its own. */
  readonly issuer: Uint8Array | undefined;
  readonly signer: RsaSigner;
  readonly use: 'authority' | 'tls-server' | 'file-signer';
  /** Names and addresses it stands for. */
  readonly altNames: readonly string[];
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly until: number;
}

/** A certificate in DER. */
export async function makeCertificate(wish: CertificateWish): Promise<Uint8Array> {
  const certificate = new Certificate({ version: 2 });
  certificate.serialNumber = new Integer({ valueHex: serial() });
  certificate.subject.typesAndValues.push(commonName(wish.name));
  if (wish.issuer === undefined) certificate.issuer.typesAndValues.push(commonName(wish.name));
  else certificate.issuer = parse(wish.issuer).subject;
  certificate.notBefore = new Time({ type: 0, value: new Date(wish.from) });
  certificate.notAfter = new Time({ type: 0, value: new Date(wish.until) });
  certificate.subjectPublicKeyInfo = PublicKeyInfo.fromBER(exact(wish.publicKey));
  const issuerKey = wish.issuer === undefined ? wish.publicKey : spkiOf(wish.issuer);
  certificate.extensions = extensionsOf(wish, keyId(wish.publicKey), keyId(issuerKey));
  certificate.signature = algorithm(sha256WithRsa);
  certificate.signatureAlgorithm = algorithm(sha256WithRsa);
  const body = new Uint8Array(certificate.encodeTBS().toBER());
  certificate.signatureValue = new BitString({ valueHex: exact(await wish.signer.sign(body)) });
  return new Uint8Array(certificate.toSchema(true).toBER());
}

/** A detached CMS signature over `content`: no signed attributes, the signer's chain inside, its own certificate first. */
export async function signDetached(
  content: Uint8Array,
  chain: readonly Uint8Array[],
  signer: RsaSigner,
): Promise<Uint8Array> {
  const [own] = chain;
  if (own === undefined) throw new Error('a signature without a certificate');
  const certificate = parse(own);
  const signed = new SignedData({
    version: 1,
    digestAlgorithms: [algorithm(sha256)],
    encapContentInfo: new EncapsulatedContentInfo({ eContentType: data }),
    certificates: chain.map(parse),
    signerInfos: [
      new SignerInfo({
        version: 1,
        sid: new IssuerAndSerialNumber({ issuer: certificate.issuer, serialNumber: certificate.serialNumber }),
        digestAlgorithm: algorithm(sha256),
        signatureAlgorithm: algorithm(rsa),
        signature: new OctetString({ valueHex: exact(await signer.sign(content)) }),
      }),
    ],
  });
  const wrapped = new ContentInfo({ contentType: signedData, content: signed.toSchema(true) });
  return new Uint8Array(wrapped.toSchema().toBER());
}

function extensionsOf({ use, altNames }: CertificateWish, own: Uint8Array, issuer: Uint8Array): Extension[] {
  const extension = (extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }): Extension =>
    new Extension({ extnID, critical, extnValue: value.toBER() });
  const authority = use === 'authority';
  // keyCertSign and cRLSign, or digitalSignature and keyEncipherment: bits from the left.
  const usage = new BitString({
    valueHex: Uint8Array.of(authority ? 0x06 : 0xa0).buffer,
    unusedBits: authority ? 1 : 5,
  });
  const basic = new BasicConstraints(authority ? { cA: true, pathLenConstraint: 0 } : {});
  const out = [
    extension('2.5.29.19', true, basic.toSchema()),
    extension('2.5.29.15', true, usage),
    extension('2.5.29.14', false, new OctetString({ valueHex: exact(own) })),
    new Extension({ extnID: '2.5.29.35', critical: false, extnValue: authorityKeyId(issuer) }),
  ];
  if (!authority) {
    const purposes = use === 'tls-server' ? ['1.3.6.1.5.5.7.3.1'] : ['1.3.6.1.5.5.7.3.3'];
    out.push(extension('2.5.29.37', false, new ExtKeyUsage({ keyPurposes: purposes }).toSchema()));
  }
  if (altNames.length > 0) {
    const names = new AltName({ altNames: altNames.map(generalName) });
    out.push(extension('2.5.29.17', false, names.toSchema()));
  }
  return out;
}

/** AuthorityKeyIdentifier with `[0] keyIdentifier` of 20 bytes alone. */
function authorityKeyId(id: Uint8Array): ArrayBuffer {
  return exact(Uint8Array.of(0x30, 2 + id.length, 0x80, id.length, ...id));
}

function generalName(name: string): GeneralName {
  if (isIP(name) === 0) return new GeneralName({ type: 2, value: name });
  return new GeneralName({ type: 7, value: new OctetString({ valueHex: exact(addressBytes(name)) }) });
}

/** The bytes of an IP address in network order. */
function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split('.').map(Number));
  const plain = new URL(`http://[${address.replace(/%.*$/, '')}]/`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const parts = (half: string): number[] =>
    half === '' ? [] : half.split(':').map((part) => Number.parseInt(part, 16));
  const left = parts(head);
  const right = tail === undefined ? [] : parts(tail);
  const words = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** 127 positive random bits. */
function serial(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.buffer;
}

function keyId(spki: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(spki).digest().subarray(0, 20));
}

function commonName(name: string): AttributeTypeAndValue {
  return new AttributeTypeAndValue({ type: '2.5.4.3', value: new Utf8String({ value: name }) });
}

function algorithm(id: string): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithmId: id, algorithmParams: new Null() });
}

function parse(der: Uint8Array): Certificate {
  return Certificate.fromBER(exact(der));
}

function spkiOf(der: Uint8Array): Uint8Array {
  return new Uint8Array(parse(der).subjectPublicKeyInfo.toSchema().toBER());
}

/** The bytes in a buffer of their own, as the libraries want them. */
function exact(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

/** The targets of `estate.yaml`: their services, each with what belongs to its protocol and nothing else. */
import { type Static, type TSchema, Type } from 'typebox';
import { parseCertificatePin, type TargetDeclaration } from '../estate/estate.ts';
import { parseKeyLine } from '../protocol/ssh/ssh.ts';

const Name = Type.String({ minLength: 1, maxLength: 255 });
// As the database wants them, so that a wrong one is refused by its line.
const TargetName = Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?$' });
const ServiceName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,31}$' });
const Words = Type.String({ maxLength: 1024 });
const List = <T extends TSchema>(item: T) => Type.Array(item, { maxItems: 100_000 });
const Optional = Type.Optional;
const strict = { additionalProperties: false } as const;
const OneOf = <const V extends readonly string[]>(values: V) => Type.Unsafe<V[number]>(Type.Enum([...values]));

/** Every protocol with its usual port. */
const usualPorts = { ssh: 22, rdp: 3389, telnet: 23, postgres: 5432, mysql: 3306, ldap: 389, ldaps: 636 } as const;
const protocols = Object.keys(usualPorts) as (keyof typeof usualPorts)[];

const Service = Type.Object(
  {
    name: Optional(ServiceName),
    protocol: Optional(OneOf(protocols)),
    port: Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
    hostKeyPolicy: Optional(OneOf(['strict', 'first-use'])),
    hostKeys: Optional(List(Words)),
    /** Of rdp: what proves the target, its pinned certificates, and the domain of its accounts. */
    security: Optional(OneOf(['nla', 'tls'])),
    certificates: Optional(List(Words)),
    domain: Optional(Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?$' })),
    tls: Optional(
      Type.Union([
        Type.Literal('off'),
        Type.Object({ serverName: Optional(Name), ca: Optional(Type.String({ maxLength: 65_536 })) }, strict),
      ]),
    ),
    database: Optional(Name),
    realm: Optional(Name),
    kerberosPort: Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
  },
  strict,
);

export const TargetShape = Type.Object(
  {
    name: TargetName,
    platform: Optional(OneOf(['linux', 'unix', 'windows', 'network', 'database', 'other'])),
    address: Name,
    description: Optional(Words),
    disabled: Optional(Type.Boolean()),
    services: Optional(List(Service)),
  },
  strict,
);

/** As the estate room declares it. `fail` makes the error that is thrown. */
export function targetOf(target: Static<typeof TargetShape>, fail: (words: string) => Error): TargetDeclaration {
  return {
    ...target,
    platform: target.platform ?? 'linux',
    services: (target.services ?? [{}]).map((service) => {
      const protocol = service.protocol ?? 'ssh';
      const { hostKeys, hostKeyPolicy, certificates } = service;
      const { tls, database, realm, kerberosPort, security, domain } = service;
      const fault = faultOfService(service, protocol);
      if (fault !== undefined) throw fail(fault);
      return {
        ...(hostKeyPolicy === undefined ? {} : { hostKeyPolicy }),
        // Only what was said: an empty place and none are the same.
        settings: JSON.parse(JSON.stringify({ tls, database, realm, kerberosPort, security, domain })) as Record<
          string,
          unknown
        >,
        protocol,
        name: service.name ?? protocol,
        port: service.port ?? usualPorts[protocol],
        certificates: (certificates ?? []).map((words) => {
          const pin = parseCertificatePin(words);
          if (pin === undefined) throw fail('a certificate: not a SHA-256 fingerprint of 64 hex digits');
          return pin;
        }),
        hostKeys: (hostKeys ?? []).map((line) => {
          // A line of ssh-keyscan begins with the host's name, which stands where options would.
          const parsed = parseKeyLine(line);
          if ('refused' in parsed) throw fail(`a host key: ${parsed.reason}`);
          return parsed.blob;
        }),
      };
    }),
  };
}

type FileService = Static<typeof Service>;

/** What belongs to another protocol, or would send a password to whoever answers. */
function faultOfService(service: FileService, protocol: string): string | undefined {
  const { hostKeys, hostKeyPolicy, certificates, security, domain, tls } = service;
  if (protocol !== 'rdp') {
    const strange = Object.entries({ security, certificates, domain }).find(([, value]) => value !== undefined);
    return strange === undefined ? undefined : `${strange[0]} is for services of rdp`;
  }
  if (hostKeys !== undefined) return 'a service of rdp has certificates, not hostKeys';
  if (tls === 'off') return 'rdp is spoken over TLS only';
  if (security === 'tls' && hostKeyPolicy === 'first-use')
    return 'with security tls the first certificate must not be trusted unseen: the password goes to whoever answers';
  return undefined;
}

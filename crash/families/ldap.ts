/** Entries of an OpenLDAP directory. Which value holds is what its own client says after a bind. */
import { run } from '../../test/lab/run.ts';
import { startLdapServer } from '../../test/lab/slapd.ts';
import { drawPassword } from '../values.ts';
import type { Family, Server } from './family.ts';
import { untilQuiet } from './quiet.ts';

const base = 'dc=example,dc=test';
const dnOf = (name: string): string => `uid=${name},ou=people,${base}`;
const keeperDn = `uid=keeper,ou=services,${base}`;

/** The keeper also reads what is stored, so that nothing need be tried. */
const access = [
  `access to dn.subtree="ou=people,${base}" attrs=userPassword by dn.base="${keeperDn}" write by self =xw by anonymous auth`,
  'access to attrs=userPassword by anonymous auth',
  `access to attrs=pwdReset,pwdAccountLockedTime by dn.base="${keeperDn}" write by * read`,
  'access to * by * read',
];

const policy = `dn: cn=default,ou=policies,${base}
changetype: add
objectClass: organizationalRole
objectClass: pwdPolicy
pwdAttribute: userPassword
pwdAllowUserChange: TRUE
`;

function person(dn: string, text: string): string {
  return `dn: ${dn}\nchangetype: add\nobjectClass: account\nobjectClass: simpleSecurityObject\nuserPassword: ${text}\n`;
}

function branches(): string {
  const units = ['people', 'services', 'policies'].map(
    (unit) => `dn: ou=${unit},${base}\nchangetype: add\nobjectClass: organizationalUnit\n`,
  );
  const top = `dn: ${base}\nchangetype: add\nobjectClass: organization\nobjectClass: dcObject\ndc: example\no: example\n`;
  return [top, ...units].join('\n');
}

async function start(): Promise<Server> {
  const server = await startLdapServer({ access });
  const keeper = drawPassword();
  await server.ldif([branches(), policy, person(keeperDn, keeper.text)].join('\n'));
  const made = new Set<string>();
  return {
    address: server.address,
    port: server.ports.ldaps,
    service: (port) => {
      const tls = { serverName: server.name, ca: server.ca };
      return { name: 'directory', protocol: 'ldaps', port, settings: { tls } };
    },
    keeper: { name: 'keeper', connector: 'ldap', value: keeper },
    draw: async () => drawPassword(),
    plant: async (accounts) => {
      for (const { name, value } of accounts) {
        const change = `dn: ${dnOf(name)}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${value.text}\n`;
        await server.ldif(made.has(name) ? change : person(dnOf(name), value.text));
        made.add(name);
      }
    },
    // One after another: the client reads its password from a file that is always the same.
    holds: async (accounts) => {
      const answers: boolean[][] = [];
      for (const { name, value } of accounts) {
        const each: boolean[] = [];
        for (const one of value) each.push((await server.whoami(dnOf(name), one.text)).code === 0);
        answers.push(each);
      }
      return answers;
    },
    // It closes a connection when it has answered what came over it.
    quiet: () =>
      untilQuiet(async () => {
        const filter = ['state', 'established', 'state', 'close-wait', `sport = :${server.ports.ldaps}`];
        return (await run(['ss', '-Htn', ...filter])).stdout.split('\n').filter(Boolean);
      }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export const ldapEntries: Family = { name: 'ldap', connector: 'ldap', kind: 'password', by: 'keeper', start };

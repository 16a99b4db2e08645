/** The targets on which the cases are played: how each is declared, given a value, changed through a wire, and asked for the truth. */
import mysql from 'mysql2/promise';
import type { TargetDeclaration } from '../../src/estate/estate.ts';
import type { Place, Work } from '../../src/rotation/connectors/connector.ts';
import type { Wire } from '../lab/wire.ts';
import { startAccounts } from '../rotation/connectors/mariadb.ts';
import { accountsMachine, password, passwords, placeOf, sh, work } from '../rotation/connectors/machine.ts';
import { opens } from './house.ts';

export interface CaseTarget extends AsyncDisposable {
  readonly connector: string;
  readonly declaration: TargetDeclaration;
  /** The account, and the administrator who changes it, without the target's name. */
  readonly account: string;
  readonly admin: { readonly name: string; readonly password: string };
  /** Where connections go that a wire shall hold. */
  readonly address: string;
  readonly port: number;
  /** Gives the account a value, past everybody. */
  plant(value: string): Promise<void>;
  /** A change by the administrator, through a wire. */
  through(wire: Wire): Work;
  /** Whether a value lets in, by a client that is not ours. */
  works(value: string): Promise<'accepted' | 'refused'>;
}

/** A Linux machine with sshd. */
export async function sshdTarget(): Promise<CaseTarget> {
  const machine = await accountsMachine('shared');
  const { hostKeys } = placeOf(machine);
  const admin = { name: 'asking', password: passwords.asking };
  return {
    connector: 'linux-chpasswd',
    declaration: {
      name: 'machine',
      platform: 'linux',
      address: machine.address,
      services: [{ name: 'ssh', protocol: 'ssh', port: machine.port, hostKeys }],
    },
    account: 'app',
    admin,
    address: machine.address,
    port: machine.port,
    plant: async (value) => {
      await sh(machine, 'chpasswd', `app:${value}\n`);
    },
    through: (wire) => work(placeOf(machine, wire), 'app', admin.name, password(admin.password)),
    works: (value) => opens(machine, 'app', value),
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}

/** A MariaDB. */
export async function mariadbTarget(): Promise<CaseTarget> {
  const server = await startAccounts();
  const tls = { serverName: server.serverName, ca: server.ca };
  const admin = { name: 'manager@%', password: 'Manager.Pass-1' };
  const place = ({ address, port }: Wire): Place => ({
    protocol: 'mysql',
    address,
    port,
    hostKeys: [],
    tls: { kind: 'verify', ...tls },
    settings: {},
  });
  return {
    connector: 'mysql',
    declaration: {
      name: 'database',
      platform: 'linux',
      address: server.address,
      services: [{ name: 'mysql', protocol: 'mysql', port: server.port, settings: { tls } }],
    },
    account: 'app@%',
    admin,
    address: server.address,
    port: server.port,
    plant: async (value) => {
      await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY '${value}'`);
    },
    through: (wire) => work(place(wire), 'app@%', admin.name, password(admin.password)),
    works: async (value) => {
      const { address: host, port } = server;
      try {
        const connection = await mysql.createConnection({ host, port, user: 'app', password: value });
        await connection.end();
        return 'accepted';
      } catch (error) {
        if ((error as { errno?: number }).errno === 1045) return 'refused';
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

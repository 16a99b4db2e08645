/** linux-passwd on a machine with real PAM, shadow, sudo and sshd: the whole list. */
import { afterAll, beforeAll, describe } from 'vitest';
import { fullMachines, type Machine } from '../lab/machine.ts';
import { conformance } from '../rotation/connectors/conformance.ts';
import { accountsMachine, passwordBench, sshBench } from '../rotation/connectors/machine.ts';

describe.runIf(fullMachines)('linux-passwd', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await accountsMachine('passwd');
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  conformance({
    ...sshBench(() => machine),
    ...passwordBench(() => machine, 'passwd'),
    connector: 'linux-passwd',
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', 'ümläut €', '-e %s \\n', '#!&|<>*?[]{}~'],
    without: {},
  });
});

/** Answers about people: enrolment, users, their factors. A secret that is made here is shown once, to who asked. */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import {
  addKey,
  enrol,
  enrolTotp,
  inviteUser,
  setDisabled,
  setPassword,
  type User,
  unlock,
  users,
} from '../../identity/identity.ts';
import type { Rooms } from '../rooms.ts';

type Names = Extract<keyof RouteAnswers, `user.${string}` | 'enrol'>;

export function peopleAnswers(
  { db, vault, clock }: Pick<Rooms, 'db' | 'vault' | 'clock'>,
  actor: Actor,
): Pick<RouteAnswers, Names> {
  return {
    enrol: async (fields) => {
      using code = new Secret(fields.code);
      using password = new Secret(fields.password);
      const request = {
        code,
        name: fields.name,
        password,
        ...(fields.publicKey === undefined ? {} : { publicKey: fields.publicKey }),
      };
      const enrolled = await enrol(db, request, clock.now());
      return isRefusal(enrolled) ? enrolled : { user: enrolled.name, roles: [...enrolled.roles] };
    },
    'user.list': async () => ({ users: (await users(db)).map((user) => show(user, clock.now())) }),
    'user.code': async ({ name }) => {
      const { code, expiresAt } = await inviteUser(db, name, clock.now(), actor);
      using once = code;
      return { code: once.revealText(), expiresAt: expiresAt.toISOString() };
    },
    'user.password': async (fields) => {
      using password = new Secret(fields.password);
      return (await setPassword(db, fields.name, password, { mustChange: false }, actor)) ?? { done: true };
    },
    'user.key': async ({ name, line }) => {
      const added = await addKey(db, name, line, undefined, actor);
      return isRefusal(added) ? added : { fingerprint: added };
    },
    'user.totp': async ({ name }) => {
      using uri = await enrolTotp(db, vault, name, actor);
      return { uri: uri.revealText() };
    },
    'user.unlock': async ({ name }) => {
      await unlock(db, name, actor);
      return { done: true };
    },
    'user.disable': async ({ name, disabled }) => (await setDisabled(db, name, disabled, actor)) ?? { done: true },
  };
}

function show(
  user: User,
  now: number,
): { name: string; roles: string[]; groups: string[]; factors: string[]; state: string; expiresAt?: string } {
  const locked = user.lockedUntil !== undefined && user.lockedUntil.getTime() > now;
  const expired = user.expiresAt !== undefined && user.expiresAt.getTime() <= now;
  return {
    name: user.name,
    roles: [...user.roles],
    groups: user.groups.map((group) => group.name),
    factors: [...user.factors],
    state: user.disabled ? 'disabled' : expired ? 'expired' : locked ? 'locked' : 'active',
    ...(user.expiresAt === undefined ? {} : { expiresAt: user.expiresAt.toISOString() }),
  };
}

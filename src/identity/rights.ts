/**
 * Roles and what they allow, as data. No role allows to see a secret: administration never implies reveal. A role says
 * nothing of targets either; where a person may go is for grants. `token.mint` lets people make tokens for themselves.
 */

export const roles = ['administrator', 'password-administrator', 'password-auditor', 'password-user'] as const;
export type Role = (typeof roles)[number];

/** All rights, as the contract's routes ask for them; a test compares the two lists. */
export const rights = [
  'status.view',
  'estate.change',
  'estate.view',
  'user.change',
  'user.view',
  'credential.store',
  'hostkey.trust',
  'token.mint',
  'session.view',
  'session.kill',
  'recording.view',
  'rotation.run',
  'rotation.view',
  'conflict.decide',
  'node.change',
  'node.view',
  'audit.view',
] as const;
export type Right = (typeof rights)[number];

/** The reviewed table: a change here is a change of who may do what, and a test holds a copy of it. */
export const rightsOf: Readonly<Record<Role, readonly Right[]>> = {
  administrator: rights,
  'password-administrator': [
    'status.view',
    'estate.view',
    'credential.store',
    'hostkey.trust',
    'token.mint',
    'rotation.run',
    'rotation.view',
    'conflict.decide',
  ],
  'password-auditor': [
    'status.view',
    'estate.view',
    'user.view',
    'session.view',
    'recording.view',
    'rotation.view',
    'node.view',
    'audit.view',
  ],
  'password-user': ['token.mint'],
};

/** Whether somebody with these roles has the right. */
export function mayDo(who: { readonly roles: readonly Role[] }, right: Right): boolean {
  return who.roles.some((role) => rightsOf[role].includes(right));
}
